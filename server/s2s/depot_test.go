// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: the depot is a server for the domain d on a real store, with the table of routes as the way to all
// other domains, and nobody who dials: a test says what becomes of a dial. A line is a connection whose peer the test plays.
// The clerk is a place of ours (p.d), whose people send and get back what could not be sent; the caller is a client, of whom a
// test learns what is safe. Tests run in bubbles of testing/synctest.

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type depot struct {
	*routes
	t        testing.TB
	server   *server.Server
	store    *trouble
	registry *metrics.Registry
	limits   routeLimits
	stops    func()

	mu     sync.Mutex
	dialed []*route // by the present table, and not answered
	back   []string // to the clerk
	to     atomic.Pointer[routes]
}

// trouble is a store whose disk may be full.
type trouble struct {
	store.Store
	failing atomic.Bool
}

func (f *trouble) Commit(ops ...store.Op) *store.Pending {
	if f.failing.Load() && len(ops) > 0 {
		p := new(store.Pending)
		f.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	return f.Store.Commit(ops...)
}

func newDepot(t testing.TB, change func(*routeLimits)) *depot {
	t.Helper()
	st, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d := &depot{t: t, store: &trouble{Store: st}, limits: defaultRouteLimits()}
	if change != nil {
		change(&d.limits)
	}
	d.server, err = server.New(server.Config{
		Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: d.store,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: metrics.New(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.server.Start()
	for domain, p := range map[string]server.Place{server.Elsewhere: (*way)(d), "p.d": (*clerk)(d)} {
		if _, err := d.server.Attach(domain, p); err != nil {
			t.Fatal(err)
		}
	}
	op := store.CreateAccount{Account: store.Account{JID: jid.MustParse("a@d"), Created: time.Now()}}
	if err := st.Commit(op).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(func() {
		d.store.failing.Store(false)
		if d.stops != nil {
			d.stops()
		}
		if err := errors.Join(d.server.Stop(t.Context()), st.Close()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return d
}

// start begins with a new table, as a process does.
func (d *depot) start() {
	d.t.Helper()
	d.mu.Lock()
	d.dialed = nil
	d.mu.Unlock()
	d.registry = metrics.New()
	rs, err := newRoutes(routesConfig{
		Server: d.server, Store: d.store, Kept: survives, Limits: d.limits,
		Dialer: (*exchange)(d), Log: slog.New(slog.DiscardHandler), Metrics: d.registry,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.routes = rs
	d.to.Store(rs)
	if err := rs.load(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.stops = func() {
		if err := rs.drain(d.t.Context()); err != nil && d.t.Context().Err() == nil {
			d.t.Error(err)
		}
	}
}

// restart ends the table as it should be, and begins another; kill ends it as kill -9 does.
func (d *depot) restart() {
	d.stops()
	d.start()
}

func (d *depot) kill() {
	d.closed.Store(true)
	d.sweeper.close()
	d.dials.close()
	d.working.Wait()
	d.settle()
	d.start()
}

// survives is what module/message.Kept says, of what tests send.
func survives(s *stanza.Stanza) bool {
	return (s.Type == stanza.Normal || s.Type == stanza.Chat) && s.Has(stanza.NSClient, "body") && !s.Has("urn:xmpp:hints", "no-store")
}

// way is the place for all other domains.
type way depot

func (w *way) Take(t *server.Turn, s *stanza.Stanza) error { return w.to.Load().take(t, s) }
func (*way) Present() bool                                 { return true }

// clerk is the place p.d.
type clerk depot

func (c *clerk) Take(_ *server.Turn, s *stanza.Stanza) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.back = append(c.back, string(s.Append(nil, "")))
	return nil
}
func (*clerk) Present() bool { return true }

// exchange keeps dials for the test to answer.
type exchange depot

func (x *exchange) dial(r *route) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.rs == x.to.Load() {
		x.dialed = append(x.dialed, r)
	}
}

// pass lets time pass.
func (d *depot) pass(some time.Duration) {
	<-time.After(some)
	d.settle()
}

func (d *depot) settle() {
	if _, ok := d.t.(*testing.T); ok {
		synctest.Wait()
	}
}

// dialing are the domains being dialed.
func (d *depot) dialing() (list []string) {
	d.settle()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.dialed {
		list = append(list, r.key.To.String())
	}
	return list
}

// call is the oldest dial of that domain, which is the test's to answer now; nil for none.
func (d *depot) call(domain string) *route {
	d.settle()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range d.dialed {
		if r.key.To.String() == domain {
			d.dialed = append(d.dialed[:i:i], d.dialed[i+1:]...)
			return r
		}
	}
	return nil
}

func (d *depot) mustCall(domain string) *route {
	d.t.Helper()
	r := d.call(domain)
	if r == nil {
		d.t.Fatalf("%s is not dialed", domain)
	}
	return r
}

// send routes stanzas from p.d in one turn.
func (d *depot) send(stanzas ...string) {
	d.t.Helper()
	t := d.server.NewTurn()
	for _, x := range stanzas {
		s, err := stanza.Parse([]byte(strings.Replace(x, " ", " xmlns='jabber:client' ", 1)))
		if err != nil {
			d.t.Fatalf("%s: %v", x, err)
		}
		t.Route(s)
	}
	t.End()
	d.settle()
}

// chat is a message that is kept.
func chat(to, id string) string {
	return fmt.Sprintf("<message from='m@p.d/r' to='%s' id='%s' type='chat'><body>hi</body></message>", to, id)
}

// returned is what the clerk got, in short: kind, id, condition.
func (d *depot) returned(want ...string) {
	d.t.Helper()
	d.settle()
	d.mu.Lock()
	got := d.back
	d.back = nil
	d.mu.Unlock()
	for i, x := range got {
		got[i] = briefly(x)
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		d.t.Fatalf("returned %q, want %q", got, want)
	}
}

var (
	idOf        = regexp.MustCompile(` id='([^']*)'`)
	conditionOf = regexp.MustCompile(`<error[^>]*><([a-z-]*) `)
)

// briefly is a stanza in short: its id, what is wrong, and whether it says that it is late.
func briefly(x string) string {
	s := ""
	if m := idOf.FindStringSubmatch(x[:strings.IndexByte(x, '>')]); m != nil {
		s = m[1]
	}
	if m := conditionOf.FindStringSubmatch(x); m != nil {
		s += " " + m[1]
	}
	if strings.Contains(x, "<delay ") {
		s += " late"
	}
	return s
}

// rows is what is on the disk.
func (d *depot) rows() int {
	d.t.Helper()
	d.settle()
	list, err := d.store.OutgoingRoutes(d.t.Context(), store.Route{}, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	n := 0
	for _, r := range list {
		n += r.Entries
	}
	return n
}

// counts compares a metric.
func (d *depot) counts(name string, want float64) {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.registry.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, "stonechat_federation_"+name+" "); ok {
			var n float64
			if _, _ = fmt.Sscan(value, &n); n != want {
				d.t.Errorf("%s is %v, want %v", name, n, want)
			}
			return
		}
	}
	if want != 0 {
		d.t.Errorf("no %s", name)
	}
}

func routeKey(from, to string) store.Route {
	return store.Route{From: jid.MustParse(from), To: jid.MustParse(to)}
}

// line is a connection.
type line struct {
	drive.Conn
	d *depot
	o out

	mu      sync.Mutex
	queue   []byte
	wire    []byte // has left, and the peer has not read it
	stuck   bool
	aborted bool
	flushes int
	h       uint32
	pings   []*stanza.Stanza
	raw     []string
	managed bool

	discards bool // nobody reads
}

func (d *depot) line(managed bool) *line {
	l := &line{d: d, managed: managed}
	l.o.begin(d.routes, l)
	if managed {
		l.o.counting(nil)
	}
	return l
}

// connect answers the dial of that domain.
func (d *depot) connect(domain string, managed bool) *line {
	d.t.Helper()
	l := d.line(managed)
	d.mustCall(domain).open(&l.o)
	d.settle()
	return l
}

func (l *line) Queue(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, b...)
}

func (l *line) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes++
	switch {
	case l.stuck, l.aborted:
		return
	case !l.discards:
		l.wire = append(l.wire, l.queue...)
	}
	l.queue = l.queue[:0]
}

func (l *line) Queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

func (l *line) Abort() {
	l.mu.Lock()
	l.aborted = true
	l.mu.Unlock()
}

func (l *line) isAborted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.aborted
}

func (l *line) stick() {
	l.mu.Lock()
	l.stuck = true
	l.mu.Unlock()
}

// read is what the peer reads of what has left: stanzas in short. Pings wait for pong.
func (l *line) read() (got []string) {
	l.d.settle()
	l.mu.Lock()
	wire := l.wire
	l.wire = nil
	l.mu.Unlock()
	x := xmlstream.NewParser(xmlstream.Stream, stanza.NSServer, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
	x.Feed([]byte("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"))
	x.Feed(wire)
	l.raw = nil
	for {
		switch ev, err := x.Next(); {
		case err != nil:
			l.d.t.Fatalf("%v in %s", err, wire)
		case ev == xmlstream.EventNone:
			if n := x.Buffered(); n > 0 {
				l.d.t.Fatalf("%d bytes are no element", n)
			}
			return got
		case ev == xmlstream.EventElement:
			e := x.Element()
			var s stanza.Stanza
			if err := s.FromElement(e, new(jid.Cache)); err != nil {
				got = append(got, "<"+string(e.Local)+">")
				continue
			}
			l.h++
			l.raw = append(l.raw, string(e.Raw))
			if s.Has(ping.NS, "ping") {
				l.pings = append(l.pings, s.Retain())
				continue
			}
			got = append(got, briefly(string(e.Raw)))
		}
	}
}

// gets compares what the peer reads.
func (l *line) gets(want ...string) {
	l.d.t.Helper()
	if got := l.read(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		l.d.t.Fatalf("got %q, want %q", got, want)
	}
}

// ack acks what the peer has read, pong answers its pings.
func (l *line) ack() {
	l.d.t.Helper()
	t := l.d.server.NewTurn()
	if err := l.o.acked(t, l.h); err != nil {
		l.d.t.Fatal(err)
	}
	t.End()
	l.d.settle()
}

func (l *line) pong() int {
	n := len(l.pings)
	t := l.d.server.NewTurn()
	for _, p := range l.pings {
		t.Route(p.Result(nil))
	}
	l.pings = nil
	t.End()
	l.d.settle()
	return n
}

// confirm is whichever is right.
func (l *line) confirm() {
	l.d.t.Helper()
	if l.managed {
		l.ack()
		return
	}
	l.pong()
}

// breaks loses the connection.
func (l *line) breaks() {
	l.o.stop(io.ErrUnexpectedEOF)
	l.d.settle()
}
