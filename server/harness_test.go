// SPDX-License-Identifier: Apache-2.0

package server

// How to read this file: the bench is a server on a real store, the peer is a client: its
// stream (a Stream in memory), its session, what it sends and what it got. postman is the least
// a server needs of modules. Tests run in bubbles of testing/synctest, so that settle means that
// everything has been done, commits included, and time passes only when a test lets it.

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type bench struct {
	*Server
	t        testing.TB
	store    *flaky
	registry *metrics.Registry
}

// flaky is a store whose disk may be slow or full.
type flaky struct {
	store.Store
	gate    atomic.Pointer[chan struct{}]
	failing atomic.Bool            // commits fail, later
	refuses atomic.Bool            // commits are refused at once
	read    atomic.Pointer[func()] // called when a page of the spool was read
	adding  atomic.Pointer[func()] // called when a row is about to be committed
	knowing atomic.Pointer[func()] // called once when an account is about to be read
}

func (f *flaky) Spool(ctx context.Context, user jid.JID, after int64, limit int) ([]store.SpoolEntry, error) {
	page, err := f.Store.Spool(ctx, user, after, limit)
	if read := f.read.Swap(nil); read != nil {
		(*read)()
	}
	return page, err
}

func (f *flaky) SpoolSize(ctx context.Context, user jid.JID) (int, int64, error) {
	if knowing := f.knowing.Swap(nil); knowing != nil {
		(*knowing)()
	}
	return f.Store.SpoolSize(ctx, user)
}

var errDisk = errors.New("the disk is gone")

