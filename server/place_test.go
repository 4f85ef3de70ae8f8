// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// spot is a place that writes down what it takes.
type spot struct {
	absent bool
	err    error
	hold   bool // the receipt of what it takes
	flush  atomic.Int32

	mu    sync.Mutex
	took  []string
	holds []Receipt
}

func (p *spot) Present() bool { return !p.absent }

func (p *spot) Take(t *Turn, s *stanza.Stanza) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.took = append(p.took, string(s.Append(nil, "")))
	if p.hold {
		r := t.Receipt()
		r.Hold()
		p.holds = append(p.holds, r)
	}
	t.Later(p)
	return nil
}

func (p *spot) Flush(*Turn) { p.flush.Add(1) }

func (p *spot) got() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.took = p.took, nil
	return all
}

func (p *spot) gets(t *testing.T, parts ...string) {
	t.Helper()
	got := p.got()
	ok := len(got) == len(parts)
	for i := 0; ok && i < len(parts); i++ {
		ok = strings.Contains(got[i], parts[i])
	}
	if !ok {
		t.Fatalf("the place got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(parts, "\n\t"))
	}
}

// attach attaches one until the test ends.
func (b *bench) attach(domain string) (*spot, func()) {
	b.t.Helper()
	p := new(spot)
	detach, err := b.Attach(domain, p)
	if err != nil {
		b.t.Fatal(err)
	}
	return p, detach
}

// What is for a place, or anybody at it, goes there; what it refuses, and what is for a domain
// that nobody has, is answered for.
func TestPlaces(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.online("a/1")
		a.send(chat("sms.d", "1"))
		a.gets("remote-server-not-found")
		p, detach := b.attach("sms.d")
		a.send(chat("sms.d", "2") + chat("x@sms.d", "3") + chat("x@sms.d/y", "4") + "<iq type='get' id='5' to='sms.d'><q xmlns='u:q'/></iq>" +
			"<presence to='sms.d'/>" + chat("other.sms.d", "6"))
		p.gets(t, "id='2'", "from='a@d/1' to='x@sms.d' id='3'", "to='x@sms.d/y'", "id='5'", "<presence from='a@d/1' to='sms.d'/>")
		a.gets("remote-server-not-found")
		if p.flush.Load() == 0 {
			t.Error("the place was not flushed")
		}
		p.err = stanza.RemoteServerTimeout.Err("")
		a.send(chat("sms.d", "7") + "<presence to='sms.d'/><message to='sms.d' type='error'/><iq type='result' id='8' to='sms.d'/>")
		a.gets("remote-server-timeout", "remote-server-timeout")
		p.err = fmt.Errorf("secret")
		a.send(chat("sms.d", "9"))
		if got := a.got(); len(got) != 1 || !strings.Contains(got[0], "internal-server-error") || strings.Contains(got[0], "secret") {
			t.Error(got)
		}
		detach()
		detach()
		a.send(chat("sms.d", "10"))
		a.gets("remote-server-not-found")
	})
}

// A domain is served by one; what nobody serves goes to whoever takes all others.
func TestPlacesTaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.online("a/1")
		p, detach := b.attach("sms.d")
		for _, domain := range []string{"d", "sms.d"} {
			if _, err := b.Attach(domain, new(spot)); err == nil {
				t.Errorf("%s is attached twice", domain)
			}
		}
		away, home := b.attach(Elsewhere)
		if _, err := b.Attach(Elsewhere, new(spot)); err == nil {
			t.Error("elsewhere is attached twice")
		}
		a.send(chat("example.net", "1") + chat("sms.d", "2"))
		away.gets(t, "id='1'")
		p.gets(t, "id='2'")
		detach()
		next, _ := b.attach("sms.d")
		detach() // whose time is over: the next one stays
		a.send(chat("sms.d", "3"))
		next.gets(t, "id='3'")
		home()
		a.send(chat("example.net", "4"))
		a.gets("remote-server-not-found")
	})
}

// Service discovery lists places below the domain they are below, and the others at the default one.
func TestPlacesListed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "")
		b.domains = []string{"d", "e.d", "f"}
		for _, domain := range []string{"b.d", "a.d", "a.e.d", "x.f", "example.net", "ad", Elsewhere} {
			b.attach(domain)
		}
		gone, _ := b.attach("gone.d")
		gone.absent = true
		for domain, want := range map[string]string{"d": "[a.d ad b.d example.net]", "e.d": "[a.e.d]", "f": "[x.f]"} {
			if got := fmt.Sprint(b.Places(domain)); got != want {
				t.Errorf("%s: %s, want %s", domain, got, want)
			}
		}
	})
}

