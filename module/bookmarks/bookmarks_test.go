// SPDX-License-Identifier: Apache-2.0

package bookmarks_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/module/bookmarks"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
)

const (
	items = "urn:xmpp:bookmarks:1"
	list  = "storage:bookmarks"
)

// nodes are those of one account, in memory. They tell the module what happens, as module pubsub does.
type nodes struct {
	m *bookmarks.Module

	mu      sync.Mutex
	of      map[string][]store.Item
	open    map[string]bool // others see them
	made    map[string]pubsub.Config
	at      time.Time // of the last item
	events  []string  // what was told to clients
	failing bool
}

func (n *nodes) Items(_ context.Context, _ jid.JID, node string, max int) ([]store.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.of[node]
	return slices.Clone(all[len(all)-min(max, len(all)):]), nil
}

func (n *nodes) Publish(_ *server.Turn, owner jid.JID, node string, item store.Item, configure func(*pubsub.Config)) *store.Pending {
	n.mu.Lock()
	if n.failing {
		n.mu.Unlock()
		return store.Resolved(store.ErrNoSpace)
	}
	if _, there := n.made[node]; !there {
		var c pubsub.Config
		configure(&c)
		n.made[node] = c
	}
	n.at = n.at.Add(time.Microsecond)
	if now := time.Now().UTC(); now.After(n.at) {
		n.at = now
	}
	item.At = n.at
	if item.Publisher.IsZero() {
		item.Publisher = owner
	}
	n.of[node] = append(slices.DeleteFunc(n.of[node], func(x store.Item) bool { return x.ID == item.ID }), item)
	n.events = append(n.events, fmt.Sprintf("%s %s", node, item.ID))
	n.mu.Unlock()
	n.m.Published(nil, owner, node, item)
	return store.Resolved(nil)
}

func (n *nodes) Retract(_ *server.Turn, owner jid.JID, node, id string, notify bool) *store.Pending {
	n.mu.Lock()
	n.of[node] = slices.DeleteFunc(n.of[node], func(x store.Item) bool { return x.ID == id })
	n.events = append(n.events, fmt.Sprintf("%s -%s %t", node, id, notify))
	n.mu.Unlock()
	n.m.Removed(owner, node, []string{id})
	return store.Resolved(nil)
}

func (n *nodes) Private(_ context.Context, _ jid.JID, node string) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.open[node], nil
}

// bed is an account with the nodes and the module.
type bed struct {
	*nodes
	t     *testing.T
	store store.Store
	user  *server.User
	stop  func()
}

type wire struct{ server.Stream }

func (wire) Queue([]byte) {}
func (wire) Flush()       {}
func (wire) Queued() int  { return 0 }

var romeo = jid.MustParse("romeo@d")

func inBed(t *testing.T, c bookmarks.Config, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Commit(store.CreateAccount{Account: store.Account{JID: romeo, Created: time.Now()}}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := &nodes{of: map[string][]store.Item{}, open: map[string]bool{}, made: map[string]pubsub.Config{}}
		n.m = bookmarks.New(c, n)
		s, err := server.New(server.Config{
			Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: db, Log: slog.New(slog.DiscardHandler), Metrics: metrics.New(),
		}, []server.Module{n.m})
		if err != nil {
			t.Fatal(err)
		}
		turn := s.NewTurn()
		se, err := s.Bind(t.Context(), turn, wire{}, romeo, "")
		turn.End()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = n.m.Run(ctx) }()
		f(&bed{nodes: n, t: t, store: db, user: se.User, stop: stop})
		stop()
		synctest.Wait()
	})
}

// room is an item as a client publishes it.
func (b *bed) room(id, attributes, content string) {
	b.client(items, id, "<conference xmlns='urn:xmpp:bookmarks:1'"+attributes+">"+content+"</conference>")
}

// list is the list as a client publishes it.
func (b *bed) list(content string) {
	b.client(list, "current", "<storage xmlns='storage:bookmarks'>"+content+"</storage>")
}

func (b *bed) client(node, id, payload string) {
	<-time.After(time.Millisecond) // of the bubble
	b.Publish(nil, romeo, node, store.Item{ID: id, Payload: []byte(payload)}, func(*pubsub.Config) {})
	synctest.Wait()
}

// agree says what both nodes must have now, the items in the order of their ids.
func (b *bed) agree(about, wantItems, wantList string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	rooms := slices.Clone(b.of[items])
	slices.SortFunc(rooms, func(x, y store.Item) int { return strings.Compare(x.ID, y.ID) })
	got := ""
	for _, x := range rooms {
		got += x.ID + strings.ReplaceAll(strings.ReplaceAll(string(x.Payload), " xmlns='urn:xmpp:bookmarks:1'", ""), "conference", "") + "\n"
	}
	if strings.TrimSpace(got) != strings.TrimSpace(wantItems) {
		b.t.Errorf("%s: items\n%s\nwant\n%s", about, got, wantItems)
	}
	got = ""
	for _, x := range b.of[list] {
		got += strings.TrimSuffix(strings.TrimPrefix(string(x.Payload), "<storage xmlns='storage:bookmarks'>"), "</storage>")
	}
	if got != wantList {
		b.t.Errorf("%s: list\n%s\nwant\n%s", about, got, wantList)
	}
}

