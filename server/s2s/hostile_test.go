// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: a raw is a peer that says what it likes, over TLS. Each test ends with a bystander, who must
// not have noticed.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

const (
	capulet, montague, verona = "house.capulet.example", "house.montague.example", "verona.example"

	wantsTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	external = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
)

func header(from, to string) string {
	return fmt.Sprintf("<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "+
		"xmlns:stream='http://etherx.jabber.org/streams' from='%s' to='%s' version='1.0'>", from, to)
}

// raw is a peer by hand.
type raw struct {
	t    testing.TB
	conn net.Conn
	text string // read, and not asked for
	all  string
}

func (x *town) dialRaw() *raw {
	x.t.Helper()
	c, err := net.Dial("tcp", x.address)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &raw{t: x.t, conn: c}
}

// secured is a raw behind TLS and its header, with a certificate of that name or none.
func (x *town) secured(from, to, certified string) *raw {
	x.t.Helper()
	r := x.dialRaw()
	r.say(header(from, to) + wantsTLS)
	r.hears("<proceed")
	c := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // it is loopback
	if certified != "" {
		pair, err := tls.LoadX509KeyPair(x.w.pair(certified))
		if err != nil {
			x.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	secure := tls.Client(r.conn, c)
	if err := secure.Handshake(); err != nil {
		x.t.Fatal(err)
	}
	r.conn, r.text = secure, ""
	r.say(header(from, to))
	r.hears("</stream:features>")
	return r
}

func (w *world) pair(name string) (certificate, key string) {
	var o tlsconfig.Options = w.certify(w.t.TempDir(), nil, name)
	return o.Certificate, o.Key
}

// login is a raw that is logged in by certificate.
func (x *town) login(from, to string) *raw {
	x.t.Helper()
	r := x.secured(from, to, from)
	r.say(external)
	r.hears("<success")
	r.say(header(from, to))
	r.hears("</stream:features>")
	return r
}

func (r *raw) say(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, text); err != nil {
		r.t.Fatalf("%v; heard %s", err, r.all)
	}
}

// hears reads until word has come, and forgets what was before it.
func (r *raw) hears(word string) string {
	r.t.Helper()
	buf := make([]byte, 4096)
	for {
		if i := strings.Index(r.text, word); i >= 0 {
			before := r.text[:i+len(word)]
			r.text = r.text[i+len(word):]
			return before
		}
		n, err := r.conn.Read(buf)
		r.text += string(buf[:n])
		r.all += string(buf[:n])
		if err != nil && !strings.Contains(r.text, word) {
			r.t.Fatalf("%q did not come: %v; heard %s", word, err, r.all)
		}
	}
}

// ends reads until the peer has closed.
func (r *raw) ends() {
	r.t.Helper()
	buf := make([]byte, 4096)
	for {
		n, err := r.conn.Read(buf)
		r.all += string(buf[:n])
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			r.t.Fatalf("it goes on; heard %s", r.all)
		}
		if err != nil {
			return
		}
	}
}

func result(from, to, key string) string {
	return fmt.Sprintf("<db:result from='%s' to='%s'>%s</db:result>", from, to, key)
}

func message(from, to string) string {
	return fmt.Sprintf("<message type='chat' from='%s' to='%s' id='forged'><body>x</body></message>", from, to)
}

