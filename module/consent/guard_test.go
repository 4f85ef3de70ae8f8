// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: a bed is a server with this module and the least that it needs: a registry whose answers the test gives, and a
// postman that brings stanzas to sessions.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type bed struct {
	*servertest.Server
	m        *Module
	failing  atomic.Bool
	stalls   atomic.Pointer[chan struct{}] // until it is closed nothing is answered; it may be nil
	reads    atomic.Int32
	changed  func(jid.JID)
	handlers []server.IQHandler
	keys     keys
	mu       sync.Mutex
	parted   []string // things and their contacts
}

func (b *bed) Thing(_ context.Context, thing jid.JID, _ store.ThingNode) (jid.JID, string, error) {
	b.reads.Add(1)
	if stalls := b.stalls.Load(); stalls != nil {
		<-*stalls
	}
	switch {
	case b.failing.Load():
		return jid.JID{}, "", errors.New("the store is down")
	case !strings.HasPrefix(thing.Local(), "thing"):
		return jid.JID{}, "", store.ErrNotFound
	}
	return jid.MustParse("owner@d"), "", nil
}

// Known takes those for things, too, whose names begin with a t.
func (*bed) Known(account jid.JID) bool                                                     { return strings.HasPrefix(account.Local(), "t") }
func (*bed) OnOwner(func(jid.JID, store.ThingNode, jid.JID, jid.JID) []store.Op)            {}
func (*bed) OnParting(func(context.Context, jid.JID, jid.JID) ([]jid.JID, error))           {}
func (b *bed) OnChange(f func(jid.JID))                                                     { b.changed = f }
func (b *bed) Handle(h server.IQHandler, _ ...string)                                       { b.handlers = append(b.handlers, h) }
func (*bed) Verb(chat.Verb)                                                                 {}
func (*bed) Lead(adhoc.Command)                                                             {}
func (*bed) Address(string) jid.JID                                                         { return jid.MustParse("things.d") }
func (*bed) Voice(string) jid.JID                                                           { return jid.MustParse("registry@things.d") }
func (*bed) Speaks(from jid.JID) bool                                                       { return from.String() == "things.d" }
func (*bed) Ready(*server.User) bool                                                        { return false }
func (*bed) Item(*server.User, jid.JID) (store.RosterItem, error)                           { return store.RosterItem{}, nil }
func (*bed) Learn(*server.Turn, *caps.Caps, jid.JID, jid.JID, func(*server.Turn, []string)) {}
func (*bed) Entered(*server.User, *stanza.Stanza) bool                                      { return false }
func (*bed) Admit(func(*server.Turn, *server.User, *stanza.Stanza) bool)                    {}

// contacts are rosters that nobody changes.
type contacts struct{ *bed }

func (contacts) OnChange(func(*server.User, store.RosterItem, store.RosterItem)) {}
func (contacts) Update(*server.User, jid.JID, func(*store.RosterItem) bool) (*store.Pending, error) {
	return store.Resolved(nil), nil
}
func (c contacts) Part(_ context.Context, thing, contact jid.JID, ops ...store.Op) (*store.Pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parted = append(c.parted, thing.String()+" "+contact.String())
	return c.Disk.Commit(ops...), nil
}

// postman brings what is for a session to it.
type postman struct{}

func (postman) Name() string { return "postman" }

func (postman) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		to := slices.Clone(t.Named(u, s.To.Resource()))
		if s.Kind != stanza.Message || len(to) == 0 {
			return nil
		}
		t.Deliver(u, to, s, false)
		return server.Handled
	})
	return nil
}

func usual() Config {
	return Config{
		Rules: 10, Names: 10, QuestionsPerThing: 10, QuestionsPerCaller: 10, RefusalsPerThing: 10, Pending: 100, CachedThings: 100, Tokens: 4,
		AskAgain: 1 << 50, Remember: 1 << 50, Wait: 1 << 30, ReadWithin: config.Duration(3 * time.Second),
	}
}

