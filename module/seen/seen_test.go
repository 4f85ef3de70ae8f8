// SPDX-License-Identifier: Apache-2.0

package seen_test

// How to read this file: a bed is a server with this module alone, and a service of things where its verb and its command are; time is
// the bubble's.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/seen"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type bed struct {
	*servertest.Server
	m *seen.Module

	mu   sync.Mutex
	told []string
}

func usual() seen.Config {
	return seen.Config{Settle: 5 * time.Second, FlapsPerMinute: 6, LongestSleep: time.Hour, WakeLate: time.Minute}
}

func newBed(t *testing.T, c seen.Config) *bed {
	t.Helper()
	b := new(bed)
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		b.m = seen.New(c, func(u *server.User, viewer jid.JID) bool { return u.JID == viewer || viewer.Local() == "friend" })
		b.m.OnState(func(account jid.JID, was, is store.Seen) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, fmt.Sprintf("%s %s>%s", account.Local(), was.State, is.State))
		})
		return []server.Module{&things{m: b.m}, b.m}
	}})
	return b
}

// hears compares which states were told since it was asked last, after some time.
func (b *bed) hears(after time.Duration, want ...string) {
	b.T.Helper()
	<-time.After(after)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.told, want) {
		b.T.Errorf("told %q, want %q", b.told, want)
	}
	b.told = nil
}

func (b *bed) kept(account string) store.Seen {
	b.T.Helper()
	s, err := b.Disk.Seen(b.T.Context(), jid.MustParse(account))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		b.T.Fatal(err)
	}
	return s
}

// things is a service that leads people through the command.
type things struct {
	m    *seen.Module
	desk *server.Desk
}

func (*things) Name() string  { return "things" }
func (*things) Present() bool { return true }

func (x *things) Take(t *server.Turn, s *stanza.Stanza) error {
	x.desk.Answer(t, s)
	return nil
}

func (x *things) Init(h *server.Host) error {
	leader := adhoc.NewLeader(adhoc.Bounds{Sessions: 10, OfOne: 10, Expire: time.Hour}, func(int) {})
	x.desk = h.NewDesk()
	x.desk.IQ(server.IQHandler{Type: stanza.Set, Name: (*command.Command)(nil).XMLName(), Blocking: true,
		Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) {
			return leader.Do(t, q, []adhoc.Command{x.m.Command()})
		}})
	_, err := h.Server.Attach("things.d", x)
	return err
}

// TestSettle: what lasts as long as it must is told, once, and what does not is not.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		b.Account("lamp@d")
		p := b.Client("lamp@d/a")
		b.hears(4 * time.Second)
		b.hears(3*time.Second, "lamp >online")
		p.End()
		b.hears(3 * time.Second)
		p = b.Client("lamp@d/a") // a short absence
		b.hears(20 * time.Second)
		second := b.Client("lamp@d/b")
		p.End() // it is there still
		b.hears(20 * time.Second)
		second.End()
		went := time.Now()
		b.hears(7*time.Second, "lamp online>offline")
		if s := b.kept("lamp@d"); s.Reason != "closed" || s.Since.Sub(went).Abs() > time.Second || !s.Last.Equal(s.Since) {
			t.Errorf("%+v", s)
		}
		p = b.Client("lamp@d/a") // there for a moment: it is offline since the first time
		<-time.After(time.Second)
		p.End()
		b.hears(10 * time.Second)
		if s := b.kept("lamp@d"); s.Since.Sub(went).Abs() > time.Second || s.Last.Sub(went) < 5*time.Second {
			t.Errorf("%+v", s)
		}
		if n := b.Metric("stonechat_seen_settling"); n != "1" {
			t.Errorf("%s settle", n)
		}
		b.hears(2 * time.Minute)
		if n := b.Metric("stonechat_seen_settling"); n != "0" { // nothing is held of who stays as he is
			t.Errorf("%s settle", n)
		}
	})
}

// TestUnsteady: just as many flaps as may be are none too many; one more, and it is one state, until a minute has been quiet.
func TestUnsteady(t *testing.T) {
	for _, test := range []struct {
		name        string
		most, flaps int
		apart       time.Duration
		want        []string
	}{
		{"as many as may be", 6, 6, time.Second, nil},
		{"one more", 6, 7, time.Second, []string{"lamp online>unsteady"}},
		{"many more", 6, 40, time.Second, []string{"lamp online>unsteady"}},
		{"slowly", 6, 12, 11 * time.Second, nil}, // and then each lasts
		{"no bound", 0, 40, time.Second, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := usual()
				c.FlapsPerMinute = test.most
				if test.apart > 10*time.Second {
					c.Settle = 15 * time.Second
				}
				b := newBed(t, c)
				b.Account("lamp@d")
				p := b.Client("lamp@d/a")
				b.hears(3*time.Minute, "lamp >online")
				there := true
				for range test.flaps {
					if there {
						p.End()
					} else {
						p = b.Client("lamp@d/a")
					}
					there = !there
					<-time.After(test.apart)
				}
				if !there {
					p = b.Client("lamp@d/a")
				}
				b.hears(2*time.Second, test.want...)
				if (b.Metric("stonechat_seen_unsteady_total") == "1") != (test.want != nil) {
					t.Errorf("%s were unsteady", b.Metric("stonechat_seen_unsteady_total"))
				}
				if test.want == nil {
					b.hears(2 * time.Minute)
					return
				}
				b.hears(50 * time.Second)
				b.hears(20*time.Second, "lamp unsteady>online")
				p.End()
				b.hears(10*time.Second, "lamp online>offline")
			})
		})
	}
}

