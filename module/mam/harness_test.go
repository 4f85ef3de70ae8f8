// SPDX-License-Identifier: Apache-2.0

package mam

// How to read this file: a bench is a server for d on a real store with this module and a postman, the least that a server
// needs to deliver messages. A peer is a client: what it sends and what it got. Tests run in bubbles of testing/synctest.

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type bench struct {
	*server.Server
	t        testing.TB
	m        *Module
	store    *flaky
	registry *metrics.Registry
	folder   string
	contacts contacts
}

// flaky is a store whose disk may be slow or full.
type flaky struct {
	store.Store
	gate    atomic.Pointer[chan struct{}]
	failing atomic.Bool
}

func (f *flaky) Commit(ops ...store.Op) *store.Pending {
	if f.failing.Load() && len(ops) > 0 && ops[0].Topic() == "archive" {
		p := new(store.Pending)
		f.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	return f.Store.Commit(ops...)
}

// stall holds the disk until the function that it returns is called.
func (f *flaky) stall() (release func()) {
	gate := make(chan struct{})
	f.gate.Store(&gate)
	return func() {
		f.gate.Store(nil)
		close(gate)
	}
}

// contacts are pairs "a@d b@d": b is a contact of a.
type contacts map[string]bool

func (contacts) Ready(*server.User) bool { return true }

func (c contacts) Item(u *server.User, contact jid.JID) (store.RosterItem, error) {
	return store.RosterItem{Contact: contact, Hidden: !c[u.JID.String()+" "+contact.String()]}, nil
}

// usual is the configuration that most tests want.
func usual() Config {
	return Config{Default: "always", Page: 250, PageBytes: 256 << 10, ScanRows: 1000, QueueBytes: 1 << 20, Preferences: 10, FullText: true, RetractWithin: 100,
		Retractions: 100, QueryWords: 32, QueryIDs: 250, Remembered: 1000}
}

// inBubble runs a test where time stands still while anything is to be done.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t testing.TB, c Config, accounts string) *bench {
	t.Helper()
	b := &bench{t: t, folder: t.TempDir(), contacts: contacts{}}
	b.start(c)
	for _, a := range strings.Fields(accounts) {
		op := store.CreateAccount{Account: store.Account{JID: account(a), Created: time.Now()}}
		if err := b.store.Commit(op).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.stop)
	return b
}

func account(name string) jid.JID { return jid.MustParse(name + "@d") }

