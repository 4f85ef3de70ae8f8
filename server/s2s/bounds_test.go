// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// federation.domains names the address of a server, and how TLS begins there: DNS is not asked.
func TestConnect(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) {
			w := newWorld(t)
			m := w.town("montague.example", setup{})
			w.mu.Lock()
			clear(w.services) // nobody finds montague
			w.mu.Unlock()
			at := m.address
			if direct {
				at = m.direct
			}
			a := w.town("capulet.example", setup{policy: func(p *Policy) {
				p.Domains = map[string]Peer{montague: {Connect: at, DirectTLS: direct}}
			}})
			a.send("juliet@"+montague, "here")
			m.gets("id='here'")
			a.send("juliet@montague.example", "there") // another name, which is nowhere
			a.gets("type='error'", "id='there'", "remote-server-not-found")
		})
	}
	// Where TLS begins otherwise than was said nothing comes through, and the sender is told.
	w := newWorld(t)
	m := w.town("montague.example", setup{})
	a := w.town("capulet.example", setup{policy: func(p *Policy) {
		p.GiveUp = time.Second
		p.Domains = map[string]Peer{montague: {Connect: m.address, DirectTLS: true}}
	}})
	a.send("juliet@"+montague, "wrong")
	a.gets("type='error'", "id='wrong'", "remote-server-timeout")
}

// Where EXTERNAL is offered and then refused, another connection goes by dialback.
func TestExternalRefused(t *testing.T) {
	w := newWorld(t)
	a := w.town("capulet.example", setup{})
	l := w.listen(montague)
	a.send("juliet@"+montague, "first")
	r := w.greets(l, offersExternal+dialback.FeatureXML)
	r.hears("mechanism='EXTERNAL'")
	r.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure></stream:stream>")
	// Though it is offered again.
	r = w.greets(l, offersExternal+dialback.FeatureXML)
	r.hears("</db:result>")
	if strings.Contains(r.all, "EXTERNAL") {
		t.Error("the login that was refused is tried again")
	}
	r.say("<db:result type='valid' from='" + montague + "' to='" + capulet + "'/>")
	r.hears("id='first'")
	a.logs("login by certificate refused, trying dialback", "peer="+montague)
	a.logs("server verified", "direction=out", "by=dialback", "peer="+montague)
}

// A server of both directions may have something to say before the new stream that follows EXTERNAL.
func TestEarly(t *testing.T) {
	w := newWorld(t)
	a := w.town("capulet.example", setup{})
	l := w.listen(montague)
	a.send("juliet@"+montague, "first")
	r := w.greets(l, "<bidi xmlns='urn:xmpp:features:bidi'/>"+offersExternal)
	r.hears("mechanism='EXTERNAL'")
	r.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" + message("romeo@"+montague, "juliet@"+capulet) +
		identified(montague, capulet) + "<stream:features/>")
	a.gets("id='forged'")
	r.hears("id='first'")
}

const offersExternal = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"

// identified is the header of who has accepted the stream.
func identified(from, to string) string {
	return strings.Replace(header(from, to), "<stream:stream", "<stream:stream id='x'", 1)
}

// greets accepts a call to montague, begins TLS, and offers features over it.
func (w *world) greets(l net.Listener, features string) *raw {
	w.t.Helper()
	pair, err := tls.LoadX509KeyPair(w.pair(montague))
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	r := &raw{t: w.t, conn: c}
	r.hears("version=")
	r.say(identified(montague, capulet) + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
	r.hears("<starttls")
	r.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	r.conn, r.text = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}), "" //nolint:gosec // it is loopback
	r.hears("version=")
	r.say(identified(montague, capulet) + "<stream:features>" + features + "</stream:features>")
	return r
}

// listen is where a domain's server should be: the test accepts, or does not.
func (w *world) listen(domain string) net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() })
	w.locate("xmpp-server", l.Addr().String(), domain)
	return l
}

