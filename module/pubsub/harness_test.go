// SPDX-License-Identifier: Apache-2.0

package pubsub_test

// How to read this file: a world is a server on a real store with module pubsub and a module that gives accounts nodes;
// people are addresses at a place of the test's, who ask and get. Tests run in bubbles of testing/synctest, so that
// what comes of a request has come when ask returns.

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/module/pubsub"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const service = "pubsub.d"

type world struct {
	*server.Server
	t       testing.TB
	store   *disk
	module  *pubsub.Module
	inlet   *server.Inlet
	folder  string
	metrics *metrics.Registry
	archive *archive
	asked   int
	ended   bool
	pauses  atomic.Int32 // of the people's stream: a worker has what they sent

	mu    sync.Mutex
	inbox map[string][]string
}

// disk is a store that can be full.
type disk struct {
	store.Store
	full  atomic.Bool
	reads atomic.Int64 // of items, and of how many nodes somebody has made

	counts atomic.Int64 // of what addresses have

	held  atomic.Pointer[chan struct{}] // what the next commit waits for
	asked func()                        // is called, unless nil, before it is read how much somebody's nodes keep
}

// hold has the next commit wait, until the function that it returns is called and returns.
func (d *disk) hold() (stored func()) {
	gate := make(chan struct{})
	d.held.Store(&gate)
	return func() {
		gate <- struct{}{}
		<-gate
	}
}

func (d *disk) NodeBytes(ctx context.Context, of store.NodeMaker) (int64, error) {
	if d.asked != nil {
		d.asked()
	}
	return d.Store.NodeBytes(ctx, of)
}

func (d *disk) NodeCount(ctx context.Context, at jid.JID) (nodes, subscriptions int, err error) {
	d.counts.Add(1)
	return d.Store.NodeCount(ctx, at)
}

func (d *disk) Items(ctx context.Context, name store.NodeName, q store.ItemQuery) ([]store.Item, error) {
	d.reads.Add(1)
	return d.Store.Items(ctx, name, q)
}

func (d *disk) ItemCount(ctx context.Context, name store.NodeName) (int, error) {
	d.reads.Add(1)
	return d.Store.ItemCount(ctx, name)
}

func (d *disk) ItemsOver(ctx context.Context, name store.NodeName, ids []string, keep int) (int, []string, error) {
	d.reads.Add(1)
	return d.Store.ItemsOver(ctx, name, ids, keep)
}

func (d *disk) NodesMade(ctx context.Context, at, who jid.JID) (int, error) {
	d.reads.Add(1)
	return d.Store.NodesMade(ctx, at, who)
}

func (d *disk) Commit(ops ...store.Op) *store.Pending {
	if d.full.Load() && len(ops) > 0 {
		p := new(store.Pending)
		d.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	if len(ops) > 0 {
		if gate := d.held.Swap(nil); gate != nil {
			p := new(store.Pending)
			go func() {
				<-*gate
				d.Store.Commit(ops...).OnDone(func(err error) {
					p.Resolve(err)
					close(*gate)
				})
			}()
			return p
		}
	}
	return d.Store.Commit(ops...)
}

// defaults are the configuration's.
func defaults() pubsub.Config {
	return pubsub.Config{
		Host: "pubsub", Create: pubsub.Everybody, Nodes: 100, NodesPerOwner: 50, Subscriptions: 1000, SubscriptionsPerNode: 500, SubscriptionsPerAddress: 100,
		Affiliations: 50, Items: 100, ItemBytes: 10_000, BytesPerOwner: 1 << 30, Page: 50, CachedNodes: 10, CachedFor: time.Hour, Elsewhere: 3, ExpireEvery: time.Minute,
	}
}

// bubble runs f with a world of that configuration.
func bubble(t *testing.T, c pubsub.Config, a pubsub.Audience, f func(w *world)) {
	t.Helper()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f(newWorld(t, folder, c, a))
	})
}