// TestSleep: it sleeps as long as it says, and no longer than it may; who does not wake is offline, who comes is there.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.FlapsPerMinute = 100
		b := newBed(t, c)
		b.Account("lamp@d")
		sleeps := func(until string, more string) {
			t.Helper()
			p := b.Client("lamp@d/a")
			<-time.After(10 * time.Second)
			p.Send("<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='" + until + "'/>" + more + "</presence>")
			p.End()
		}
		in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		sleeps(in(10*time.Minute), "<status>tired</status>")
		b.hears(10*time.Second, "lamp >online", "lamp online>sleeping")
		if s := b.kept("lamp@d"); s.Status != "tired" || s.Reason != "sleep" || time.Until(s.Until) > 10*time.Minute {
			t.Errorf("%+v", s)
		}
		b.hears(9 * time.Minute)
		b.hears(3*time.Minute, "lamp sleeping>offline")
		if s := b.kept("lamp@d"); s.Reason != "overslept" {
			t.Errorf("%+v", s)
		}
		// Longer than it may: it counts as that long.
		sleeps(in(1000*time.Hour), "")
		b.hears(10*time.Second, "lamp offline>online", "lamp online>sleeping")
		if s := b.kept("lamp@d"); time.Until(s.Until) > time.Hour {
			t.Errorf("it sleeps until %s", s.Until)
		}
		// What says nothing that can be read is awake, and so is what would sleep until before now.
		for _, until := range []string{"", "tomorrow", in(-time.Hour), "9999-99-99T00:00:00Z"} {
			sleeps(until, "")
			<-time.After(10 * time.Second)
			if s := b.kept("lamp@d"); s.State != store.Offline {
				t.Errorf("until %q: %+v", until, s)
			}
		}
		b.hears(time.Second, "lamp sleeping>online", "lamp online>offline", "lamp offline>online", "lamp online>offline",
			"lamp offline>online", "lamp online>offline", "lamp offline>online", "lamp online>offline")
		// It says that it sleeps, and stays.
		p := b.Client("lamp@d/a")
		p.Send("<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='"+in(time.Minute)+"'/></presence>", "<presence/>")
		b.hears(10*time.Second, "lamp offline>online")
		p.End()
		b.hears(10*time.Second, "lamp online>offline")
	})
}

// TestStatus: what it says when it goes is kept as far as there is room for it, in whole letters.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.FlapsPerMinute = 100
		b := newBed(t, c)
		b.Account("lamp@d")
		for _, status := range []string{"bye", "", strings.Repeat("ж", store.MaxSeenText), strings.Repeat("x", store.MaxSeenText), "x" + strings.Repeat("€", store.MaxSeenText)} {
			p := b.Client("lamp@d/a")
			<-time.After(10 * time.Second)
			p.Send("<presence type='unavailable'><status>" + status + "</status></presence>")
			p.End()
			<-time.After(10 * time.Second)
			s := b.kept("lamp@d")
			if s.State != store.Offline || len(s.Status) > store.MaxSeenText || !utf8.ValidString(s.Status) || !strings.HasPrefix(status, s.Status) ||
				len(status) <= store.MaxSeenText && s.Status != status || len(status) > store.MaxSeenText && len(s.Status) < store.MaxSeenText-3 {
				t.Errorf("%d bytes are kept as %d: %+v", len(status), len(s.Status), s.State)
			}
		}
	})
}

// TestNotKept: what the disk refuses is kept later, and told then; a deleted account is not.
func TestNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		b.Account("lamp@d")
		b.Account("door@d")
		b.Disk.Failing.Store(true)
		b.Client("lamp@d/a")
		b.hears(10 * time.Second)
		if b.Metric("stonechat_seen_failed_total") == "0" {
			t.Error("nothing has failed")
		}
		b.Disk.Failing.Store(false)
		b.hears(10*time.Second, "lamp >online")
		door := b.Client("door@d/a")
		if err := b.Disk.Commit(store.DeleteAccount{User: jid.MustParse("door@d")}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		if s := b.kept("door@d"); s.State != "" {
			t.Errorf("%+v", s)
		}
		door.End()
	})
}

// TestLost: who was there when the server ended is not, when it starts again, and since when is known.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		b.Account("lamp@d")
		b.Client("lamp@d/a")
		b.hears(10*time.Second, "lamp >online")
		end := time.Now()
		b.Restart()
		if s := b.kept("lamp@d"); s.State != store.Offline || s.Reason != "server" || s.Since.Sub(end).Abs() > 2*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// TestLast: who may see it is told, and to others nobody lives there. XEP-0012
func TestLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		for _, a := range []string{"lamp@d", "friend@d", "stranger@d", "never@d"} {
			b.Account(a)
		}
		p := b.Client("lamp@d/a")
		friend, stranger := b.Client("friend@d/f"), b.Client("stranger@d/s")
		ask := func(who *servertest.Peer, of, want string) {
			t.Helper()
			who.Send("<iq type='get' id='l' to='" + of + "'><query xmlns='jabber:iq:last'/></iq>")
			who.Gets(want)
		}
		ask(friend, "lamp@d", "seconds='0'")
		ask(stranger, "lamp@d", "service-unavailable")
		p.End()
		<-time.After(42 * time.Second)
		ask(friend, "lamp@d", "seconds='42'")
		ask(stranger, "lamp@d", "service-unavailable")
		ask(friend, "never@d", "item-not-found")
		ask(stranger, "never@d", "service-unavailable")
		ask(stranger, "d", "seconds='42'")
	})
}
