// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: each test is about somebody who takes what there is for all: memory, dials, routes, connections,
// the patience of a peer. Others must find their share.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Who asks and asks, and does not read the answers, is dropped, also where nothing else is sent to it.
func TestUnread(t *testing.T) {
	bubble(t, func(l *routeLimits) { l.QueueBytes, l.UnreadBytes = 80_000, 40_000 }, func(t *testing.T, d *depot) {
		d.send(chat("a@x", "1"))
		known, nobody, reads := d.connect("x", true), d.line(false), d.line(false)
		known.stick()
		nobody.stick()
		answer := []byte("<db:verify type='invalid'>" + strings.Repeat("x", 1024) + "</db:verify>")
		for i := range 1000 {
			for _, l := range []*line{known, nobody, reads} {
				l.o.control(answer)
			}
			if n := (i + 1) * len(answer); known.isAborted() != (n > 79_800) || nobody.isAborted() != (n > 40_000) {
				t.Fatalf("after %d bytes: who is sent to is dropped %v, a stranger %v", n, known.isAborted(), nobody.isAborted())
			}
		}
		if reads.isAborted() {
			t.Error("who reads is dropped")
		}
		if err := nobody.o.failure(); !errors.Is(err, errStalled) {
			t.Errorf("dropped for %v", err)
		}
		d.counts("stalled_total", 2)
	})
}

// Servers that do not answer take a quarter of all dials where they have one owner.
func TestDialsShared(t *testing.T) {
	bubble(t, func(l *routeLimits) { l.Dials = 8 }, func(t *testing.T, d *depot) {
		for i := range 20 {
			d.send(chat(fmt.Sprintf("a@x%d.slow.example", i), "1"))
		}
		d.send(chat("a@good.example", "1"))
		d.send(chat("a@x", "1"))
		want := "x0.slow.example x1.slow.example good.example x"
		if got := strings.Join(d.dialing(), " "); got != want {
			t.Fatalf("%s are dialed, want %s", got, want)
		}
		// One that has failed makes room for the next.
		d.mustCall("x0.slow.example").failed(outage{Err: stanza.RemoteServerTimeout.Err("")})
		d.connect("good.example", true).gets("1", "<r>")
		if got := strings.Join(d.dialing(), " "); got != "x1.slow.example x x2.slow.example" {
			t.Errorf("%s are dialed", got)
		}
		for i := range 19 {
			d.mustCall(fmt.Sprintf("x%d.slow.example", i+1)).failed(outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true})
		}
		d.mustCall("x").failed(outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true})
		if n := len(d.dials.owners); n > 0 {
			t.Errorf("dials of %d owners are counted", n)
		}
	})
}

// swarm are the routes of so many domains of one owner, whose servers do not answer; all wait to be dialed but the first few.
func (d *depot) swarm(n int) (list []*route) {
	for i := range n {
		r := d.make(routeKey("p.d", fmt.Sprintf("x%d.slow.example", i)))
		d.queue(r)
		list = append(list, r)
	}
	d.settle()
	return list
}

// queue has r dialed.
func (d *depot) queue(r *route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dial = dialQueued
	d.dials.want(r)
}

// However many wait to be dialed, one more costs nothing; and those that came first are dialed when a limit lets them be.
func TestDialsQueued(t *testing.T) {
	bubble(t, func(l *routeLimits) { l.Dials = 8 }, func(t *testing.T, d *depot) {
		d.swarm(1000)
		more := d.make(routeKey("p.d", "one.more.slow.example"))
		if n := testing.AllocsPerRun(100, func() { d.queue(more) }); n > 10 {
			t.Errorf("%v allocations for one more", n)
		}
		limits := d.limits
		limits.Dials = 13
		d.setLimits(limits)
		got := d.dialing()
		slices.Sort(got) // those that begin at one time
		if want := "x0.slow.example x1.slow.example x2.slow.example x3.slow.example"; strings.Join(got, " ") != want {
			t.Errorf("%s are dialed, want %s", got, want)
		}
	})
}

// Whose a domain is: of a registry many may have names, of anybody else one owner has all.
func TestOwner(t *testing.T) {
	for domain, want := range map[string]string{
		"example.org": "example.org", "a.b.example.org": "example.org", "x": "x", "a.x": "a.x", "b.a.x": "a.x",
		"example.co.uk": "example.co.uk", "a.example.co.uk": "example.co.uk", "co.uk": "co.uk", "city.kawasaki.jp": "city.kawasaki.jp",
		"home.duckdns.org": "duckdns.org", "duckdns.org": "duckdns.org", "a.home.duckdns.org": "duckdns.org", "b.s3.amazonaws.com": "amazonaws.com",
		"a.例子.公司.cn": "xn--fsqu00a.xn--55qx5d.cn", "b.例子.公司.cn": "xn--fsqu00a.xn--55qx5d.cn",
		"192.0.2.1": "addresses", "[2001:db8::1]": "addresses", "[2001:db8:1::1]": "addresses",
	} {
		if got := ownerOf(jid.MustParse(domain)); got != want {
			t.Errorf("%s is of %s, want %s", domain, got, want)
		}
	}
	bubble(t, func(l *routeLimits) { l.Dials = 8 }, func(t *testing.T, d *depot) {
		for _, domain := range []string{"a.co.uk", "b.co.uk", "c.co.uk", "[2001:db8::1]", "[2001:db8:1::1]", "[2001:db8:2::1]"} {
			d.send(chat("a@"+domain, "1"))
		}
		if got := strings.Join(d.dialing(), " "); got != "a.co.uk b.co.uk c.co.uk [2001:db8::1] [2001:db8:1::1]" {
			t.Errorf("%s are dialed", got)
		}
	})
}