// set changes what the nodes are like.
func (n *nodes) set(f func()) {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// remove removes an item as a client does.
func (b *bed) remove(id string) {
	<-time.After(time.Millisecond) // of the bubble
	b.Retract(nil, romeo, items, id, true)
}

// told returns and forgets what clients were told.
func (b *bed) told() string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { b.events = nil }()
	return strings.Join(b.events, ", ")
}

func (b *bed) expect(about, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: %s\nwant %s", about, got, want)
	}
}

var roomy = bookmarks.Config{Rooms: 5}

// TestAgree: what is changed in one place is changed in the other, and nothing else is told of.
func TestAgree(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		b.room("a@r", " name='A' autojoin='true'", "<nick>n</nick><password>p</password>")
		b.agree("an item", "a@r< name='A' autojoin='true'><nick>n</nick><password>p</password></>",
			"<conference jid='a@r' name='A' autojoin='true'><nick>n</nick><password>p</password></conference>")
		b.expect("told", b.told(), "urn:xmpp:bookmarks:1 a@r, storage:bookmarks current")
		for node, most := range map[string]int{items: pubsub.Max, list: 0} {
			if c := b.made[node]; node == list && (!c.Persist || c.Access != pubsub.AccessWhitelist || c.MaxItems != most) {
				b.t.Errorf("%s is made %+v", node, c)
			}
		}
		b.list("<conference jid='a@r' name='A'/><url url='u'/><conference jid='b@r'/>")
		b.agree("a list", "a@r< name='A'/>\nb@r</>", "<conference jid='a@r' name='A'/><url url='u'/><conference jid='b@r'/>")
		b.expect("told", b.told(), "storage:bookmarks current, urn:xmpp:bookmarks:1 a@r, urn:xmpp:bookmarks:1 b@r")
		b.list("<conference jid='b@r'/><conference jid='a@r' name='A' autojoin='0'></conference><url url='u'/>")
		b.expect("told of the same list", b.told(), "storage:bookmarks current")
		b.list("<conference jid='b@r'/>")
		b.agree("a shorter list", "b@r</>", "<conference jid='b@r'/>")
		b.expect("told", b.told(), "storage:bookmarks current, urn:xmpp:bookmarks:1 -a@r true")
		b.room("c@r", "", "")
		b.agree("an item more", "b@r</>\nc@r<></>", "<conference jid='b@r'/><conference jid='c@r'/>")
		b.told()
		b.remove("b@r")
		b.agree("an item less", "c@r<></>", "<conference jid='c@r'/>")
		b.remove("c@r")
		b.agree("none", "", "")
	})
}

// TestSince is B1.
func TestSince(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		b.list("<conference jid='a@r'/><conference jid='b@r'/>")
		b.room("c@r", "", "")
		b.room("a@r", " name='new'", "")
		b.agree("published since", "a@r< name='new'></>\nb@r</>\nc@r<></>",
			"<conference jid='b@r'/><conference jid='c@r'/><conference jid='a@r' name='new'/>")
		b.list("<conference jid='a@r'/><conference jid='b@r'/>")
		b.agree("a list that knows", "a@r</>\nb@r</>", "<conference jid='a@r'/><conference jid='b@r'/>")
		b.remove("a@r")
		b.agree("removed since", "b@r</>", "<conference jid='b@r'/>")
		b.list("<conference jid='a@r'/><conference jid='b@r'/>")
		b.agree("there again", "a@r</>\nb@r</>", "<conference jid='a@r'/><conference jid='b@r'/>")
		b.set(func() { b.of[items] = nil })
		<-time.After(time.Millisecond) // of the bubble
		b.m.Removed(romeo, items, nil)
		b.agree("purged", "", "")
	})
}

// TestExtensions: clients that do not know them do not remove them, and what is no bookmark of a room stays.
func TestExtensions(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		const x = "<extensions><x xmlns='u:x'/></extensions>"
		b.room("a@r", "", x)
		b.room("not an address@", "", "")
		b.client(items, "b@r", "<other xmlns='u:other'/>")
		b.list("<conference jid='a@r' name='A'/><url url='u'/>")
		b.agree("edited", "a@r< name='A'>"+x+"</>\nb@r<other xmlns='u:other'/>\nnot an address@<></>", "<conference jid='a@r' name='A'/><url url='u'/>")
		b.room("c@r", "", "")
		b.agree("added", "a@r< name='A'>"+x+"</>\nb@r<other xmlns='u:other'/>\nc@r<></>\nnot an address@<></>",
			"<conference jid='a@r' name='A'>"+x+"</conference><conference jid='c@r'/><url xmlns='storage:bookmarks' url='u'/>")
	})
}