// The sender's ack waits for a place that holds the receipt.
func TestPlaceReceipt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.managed("a/1")
		p, _ := b.attach("sms.d")
		a.send(chat("sms.d", "1") + ask) // the presence, and one message
		a.gets("h='2'")
		p.hold = true
		a.send(chat("sms.d", "2") + ask)
		a.gets()
		turn := b.NewTurn()
		p.holds[0].Release(turn)
		turn.End()
		a.gets("h='3'")
	})
}

// fakeReader counts how often it is paused.
type fakeReader struct {
	mu     sync.Mutex
	paused int
}

func (r *fakeReader) Pause()  { r.add(1) }
func (r *fakeReader) Resume() { r.add(-1) }
func (r *fakeReader) add(n int) {
	r.mu.Lock()
	r.paused += n
	r.mu.Unlock()
}
func (r *fakeReader) now() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}

// enter gives what an inlet received to the server.
func enter(b *bench, in *Inlet, xml string) (more bool) {
	s, err := stanza.Parse([]byte(strings.Replace(xml, " ", " xmlns='jabber:client' ", 1)))
	if err != nil {
		b.t.Fatal(err)
	}
	t := b.NewTurn()
	defer t.End()
	return in.Receive(t, s)
}

// What comes from a place goes the way of all stanzas: to accounts, online or not, to other places,
// and errors back.
func TestInlet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		p, _ := b.attach("sms.d")
		q, _ := b.attach("irc.d")
		r := new(fakeReader)
		in := b.NewInlet(r)
		for _, c := range []struct {
			to   string
			more bool
		}{{"a@d", true}, {"irc.d", true}, {"b@d", false}, {"nobody@d", false}, {"elsewhere", true}} {
			if more := enter(b, in, "<message from='x@sms.d' to='"+c.to+"' id='"+c.to+"' type='chat'><body>hi</body></message>"); more != c.more {
				t.Errorf("%s: more %v", c.to, more)
			}
			a.settle()
			if r.now() != 0 {
				t.Errorf("%s: paused %d times", c.to, r.now())
			}
		}
		a.gets("from='x@sms.d'")
		q.gets(t, "from='x@sms.d'")
		if b.spooled("b") != 1 {
			t.Error("nothing waits for b")
		}
		got := strings.Join(p.got(), "\n")
		for _, part := range []string{"from='nobody@d' to='x@sms.d'", "service-unavailable", "from='elsewhere' to='x@sms.d'", "remote-server-not-found"} {
			if !strings.Contains(got, part) {
				t.Errorf("no %s in %s", part, got)
			}
		}
		turn := b.NewTurn()
		bad := stanza.New(stanza.Message, stanza.Chat, jid.JID{})
		bad.From = jid.MustParse("x@sms.d")
		in.Refuse(turn, bad, stanza.JIDMalformed.Err(""))
		turn.End()
		p.gets(t, "jid-malformed")
	})
}

// A place that sends too much is read more slowly, and nothing is lost.
func TestInletRate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := DefaultLimits()
		l.StanzasPerSecond = 10
		b := newBench(t, l, "a")
		a := b.online("a/1")
		r := new(fakeReader)
		in := b.NewInlet(r)
		n := 0
		for enter(b, in, "<message from='x@sms.d' to='a@d' type='chat'><body>hi</body></message>") {
			n++
		}
		if n != 100 || r.now() != 1 {
			t.Errorf("%d at once, paused %d times", n, r.now())
		}
		if got := len(a.got()); got != n+1 {
			t.Errorf("%d of %d arrived", got, n+1)
		}
		<-time.After(200 * time.Millisecond)
		a.settle()
		if r.now() != 0 {
			t.Error("still paused")
		}
	})
}

// Places cost the way of a stanza nothing.
func TestPlaceCost(t *testing.T) {
	if raceDetector {
		t.Log("allocations are not counted under -race")
		return
	}
	b := quiet(t)
	var p calm
	if _, err := b.Attach("sms.d", &p); err != nil {
		t.Fatal(err)
	}
	in := b.NewInlet(new(fakeReader))
	s := stanza.Text(stanza.Chat, jid.MustParse("x@sms.d"), "hi")
	s.From = jid.MustParse("a@d/1")
	bound(t, 0, testing.AllocsPerRun(1000, func() {
		t := b.NewTurn()
		in.Receive(t, s)
		t.End()
	}))
	if p.n < 1000 {
		t.Errorf("%d were taken", p.n)
	}
}

// calm is a place that only counts.
type calm struct{ n int }

func (*calm) Present() bool { return true }
func (p *calm) Take(t *Turn, _ *stanza.Stanza) error {
	p.n++
	t.Later(p)
	return nil
}
func (*calm) Flush(*Turn) {}
