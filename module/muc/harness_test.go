// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: a bench is a server for d on a real store with this module and a postman, the least that a
// server needs to bring stanzas to sessions. A peer is a client: what it sends and what it got. Tests run in bubbles of
// testing/synctest, so that after send all has been done that comes of it.

import (
	"fmt"
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
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
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
	config   Config
	archive  Archive // nil: none
}

// flaky is a store whose disk may be full.
type flaky struct {
	store.Store
	failing atomic.Bool
}

func (f *flaky) Commit(ops ...store.Op) *store.Pending {
	if f.failing.Load() && len(ops) > 0 {
		p := new(store.Pending)
		f.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	return f.Store.Commit(ops...)
}

// usual is the configuration that most tests want.
func usual() Config {
	return Config{
		Host: "rooms", Create: "anyone", MaxRooms: 1000, MaxRoomsPerCreator: 1000, MaxOccupants: 50, MaxAffiliations: 50, MaxHistory: 10,
		MessageBytes: 4096, PresenceBytes: 1024, NickBytes: 30, VCardBytes: 2048, MaxHats: 2, MaxRequests: 3, Registration: true,
		Default: Default{Public: true, History: 5},
	}
}

// inBubble runs a test where time stands still while anything is to be done.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t testing.TB, c Config, accounts string) *bench {
	t.Helper()
	return newBenchWith(t, c, nil, accounts)
}

// newBenchWith is newBench with an archive.
func newBenchWith(t testing.TB, c Config, a Archive, accounts string) *bench {
	t.Helper()
	b := &bench{t: t, folder: t.TempDir(), config: c, archive: a}
	b.start()
	for _, a := range strings.Fields(accounts) {
		op := store.CreateAccount{Account: store.Account{JID: jid.MustParse(a + "@d"), Created: time.Now()}}
		if err := b.store.Commit(op).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.stop)
	return b
}

func leader() *adhoc.Leader {
	return adhoc.NewLeader(adhoc.Bounds{Sessions: 100, OfOne: 10, Expire: time.Minute}, func(int) {})
}

func (b *bench) start() {
	b.t.Helper()
	st, err := sqlite.Open(sqlite.Options{Folder: b.folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.registry, b.store, b.m = metrics.New(), &flaky{Store: st}, New(b.config, b.archive, leader())
	b.Server, err = server.New(server.Config{
		Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: b.store,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: b.registry,
	}, []server.Module{b.m, postman{b}})
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
func (b *bench) restart() {
	b.stop()
	b.start()
}

// counts reports whether the metrics say that.
func (b *bench) counts(sample string) bool {
	w := httptest.NewRecorder()
	b.registry.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return strings.Contains(w.Body.String(), "\n"+sample+"\n")
}

// postman brings what is for a session to it, and what is for an account to its first one. The end of a session it
// tells the rooms.
type postman struct{ b *bench }

func (postman) Name() string { return "postman" }

func (p postman) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		to := u.Sessions(nil)
		if s.To.IsFull() {
			to = slices.Clone(t.Named(u, s.To.Resource()))
		}
		switch {
		case s.Kind == stanza.IQ:
			return nil
		case len(to) == 0 && s.Kind == stanza.Message && u.Exists():
			return server.Handled // as if it were stored
		case len(to) == 0:
			return stanza.ServiceUnavailable.Err("")
		}
		t.Deliver(u, to[:1], s, false)
		return server.Handled
	})
	h.Ended = func(t *server.Turn, se *server.Session, _ server.Presence) {
		for _, r := range p.b.m.table.all() {
			s := unavailable()
			s.From, s.To = se.JID, r.jid
			t.Route(s)
			p.b.m.release(t, r)
		}
	}
	return nil
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
	id int
}

const opening = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"

func parser() *xmlstream.Parser {
	return xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
}

