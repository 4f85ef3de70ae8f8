// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// bubble runs a test where time stands still while anything is to be done.
func bubble(t *testing.T, change func(*routeLimits), f func(*testing.T, *depot)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newDepot(t, change)) })
}

// eachWay runs a test with and without stream management.
func eachWay(t *testing.T, change func(*routeLimits), f func(*testing.T, *depot, bool)) {
	for name, managed := range map[string]bool{"managed": true, "fenced": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, change, func(t *testing.T, d *depot) { f(t, d, managed) })
		})
	}
}

// What waits for a connection leaves in the order in which it came, with one write; what follows leaves at once.
func TestRouteOrder(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"), "<iq from='m@p.d/r' to='x' type='get' id='2'><q xmlns='u:q'/></iq>")
		d.send("<message from='m@p.d/r' to='a@x' id='3' type='headline'><body>hi</body></message>", chat("b@x", "4"))
		d.send(chat("a@y", "5"))
		if got := strings.Join(d.dialing(), " "); got != "x y" {
			t.Fatalf("dialed: %s", got)
		}
		l := d.connect("x", managed)
		want := []string{"1", "2", "3", "4"}
		if managed {
			want = append(want, "<r>")
		}
		l.gets(want...)
		if l.flushes != 1 {
			t.Errorf("%d writes", l.flushes)
		}
		d.send(chat("a@x", "6"), chat("b@x", "7"))
		if want = []string{"6", "7"}; managed {
			want = append(want, "<r>")
		}
		l.gets(want...)
		d.pass(60 * time.Millisecond)
		l.read()
		l.confirm()
		if _, ok := l.o.unused(); !ok {
			t.Error("something is not confirmed")
		}
		if n := d.get(routeKey("p.d", "x")).mem; n != 0 {
			t.Errorf("%d bytes are held", n)
		}
		d.counts(`sent_total{kind="iq"}`, map[bool]float64{true: 1, false: 2}[managed])
		d.returned()
	})
}

// The sender's ack waits until the peer confirms, or the disk has it; what is confirmed leaves the disk.
func TestRouteReceipts(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		c := d.caller()
		c.send("b@x", "1", "2")
		if n := c.safe(); n != 0 {
			t.Fatalf("%d are safe, and nobody has them", n)
		}
		d.pass(150 * time.Millisecond)
		if n, rows := c.safe(), d.rows(); n != 2 || rows != 2 {
			t.Fatalf("%d are safe, %d on the disk", n, rows)
		}
		l := d.connect("x", managed)
		c.send("b@x", "3")
		l.read()
		d.pass(60 * time.Millisecond)
		l.read()
		if n := c.safe(); n != 2 {
			t.Fatalf("%d are safe", n)
		}
		l.confirm()
		if n := c.safe(); n != 3 {
			t.Fatalf("%d are safe", n)
		}
		d.pass(time.Second)
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
		c.send("b@x", "4") // and is not confirmed in time
		d.pass(150 * time.Millisecond)
		if n, rows := c.safe(), d.rows(); n != 4 || rows != 1 {
			t.Fatalf("%d are safe, %d on the disk", n, rows)
		}
		if got := c.returned(); len(got) > 0 {
			t.Error(got)
		}
	})
}

// What a connection has not confirmed goes again, ahead of what came later, and says that it is late.
func TestRouteBroken(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"))
		l := d.connect("x", managed)
		l.read()
		d.pass(60 * time.Millisecond)
		l.read()
		l.confirm()
		iq := "<iq from='m@p.d/r' to='x' type='get' id='3'><q xmlns='u:q'/></iq>"
		d.send(chat("a@x", "2"), iq, "<presence from='m@p.d/r' to='a@x' id='4'/>")
		l.breaks()
		d.send(chat("a@x", "5"))
		l = d.connect("x", managed)
		if managed {
			l.gets("2 late", "3", "4", "5", "<r>")
			d.counts("resent_total", 3)
			d.returned()
		} else {
			// A request is not made twice; what nobody keeps may be lost, and is counted.
			l.gets("2 late", "5")
			d.counts("resent_total", 1)
			d.counts("unconfirmed_total", 1)
			d.returned("3 remote-server-timeout")
		}
		l.breaks()
		d.pass(2 * time.Second)
		l = d.connect("x", managed)
		if managed {
			l.gets("2 late", "5 late", "<r>")
			d.returned("3 remote-server-timeout")
		} else {
			l.gets("2 late", "5 late")
			d.returned()
		}
	})
}

