// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: a bed is the server with all its modules on a real store, without sockets;
// a peer is a client on a stream in memory; the spy sees what arrives for accounts. Tests run in
// bubbles of testing/synctest: settle means that everything has been done, commits included.

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type bed struct {
	*server.Server
	t     *testing.T
	store store.Store
	spy   *spy
	mods  []server.Module
	reg   *metrics.Registry
	gate  atomic.Pointer[chan struct{}] // the disk waits for it
}

// stall holds the disk until the function that it returns is called.
func (b *bed) stall() (release func()) {
	gate := make(chan struct{})
	b.gate.Store(&gate)
	return func() {
		b.gate.Store(nil)
		close(gate)
	}
}

// newBed starts a server of the domains d and e; more is further configuration.
func newBed(t *testing.T, more string) *bed {
	t.Helper()
	return newBedOf(t, more, func(mods []server.Module) []server.Module { return mods })
}

// newBedOf is newBed with other modules.
func newBedOf(t *testing.T, more string, change func([]server.Module) []server.Module) *bed {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("domains: [d, e]\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	mods, err := modules(c)
	if err != nil {
		t.Fatal(err)
	}
	mods = change(mods)
	b := &bed{t: t, spy: new(spy), mods: mods, reg: metrics.New()}
	st, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler), BeforeCommit: func() {
		if gate := b.gate.Load(); gate != nil {
			<-*gate
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.store = st
	b.Server, err = server.New(server.Config{
		Domains: c.Domains, Limits: serverLimits(c), Store: st, Log: slog.New(slog.DiscardHandler), Metrics: b.reg,
	}, append([]server.Module{b.spy}, mods...))
	if err != nil {
		t.Fatal(err)
	}
	b.Start()
	t.Cleanup(func() {
		if err := b.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// account makes one, with the contacts given.
func (b *bed) account(address string, contacts ...store.RosterItem) jid.JID {
	b.t.Helper()
	j := jid.MustParse(address)
	ops := []store.Op{store.CreateAccount{Account: store.Account{JID: j, Created: time.Now()}}}
	for i, it := range contacts {
		it.Version = int64(i + 1)
		ops = append(ops, store.SetRosterItem{User: j, Item: it})
	}
	if err := b.store.Commit(ops...).Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return j
}

// bind makes a session.
func (b *bed) bind(address string) *peer {
	b.t.Helper()
	full := jid.MustParse(address)
	p := &peer{b: b, st: &memory{account: full.Bare()}}
	p.st.resumed.L = &p.st.mu
	t := b.NewTurn()
	defer t.End()
	var err error
	if p.se, err = b.Bind(b.t.Context(), t, p.st, full.Bare(), full.Resource(), ""); err != nil {
		b.t.Fatal(err)
	}
	p.in = elements(b.t, nil)
	return p
}

// online binds a session that asks for the roster and becomes available; what it is sent is forgotten.
func (b *bed) online(address string) *peer {
	b.t.Helper()
	p := b.bind(address)
	p.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	p.got()
	return p
}

// from routes a stanza as if its sender's server had sent it.
func (b *bed) from(xml string) {
	b.t.Helper()
	s, err := stanza.Parse([]byte(xml))
	if err != nil {
		b.t.Fatal(err)
	}
	t := b.NewTurn()
	t.Route(s)
	t.End()
	synctest.Wait()
}

// item is a contact as it is stored, its zero value where there is none.
func (b *bed) item(account, contact jid.JID) store.RosterItem {
	b.t.Helper()
	r, err := b.store.Roster(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, it := range r.Items {
		if it.Contact == contact {
			return it
		}
	}
	return store.RosterItem{}
}

// waiting is how many messages wait for an account.
func (b *bed) waiting(account jid.JID) int {
	b.t.Helper()
	n, _, err := b.store.SpoolSize(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// peer is a client.
type peer struct {
	b  *bed
	st *memory
	se *server.Session
	in *xmlstream.Parser
}

// elements is a parser within a stream of those bytes.
func elements(t *testing.T, b []byte) *xmlstream.Parser {
	p := xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
	p.Feed(append([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"), b...))
	if ev, err := p.Next(); ev != xmlstream.EventOpen || err != nil {
		t.Fatal(ev, err)
	}
	return p
}

// feed gives the session what its client sends, and waits where the stream pauses only.
func (p *peer) feed(xml string) {
	p.in.Feed([]byte(xml))
	for more := true; more; {
		p.st.awaitResume()
		t := p.b.NewTurn()
		for more = false; ; {
			ev, err := p.in.Next()
			if err != nil {
				p.b.t.Error(err)
			}
			if ev != xmlstream.EventElement {
				break
			}
			goOn, err := p.se.Receive(t, p.st, p.in.Element())
			if err != nil {
				p.b.t.Errorf("%s: %v", xml, err)
			}
			if !goOn {
				p.in.Keep()
				more = true
				break
			}
		}
		t.End()
	}
}

func (p *peer) send(xml string) {
	p.feed(xml)
	synctest.Wait()
}

// got takes what the client was sent.
func (p *peer) got() []string {
	p.b.t.Helper()
	synctest.Wait()
	p.st.mu.Lock()
	out := p.st.out
	p.st.out = nil
	p.st.mu.Unlock()
	var all []string
	for x := elements(p.b.t, out); ; {
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

// gets compares what the client was sent, in order, each by parts of it that spaces separate.
func (p *peer) gets(wants ...string) {
	p.b.t.Helper()
	got := p.got()
	ok := len(got) == len(wants)
	for i := 0; ok && i < len(wants); i++ {
		ok = matches(got[i], wants[i])
	}
	if !ok {
		p.b.t.Errorf("%s got\n\t%s\nwant\n\t%s", p.se.JID, strings.Join(got, "\n\t"), strings.Join(wants, "\n\t"))
	}
}

func matches(xml, parts string) bool {
	for part := range strings.FieldsSeq(parts) {
		if !strings.Contains(xml, part) {
			return false
		}
	}
	return true
}

// end closes the stream.
func (p *peer) end() {
	t := p.b.NewTurn()
	p.se.End(t, nil)
	t.End()
}

// memory is a stream without a socket.
type memory struct {
	account jid.JID
	mu      sync.Mutex
	out     []byte
	paused  int
	resumed sync.Cond
	queued  func(xml string) // called when something was queued; its receiver's account is locked
}

func (m *memory) Queue(b []byte) {
	m.mu.Lock()
	m.out = append(m.out, b...)
	m.mu.Unlock()
	if m.queued != nil {
		m.queued(string(b))
	}
}

func (m *memory) Pause() {
	m.mu.Lock()
	m.paused++
	m.mu.Unlock()
}

func (m *memory) Resume() {
	m.mu.Lock()
	m.paused--
	m.resumed.Broadcast()
	m.mu.Unlock()
}

func (m *memory) awaitResume() {
	m.mu.Lock()
	for m.paused > 0 {
		m.resumed.Wait()
	}
	m.mu.Unlock()
}

func (m *memory) Flush()                     {}
func (m *memory) Queued() int                { return 0 }
func (m *memory) End(*stream.Error)          {}
func (m *memory) Abort()                     {}
func (m *memory) State() stream.State        { return stream.Bound }
func (m *memory) Account() jid.JID           { return m.account }
func (m *memory) Secure() bool               { return true }
func (m *memory) Address() string            { return "127.0.0.1:1" }
func (m *memory) Adopt(*server.Session) bool { return true }

// spy is a module that notes what arrives for accounts.
type spy struct {
	mu   sync.Mutex
	seen []string
}

func (*spy) Name() string { return "spy" }

func (y *spy) Init(h *server.Host) error {
	h.OnArriving(server.Guard, func(_ *server.Turn, _ *server.User, s *stanza.Stanza) error {
		y.mu.Lock()
		y.seen = append(y.seen, string(s.Append(nil, "")))
		y.mu.Unlock()
		return nil
	})
	return nil
}

// saw reports whether such a stanza has arrived since take.
func (y *spy) saw(parts string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.ContainsFunc(y.seen, func(s string) bool { return matches(s, parts) })
}

func (y *spy) forget() {
	y.mu.Lock()
	y.seen = nil
	y.mu.Unlock()
}

// rounds are how often chance is tried.
func rounds(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
