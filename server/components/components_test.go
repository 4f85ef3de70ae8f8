// SPDX-License-Identifier: Apache-2.0

package components

// How to read this file: bed is a service on a loopback socket, peer a component that connects to
// it. Two of them show what one sends and the other gets; what sessions have to do with it is
// tested by the core (server/place_test.go), and from outside (test/interop).

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// patience is for what should come at once.
const patience = 20 * time.Second

type bed struct {
	*Service
	t       testing.TB
	address string
}

func newBed(t testing.TB, change func(*Limits)) *bed {
	t.Helper()
	return newBedOn(t, drive.NewGoroutines(slog.New(slog.DiscardHandler)), change)
}

// onEachDriver runs a test where connections are moved in every way that this system has.
func onEachDriver(t *testing.T, change func(*Limits), test func(*testing.T, *bed)) {
	log := slog.New(slog.DiscardHandler)
	best, err := drive.New(log)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]drive.Driver{"goroutines": drive.NewGoroutines(log), "system": best} {
		t.Run(name, func(t *testing.T) { test(t, newBedOn(t, d, change)) })
	}
}

func newBedOn(t testing.TB, d drive.Driver, change func(*Limits)) *bed {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	reg := metrics.New()
	srv, err := server.New(server.Config{Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: st, Log: log, Metrics: reg}, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	l := DefaultLimits()
	if change != nil {
		change(&l)
	}
	s, err := New(Config{
		Server: srv, Driver: d, Log: log, Metrics: reg, Limits: l,
		Secrets: map[string]string{"sms.d": "s1", "irc.d": "s2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen(ln)
	t.Cleanup(func() {
		s.StopListening()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d.Close(ctx)
		if err := errors.Join(srv.Stop(context.Background()), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return &bed{Service: s, t: t, address: ln.Addr().String()}
}

// count is what a metric of components has counted.
func (b *bed) count(name string) (n float64) {
	w := httptest.NewRecorder()
	b.Config.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, "stonechat_component_"+name+" "); ok {
			_, _ = fmt.Sscan(value, &n)
		}
	}
	return n
}

// peer is a component.
type peer struct {
	t    testing.TB
	conn net.Conn
	m    *stream.ComponentClient
	end  error
	over bool
	buf  []byte
	more []string // read and not asked for
}

// dial connects; connect also logs in.
func (b *bed) dial(domain, secret string) *peer {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	p := &peer{t: b.t, conn: conn, buf: make([]byte, 16<<10)}
	p.m = stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse(domain), Secret: secret}, time.Now())
	p.m.Start()
	p.flush()
	return p
}

func (b *bed) connect(domain, secret string) *peer {
	b.t.Helper()
	p := b.dial(domain, secret)
	for p.m.State() != stream.Bound && !p.over {
		p.read()
	}
	if p.over {
		b.t.Fatalf("%s was not let in: %v", domain, p.end)
	}
	return p
}

func (p *peer) flush() {
	if out := p.m.Out(); len(out) > 0 {
		p.send(string(out))
	}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// read reads once.
func (p *peer) read() {
	p.t.Helper()
	n, err := p.conn.Read(p.buf)
	if err != nil {
		p.t.Fatal(err)
	}
	p.m.Feed(p.buf[:n])
	for {
		e := p.m.Next()
		switch e.Kind {
		case stream.None:
			p.flush()
			return
		case stream.Element:
			p.more = append(p.more, string(e.Element.Raw))
		case stream.End:
			p.over, p.end = true, e.Err
			return
		}
	}
}

// get waits for the next stanza.
func (p *peer) get() string {
	p.t.Helper()
	for len(p.more) == 0 {
		if p.over {
			p.t.Fatalf("the stream is over: %v", p.end)
		}
		p.read()
	}
	s := p.more[0]
	p.more = p.more[1:]
	return s
}

func (p *peer) gets(parts ...string) {
	p.t.Helper()
	s := p.get()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			p.t.Fatalf("got %s, want %s", s, part)
		}
	}
}

// ended waits for the stream's end and the connection's, and returns the error's condition.
func (p *peer) ended() string {
	p.t.Helper()
	for !p.over {
		p.read()
	}
	if _, err := p.conn.Read(p.buf); !errors.Is(err, io.EOF) {
		p.t.Errorf("the connection goes on: %v", err)
	}
	_ = p.conn.Close()
	var told *stream.Error
	if errors.As(p.end, &told) && told.Received {
		return string(told.Condition)
	}
	return fmt.Sprint(p.end)
}

// await waits until there are so many components.
func (b *bed) await(domain string, connected bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); b.components[domain].Present() != connected; {
		if time.Now().After(end) {
			b.t.Fatalf("%s: connected is not %v", domain, connected)
		}
		<-time.After(time.Millisecond)
	}
}

// Components talk to each other, in order, and to the server.
func TestTalk(t *testing.T) {
	onEachDriver(t, nil, func(t *testing.T, b *bed) {
		sms, irc := b.connect("sms.d", "s1"), b.connect("irc.d", "s2")
		const n = 500
		go func() {
			var all strings.Builder
			for i := range n {
				fmt.Fprintf(&all, "<message from='a@sms.d/x' to='b@irc.d' id='m%d'><body>hi</body></message>", i)
			}
			_, _ = io.WriteString(sms.conn, all.String())
		}()
		for i := range n {
			irc.gets("from='a@sms.d/x'", "to='b@irc.d'", fmt.Sprintf("id='m%d'", i), "<body>hi</body>")
		}
		irc.send("<iq from='irc.d' to='a@sms.d/x' type='get' id='q'><q xmlns='u:q'/></iq>")
		sms.gets("from='irc.d'", "<q xmlns='u:q'/>")
		sms.send("<iq to='irc.d' from='a@sms.d/x' type='result' id='q'/>")
		irc.gets("type='result'", "id='q'")
		irc.send("<iq from='irc.d' to='d' type='get' id='q'><q xmlns='u:q'/></iq>")
		irc.gets("type='error'", "from='d'", "service-unavailable")
		irc.send("<message from='irc.d' to='nobody@d' id='m'><body>hi</body></message>")
		irc.gets("type='error'", "from='nobody@d'", "to='irc.d'", "id='m'", "service-unavailable")
		irc.send("<message from='irc.d' to='@' id='m'><body>hi</body></message>")
		irc.gets("type='error'", "to='irc.d'", "id='m'", "jid-malformed")
		irc.send("<iq from='irc.d' to='a@sms.d' type='nonsense' id='q'/>")
		irc.gets("type='error'", "bad-request")
		irc.send("</stream:stream>")
		if got := irc.ended(); got != "<nil>" {
			t.Error(got)
		}
	})
}

// What ends a component's stream.
func TestRefusals(t *testing.T) {
	b := newBed(t, func(l *Limits) { l.StanzaBytes, l.Depth, l.Attributes, l.Children = 1000, 5, 5, 20 })
	for _, c := range []struct{ name, sent, condition string }{
		{"no from", "<message to='a@d'/>", "improper-addressing"},
		{"no to", "<message from='sms.d'/>", "improper-addressing"},
		{"no to in presence", "<presence from='sms.d'/>", "improper-addressing"},
		{"no to in a request", "<iq from='sms.d' type='get' id='1'><q xmlns='u:q'/></iq>", "improper-addressing"},
		{"bad from", "<message from='@' to='a@d'/>", "improper-addressing"},
		{"another component", "<message from='irc.d' to='a@d'/>", "invalid-from"},
		{"a user", "<message from='a@d' to='b@d'/>", "invalid-from"},
		{"the server", "<iq type='result' id='1' from='d' to='b@d/x'/>", "invalid-from"},
		{"below itself", "<message from='x.sms.d' to='b@d'/>", "invalid-from"},
		{"above itself", "<message from='d' to='irc.d'/>", "invalid-from"},
		{"from another, of a bad kind", "<iq type='get' from='b@d' to='irc.d'/>", "invalid-from"},
		{"no stanza", "<x xmlns='u:x'/>", "unsupported-stanza-type"},
		{"another element", "<handshake/>", "unsupported-stanza-type"},
		{"dialback", "<message xmlns='jabber:server:dialback' from='sms.d' to='a@d'/>", "unsupported-stanza-type"},
		{"a server's stanza", "<message xmlns='jabber:server' from='sms.d' to='a@d'/>", "unsupported-stanza-type"},
		{"too large", "<message from='sms.d' to='a@d'>" + strings.Repeat("x", 1000) + "</message>", "policy-violation"},
		{"too deep", "<message from='sms.d' to='a@d'><a><a><a><a><a/></a></a></a></a></message>", "policy-violation"},
		{"too many elements", "<message from='sms.d' to='a@d'>" + strings.Repeat("<a/>", 21) + "</message>", "policy-violation"},
		{"too many attributes", "<message from='sms.d' to='a@d' a='' b='' c='' d=''/>", "policy-violation"},
		{"not well-formed", "<message from='sms.d' to='a@d'></presence>", "not-well-formed"},
		{"text", "hi", "bad-format"},
	} {
		before := b.count(`stream_errors_total{condition="` + c.condition + `"}`)
		p := b.connect("sms.d", "s1")
		p.send(c.sent)
		if got := p.ended(); got != c.condition {
			t.Errorf("%s: %s, want %s", c.name, got, c.condition)
		}
		b.await("sms.d", false)
		if got := b.count(`stream_errors_total{condition="` + c.condition + `"}`); got != before+1 {
			t.Errorf("%s: %v counted", c.name, got-before)
		}
	}
}

// Who is not let in.
func TestHandshakeRefusals(t *testing.T) {
	b := newBed(t, nil)
	for _, c := range []struct{ domain, secret, condition string }{
		{"sms.d", "s2", "not-authorized"},
		{"sms.d", "", "not-authorized"},
		{"mms.d", "s1", "host-unknown"},
		{"d", "s1", "host-unknown"},
	} {
		if got := b.dial(c.domain, c.secret).ended(); got != c.condition {
			t.Errorf("%s with %q: %s, want %s", c.domain, c.secret, got, c.condition)
		}
	}
	if n := b.count("logins_total"); n != 0 {
		t.Errorf("%v logins", n)
	}
	first := b.connect("sms.d", "s1")
	if got := b.dial("sms.d", "s1").ended(); got != "conflict" {
		t.Errorf("a second connection: %s", got)
	}
	first.send("<message from='sms.d' to='b@sms.d' id='still'/>")
	first.gets("id='still'")
}

// A component that is not connected cannot be reached; when it is back it can.
func TestAway(t *testing.T) {
	onEachDriver(t, nil, func(t *testing.T, b *bed) {
		irc := b.connect("irc.d", "s2")
		ask := "<message from='irc.d' to='a@sms.d' id='m'><body>hi</body></message>"
		for range 2 {
			irc.send(ask)
			irc.gets("type='error'", "from='a@sms.d'", "type='wait'", "remote-server-timeout")
			sms := b.connect("sms.d", "s1")
			if got := fmt.Sprint(b.Server.Places("d")); got != "[irc.d sms.d]" {
				t.Error(got)
			}
			irc.send(ask)
			sms.gets("id='m'")
			_ = sms.conn.Close()
			b.await("sms.d", false)
			if got := fmt.Sprint(b.Server.Places("d")); got != "[irc.d]" {
				t.Error(got)
			}
		}
		if n := b.count("returned_total"); n != 2 {
			t.Errorf("%v returned", n)
		}
	})
}

// A component that does not read is dropped, and what it has not had comes back.
func TestStalled(t *testing.T) {
	onEachDriver(t, func(l *Limits) { l.QueueBytes = 64 << 10 }, func(t *testing.T, b *bed) {
		deaf, irc := b.connect("sms.d", "s1"), b.connect("irc.d", "s2")
		defer deaf.conn.Close()
		body := strings.Repeat("x", 60_000)
		sent := 0
		for b.components["sms.d"].Present() && sent < 5000 {
			irc.send(fmt.Sprintf("<message from='irc.d' to='sms.d' id='%d'><body>%s</body></message>", sent, body))
			sent++
		}
		b.await("sms.d", false)
		if n := b.count("stalled_total"); n != 1 {
			t.Errorf("%v stalled", n)
		}
		irc.gets("type='error'", "remote-server-timeout")
		if n := b.count("returned_total"); n < 1 {
			t.Errorf("%v returned", n)
		}
	})
}

// Connections that never shake hands have to go for new ones.
func TestWaiting(t *testing.T) {
	b := newBed(t, func(l *Limits) { l.UnauthenticatedConnections = 3 })
	for i := range 3 {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // a connection that nobody holds is closed by the collector
		for end := time.Now().Add(patience); b.waiting.count() <= i; {
			if time.Now().After(end) {
				t.Fatalf("%d are waiting", b.waiting.count())
			}
			<-time.After(time.Millisecond)
		}
	}
	p := b.connect("irc.d", "s2")
	p.send("<message from='irc.d' to='irc.d' id='in'/>")
	p.gets("id='in'")
	if n := b.count("evicted_total"); n < 1 {
		t.Errorf("%v evicted", n)
	}
	if n := b.waiting.count(); n > 3 {
		t.Errorf("%d are waiting", n)
	}
}

func TestLoginTimeout(t *testing.T) {
	b := newBed(t, func(l *Limits) { l.LoginTimeout = 10 * time.Millisecond })
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), "<connection-timeout") {
		t.Errorf("%s, %v", got, err)
	}
}

