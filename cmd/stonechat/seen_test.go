// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/module/seen"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// seenBed is a bed that notes which states are told.
type seenBed struct {
	*bed
	mu   sync.Mutex
	told []string
}

func newSeenBed(t *testing.T, more string) *seenBed {
	t.Helper()
	b := new(seenBed)
	b.bed = newBedOf(t, more, func(mods []server.Module) []server.Module {
		for _, m := range mods {
			if m, ok := m.(*seen.Module); ok {
				m.OnState(func(account jid.JID, was, is store.Seen) {
					b.mu.Lock()
					defer b.mu.Unlock()
					b.told = append(b.told, fmt.Sprintf("%s %s>%s %s", account.Local(), was.State, is.State, is.Reason))
				})
			}
		}
		return mods
	})
	return b
}

// hears wants just these states to have been told since it was asked last.
func (b *seenBed) hears(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.told, want) {
		b.t.Errorf("told %q, want %q", b.told, want)
	}
	b.told = nil
}

func (b *seenBed) kept(account string) store.Seen {
	b.t.Helper()
	s, err := b.Disk.Seen(b.t.Context(), jid.MustParse(account))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// TestSeen: online, offline and asleep, each told once, when it has lasted.
func TestSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSeenBed(t, "")
		b.Account("meter@d")
		if _, err := b.Disk.Seen(t.Context(), jid.MustParse("meter@d")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before it came: %v", err)
		}
		p := b.online("meter@d/r")
		came := time.Now()
		time.Sleep(3 * time.Second)
		b.hears()
		time.Sleep(4 * time.Second)
		b.hears("meter >online ")
		if s := b.kept("meter@d"); s.State != store.Online || s.Since.Sub(came).Abs() > time.Second {
			t.Errorf("kept %+v", s)
		}
		// A short absence is nobody's business.
		p.End()
		time.Sleep(2 * time.Second)
		p = b.online("meter@d/r")
		time.Sleep(10 * time.Second)
		b.hears()
		// Two sessions: one may go.
		second := b.online("meter@d/s")
		p.End()
		time.Sleep(10 * time.Second)
		b.hears()
		second.End()
		went := time.Now()
		time.Sleep(10 * time.Second)
		b.hears("meter online>offline closed")
		if s := b.kept("meter@d"); s.State != store.Offline || s.Since.Sub(went).Abs() > time.Second || s.Last != s.Since {
			t.Errorf("kept %+v", s)
		}
		// It sleeps until it says, and a minute more; then it is away.
		time.Sleep(2 * time.Minute)
		p = b.online("meter@d/r")
		until := time.Now().Add(10 * time.Minute)
		p.Send("<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='" + until.UTC().Format(time.RFC3339) + "'/></presence>")
		time.Sleep(2 * time.Minute) // a session without presence is there still
		b.hears("meter offline>online ")
		p.End()
		time.Sleep(7 * time.Second)
		b.hears("meter online>sleeping sleep")
		time.Sleep(time.Until(until) + 50*time.Second)
		b.hears()
		time.Sleep(30 * time.Second)
		b.hears("meter sleeping>offline overslept")
		// One that says that it goes and stays is not asleep when it is lost later.
		p = b.online("meter@d/r")
		p.Send("<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='2099-01-01T00:00:00Z'/></presence><presence/>")
		p.End()
		time.Sleep(10 * time.Second)
		b.hears()
		if s := b.kept("meter@d"); s.State != store.Offline {
			t.Errorf("kept %+v", s)
		}
	})
}

// TestSeenFlaps: whoever comes and goes all the time is unsteady, which is told once, until he has been quiet for a minute.
func TestSeenFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSeenBed(t, "modules: {seen: {flaps_per_minute: 4}}\n")
		b.Account("meter@d")
		for range 20 {
			p := b.online("meter@d/r")
			time.Sleep(6 * time.Second)
			p.End()
			time.Sleep(6 * time.Second)
		}
		b.mu.Lock()
		if n := len(b.told); n > 6 || !slices.ContainsFunc(b.told, func(s string) bool { return strings.Contains(s, ">unsteady") }) {
			t.Errorf("told %q", b.told)
		}
		b.told = nil
		b.mu.Unlock()
		if got := b.Metric("stonechat_seen_unsteady_total"); got != "1" {
			t.Errorf("the metric says %q", got)
		}
		time.Sleep(2 * time.Minute)
		b.hears("meter unsteady>offline closed")
		time.Sleep(time.Minute)
		if got := b.Metric("stonechat_seen_settling"); got != "0" {
			t.Errorf("%s accounts are still settling", got)
		}
	})
}

// TestSeenRestart: who was online when the server ended is offline since then.
func TestSeenRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSeenBed(t, "")
		b.Account("meter@d")
		b.online("meter@d/r")
		time.Sleep(2 * time.Minute)
		if s := b.kept("meter@d"); s.State != store.Online {
			t.Fatalf("kept %+v", s)
		}
		ended := time.Now()
		b.Restart()
		if s := b.kept("meter@d"); s.State != store.Offline || s.Reason != "server" || s.Since.Sub(ended).Abs() > time.Minute {
			t.Errorf("kept %+v, it ended at %s", s, ended)
		}
	})
}

// TestLastActivity is XEP-0012: told to whoever may see the presence.
func TestLastActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSeenBed(t, "")
		meter := b.Account("meter@d", store.RosterItem{Contact: jid.MustParse("owner@d"), Subscription: store.SubscriptionBoth})
		b.Account("owner@d", store.RosterItem{Contact: meter, Subscription: store.SubscriptionBoth})
		b.Account("tybalt@d")
		owner, tybalt := b.online("owner@d/r"), b.online("tybalt@d/r")
		const ask = "<query xmlns='jabber:iq:last'/>"
		if got := owner.answered("meter@d", "get", ask); !matches(got, "type='error' <item-not-found") {
			t.Errorf("never there: %s", got)
		}
		p := b.online("meter@d/r")
		owner.Got()
		if got := owner.answered("meter@d", "get", ask); !matches(got, "type='result' seconds='0'") {
			t.Errorf("online: %s", got)
		}
		p.Send("<presence type='unavailable'><status>Heading Home &amp; away</status></presence>")
		p.End()
		time.Sleep(3 * time.Second)
		owner.Got()
		if got := owner.answered("meter@d", "get", ask); !matches(got, "type='result' seconds='3' >Heading Home &amp; away<") {
			t.Errorf("not settled: %s", got)
		}
		time.Sleep(900 * time.Second)
		if got := owner.answered("meter@d", "get", ask); !matches(got, "type='result' seconds='903' >Heading Home &amp; away<") {
			t.Errorf("away: %s", got)
		}
		for _, nobody := range []string{"meter@d", "nobody@d"} {
			if got := tybalt.answered(nobody, "get", ask); !matches(got, "type='error' <service-unavailable") {
				t.Errorf("who may not see %s: %s", nobody, got)
			}
		}
		if got := tybalt.answered("d", "get", ask); !matches(got, "type='result' seconds='903'") {
			t.Errorf("the server: %s", got)
		}
	})
}