// What a peer without a certificate may not do, and what it is told.
func TestForged(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{preferred: true, policy: func(p *Policy) { p.Block = []string{".blocked.example"} }})
	a := w.town("capulet.example", setup{preferred: true})
	bystander := func(id string) {
		t.Helper()
		a.send("juliet@"+montague, id)
		m.gets("id='" + id + "'")
	}
	bystander("first")
	ours := dialback.Key(m.secretOf(jid.MustParse(montague)), jid.MustParse(verona), jid.MustParse(montague), "s1")
	for i, c := range []struct {
		name, says string
		hears      string
		ends       bool
		metric     string
	}{
		{name: "a key made up", says: result(capulet, montague, "abcd"), hears: "type='invalid'", metric: `dialback_failed_total{reason="invalid"}`},
		{name: "a stanza before anything", says: message("a@"+capulet, "b@"+montague), hears: "<not-authorized", ends: true, metric: `incidents_total{kind="not-authorized"}`},
		{name: "an answer to no question", says: "<db:result type='valid' from='" + capulet + "' to='" + montague + "'/>" + message("a@"+capulet, "b@"+montague), hears: "<not-authorized", ends: true, metric: "unsolicited_total"},
		{name: "a verdict to no question", says: "<db:verify type='valid' id='x' from='" + capulet + "' to='" + montague + "'/>" + message("a@"+capulet, "b@"+montague), hears: "<not-authorized", ends: true, metric: "unsolicited_total"},
		{name: "as ourselves", says: result(montague, montague, "abcd"), hears: "<not-allowed", metric: `dialback_failed_total{reason="self"}`},
		{name: "for a foreign domain", says: result(capulet, verona, "abcd"), hears: "<item-not-found", metric: `dialback_failed_total{reason="host-unknown"}`},
		{name: "from a domain that is nowhere", says: result("nowhere.example", montague, "abcd"), hears: "<remote-server-not-found", metric: `dialback_failed_total{reason="authority"}`},
		{name: "from a blocked domain", says: result("a.blocked.example", montague, "abcd"), hears: "<policy-violation", metric: `dialback_failed_total{reason="blocked"}`},
		{name: "from an account", says: result("a@"+capulet, montague, "abcd"), hears: "<improper-addressing", ends: true, metric: `incidents_total{kind="dialback"}`},
		{name: "no key", says: result(capulet, montague, ""), hears: "<bad-format", ends: true},
		{name: "many keys", says: strings.Repeat(result(capulet, verona, "abcd"), maxRefusals+1), hears: "<policy-violation", ends: true},
		{name: "a key of ours", says: "<db:verify from='" + verona + "' to='" + montague + "' id='s1'>" + ours + "</db:verify>", hears: "type='valid'"},
		{name: "a key of ours for another stream", says: "<db:verify from='" + verona + "' to='" + montague + "' id='s2'>" + ours + "</db:verify>", hears: "type='invalid'", metric: `incidents_total{kind="key"}`},
		{name: "a key of ours for another domain", says: "<db:verify from='" + capulet + "' to='" + montague + "' id='s1'>" + ours + "</db:verify>", hears: "type='invalid'"},
		{name: "a key for nobody here", says: "<db:verify from='" + capulet + "' to='" + verona + "' id='s1'>" + ours + "</db:verify>", hears: "<item-not-found"},
		{name: "acks before a name", says: "<enable xmlns='urn:xmpp:sm:3'/>", hears: "<unexpected-request"},
		{name: "a login that is not offered", says: external, hears: "<invalid-mechanism"},
		{name: "too much", says: result(capulet, montague, strings.Repeat("k", 11_000)), hears: "<policy-violation", ends: true},
		{name: "no words of servers", says: "<query xmlns='x:y'/>", hears: "<unsupported-stanza-type", ends: true},
	} {
		before := m.count(c.metric)
		r := m.secured(capulet, montague, "")
		r.t = t
		r.say(c.says)
		r.hears(c.hears)
		if c.ends {
			r.ends()
		} else {
			r.say(message("a@"+capulet, "b@"+montague)) // it has gained nothing
			r.hears("<not-authorized")
		}
		if c.metric != "" {
			m.counts(c.metric, before+1)
		}
		bystander(fmt.Sprint("after", i))
	}
}

// A key is good for one stream: the one that it was made for.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	m, a := w.town("montague.example", setup{preferred: true}), w.town("capulet.example", setup{preferred: true})
	r := m.secured(capulet, montague, "")
	_, id, _ := strings.Cut(r.all[strings.LastIndex(r.all, "<stream:stream"):], "id='")
	id, _, _ = strings.Cut(id, "'")
	key := dialback.Key(a.secretOf(jid.MustParse(capulet)), jid.MustParse(montague), jid.MustParse(capulet), id)
	other := m.secured(capulet, montague, "")
	other.say(result(capulet, montague, key))
	other.hears("type='invalid'")
	r.say(result(capulet, montague, key))
	r.hears("type='valid'")
	r.say(message("a@"+capulet, "b@"+montague))
	m.gets("id='forged'")
	r.say(message("a@other.capulet.example", "b@"+montague))
	r.hears("<invalid-from")
	r.ends()
}