// An answer that a connection has not confirmed goes again, once; one that may be to a fence is let go where nothing is acked.
func TestRouteReply(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		result := "<iq from='p.d' to='x' type='result' id='1'><q xmlns='u:q'/></iq>"
		refusal := "<iq from='p.d' to='x' type='error' id='2'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
		empty := "<iq from='p.d' to='x' type='result' id='3'/>"
		done := "<iq from='p.d' to='a@x' type='result' id='4'/>"
		d.send(result, refusal, empty, done)
		l := d.connect("x", managed)
		l.breaks()
		d.pass(2 * time.Second)
		l = d.connect("x", managed)
		if managed {
			l.gets("1", "2 gone", "3", "4", "<r>")
		} else {
			l.gets("1", "2 gone", "4")
		}
		l.breaks()
		d.pass(5 * time.Second)
		d.send(chat("a@x", "5"))
		l = d.connect("x", managed)
		if managed {
			l.gets("5", "<r>")
		} else {
			l.gets("5")
		}
		d.returned()
	})
}

// Nobody gets the same for ever from a peer that breaks each connection before it confirms.
func TestRouteNeverConfirmed(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"))
		for range maxSends {
			l := d.connect("x", managed)
			if got := l.read(); len(got) == 0 || !strings.HasPrefix(got[0], "1") {
				t.Fatalf("got %q", got)
			}
			l.breaks()
			d.pass(time.Minute)
		}
		d.returned("1 remote-server-timeout")
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
		if got := d.dialing(); len(got) > 0 {
			t.Errorf("%q are dialed", got)
		}
	})
}

// A failed try answers those who wait for an answer; messages wait on, and are answered when it has been too long.
func TestRouteFailed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send(
			chat("a@x", "1"), "<iq from='m@p.d/r' to='x' type='get' id='2'><q xmlns='u:q'/></iq>",
			"<message from='m@p.d/r' to='a@x/r' id='3' type='groupchat'><body>hi</body></message>",
			"<message from='m@p.d/r' to='room@x' id='4' type='groupchat'><body>hi</body></message>",
			"<presence from='m@p.d' to='a@x' id='5' type='subscribe'/>",
			"<presence from='m@p.d/r' to='a@x' id='6'/>", "<iq from='m@p.d/r' to='x' type='result' id='7'/>",
		)
		refused := outage{Err: stanza.RemoteServerTimeout.Err(""), Cause: errors.New("refused")}
		d.mustCall("x").failed(refused)
		d.returned("2 remote-server-timeout", "3 remote-server-timeout")
		d.counts("dropped_total", 2)
		// Tried again and again, ever less often.
		tries, last := 0, time.Now()
		for start := time.Now(); time.Since(start) < 14*time.Minute; d.pass(100 * time.Millisecond) {
			if r := d.call("x"); r != nil {
				r.failed(refused)
				tries++
				last = time.Now()
			}
		}
		if tries < 6 || tries > 30 || time.Since(last) > backoffMost {
			t.Errorf("%d tries, the last %v ago", tries, time.Since(last))
		}
		d.returned()
		if n := d.rows(); n != 3 {
			t.Errorf("%d on the disk", n)
		}
		d.pass(2 * time.Minute)
		d.returned("1 remote-server-timeout", "4 remote-server-timeout", "5 remote-server-timeout")
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
	})
}

// Where there is no such server, all are told at once, and so are those who ask in the next half minute.
func TestRoutePermanent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		d.pass(time.Second)
		none := outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true, Cause: errors.New("no such domain")}
		d.mustCall("x").failed(none)
		d.returned("1 remote-server-not-found")
		for range 100 {
			d.send(chat("a@x", "2"), "<presence from='m@p.d/r' to='a@x'/>")
			d.returned("2 remote-server-not-found")
		}
		if got := d.dialing(); len(got) > 0 {
			t.Errorf("%q are dialed", got)
		}
		d.counts("dropped_total", 100)
		d.pass(retrySoon)
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
		d.send(chat("a@x", "3"))
		d.mustCall("x").failed(none)
		d.returned("3 remote-server-not-found")
	})
}

// The last presence of those that wait is enough, unless one enters a room.
func TestRoutePresence(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		for _, id := range []string{"1", "2", "3"} {
			d.send("<presence from='m@p.d/r' to='a@x' id='" + id + "'/>")
		}
		d.send("<presence from='m@p.d/s' to='a@x' id='4'/>", "<presence from='m@p.d/r' to='room@x/nick' id='5'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		d.send("<presence from='m@p.d/r' to='room@x/nick' id='6'/>", "<presence from='m@p.d/r' to='a@x' type='probe' id='7'/>")
		for range 1000 {
			d.send("<presence from='m@p.d/q' to='a@x' id='8'/>")
		}
		if n := len(d.get(routeKey("p.d", "x")).tail); n > 100 {
			t.Errorf("%d wait", n)
		}
		d.connect("x", false).gets("3", "4", "5", "6", "7", "8")
	})
}

