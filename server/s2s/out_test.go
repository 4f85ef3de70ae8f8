// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// A peer that does not read loses its connection; what it was sent goes to the disk.
func TestRouteStalled(t *testing.T) {
	eachWay(t, func(l *routeLimits) { l.QueueBytes = 10_000 }, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"))
		l := d.connect("x", managed)
		l.stick()
		for range 1000 {
			d.send("<presence from='m@p.d/r' to='a@x' id='p'><status>hello</status></presence>")
		}
		if !managed && (!l.isAborted() || !l.o.ended()) {
			t.Error("the connection goes on")
		}
		d.pass(3 * time.Minute)
		if !l.isAborted() || !l.o.ended() {
			t.Error("the connection goes on")
		}
		if n := d.rows(); n != 1 {
			t.Errorf("%d on the disk", n)
		}
		d.counts("stalled_total", 1)
	})
}

// A peer that takes all and confirms nothing is dead.
func TestRouteSilent(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"))
		l := d.connect("x", managed)
		d.pass(d.limits.Confirm - time.Second)
		if l.isAborted() {
			t.Error("too early")
		}
		d.pass(d.limits.Confirm)
		if !l.isAborted() || !l.o.ended() {
			t.Error("the connection goes on")
		}
		if got := strings.Join(d.dialing(), " "); got != "x" {
			t.Errorf("dialed: %s", got)
		}
		d.counts("stalled_total", 1)
	})
}

// A request to such a peer is answered in bounded time, and not made again, also where nothing else was sent.
func TestRouteSilentRequest(t *testing.T) {
	eachWay(t, func(l *routeLimits) { l.Confirm = time.Minute }, func(t *testing.T, d *depot, managed bool) {
		d.send("<iq from='m@p.d/r' to='x' type='get' id='1'><q xmlns='u:q'/></iq>")
		l := d.connect("x", managed)
		d.pass(50 * time.Second)
		if l.isAborted() {
			t.Error("too early")
		}
		d.returned()
		d.pass(40 * time.Second)
		d.returned("1 remote-server-timeout")
		if got := d.dialing(); len(got) > 0 {
			t.Errorf("%q are dialed", got)
		}
	})
}

// A peer that proves its name on another connection may have lost the one that is used: that is dropped, unless it shows soon
// that it works.
func TestRouteDoubted(t *testing.T) {
	for what, waits := range map[string]bool{"nothing waits": false, "a message is not confirmed": true} {
		t.Run(what, func(t *testing.T) {
			eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
				d.send(chat("a@x", "1"))
				l := d.connect("x", managed)
				d.pass(60 * time.Millisecond)
				l.read()
				l.confirm()
				r, newer := d.get(routeKey("p.d", "x")), d.line(true)
				r.doubt(&l.o)
				d.counts("doubted_total", 0)
				r.doubt(&newer.o)
				r.doubt(&newer.o)
				d.counts("doubted_total", 1)
				d.pass(doubtWait - time.Second)
				l.read()
				l.confirm()
				d.pass(time.Minute)
				if l.isAborted() {
					t.Fatal("a connection that works was dropped")
				}
				r.doubt(&newer.o)
				if waits {
					d.send(chat("a@x", "2"))
				}
				d.pass(doubtWait - time.Second)
				if l.isAborted() {
					t.Error("too early")
				}
				d.pass(2 * time.Second)
				if !l.isAborted() || !l.o.ended() {
					t.Fatal("the connection goes on")
				}
				d.counts("doubted_total", 2)
				d.counts("stalled_total", 1)
				if waits {
					d.connect("x", true).gets("2 late", "<r>")
				}
				d.returned()
			})
		})
	}
}

// A connection on which nothing has been sent for long is given up, with the same look at it; what is sent then goes elsewhere.
func TestRouteRest(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"))
		l := d.connect("x", managed)
		d.pass(time.Minute)
		if l.o.rest(time.Now().Add(-time.Second)) {
			t.Error("something is not confirmed")
		}
		l.read()
		l.confirm()
		if l.o.rest(time.Now().Add(-2 * time.Minute)) {
			t.Error("it was used since")
		}
		if !l.o.rest(time.Now().Add(-time.Second)) || l.o.rest(time.Now()) {
			t.Error("it is to rest, once")
		}
		d.send(chat("a@x", "2"))
		l.gets()
		if other := d.connect("x", managed); other.read()[0] != "2" {
			t.Errorf("got %s", other.raw)
		}
	})
}

// The first connection carries a route. A second one is not used while it works, and a dial that fails meanwhile is of no
// account; when the first breaks, the second takes what is left.
func TestRouteOpenedTwice(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		first, second, third := d.line(true), d.line(true), d.line(true)
		r := d.mustCall("x")
		r.offer(&first.o)
		r.offer(&second.o)
		r.offer(&third.o)
		third.breaks()
		r.offer(&second.o)
		r.failed(outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true})
		d.send(chat("a@x", "2"))
		first.gets("1", "<r>", "2", "<r>")
		second.gets()
		first.breaks()
		second.gets("1 late", "2 late", "<r>")
		d.send(chat("a@x", "3"))
		second.gets("3", "<r>")
		d.returned()
		if got := d.dialing(); len(got) > 0 {
			t.Errorf("%q are dialed", got)
		}
		second.breaks()
		d.pass(2 * time.Second)
		d.connect("x", true).gets("1 late", "2 late", "3 late", "<r>")
	})
}

// While a route is dialed it is not dialed again, also where the other server came meanwhile and went.
func TestRouteOneDial(t *testing.T) {
	bubble(t, func(l *routeLimits) { l.Dials = 1 }, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		r := d.mustCall("x")
		d.send(chat("a@y", "y"))
		l := d.line(true)
		r.offer(&l.o)
		l.gets("1", "<r>")
		l.breaks()
		d.pass(20 * time.Second)
		if got := d.dialing(); len(got) > 0 {
			t.Fatalf("%q are dialed", got)
		}
		l = d.line(true)
		r.open(&l.o)
		l.gets("1 late", "<r>")
		d.connect("y", true).gets("y late", "<r>")
	})
}

// An ack of what was never sent ends the stream, and numbers wrap.
func TestRouteAcks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		l := d.line(true)
		l.h, l.o.h = 1<<32-2, 1<<32-2
		d.mustCall("x").open(&l.o)
		d.send(chat("a@x", "2"), chat("a@x", "3"), chat("a@x", "4"))
		turn := d.server.NewTurn()
		defer turn.End()
		var e *stream.Error
		if err := l.o.acked(turn, 3); !errors.As(err, &e) || !strings.Contains(string(e.App), "handled-count-too-high") {
			t.Errorf("%v", err)
		}
		l.read()
		l.ack()
		if _, ok := l.o.unused(); !ok || l.o.h != 2 {
			t.Errorf("acked to %d", l.o.h)
		}
		if err := l.o.acked(turn, 1<<32-1); err == nil {
			t.Error("what was acked before is not acked again")
		}
	})
}