func newWorld(t testing.TB, folder string, c pubsub.Config, a pubsub.Audience) *world {
	t.Helper()
	st, err := sqlite.Open(sqlite.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &disk{Store: st}, folder: folder, module: pubsub.New(c), inbox: make(map[string][]string)}
	if a != nil {
		w.module.Hear(a)
	}
	w.metrics = metrics.New()
	w.archive = &archive{kept: make(map[string][]string)}
	w.module.Keep(w.archive)
	w.module.Lead(adhoc.NewLeader(adhoc.Bounds{Sessions: 100, OfOne: 10, Expire: time.Minute}, func(int) {}))
	w.Server, err = server.New(server.Config{
		Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: w.store,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: w.metrics,
	}, []server.Module{w.module, &accounts{w.module}, &ears{w}})
	if err != nil {
		t.Fatal(err)
	}
	w.Start()
	if _, err := w.Attach("people", w); err != nil {
		t.Fatal(err)
	}
	w.inlet = w.NewInlet(w)
	t.Cleanup(w.end)
	return w
}

// end stops the server; it does nothing the second time.
func (w *world) end() {
	if w.ended {
		return
	}
	w.ended = true
	if err := w.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// accounts gives accounts nodes, as module pep does.
type accounts struct{ m *pubsub.Module }

func (*accounts) Name() string { return "accounts" }

func (a *accounts) Init(h *server.Host) error {
	for _, space := range []string{ps.NS, ps.NSOwner} {
		for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
			h.IQ(server.IQHandler{At: server.AtAccount, Type: typ, Name: xmlstream.Name{Space: space, Local: "pubsub"}, Others: true, Blocking: true, Do: a.m.Account})
		}
	}
	return nil
}

// ears take what is for accounts.
type ears struct{ w *world }

func (*ears) Name() string { return "ears" }

func (e *ears) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(_ *server.Turn, _ *server.User, s *stanza.Stanza) error {
		e.w.hear(s)
		return server.Handled
	})
	return nil
}

// The world is the place of the people, and their stream.
func (w *world) Take(_ *server.Turn, s *stanza.Stanza) error {
	w.hear(s)
	return nil
}

func (*world) Present() bool { return true }
func (w *world) Pause()      { w.pauses.Add(1) }
func (*world) Resume()       {}

func (w *world) hear(s *stanza.Stanza) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := s.To.String()
	s = s.Retain()
	if s.Kind == stanza.Message {
		s.ID = nil // of notifications; it only has to be there
	}
	s.From, s.To = jid.JID{}, jid.JID{}
	w.inbox[to] = append(w.inbox[to], string(s.Append(nil, "")))
}