// What one domain may send in a second holds for all its connections together, and for no other domain.
func TestPace(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{policy: func(p *Policy) { p.Domains = map[string]Peer{verona: {StanzasPerSecond: 1}} }})
	a := w.town("capulet.example", setup{})
	first, second := m.login(verona, montague), m.login(verona, montague)
	a.send("juliet@"+montague, "way") // which is there then
	m.gets("id='way'")
	began := time.Now()
	// Ten seconds' worth may come at once. What is beyond that waits, on whichever connection it comes.
	first.say(strings.Repeat(message("a@"+verona, "b@"+montague), 10))
	for range 10 {
		m.gets("id='forged'")
	}
	second.say(strings.Repeat(message("a@"+verona, "b@"+montague), 4))
	for i := range 20 {
		a.send("juliet@"+montague, fmt.Sprint("free", i))
	}
	var paced, free int
	for paced < 4 {
		if strings.Contains(string(m.gets("<message").Append(nil, "")), "forged") {
			if paced++; paced == 4 && free < 20 {
				t.Errorf("of 20 messages of another domain %d came", free)
			}
		} else {
			free++
		}
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("14 stanzas took %v", took)
	}
	// Of the domain nothing is kept once its last connection has gone.
	for _, r := range []*raw{first, second} {
		r.say("</stream:stream>")
		r.ends()
	}
	eventually(t, "one domain is known", func() bool { return m.count("domains") <= 1 })
}

// What waits for a server that does not answer outlives this one, and arrives in order.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	folder := setup{folder: t.TempDir()}
	a := w.town("capulet.example", folder)
	_ = w.listen(montague).Close()
	for i := range 20 {
		a.send("juliet@"+montague, fmt.Sprintf("m%02d", i))
	}
	a.logs("could not be reached", "peer="+montague)
	a.leave()
	m := w.town("montague.example", setup{})
	b := w.town("capulet.example", folder)
	b.send("juliet@"+montague, "m20")
	for i := range 21 {
		m.gets(fmt.Sprintf("id='m%02d'", i))
	}
	b.leave() // and what has arrived does not come again
	b = w.town("capulet.example", folder)
	b.send("juliet@"+montague, "last")
	m.gets("id='last'")
}

// limits.federation_connections: of all that there are. Whoever is nobody goes first; we make none beyond.
func TestConnections(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{
		limits: func(l *Limits) { l.Connections = 2 }, policy: func(p *Policy) { p.GiveUp = time.Second },
	})
	w.town("capulet.example", setup{})
	nobody := m.dialRaw()
	m.counts("connections", 1)
	m.login(verona, montague)
	m.login(verona, montague)
	nobody.ends()
	m.counts("evicted_total", 1)
	m.dialRaw().ends()
	m.counts("refused_total", 1)
	m.send("juliet@"+capulet, "out")
	m.gets("type='error'", "id='out'", "remote-server-timeout")
	m.logs("could not be reached", "limits.federation_connections")
	if n := m.count("connections"); n != 2 {
		t.Errorf("%v connections", n)
	}
}

// limits.federation_pairs: one more is refused, and the stream goes on.
func TestPairs(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{limits: func(l *Limits) { l.Pairs = 1 }})
	r := m.login(verona, montague)
	r.say(result(verona, "montague.example", "abcd"))
	r.hears("<resource-constraint")
	m.counts("pairs_full_total", 1)
	r.say(message("a@"+verona, "b@"+montague))
	m.gets("id='forged'")
	r.say(message("a@"+verona, "b@montague.example"))
	r.hears("<invalid-from")
	r.ends()
}