// A server of many names that offers itself for all of them leaves room for those to whom there is something to send.
func TestOffered(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{limits: func(l *Limits) { l.Routes = 6 }})
	r := m.secured("x0."+verona, montague, "*."+verona)
	r.say("<bidi xmlns='urn:xmpp:bidi'/>")
	for i := range 12 {
		r.say(result(fmt.Sprintf("x%d.%s", i, verona), montague, "abcd"))
		r.hears("type='valid'")
	}
	if n := m.routes.count(); n != 3 {
		t.Errorf("%d routes for who only offers itself", n)
	}
	// Those that found room are used, the others are found as if they had not come.
	m.send("juliet@x0."+verona, "here")
	r.hears("id='here'")
	m.send("juliet@x11."+verona, "there")
	m.gets("type='error'", "id='there'", "remote-server-not-found")
	a := w.town("capulet.example", setup{})
	m.send("romeo@"+capulet, "out")
	a.gets("id='out'")
}

// Where there is hardly room for more, connections may rest for a short time only.
func TestIdleInCrowd(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{limits: func(l *Limits) { l.Routes = 16 }})
	if got := m.idle(); got != time.Minute {
		t.Errorf("idle for %v", got)
	}
	for i := range 15 {
		m.routes.make(routeKey(montague, fmt.Sprintf("x%d.example", i)))
	}
	if got := m.idle(); got != idleInCrowd {
		t.Errorf("in a crowd idle for %v", got)
	}
	p := *m.policy.Load()
	for _, c := range []struct{ idle, want time.Duration }{{0, idleInCrowd}, {time.Second, time.Second}} {
		p.Idle = c.idle
		m.Set(p, *m.limits.Load())
		if got := m.idle(); got != c.want {
			t.Errorf("in a crowd idle for %v, where %v are allowed", got, c.idle)
		}
	}
}

// A stanza for which a peer ends the stream comes back; what was sent beside it gets through.
func TestRoutePoison(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		d.send(chat("a@x", "1"), chat("a@x", "2"), chat("a@x", "bad"), chat("a@x", "3"))
		var l *line
		var got []string
		broke := 0
		for i := range 120 {
			if i < 40 {
				d.send(chat("a@x", fmt.Sprint("later", i)))
			}
			if r := d.call("x"); r != nil {
				l = d.line(managed)
				r.open(&l.o)
			}
			for n := 1; l != nil && n > 0; {
				ids := l.read()
				n = len(ids)
				for _, id := range ids {
					if id = strings.TrimSuffix(id, " late"); id == "bad" {
						l.o.stop(&stream.Error{Condition: stream.PolicyViolation, Received: true})
						l = nil
						broke++
						break
					}
					if !strings.HasPrefix(id, "<") {
						got = append(got, id)
					}
				}
				if l != nil {
					l.confirm()
				}
			}
			d.pass(time.Second)
		}
		d.returned("bad not-acceptable")
		if broke > 4 {
			t.Errorf("%d streams were ended", broke)
		}
		seen := map[string]bool{}
		for _, id := range got {
			seen[id] = true
		}
		if len(seen) != 43 {
			t.Errorf("of 43 messages %d came: %q", len(seen), got)
		}
		if n := d.rows(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// Where much waits for many, each has less room, and who has little is served on.
func TestRouteMemory(t *testing.T) {
	const room = 64_000
	bubble(t, func(l *routeLimits) { l.QueueBytes = room }, func(t *testing.T, d *depot) {
		big := func(to, id string) string {
			return fmt.Sprintf("<iq from='m@p.d/r' to='%s' type='get' id='%s'><q xmlns='u:q'>%s</q></iq>", to, id, strings.Repeat("x", room/4))
		}
		for i := range 2 * allTogether {
			for range 3 {
				d.send(big(fmt.Sprintf("x%d", i), "big"))
			}
		}
		all := d.bytes.Load()
		if most := int64(allTogether*room + room); all > most {
			t.Errorf("%d bytes wait, where %d are allowed", all, most)
		}
		d.mu.Lock()
		refused := len(d.back)
		d.back = nil
		d.mu.Unlock()
		if refused == 0 {
			t.Error("nothing is refused")
		}
		d.send("<iq from='m@p.d/r' to='small' type='get' id='small'><q xmlns='u:q'/></iq>", chat("a@small", "kept"))
		d.returned()
		d.send(big("x0", "more"))
		d.returned("more resource-constraint")
		// A message that lasts is on the disk, and not in memory, where it finds a little room.
		for i := range 30 {
			d.send(chat("a@other", fmt.Sprint(i)))
			d.pass(200 * time.Millisecond)
		}
		d.returned()
		if n := d.get(routeKey("p.d", "other")).mem; n > room/allTogether {
			t.Errorf("%d bytes are in memory", n)
		}
		if n := d.rows(); n != 31 {
			t.Errorf("%d rows", n)
		}
	})
}