func newBed(t testing.TB, c Config, accounts ...string) *bed {
	t.Helper()
	b := new(bed)
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		b.handlers = nil
		b.m = New(c, b, b, contacts{b}, b)
		b.m.Learning(b)
		b.m.Naming(&b.keys)
		return []server.Module{b.m, postman{}, counter{b}}
	}})
	var ops []store.Op
	for _, a := range accounts {
		j := b.Account(a)
		if strings.HasPrefix(a, "thing") {
			ops = append(ops, store.RegisterThing{Thing: store.Thing{ThingName: store.ThingName{JID: j}, Owner: jid.MustParse("owner@d")}})
		}
	}
	if err := b.Disk.Commit(ops...).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

const help = "<message to='%s' type='chat' id='1'><body>help</body></message>"

// rule makes a rule as an owner would.
func (b *bed) rule(thing string, allow bool, who string, right store.Right, names ...string) {
	b.T.Helper()
	_, _, err := b.m.decree(b.T.Context(), store.Rule{
		Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse(thing)},
		Subject: store.Subject{Name: who}, Right: right, Allow: allow, Names: names,
	}, 0)
	if err != nil {
		b.T.Fatal(err)
	}
}

// While it cannot be read who may do what, nobody may; what only looks like a thing is none of that.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "tom@d", "romeo@d")
		thing, tom, romeo := b.Client("thing@d/x"), b.Client("tom@d/x"), b.Client("romeo@d/r")
		b.rule("thing@d", true, "romeo@d", store.RightRead)
		b.rule("thing@d", true, "romeo@d", store.RightControl)
		romeo.Send(fmt.Sprintf(help, "thing@d/x"))
		thing.Gets("help")
		b.failing.Store(true)
		b.changed(jid.MustParse("thing@d"))
		synctest.Wait() // what is decided anew, of others, reads, too
		for range 2 {
			romeo.Send(fmt.Sprintf(help, "thing@d/x"))
			romeo.Gets("internal-server-error")
			thing.Gets()
		}
		if !b.Counts("stonechat_consent_failed_total 2") {
			t.Errorf("failed: %s", b.Metric("stonechat_consent_failed_total"))
		}
		b.failing.Store(false)
		romeo.Send(fmt.Sprintf(help, "thing@d/x"), fmt.Sprintf(help, "tom@d/x"))
		thing.Gets("help")
		tom.Gets("help")
		romeo.Gets()
	})
}

// A store that does not answer is a no after a while, to everybody, in words of its own; nothing has to be done that it is one no more.
func TestStoreStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "romeo@d", "nurse@d")
		thing, romeo, nurse := b.Client("thing@d/x"), b.Client("romeo@d/r"), b.Client("nurse@d/r")
		b.rule("thing@d", true, "romeo@d", store.RightRead)
		b.rule("thing@d", true, "romeo@d", store.RightControl)
		romeo.Send(fmt.Sprintf(help, "thing@d/x"))
		thing.Gets("help")
		stalls := make(chan struct{})
		b.stalls.Store(&stalls)
		b.changed(jid.MustParse("thing@d"))
		for range 5 { // more than the store has readers
			began := time.Now()
			romeo.Send(fmt.Sprintf(help, "thing@d/x"))
			<-time.After(time.Until(began.Add(time.Duration(usual().ReadWithin))))
			romeo.Gets("type='wait' & internal-server-error & cannot be looked up")
			nurse.Send(fmt.Sprintf(help, "thing@d/x")) // at once: it was tried just now
			nurse.Gets("type='wait' & internal-server-error & cannot be looked up")
			if took := time.Since(began); took > time.Duration(usual().ReadWithin) {
				t.Errorf("refused after %v", took)
			}
			<-time.After(tryAgain)
		}
		thing.Gets()
		if got := b.Metric("stonechat_consent_failed_total"); got != "10" {
			t.Errorf("failed: %s", got)
		}
		close(stalls)
		romeo.Send(fmt.Sprintf(help, "thing@d/x"))
		nurse.Send(fmt.Sprintf(help, "thing@d/x"))
		thing.Gets("help")
		nurse.Gets("service-unavailable")
		romeo.Gets()
	})
}