// Over a bound the sender is told, and nobody else notices.
func TestRouteBounds(t *testing.T) {
	bubble(t, func(l *routeLimits) { l.QueueBytes, l.SpoolStanzas, l.Routes = 20_000, 30, 3 }, func(t *testing.T, d *depot) {
		for range 30 {
			d.send(chat("a@x", "1"))
		}
		d.send(chat("a@x", "2"))
		d.returned("2 resource-constraint")
		long := "<message from='m@p.d/r' to='a@y' id='3' type='chat'><body>" + strings.Repeat("x", 15_000) + "</body></message>"
		d.send(long, long)
		d.returned("3 resource-constraint")
		// What the disk has need not be in memory.
		d.pass(time.Second)
		d.send(strings.ReplaceAll(long, "'3'", "'4'"))
		d.returned()
		d.send(chat("a@z", "5"), chat("a@u", "6"))
		d.returned("6 resource-constraint")
		d.counts("full_total", 3)
		d.connect("y", true).gets("3 late", "4 late", "<r>")
		d.send(chat("a@z", "7"))
		d.returned()
	})
}

// What was sent and not confirmed may fill the memory: what comes behind it goes to the disk while the other server is away.
func TestRouteWindowAndDisk(t *testing.T) {
	eachWay(t, func(l *routeLimits) { l.QueueBytes = 10_000 }, func(t *testing.T, d *depot, managed bool) {
		var want []string
		put := func(late string) {
			id := fmt.Sprint(len(want))
			want = append(want, id+late)
			d.send(chat("a@x", id))
		}
		put("")
		l := d.connect("x", managed)
		for range 300 { // of which most wait on the disk, though there is a connection
			put("")
		}
		d.counts("full_total", 0)
		var got []string
		reads := func() {
			for range 40 {
				for _, id := range l.read() {
					if id != "<r>" {
						got = append(got, id)
					}
				}
				l.confirm()
				d.pass(100 * time.Millisecond)
			}
		}
		if n := l.o.window.len(); n > 100 {
			t.Errorf("%d are sent and not confirmed", n)
		}
		reads()
		if strings.ReplaceAll(strings.Join(got, " "), " late", "") != strings.Join(want, " ") {
			t.Errorf("got %s", got)
		}
		d.returned()
		got, want = nil, nil
		for range 80 {
			put(" late")
		}
		if n := d.get(routeKey("p.d", "x")).mem; n < 4500 {
			t.Fatalf("%d bytes wait", n)
		}
		l.breaks()
		for range 200 {
			put(" late")
			d.pass(100 * time.Millisecond)
		}
		d.returned()
		d.counts("full_total", 0)
		l = d.connect("x", managed)
		reads()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %s", got)
		}
	})
}

// One connection may carry several routes; when it breaks each takes its own back, no other's.
func TestRouteShared(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"), chat("a@y", "2"))
		l := d.connect("x", managed)
		d.mustCall("y").open(&l.o)
		d.send(chat("a@x", "3"), chat("a@y", "4"))
		l.read()
		l.breaks()
		d.send(chat("a@x", "5"), chat("a@y", "6"))
		d.pass(2 * time.Second)
		for domain, want := range map[string]string{"x": "1 late 3 late 5", "y": "2 late 4 late 6"} {
			other := d.connect(domain, managed)
			if got := strings.Join(other.read(), " "); !strings.HasPrefix(got, want) {
				t.Errorf("got %s", got)
			}
		}
		d.returned()
	})
}

// Idle routes are forgotten; the clock stands still then.
func TestRouteIdle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		l := d.connect("x", true)
		l.read()
		l.ack()
		d.pass(time.Hour)
		if d.count() != 1 {
			t.Error("a route that is open is not idle")
		}
		l.breaks()
		d.pass(time.Hour)
		if n := d.count(); n != 0 {
			t.Errorf("%d routes", n)
		}
		d.sweeper.mu.Lock()
		defer d.sweeper.mu.Unlock()
		if d.sweeper.running {
			t.Error("the sweeper runs, and nothing is due")
		}
	})
}

// A child in jabber:client belongs to the stanza, and is in jabber:server there, however it was spelled; what is forwarded stays.
func TestRouteNamespace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		d.send("<message from='m@p.d/r' to='a@x' id='1'><c:body xmlns:c='jabber:client'>hi</c:body>" +
			"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>ho</body></message></forwarded></message>")
		l := d.connect("x", true)
		l.read()
		const want = "<body>hi</body><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>ho</body></message></forwarded></message>"
		if len(l.raw) != 1 || !strings.HasSuffix(l.raw[0], want) {
			t.Errorf("got %s", l.raw)
		}
	})
}