// What a peer may not do that has proved its own name.
func TestKnownPeer(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{limits: func(l *Limits) { l.StanzaBytes, l.Pairs = 20_000, 2 }})
	a := w.town("capulet.example", setup{})
	for i, c := range []struct{ name, says, hears string }{
		{"another's name", message("a@"+capulet, "b@"+montague), "<invalid-from"},
		{"a name below its own", message("a@sub."+verona, "b@"+montague), "<invalid-from"},
		{"another domain of ours", message("a@"+verona, "b@montague.example"), "<invalid-from"},
		{"a foreign domain", message("a@"+verona, "b@"+capulet), "<host-unknown"},
		{"nobody", "<message to='b@" + montague + "'/>", "<improper-addressing"},
		{"to nobody", "<message from='a@" + verona + "'/>", "<improper-addressing"},
		{"no address", "<message from='a@" + verona + "' to='@'/>", "<improper-addressing"},
		{"too large", message("a@"+verona, "b@"+montague+"/"+strings.Repeat("r", 20_000)), "<policy-violation"},
		{"a stream of both directions, late", "<bidi xmlns='urn:xmpp:bidi'/>", "<policy-violation"},
		{"acks of what was not sent", "<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='7'/>", "<handled-count-too-high"},
		{"acks without asking for them", "<r xmlns='urn:xmpp:sm:3'/>", "<unsupported-stanza-type"},
		{"broken XML", "<message from='a@" + verona + "' to='b@" + montague + "'></presence>", "<not-well-formed"},
	} {
		r := m.login(verona, montague)
		r.t = t
		r.say(c.says)
		r.hears(c.hears)
		r.ends()
		id := fmt.Sprint("after", i)
		a.send("juliet@"+montague, id)
		m.gets("id='" + id + "'")
	}
	// What it may: to be a client of its own, once more, and to hear that streams are not resumed.
	r := m.login(verona, montague)
	r.say("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>")
	r.hears("<item-not-found")
	r.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	r.hears("<enabled")
	r.say(message("a@"+verona, "b@"+montague) + "<r xmlns='urn:xmpp:sm:3'/>")
	m.gets("id='forged'")
	r.hears("h='1'")
	// Another domain of ours is another pair: the certificate says who asks. A third is one too many.
	r.say(result(verona, "montague.example", "abcd"))
	r.hears("type='valid'")
	r.say(result(verona, "house.montague.example", "abcd"))
	r.hears("type='valid'")
	r.say(result("x."+verona, "montague.example", "abcd"))
	r.hears("<not-authorized") // its certificate has no such name
	m.counts(`dialback_failed_total{reason="certificate"}`, 1)
}

// In the clear there is nothing but TLS, and nothing behind it that came before.
func TestDowngrade(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{preferred: true})
	open := header(capulet, montague)
	for _, c := range []struct{ says, hears string }{
		{open + result(capulet, montague, "abcd"), "<policy-violation"},
		{open + message("a@"+capulet, "b@"+montague), "<policy-violation"},
		{open + external, "<policy-violation"},
		{open + "<bidi xmlns='urn:xmpp:bidi'/>", "<policy-violation"},
		{open + wantsTLS + open + message("a@"+capulet, "b@"+montague), "<policy-violation"},
		{strings.Replace(open, "jabber:server'", "jabber:client'", 1), "<invalid-namespace"},
		{header(capulet, verona), "<host-unknown"},
	} {
		r := m.dialRaw()
		r.say(c.says)
		r.hears(c.hears)
		r.ends()
	}
	r := m.dialRaw()
	r.say(open + wantsTLS)
	r.hears("<proceed")
	old := tls.Client(r.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}) //nolint:gosec // that is the test
	if err := old.Handshake(); err == nil {
		t.Error("TLS 1.1 is let in")
	}
}

// Whoever says nothing in time goes, and who comes in thousands keeps out nobody but himself.
func TestCrowd(t *testing.T) {
	w := newWorld(t)
	m := w.town("montague.example", setup{limits: func(l *Limits) { l.ConnectionsPerAddress, l.LoginTimeout = 5, time.Second }})
	a := w.town("capulet.example", setup{})
	slow := m.dialRaw()
	slow.say(header(capulet, montague)[:20])
	slow.hears("<connection-timeout")
	slow.ends()
	l := *m.limits.Load() // the others are in time, on any machine
	l.LoginTimeout = patience
	m.Set(*m.policy.Load(), l)
	a.send("juliet@"+montague, "first")
	m.gets("id='first'")
	var crowd []*raw
	for range 50 {
		crowd = append(crowd, m.dialRaw())
	}
	m.counts("evicted_total", 46) // who is known stays, and four beside it
	var ended atomic.Int64
	var all sync.WaitGroup
	for _, r := range crowd {
		all.Go(func() {
			r.ends()
			ended.Add(1)
		})
	}
	eventually(t, "who had to go has heard so", func() bool { return ended.Load() == 46 })
	for _, r := range crowd {
		_ = r.conn.Close()
	}
	all.Wait()
	a.send("juliet@"+montague, "last")
	m.gets("id='last'")
	eventually(t, "one connection is left", func() bool { return m.count("connections") == 1 })
	// Where all are known, one more is not let in.
	for range 4 {
		m.login(verona, montague)
	}
	r := m.dialRaw()
	r.ends()
	m.counts("refused_total", 1)
	a.send("juliet@"+montague, "after")
	m.gets("id='after'")
}