func (f *flaky) Commit(ops ...store.Op) *store.Pending {
	if len(ops) == 1 && ops[0].Topic() == "spool" {
		if adding := f.adding.Swap(nil); adding != nil {
			(*adding)()
		}
	}
	switch {
	case len(ops) > 0 && f.refuses.Load():
		return store.Resolved(store.ErrOverloaded)
	case len(ops) > 0 && f.failing.Load():
		p := new(store.Pending)
		f.Store.Commit().OnDone(func(error) { p.Resolve(errDisk) })
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

// newBench starts a server for d with the accounts named.
func newBench(t testing.TB, limits Limits, accounts string, modules ...Module) *bench {
	t.Helper()
	f := new(flaky)
	st, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler), BeforeCommit: func() {
		if gate := f.gate.Load(); gate != nil {
			<-*gate
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Store = st
	registry := metrics.New()
	s, err := New(Config{
		Domains: []string{"d"}, Limits: limits, Store: f,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: registry,
	}, append(modules, &postman{}))
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	b := &bench{Server: s, t: t, store: f, registry: registry}
	t.Cleanup(func() {
		f.failing.Store(false)
		f.refuses.Store(false)
		if err := s.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, a := range strings.Fields(accounts) {
		op := store.CreateAccount{Account: store.Account{JID: jid.MustParse(a + "@d"), Created: time.Now()}}
		if err := st.Commit(op).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// inBubble runs a test where time stands still while anything is to be done.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// counts reports whether the metrics say that.
func (b *bench) counts(sample string) bool {
	w := httptest.NewRecorder()
	b.registry.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return strings.Contains(w.Body.String(), "\n"+sample+"\n")
}

// spooled is how many rows an account has on the disk.
func (b *bench) spooled(account string) int {
	n, _, err := b.Server.store.SpoolSize(b.t.Context(), jid.MustParse(account+"@d"))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// peer is a client.
type peer struct {
	b  *bench
	st *fakeStream
	se *Session
	in *xmlstream.Parser
}

// dial makes a stream that is logged in.
func (b *bench) dial(account string) *peer {
	p := &peer{b: b, st: &fakeStream{account: jid.MustParse(account + "@d"), state: stream.Authenticated}}
	p.st.resumed.L = &p.st.mu
	p.in = xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
	p.in.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"))
	for want := range slices.Values([]xmlstream.Event{xmlstream.EventOpen, xmlstream.EventNone}) {
		if ev, err := p.in.Next(); ev != want || err != nil {
			b.t.Fatal(ev, err)
		}
	}
	return p
}

// tryBind binds a session: "a/r".
func (b *bench) tryBind(address string) (*peer, error) {
	account, resource, _ := strings.Cut(address, "/")
	p := b.dial(account)
	t := b.NewTurn()
	defer t.End()
	wanted, err := p.st.account.WithResource(resource)
	if err != nil {
		return nil, err
	}
	se, err := b.Bind(b.t.Context(), t, p.st, wanted, "")
	if err != nil {
		return nil, err
	}
	p.se = se
	p.st.mu.Lock()
	p.st.session, p.st.state = se, stream.Bound
	p.st.mu.Unlock()
	return p, nil
}

func (b *bench) bind(address string) *peer {
	b.t.Helper()
	p, err := b.tryBind(address)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// online binds a session that takes messages; managed, with stream management.
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

// batch gives the session what one read brought, as a driver does, and returns without waiting
// where the stream is paused.
func (p *peer) batch(elements string) error {
	p.in.Feed([]byte(elements))
	return p.goOn()
}

func (p *peer) goOn() error {
	t := p.b.NewTurn()
	defer t.End()
	for {
		ev, err := p.in.Next()
		if err != nil {
			p.b.t.Fatal(err)
		}
		if ev != xmlstream.EventElement {
			return nil
		}
		more, err := p.st.bound().Receive(t, p.st, p.in.Element())
		if err != nil {
			return err
		}
		if !more {
			p.in.Keep()
			return nil
		}
	}
}

// send is batch, whose end it awaits, with everything that comes of it at once.
func (p *peer) send(elements string) {
	p.b.t.Helper()
	if err := p.batch(elements); err != nil {
		p.b.t.Fatalf("%s: %v", elements, err)
	}
	for p.in.Buffered() > 0 {
		p.st.awaitResume()
		if err := p.goOn(); err != nil {
			p.b.t.Fatalf("%s: %v", elements, err)
		}
	}
	p.settle()
}

func (p *peer) settle() {
	if _, ok := p.b.t.(*testing.T); ok {
		synctest.Wait()
	}
}

// got takes what the client was sent, one string an element.
func (p *peer) got() []string {
	p.settle()
	p.st.mu.Lock()
	out := p.st.out
	p.st.out = nil
	p.st.mu.Unlock()
	x := xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
	x.Feed(slices.Concat([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"), out))
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

// gets compares what the client was sent, in order, each by a part of it.
func (p *peer) gets(parts ...string) {
	p.b.t.Helper()
	p.compare(p.got(), parts)
}

// getsBesideAsks is gets where the workers' pace decides when acks are asked for.
func (p *peer) getsBesideAsks(parts ...string) {
	p.b.t.Helper()
	p.compare(slices.DeleteFunc(p.got(), func(e string) bool { return strings.Contains(e, asks) }), parts)
}

func (p *peer) compare(got, parts []string) {
	p.b.t.Helper()
	ok := len(got) == len(parts)
	for i := 0; ok && i < len(parts); i++ {
		ok = strings.Contains(got[i], parts[i])
	}
	if !ok {
		p.b.t.Fatalf("%s got\n\t%s\nwant\n\t%s", p.st.account, strings.Join(got, "\n\t"), strings.Join(parts, "\n\t"))
	}
}

// lose breaks the connection.
func (p *peer) lose() {
	t := p.b.NewTurn()
	p.st.bound().Lost(t, p.st)
	t.End()
	p.settle()
}

// end closes the stream.
func (p *peer) end() {
	t := p.b.NewTurn()
	p.se.End(t, nil)
	t.End()
	p.settle()
}

// resume asks on a new stream for the session of p.
func (p *peer) resume(h uint32) (*peer, error) {
	n := p.b.dial(p.st.account.Local())
	return n, p.resumeOn(n, h)
}

func (p *peer) resumeOn(n *peer, h uint32) error {
	n.se = p.se
	t := p.b.NewTurn()
	defer t.End()
	return p.se.Resume(t, n.st, h, func(h uint32, ok bool) []byte {
		if !ok {
			return []byte("<failed xmlns='urn:xmpp:sm:3'/>")
		}
		return (&sm.Resumed{PrevID: "x", H: h}).AppendXML(nil)
	})
}

// postman gives messages to whom they are for, spools them where there is nobody, takes presence
// and the elements of stream management.
type postman struct{}

func (*postman) Name() string { return "postman" }

func (*postman) Init(h *Host) error {
	h.OnSent(Handle, func(t *Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence || !s.To.IsZero() {
			return nil
		}
		p := Presence{Available: s.Type == stanza.Available}
		if s.Has(stanza.NSClient, "priority") {
			p.Priority = -1
		}
		t.Origin.SetPresence(t, p)
		return Handled
	})
	h.OnArriving(Handle, func(t *Turn, u *User, s *stanza.Stanza) error {
		if s.Kind != stanza.Message || s.Type == stanza.TypeError || !u.Exists() {
			return nil
		}
		keep := s.Type != stanza.Headline
		if s.To.IsFull() {
			if to := t.Named(u, s.To.Resource()); len(to) > 0 && t.Deliver(u, to, s, keep) {
				return Handled
			}
		}
		if to := t.Takers(u); len(to) > 0 && t.Deliver(u, to, s, keep) {
			return Handled
		}
		if !keep {
			return Handled
		}
		if err := t.Spool(u, s); err != nil {
			return err
		}
		return Handled
	})
	h.OnArriving(Handle, func(t *Turn, u *User, s *stanza.Stanza) error {
		if s.Type != stanza.TypeError {
			return nil
		}
		t.Deliver(u, t.Named(u, s.To.Resource()), s, false)
		return Handled
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "r"}, func(t *Turn, _ Stream, se *Session, _ *xmlstream.Element) error {
		se.Requested(t)
		return nil
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "a"}, func(t *Turn, _ Stream, se *Session, e *xmlstream.Element) error {
		n, _ := sm.HOf(e)
		return se.Acked(t, n)
	})
	return nil
}

const (
	ask  = "<r xmlns='urn:xmpp:sm:3'/>"
	asks = "<r xmlns='urn:xmpp:sm:3'"
)

func ack(h string) string { return "<a xmlns='urn:xmpp:sm:3' h='" + h + "'/>" }

// chat is a message with a number.
func chat(to, id string) string {
	return "<message to='" + to + "' type='chat' id='" + id + "'><body>hi</body></message>"
}