// A rule that the disk refuses does not hold, and is not said to.
func TestRuleNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "romeo@d")
		thing, romeo := b.Client("thing@d/x"), b.Client("romeo@d/r")
		b.rule("thing@d", true, "romeo@d", store.RightRead)
		b.Disk.Failing.Store(true)
		r := store.Rule{
			Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")},
			Subject: store.Subject{Name: "romeo@d"}, Right: store.RightControl, Allow: true,
		}
		if _, _, err := b.m.decree(t.Context(), r, 0); !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("a rule that is not stored: %v", err)
		}
		if _, err := b.m.revoke(t.Context(), r.Owner, 1); !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("a revocation that is not stored: %v", err)
		}
		romeo.Send(fmt.Sprintf(help, "thing@d/x"))
		romeo.Gets("forbidden") // he may read still
		thing.Gets()
		b.Disk.Failing.Store(false)
	})
}

// However few things may be in memory, all are decided about as they are to be.
func TestFewCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.CachedThings = 1
		var names []string
		for i := range 5 {
			names = append(names, fmt.Sprintf("thing%d@d", i))
		}
		b := newBed(t, c, append(names, "romeo@d")...)
		romeo := b.Client("romeo@d/r")
		for i, name := range names {
			thing := b.Client(name + "/x")
			b.rule(name, true, "romeo@d", store.RightRead)
			b.rule(name, i%2 == 0, "romeo@d", store.RightControl)
			for range 3 {
				romeo.Send(fmt.Sprintf(help, name+"/x"))
				if got := len(thing.Got()) > 0; got != (i%2 == 0) {
					t.Errorf("%s has it: %v; he %s", name, got, romeo.Got())
				}
			}
		}
		if n := b.m.known.len(); n != 1 {
			t.Errorf("%d things are in memory", n)
		}
	})
}

// What has changed while the rules were read is not overlooked.
func TestChangeWhileRead(t *testing.T) {
	var k known
	k.init()
	thing := jid.MustParse("thing@d")
	turn := k.turn(thing)
	k.forget(thing)
	if k.put(turn, thing, &entry{owners: owners{{}: {}}}, 10) {
		t.Error("what was read before a change is taken for what is")
	}
	if !k.put(k.turn(thing), thing, &entry{owners: owners{{}: {}}}, 10) {
		t.Error("what was read since is not taken")
	}
	turn = k.turn(thing)
	k.own(jid.MustParse("owner@d"), thing)
	k.regrouped(jid.MustParse("owner@d"), thing)
	if k.put(turn, thing, &entry{owners: owners{{}: {}}}, 10) {
		t.Error("what was read before a change of a roster is taken for what is")
	}
}