// A certificate that is wrong is no way in where one is required, in either direction.
func TestRequired(t *testing.T) {
	for _, c := range []struct {
		name string
		a    setup
	}{
		{"untrusted", setup{stranger: true, preferred: true}},
		{"expired", setup{preferred: true, change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }}},
		{"wrong name", setup{preferred: true, names: []string{"verona.example"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, m := w.town("capulet.example", c.a), w.town("montague.example", setup{policy: func(p *Policy) { p.GiveUp = time.Second }})
			a.send("juliet@"+montague, "in")
			a.logs("could not be reached", "not-authorized")
			m.logs("kind=dialback", "reason=certificate", "peer="+capulet, "fingerprint=")
			m.send("juliet@"+capulet, "out")
			m.gets("id='out'", "type='error'", "remote-server-timeout")
			m.logs("kind=certificate", "peer="+capulet, "fingerprint=")
			select {
			case s := <-a.got:
				t.Errorf("%s came through", s.Append(nil, ""))
			default:
			}
		})
	}
}

// Who is blocked is told so, at once; a policy that changes ends what it does not allow any more.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	m, a := w.town("montague.example", setup{}), w.town("capulet.example", setup{})
	a.send("juliet@"+montague, "first")
	m.gets("id='first'")
	a.confirmed()
	p := *m.policy.Load()
	p.Block = []string{".capulet.example"}
	m.Set(p, *m.limits.Load())
	a.logs("server gone", "policy-violation")
	m.send("juliet@"+capulet, "blocked")
	m.gets("type='error'", "not-allowed")
	r := m.secured(capulet, montague, capulet)
	r.say(result(capulet, montague, "abcd"))
	r.hears("<policy-violation")
	r.ends()
	p.Block, p.Allow = nil, []string{capulet}
	m.Set(p, *m.limits.Load())
	m.send("juliet@"+capulet, "allowed")
	a.gets("id='allowed'")
	m.send("juliet@"+verona, "else")
	m.gets("type='error'", "not-allowed")
}

// What the policy says when a key is judged counts, not what it said when the key came.
func TestPolicyMeanwhile(t *testing.T) {
	w := newWorld(t)
	m, l := w.town("montague.example", setup{preferred: true}), w.listen(capulet)
	change := func(f func(*Policy)) {
		p := *m.policy.Load()
		f(&p)
		m.Set(p, *m.limits.Load())
	}
	for _, block := range []bool{true, false} {
		r := m.secured("other.example", montague, "")
		_, id, _ := strings.Cut(r.all[strings.LastIndex(r.all, "<stream:stream"):], "id='")
		id, _, _ = strings.Cut(id, "'")
		r.say(result(capulet, montague, "abcd"))
		authority := w.greets(l, dialback.FeatureXML)
		authority.hears("</db:verify>")
		if block {
			change(func(p *Policy) { p.Block = []string{capulet} })
		} else {
			change(func(p *Policy) { p.Required = true })
		}
		authority.say("<db:verify type='valid' from='" + capulet + "' to='" + montague + "' id='" + id + "'/>")
		r.hears("<policy-violation")
		r.say(message("a@"+capulet, "b@"+montague))
		r.hears("<not-authorized")
		r.ends()
		change(func(p *Policy) { p.Block, p.Required = nil, false })
		_ = authority.conn.Close()
		eventually(t, "no connection is left", func() bool { return m.count("connections") == 0 })
	}
}

// A stream is worth no more than the certificate that it was begun with: when that expires it ends, in either direction, and
// another begins with what there is then. RFC 6120 §13.7.2.3
func TestExpires(t *testing.T) {
	w := newWorld(t)
	a, m := w.town("capulet.example", setup{}), w.town("montague.example", setup{})
	for i, x := range []*town{a, m} {
		a.send("juliet@"+montague, fmt.Sprint("m", i))
		m.gets(fmt.Sprint("id='m", i))
		a.confirmed()
		for _, c := range x.all() {
			c.in.Lock()
			if left := time.Until(c.until); left < time.Minute || left > time.Hour {
				t.Errorf("the certificate is good for %v", left)
			}
			c.until = time.Now().Add(-time.Second)
			c.in.Unlock()
		}
		x.logs("server gone", "error sent: reset")
	}
	a.send("juliet@"+montague, "last")
	m.gets("id='last'")
}

// Names in lists.
func TestNames(t *testing.T) {
	p := Policy{Allow: []string{"a.example", ".b.example"}, Block: []string{"x.b.example"}}
	for domain, want := range map[string]bool{
		"a.example": true, "sub.a.example": false, "b.example": true, "sub.b.example": true, "x.b.example": false,
		"y.x.b.example": true, "ab.example": false, "c.example": false,
	} {
		if p.allows(domain) != want {
			t.Errorf("%s: %v", domain, !want)
		}
	}
}