// TestPrivate: private XML is a view of both nodes.
func TestPrivate(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		get := func() string {
			b.t.Helper()
			got, err := b.m.Get(b.t.Context(), b.user)
			if err != nil {
				b.t.Fatal(err)
			}
			return string(got)
		}
		set := func(content string) error {
			turn := b.m.Turn()
			defer turn.End()
			p, err := b.m.Set(turn, b.user, []byte("<storage xmlns='storage:bookmarks'>"+content+"</storage>"))
			if err != nil {
				return err
			}
			return p.Wait(b.t.Context())
		}
		b.expect("nothing", get(), "")
		b.room("a@r", " name='A'", "<extensions><x xmlns='u:x'/></extensions>")
		b.expect("got", get(), "<storage xmlns='storage:bookmarks'><conference jid='a@r' name='A'><extensions><x xmlns='u:x'/></extensions></conference></storage>")
		if err := set("<url url='u'/><conference jid='a@r' name='B'/><conference jid='b@r'/>"); err != nil {
			b.t.Fatal(err)
		}
		b.agree("set", "a@r< name='B'><extensions><x xmlns='u:x'/></extensions></>\nb@r</>",
			"<conference jid='a@r' name='B'><extensions><x xmlns='u:x'/></extensions></conference><conference jid='b@r'/><url xmlns='storage:bookmarks' url='u'/>")
		b.told()
		if err := set("<conference jid='b@r'/>"); err != nil {
			b.t.Fatal(err)
		}
		b.expect("told", b.told(), "urn:xmpp:bookmarks:1 -a@r true, storage:bookmarks current")
		b.expect("got", get(), "<storage xmlns='storage:bookmarks'><conference jid='b@r'/></storage>")
		b.set(func() { b.failing = true })
		if err := set("<conference jid='c@r'/>"); err == nil {
			b.t.Error("it says that it has kept what it has not")
		}
		b.set(func() { b.failing = false })
		b.agree("refused", "b@r</>", "<conference jid='b@r'/>")
		if err := set(strings.Repeat("<conference jid='b@r'/>", 9)); err != nil {
			b.t.Errorf("one room, nine times: %v", err)
		}
		if err := set("<conference"); err == nil {
			b.t.Error("a list that is none")
		}
	})
}

// TestAdopt: what private XML had before the module was on is not lost.
func TestAdopt(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		name := store.PrivateName(bookmarks.Kept())
		old := "<storage xmlns='storage:bookmarks'><conference jid='a@r' name='old'/><conference jid='b@r'/><url url='u'/></storage>"
		if err := b.store.Commit(store.SetPrivate{User: romeo, Name: name, XML: []byte(old)}).Wait(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		b.room("a@r", " name='new'", "")
		b.agree("adopted", "a@r< name='new'></>\nb@r</>", "<conference jid='a@r' name='new'/><conference jid='b@r'/><url xmlns='storage:bookmarks' url='u'/>")
		if sizes, err := b.store.PrivateSizes(b.t.Context(), romeo); err != nil || len(sizes) > 0 {
			b.t.Errorf("left: %v, %v", sizes, err)
		}
	})
}

// TestSeenByOthers is B2.
func TestSeenByOthers(t *testing.T) {
	inBed(t, roomy, func(b *bed) {
		b.set(func() { b.open[list] = true })
		b.room("a@r", "", "<password>p</password>")
		b.agree("a list that others see", "a@r<><password>p</password></>", "")
		b.set(func() { b.open[list], b.open[items] = false, true })
		b.list("<conference jid='b@r'><password>p</password></conference>")
		b.agree("items that others see", "a@r<><password>p</password></>", "<conference jid='b@r'><password>p</password></conference>")
		turn := b.m.Turn()
		defer turn.End()
		if _, err := b.m.Set(turn, b.user, []byte("<storage xmlns='storage:bookmarks'/>")); err == nil {
			b.t.Error("taken")
		}
	})
}

// TestTooMany: an account with more bookmarks than can be made into a list keeps them, and older clients change nothing.
func TestTooMany(t *testing.T) {
	inBed(t, bookmarks.Config{Rooms: 2}, func(b *bed) {
		three := "<conference jid='a@r'/><conference jid='b@r'/><conference jid='c@r'/>"
		b.list(three)
		b.agree("a long list", "", three)
		turn := b.m.Turn()
		defer turn.End()
		if _, err := b.m.Set(turn, b.user, []byte("<storage xmlns='storage:bookmarks'>"+three+"</storage>")); err == nil {
			b.t.Error("a long list was taken")
		}
		b.list("")
		for _, id := range []string{"a@r", "b@r", "c@r"} {
			b.room(id, "", "")
		}
		b.agree("the newest", "a@r<></>\nb@r<></>\nc@r<></>", "<conference jid='b@r'/><conference jid='c@r'/>")
		b.list("<conference jid='a@r'/>")
		b.agree("edited", "a@r<></>\nb@r<></>\nc@r<></>", "<conference jid='a@r'/>")
	})
}