// Keys are judged few at one time: on one stream, and of one address (a quarter of limits.federation_dials). One more is refused at
// once.
func TestJudging(t *testing.T) {
	for _, c := range []struct{ dials, at, streams int }{{1000, maxJudging, 1}, {24, 6, 2}} {
		w := newWorld(t)
		m := w.town("montague.example", setup{preferred: true, limits: func(l *Limits) { l.Dials = c.dials }})
		l, calls := w.listen(capulet), new(atomic.Int64) // whose server never says a word
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				defer nc.Close() //nolint:errcheck // it is read by nobody
				calls.Add(1)
			}
		}()
		var r *raw
		for range c.streams {
			r = m.secured(capulet, montague, "")
			r.say(strings.Repeat(result(capulet, montague, "abcd"), c.at/c.streams))
		}
		judged := func() int {
			m.judging.mu.Lock()
			defer m.judging.mu.Unlock()
			return m.judging.all
		}
		eventually(t, fmt.Sprint(c.at, " keys are being judged"), func() bool { return judged() >= c.at })
		eventually(t, "the authority is called", func() bool { return calls.Load() > 0 })
		r.say(result(capulet, montague, "abcd"))
		r.hears("<resource-constraint")
		eventually(t, "one key is refused", func() bool { return m.count("questions_full_total") == 1 })
		if n := calls.Load(); n != 1 {
			t.Errorf("for %d keys it is called %d times", c.at, n)
		}
	}
}

// Who has many keys judged leaves room for those of other addresses, which there is in all.
func TestJudgingShared(t *testing.T) {
	var x judging
	at := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
	}
	for i := range 8 {
		if x.enter(at(1), 8) != (i < 2) {
			t.Errorf("key %d of one address", i)
		}
	}
	for i := range 8 {
		if x.enter(at(2+i), 8) != (i < 6) {
			t.Errorf("one key of address %d", i)
		}
	}
	for _, i := range []int{1, 1, 2, 3, 4, 5, 6, 7} {
		x.leave(at(i))
	}
	if x.all != 0 || len(x.of) != 0 {
		t.Errorf("%d are left, of %v", x.all, x.of)
	}
}

// What we ask on one stream is bounded, and forgotten when nobody waits for the answer.
func TestQuestions(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{})
	m.login(verona, montague) // which does not answer
	c := m.all()[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan error, maxQuestions)
	asked := func() int {
		c.in.Lock()
		defer c.in.Unlock()
		return len(c.questions)
	}
	question := func(i int) *dialback.Message {
		return &dialback.Message{Verify: true, From: jid.MustParse(montague), To: jid.MustParse(verona), ID: fmt.Sprint(i), Key: "abcd"}
	}
	for i := range maxQuestions {
		go func() {
			_, err := c.ask(ctx, question(i))
			over <- err
		}()
	}
	eventually(t, "all questions are asked", func() bool { return asked() >= maxQuestions })
	if _, err := c.ask(ctx, question(maxQuestions)); !errors.Is(err, errManyQuestions) {
		t.Errorf("one more: %v", err)
	}
	cancel()
	for range maxQuestions {
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Errorf("a question ends with %v", err)
		}
	}
	if n := asked(); n != 0 {
		t.Errorf("%d questions are left", n)
	}
}

// Of each kind and peer the log gets a line a minute, and of no more than so many peers at one time.
func TestIncidents(t *testing.T) {
	l := new(lines)
	x := incidents{log: slog.New(slog.NewTextHandler(l, nil))}
	now := time.Unix(1e9, 0)
	told := func(want int, words ...string) {
		t.Helper()
		text := l.String()
		if n := strings.Count(text, "\n"); n != want {
			t.Errorf("%d lines, not %d", n, want)
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%q is not in the log", word)
			}
		}
	}
	for range 10 {
		x.report(now, "forged", verona)
	}
	told(1, "peer="+verona, "more=0")
	x.report(now, "key", verona)
	x.report(now.Add(incidentEvery), "forged", verona)
	told(3, "kind=key", "more=9")
	now = now.Add(3 * incidentEvery)
	for i := range 2 * maxIncidents {
		x.report(now, "forged", fmt.Sprint(i, ".example"))
	}
	told(3 + maxIncidents)
	x.report(now.Add(incidentEvery), "forged", strings.Repeat("x", 10_000))
	told(4+maxIncidents, "peer="+strings.Repeat("x", maxPeerName)+" ")
	if len(x.last) > maxIncidents {
		t.Errorf("%d are kept", len(x.last))
	}
}