// Between people this module is a look at a hash, and costs no memory.
func TestBystanders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "romeo@d")
		u, release := b.Hold(jid.MustParse("romeo@d"))
		defer release()
		turn := b.NewTurn()
		defer turn.End()
		s := stanza.Text(stanza.Chat, u.JID, "hello")
		s.From = jid.MustParse("nurse@d/r")
		if n := testing.AllocsPerRun(100, func() { _ = b.m.guard(turn, u, s) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
		if n := b.reads.Load(); n > 0 {
			t.Errorf("%d questions to the registry", n)
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	x := newBed(b, usual(), "romeo@d", "thing@d")
	x.rule("thing@d", true, "romeo@d", store.RightRead)
	x.rule("thing@d", true, "romeo@d", store.RightControl)
	for _, to := range []string{"romeo@d", "thing@d"} {
		b.Run(to, func(b *testing.B) {
			u, release := x.Hold(jid.MustParse(to))
			defer release()
			if _, err := x.m.load(b.Context(), u.JID, nil, jid.MustParse("romeo@d")); err != nil {
				b.Fatal(err)
			}
			turn := x.NewTurn()
			defer turn.End()
			s := stanza.Text(stanza.Chat, u.JID, "hello")
			s.From = jid.MustParse("romeo@d/r")
			if to == "romeo@d" {
				s.From = jid.MustParse("nurse@d/r")
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := x.m.guard(turn, u, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// When an owner may be asked again, when not, and what he was asked.
func TestAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.AskAgain = 1 << 46 // 19 hours
		b := newBed(t, c, "thing@d", "owner@d", "romeo@d")
		romeo := b.Client("romeo@d/r")
		b.Client("thing@d/x")
		want := func(names string) {
			romeo.Send("<iq to='thing@d/x' type='get' id='1'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1'>" + names + "</req></iq>")
		}
		asked := func() store.Question {
			t.Helper()
			synctest.Wait()
			q, err := b.Disk.QuestionAbout(t.Context(), store.ThingName{JID: jid.MustParse("thing@d")}, jid.MustParse("romeo@d"), store.RightRead)
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		want("<field name='t'/>")
		first := asked()
		want("<field name='h'/>")
		if q := asked(); len(q.Names) != 1 || q.Names[0] != "t" || !q.Asked.Equal(first.Asked) {
			t.Errorf("he was asked about t, and would answer about %v", q.Names)
		}
		<-time.After(24 * time.Hour)
		want("<field name='h'/>")
		if q := asked(); len(q.Names) != 2 || q.Number != first.Number {
			t.Errorf("asked again about %v as %d", q.Names, q.Number)
		}
		<-time.After(24 * time.Hour)
		want("")
		if q := asked(); len(q.Names) != 0 {
			t.Errorf("asked again about everything: %v", q.Names)
		}
	})
}

// What is old goes, and what is too much is counted.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Remember = config.Duration(time.Hour)
		b := newBed(t, c, "thing@d", "romeo@d")
		romeo := b.Client("romeo@d/r")
		b.Client("thing@d/x")
		left := func(want int) {
			t.Helper()
			synctest.Wait()
			refusals, err := b.Disk.Refusals(t.Context(), jid.MustParse("thing@d"), 0, 0)
			questions, _, err2 := b.Disk.QuestionCount(t.Context(), jid.MustParse("thing@d"), jid.MustParse("romeo@d"))
			if err := errors.Join(err, err2); err != nil || len(refusals) != want || questions != want {
				t.Errorf("%d refusals, %d questions, %v, want %d", len(refusals), questions, err, want)
			}
		}
		for range 3 {
			romeo.Send(fmt.Sprintf(help, "thing@d/x"))
		}
		left(1)
		<-time.After(50 * time.Minute)
		left(1)
		<-time.After(20 * time.Minute)
		left(0)
	})
}

func TestPending(t *testing.T) {
	var r refusals
	var a asking
	r.init()
	a.init()
	thing := store.ThingName{JID: jid.MustParse("thing@d")}
	for i, want := range []bool{true, false} {
		caller := jid.MustParse(fmt.Sprintf("c%d@d", i))
		for range 2 { // again is no more
			if got := r.add(store.Refusal{Thing: thing, Caller: caller, Way: wayChat, Count: 1}, 1); got != want {
				t.Errorf("refusal of %s is taken: %v", caller, got)
			}
			if got := a.add(store.Question{Thing: thing, Caller: caller, Right: store.RightRead}, time.Hour, 1); got != want {
				t.Errorf("question about %s is taken: %v", caller, got)
			}
		}
	}
	if list := r.take(); len(list) != 1 || list[refusal{thing, jid.MustParse("c0@d"), 0, wayChat}].Count != 2 {
		t.Errorf("refusals: %v", list)
	}
}

// What has waited for a thing waits on where nobody can say whether it may be sent.
func TestDrainsUndecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "romeo@d")
		b.Client("thing@d/x")
		b.failing.Store(true)
		b.changed(jid.MustParse("thing@d")) // what was read is forgotten
		synctest.Wait()
		u, release, ok := b.Lookup(jid.MustParse("thing@d"))
		if !ok {
			t.Fatal("the thing is not there")
		}
		defer release()
		s, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='romeo@d/r' to='thing@d' type='chat'><body>read</body></message>"))
		if err != nil {
			t.Fatal(err)
		}
		se := u.Sessions(nil)[0]
		if had, err := b.m.drains(se, s); had || err == nil {
			t.Errorf("while nothing can be read: %v, %v", had, err)
		}
		b.failing.Store(false)
		if had, err := b.m.drains(se, s); !had || err != nil {
			t.Errorf("what he may not say: %v, %v", had, err)
		}
		b.rule("thing@d", true, "romeo@d", store.RightUse)
		if had, err := b.m.drains(se, s); had || err != nil {
			t.Errorf("what he may say: %v, %v", had, err)
		}
	})
}