func (b *bench) start(c Config) {
	b.t.Helper()
	f := new(flaky)
	st, err := sqlite.Open(sqlite.Options{Folder: b.folder, Log: slog.New(slog.DiscardHandler), BeforeCommit: func() {
		if gate := f.gate.Load(); gate != nil {
			<-*gate
		}
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	f.Store = st
	b.registry, b.store, b.m = metrics.New(), f, New(c, b.contacts)
	b.Server, err = server.New(server.Config{
		Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: f,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: b.registry,
	}, []server.Module{postman{}, b.m})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Start()
}

func (b *bench) stop() {
	b.store.failing.Store(false)
	if err := b.Stop(b.t.Context()); err != nil && b.t.Context().Err() == nil {
		b.t.Error(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
}

// restart is what an operator does.
func (b *bench) restart(c Config) {
	b.stop()
	b.start(c)
}

// counts reports whether the metrics say that.
func (b *bench) counts(sample string) bool {
	w := httptest.NewRecorder()
	b.registry.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return strings.Contains(w.Body.String(), "\n"+sample+"\n")
}

// link is a stream in memory.
type link struct {
	server.Stream
	account jid.JID
	mu      sync.Mutex
	free    *sync.Cond
	paused  int
	out     []byte
}

func (l *link) Queue(b []byte) {
	l.mu.Lock()
	l.out = append(l.out, b...)
	l.mu.Unlock()
}
func (*link) Flush()                     {}
func (*link) Queued() int                { return 0 }
func (*link) End(*stream.Error)          {}
func (*link) Abort()                     {}
func (*link) State() stream.State        { return stream.Bound }
func (l *link) Account() jid.JID         { return l.account }
func (*link) Address() string            { return "test" }
func (*link) Secure() bool               { return true }
func (*link) Adopt(*server.Session) bool { return true }
func (l *link) Pause() {
	l.mu.Lock()
	l.paused++
	l.mu.Unlock()
}
func (l *link) Resume() {
	l.mu.Lock()
	l.paused--
	l.mu.Unlock()
	l.free.Broadcast()
}

func (l *link) awaitResume() {
	l.mu.Lock()
	for l.paused > 0 {
		l.free.Wait()
	}
	l.mu.Unlock()
}

// peer is a client.
type peer struct {
	b  *bench
	st *link
	se *server.Session
	in *xmlstream.Parser
}

func parser() *xmlstream.Parser {
	return xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
}

const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"

// bind binds a session, "a/r", that takes no messages yet.
func (b *bench) bind(address string) *peer {
	b.t.Helper()
	name, resource, _ := strings.Cut(address, "/")
	p := &peer{b: b, st: &link{account: account(name)}, in: parser()}
	p.st.free = sync.NewCond(&p.st.mu)
	p.in.Feed([]byte(header))
	for want := range slices.Values([]xmlstream.Event{xmlstream.EventOpen, xmlstream.EventNone}) {
		if ev, err := p.in.Next(); ev != want || err != nil {
			b.t.Fatal(ev, err)
		}
	}
	t := b.NewTurn()
	defer t.End()
	var err error
	if p.se, err = b.Bind(b.t.Context(), t, p.st, p.st.account, resource, ""); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// online binds one that does; managed one with stream management.
func (b *bench) online(address string) *peer {
	b.t.Helper()
	p := b.bind(address)
	p.send("<presence/>")
	return p
}

func (b *bench) managed(address string) *peer {
	b.t.Helper()
	p := b.bind(address)
	p.se.Manage(time.Minute)
	p.send("<presence/>")
	return p
}

// send gives the session what one read brought, and returns when all is done that comes of it at once.
func (p *peer) send(elements string) {
	p.b.t.Helper()
	p.in.Feed([]byte(elements))
	for p.goOn() {
		p.st.awaitResume()
	}
	synctest.Wait()
}

// try is send that does not wait where the sender is paused, and says whether it is.
func (p *peer) try(elements string) (paused bool) {
	p.b.t.Helper()
	p.in.Feed([]byte(elements))
	paused = p.goOn()
	synctest.Wait()
	return paused
}

func (p *peer) goOn() (again bool) {
	t := p.b.NewTurn()
	defer t.End()
	for {
		ev, err := p.in.Next()
		if err != nil {
			p.b.t.Fatal(err)
		}
		if ev != xmlstream.EventElement {
			return false
		}
		more, err := p.se.Receive(t, p.st, p.in.Element())
		if err != nil {
			p.b.t.Fatal(err)
		}
		if !more {
			p.in.Keep()
			return true
		}
	}
}

// got takes what the client was sent, one string an element.
func (p *peer) got() []string {
	synctest.Wait()
	p.st.mu.Lock()
	out := p.st.out
	p.st.out = nil
	p.st.mu.Unlock()
	x := parser()
	x.Feed(slices.Concat([]byte(header), out))
	var all []string
	for {
		switch ev, err := x.Next(); {
		case err != nil:
			p.b.t.Fatalf("%v in %s", err, out)
		case ev == xmlstream.EventNone:
			return all
		case ev == xmlstream.EventElement:
			all = append(all, string(x.Element().Raw))
		}
	}
}

// gets compares what the client was sent, in order, each with a regular expression.
func (p *peer) gets(patterns ...string) []string {
	p.b.t.Helper()
	got := p.got()
	ok := len(got) == len(patterns)
	for i := 0; ok && i < len(patterns); i++ {
		ok = regexp.MustCompile(patterns[i]).MatchString(got[i])
	}
	if !ok {
		p.b.t.Fatalf("%s got\n\t%s\nwant\n\t%s", p.st.account, strings.Join(got, "\n\t"), strings.Join(patterns, "\n\t"))
	}
	return got
}

// acked checks that the last that the client was sent is an ack of so many stanzas.
func (p *peer) acked(h string) {
	p.b.t.Helper()
	if got := p.got(); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], " h='"+h+"'/>") {
		p.b.t.Errorf("%s got %s, want an ack of %s", p.st.account, got, h)
	}
}

func (p *peer) end() {
	t := p.b.NewTurn()
	p.se.End(t, nil)
	t.End()
	synctest.Wait()
}

// postman gives messages to whom they are for, spools them where there is nobody, takes presence and the elements of stream
// management.
type postman struct{}

func (postman) Name() string { return "postman" }

func (postman) Init(h *server.Host) error {
	h.OnSent(server.Handle, func(t *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence || !s.To.IsZero() {
			return nil
		}
		t.Origin.SetPresence(t, server.Presence{Available: s.Type == stanza.Available})
		return server.Handled
	})
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		switch {
		case s.Kind != stanza.Message || !u.Exists():
			return nil
		case s.Type == stanza.TypeError:
			t.Deliver(u, t.Named(u, s.To.Resource()), s, false)
			return server.Handled
		}
		if s.To.IsFull() {
			if to := t.Named(u, s.To.Resource()); len(to) > 0 && t.Deliver(u, to, s, true) {
				return server.Handled
			}
			if s.Type == stanza.Normal {
				return stanza.ServiceUnavailable.Err("")
			}
		}
		if to := t.Takers(u); len(to) > 0 && t.Deliver(u, to, s, true) {
			return server.Handled
		}
		if s.Type == stanza.Headline || s.Type == stanza.Groupchat {
			return server.Handled
		}
		if err := t.Spool(u, s); err != nil {
			return err
		}
		return server.Handled
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "r"}, func(t *server.Turn, _ server.Stream, se *server.Session, _ *xmlstream.Element) error {
		se.Requested(t)
		return nil
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "a"}, func(t *server.Turn, _ server.Stream, se *server.Session, e *xmlstream.Element) error {
		n, _ := sm.HOf(e)
		return se.Acked(t, n)
	})
	return nil
}

const ask = "<r xmlns='urn:xmpp:sm:3'/>"

// chat is a message with a number.
func chat(to, id string) string {
	return "<message to='" + to + "' type='chat' id='" + id + "'><body>text " + id + "</body></message>"
}

// query asks for the messages that the fields and the set say.
func query(id, rest string) string {
	return "<iq type='set' id='" + id + "'><query xmlns='urn:xmpp:mam:2' queryid='q" + id + "'>" + rest + "</query></iq>"
}

// fields is the form of a query: name, value, …
func fields(pairs ...string) string {
	b := strings.Builder{}
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>")
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("<field var='" + pairs[i] + "'><value>" + pairs[i+1] + "</value></field>")
	}
	return b.String() + "</x>"
}

// set is a page of XEP-0059.
func set(inside string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inside + "</set>"
}

// page asks, and returns the ids of the messages that come, as their senders gave them, and of the rows, and the answer.
func (p *peer) page(rest string) (messages, rows []string, fin string) {
	p.b.t.Helper()
	p.got()
	p.send(query("p", rest))
	all := p.got()
	if len(all) == 0 || !strings.HasPrefix(all[len(all)-1], "<iq") {
		p.b.t.Fatalf("no answer: %s", all)
	}
	for _, r := range all[:len(all)-1] {
		x := regexp.MustCompile(`<result xmlns='urn:xmpp:mam:2' queryid='qp' id='([A-Za-z0-9_-]{22})'><forwarded .*<message [^>]* id='(\w+)'`).FindStringSubmatch(r)
		if x == nil {
			p.b.t.Fatalf("no result: %s", r)
		}
		rows, messages = append(rows, x[1]), append(messages, x[2])
	}
	return messages, rows, all[len(all)-1]
}

// wants checks which messages a query finds.
func (p *peer) wants(rest, want string) (rows []string) {
	p.b.t.Helper()
	messages, rows, fin := p.page(rest)
	if got := strings.Join(messages, " "); got != want {
		p.b.t.Errorf("%s: %s found %q, want %q; %s", p.st.account, rest, got, want, fin)
	}
	return rows
}