// bind makes a session: "a/r".
func (b *bench) bind(address string) *peer {
	b.t.Helper()
	account, resource, _ := strings.Cut(address, "/")
	p := &peer{b: b, st: &link{account: jid.MustParse(account + "@d")}, in: parser()}
	p.st.free = sync.NewCond(&p.st.mu)
	p.in.Feed([]byte(opening))
	if ev, err := p.in.Next(); ev != xmlstream.EventOpen || err != nil {
		b.t.Fatal(ev, err)
	}
	t := b.NewTurn()
	defer t.End()
	var err error
	if p.se, err = b.Bind(b.t.Context(), t, p.st, p.st.account, resource, ""); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// send handles stanzas and all that comes of them.
func (p *peer) send(elements ...string) {
	p.b.t.Helper()
	p.in.Feed([]byte(strings.Join(elements, "")))
	for more := true; more; {
		p.st.awaitResume()
		more = p.turn()
	}
	synctest.Wait()
}

// turn handles what is there, and reports whether it was stopped.
func (p *peer) turn() (stopped bool) {
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
func (p *peer) got() (all []string) {
	synctest.Wait()
	p.st.mu.Lock()
	out := p.st.out
	p.st.out = nil
	p.st.mu.Unlock()
	x := parser()
	x.Feed(slices.Concat([]byte(opening), out))
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

// gets compares what the client was sent, in order, each by regular expressions joined with " & ", all of which must match.
func (p *peer) gets(patterns ...string) {
	p.b.t.Helper()
	got := p.got()
	ok := len(got) == len(patterns)
	for i := 0; ok && i < len(patterns); i++ {
		for pattern := range strings.SplitSeq(patterns[i], " & ") {
			ok = ok && regexp.MustCompile(pattern).MatchString(got[i])
		}
	}
	if !ok {
		p.b.t.Fatalf("%s got\n\t%s\nwant\n\t%s", p.st.account, strings.Join(got, "\n\t"), strings.Join(patterns, "\n\t"))
	}
}

var condition = regexp.MustCompile(`<error type='(\w+)'><([a-z-]+) `)

// ask sends a request and returns what is wrong with it, "" for nothing; what else came is forgotten.
func (p *peer) ask(typ, to, payload string) (wrong string) {
	p.b.t.Helper()
	p.id++
	id := fmt.Sprint("ask", p.id)
	p.send(fmt.Sprintf("<iq type='%s' id='%s' to='%s'>%s</iq>", typ, id, to, payload))
	for _, x := range p.got() {
		if !strings.HasPrefix(x, "<iq") || !strings.Contains(x, "id='"+id+"'") {
			continue
		}
		if m := condition.FindStringSubmatch(x); m != nil {
			return m[2]
		}
		return ""
	}
	p.b.t.Fatalf("%s got no answer to %s", p.st.account, payload)
	return ""
}

// must is ask that goes well.
func (p *peer) must(typ, to, payload string) {
	p.b.t.Helper()
	if wrong := p.ask(typ, to, payload); wrong != "" {
		p.b.t.Fatalf("%s: %s: %s", p.st.account, payload, wrong)
	}
}

// tell sends a stanza and returns what is wrong with it, as ask does.
func (p *peer) tell(s string) (wrong string) {
	p.b.t.Helper()
	p.send(s)
	for _, x := range p.got() {
		if m := condition.FindStringSubmatch(x); m != nil && strings.Contains(x, "type='error'") {
			wrong = m[2]
		}
	}
	return wrong
}

// Requests, by the words of XEP-0045.

func enter(room, nick string) string {
	return "<presence to='" + room + "/" + nick + "'><x xmlns='" + muc.NS + "'/></presence>"
}

func leave(room, nick string) string {
	return "<presence type='unavailable' to='" + room + "/" + nick + "'/>"
}

func admin(items string) string { return "<query xmlns='" + muc.NSAdmin + "'>" + items + "</query>" }

func role(nick, role string) string {
	return admin("<item nick='" + nick + "' role='" + role + "'/>")
}

func affiliation(user, affiliation string) string {
	return admin("<item jid='" + user + "' affiliation='" + affiliation + "'/>")
}

func configuration(pairs ...string) string {
	x := "<query xmlns='" + muc.NSOwner + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + muc.FormConfig + "</value></field>"
	for i := 0; i < len(pairs); i += 2 {
		x += "<field var='" + pairs[i] + "'>"
		for v := range strings.SplitSeq(pairs[i+1], " ") {
			x += "<value>" + v + "</value>"
		}
		x += "</field>"
	}
	return x + "</x></query>"
}

// room makes a room with options, by p as its owner under that nick.
func (p *peer) room(room, nick string, options ...string) {
	p.b.t.Helper()
	p.send(enter(room, nick))
	p.must("set", room, configuration(options...))
	p.got()
}

// guest sends a stanza as somebody of another server would, who reads nothing.
func (b *bench) guest(from, s string) {
	b.t.Helper()
	x, err := stanza.Parse([]byte(strings.Replace(s, "<presence ", "<presence xmlns='jabber:client' from='"+from+"' ", 1)))
	if err != nil {
		b.t.Fatal(err)
	}
	t := b.NewTurn()
	b.NewInlet(idle{}).Receive(t, x)
	t.End()
	synctest.Wait()
}

// idle is a reader that is not stopped.
type idle struct{}

func (idle) Pause()  {}
func (idle) Resume() {}

// hats is a command about hats, with the fields of its form.
func hats(node string, pairs ...string) string {
	x := "<command xmlns='" + command.NS + "' node='" + node + "' action='execute'><x xmlns='jabber:x:data' type='submit'>"
	for i := 0; i < len(pairs); i += 2 {
		x += "<field var='" + pairs[i] + "'><value>" + pairs[i+1] + "</value></field>"
	}
	return x + "</x></command>"
}

func newHat(uri string) string { return hats(hatCreate, hatTitle, "A hat", hatURI, uri) }

func wear(user, uri string) string { return hats(hatAssign, hatJID, user, hatURI, uri) }