// metric is the value of one.
func (w *world) metric(name string) string {
	page := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", http.NoBody))
	_, value, _ := strings.Cut(page.Body.String(), "\n"+name+" ")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// account makes an account.
func (w *world) account(name string) {
	w.t.Helper()
	op := store.CreateAccount{Account: store.Account{JID: jid.MustParse(name + "@d"), Created: time.Now()}}
	if err := w.store.Commit(op).Wait(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// send has somebody send a stanza, and waits for all that comes of it.
func (w *world) send(from, to, text string) {
	w.t.Helper()
	s, err := stanza.Parse([]byte(text))
	if err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	s.From, s.To = jid.MustParse(from), jid.MustParse(to)
	t := w.NewTurn()
	w.inlet.Receive(t, s)
	t.End()
	if _, ok := w.t.(*testing.T); ok {
		synctest.Wait()
	}
}

// ask sends a request and returns the answer: the payload of a result, or the words of an error.
func (w *world) ask(from, to, typ, payload string) string {
	w.t.Helper()
	w.asked++
	id := fmt.Sprint("q", w.asked)
	w.send(from, to, fmt.Sprintf("<iq xmlns='jabber:client' type='%s' id='%s'>%s</iq>", typ, id, payload))
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.inbox[from]
	for i, x := range list {
		if !strings.HasPrefix(x, "<iq id='"+id+"'") {
			continue
		}
		w.inbox[from] = append(list[:i:i], list[i+1:]...)
		s, err := stanza.Parse(stanza.Standalone([]byte(x)))
		if err != nil {
			w.t.Fatal(err)
		}
		if s.Type == stanza.TypeError {
			e := s.Refusal()
			c, _ := ps.ConditionOf(s)
			return strings.Join(strings.Fields(string(e.Type)+" "+string(e.Condition)+" "+c.Local+" "+c.Feature+" "+e.URI), " ")
		}
		if s.Len() == 0 {
			return ""
		}
		return string(s.Bytes(0))
	}
	w.t.Fatalf("%s had no answer to %s; got %q", from, payload, list)
	return ""
}

// set and get ask the service; own asks it about what owners may.
func (w *world) set(from, payload string) string {
	w.t.Helper()
	return w.ask(from, service, "set", "<pubsub xmlns='"+ps.NS+"'>"+payload+"</pubsub>")
}

func (w *world) get(from, payload string) string {
	w.t.Helper()
	return w.ask(from, service, "get", "<pubsub xmlns='"+ps.NS+"'>"+payload+"</pubsub>")
}

func (w *world) own(from, typ, payload string) string {
	w.t.Helper()
	return w.ask(from, service, typ, "<pubsub xmlns='"+ps.NSOwner+"'>"+payload+"</pubsub>")
}

// must fails the test where an answer is an error.
func (w *world) must(answer string) string {
	w.t.Helper()
	if answer != "" && !strings.HasPrefix(answer, "<") {
		w.t.Fatalf("refused: %s", answer)
	}
	return answer
}

// want compares an answer.
func (w *world) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got\n  %s\nwant\n  %s", got, want)
	}
}

// got takes what somebody was sent besides answers.
func (w *world) got(who string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.inbox[who]
	delete(w.inbox, who)
	return list
}

// hears checks that somebody got exactly these events, each given as what is within <event/>.
func (w *world) hears(who string, events ...string) {
	w.t.Helper()
	got := w.got(who)
	for i := range max(len(got), len(events)) {
		x, want := "nothing", "nothing"
		if i < len(got) {
			x = got[i]
			if _, rest, ok := strings.Cut(x, "<event xmlns='"+ps.NSEvent+"'>"); ok {
				x, _, _ = strings.Cut(rest, "</event>")
			}
		}
		if i < len(events) {
			want = events[i]
		}
		if x != want {
			w.t.Errorf("%s hears\n  %s\nwant\n  %s", who, x, want)
		}
	}
}

// form is a submitted form of fields: name, value, name, value.
func form(typ string, fields ...string) string {
	b := strings.Builder{}
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + ps.NS + "#" + typ + "</value></field>")
	for i := 0; i < len(fields); i += 2 {
		b.WriteString("<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>")
	}
	b.WriteString("</x>")
	return b.String()
}

// node makes a node of romeo's with a configuration.
func (w *world) node(name string, fields ...string) {
	w.t.Helper()
	w.must(w.set(romeo, "<create node='"+name+"'/><configure>"+form("node_config", fields...)+"</configure>"))
}

func publish(node, id string) string {
	return "<publish node='" + node + "'><item id='" + id + "'><x xmlns='u:x'>" + id + "</x></item></publish>"
}

func items(node string, ids ...string) string {
	b := strings.Builder{}
	for _, id := range ids {
		b.WriteString("<item id='" + id + "'><x xmlns='u:x'>" + id + "</x></item>")
	}
	return "<items node='" + node + "'>" + b.String() + "</items>"
}

func subscribe(node, who string) string {
	return "<subscribe node='" + node + "' jid='" + who + "'/>"
}

// The people.
const (
	romeo    = "romeo@people/orchard"
	juliet   = "juliet@people/balcony"
	nurse    = "nurse@people/hall"
	stranger = "paris@people/square"
)

func bare(who string) string { return jid.MustParse(who).Bare().String() }