// At the server's end the components are told.
func TestShutdown(t *testing.T) {
	onEachDriver(t, nil, func(t *testing.T, b *bed) {
		p := b.connect("sms.d", "s1")
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Shutdown(t.Context())
		}()
		if got := p.ended(); got != "system-shutdown" {
			t.Error(got)
		}
		<-done
	})
}

// What a component writes in the namespace of clients is a stanza of its stream, and so is what it puts there.
func TestClientNamespace(t *testing.T) {
	b := newBed(t, nil)
	sms, irc := b.connect("sms.d", "s1"), b.connect("irc.d", "s2")
	sms.send("<message xmlns='jabber:client' from='sms.d' to='irc.d'><body>one</body></message>")
	irc.gets("<message from='sms.d' to='irc.d'><body>one</body></message>")
	sms.send("<message from='sms.d' to='irc.d'><c:body xmlns:c='jabber:client'>two</c:body></message>")
	irc.gets("<message from='sms.d' to='irc.d'><body>two</body></message>")
}

// A component's domain is nobody else's.
func TestDomainTaken(t *testing.T) {
	b := newBed(t, nil)
	for _, domain := range []string{"d", "sms.d", "@"} {
		c := b.Config
		c.Metrics, c.Secrets = metrics.New(), map[string]string{domain: "s"}
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", domain)
		}
	}
}
