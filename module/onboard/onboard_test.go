// SPDX-License-Identifier: Apache-2.0

package onboard_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/onboard"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

type bed struct {
	*servertest.Server
	m *onboard.Module

	mu      sync.Mutex
	adopted []store.Thing
}

// Adopt implements onboard.Things.
func (b *bed) Adopt(_ context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error) {
	b.mu.Lock()
	b.adopted = append(b.adopted, x)
	b.mu.Unlock()
	return b.Disk.Commit(append(ops, store.RegisterThing{Thing: x})...), nil
}

func newBed(t *testing.T, c onboard.Config, things bool) *bed {
	t.Helper()
	b := new(bed)
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		var x onboard.Things
		if things {
			x = b
		}
		b.m = onboard.New(c, x)
		return []server.Module{b.m}
	}})
	return b
}

// enrols has an account made, and compares what comes of it.
func (b *bed) enrols(account string, want bool) {
	b.T.Helper()
	made, err := b.m.Enrol(b.T.Context(), jid.MustParse(account))
	_, is := b.Disk.Account(b.T.Context(), jid.MustParse(account))
	if made != want || err != nil || (is == nil) != want {
		b.T.Errorf("%s: made %v (%v), there: %v, want %v", account, made, err, is == nil, want)
	}
}

func (b *bed) counts(result, want string) {
	b.T.Helper()
	if got := b.Metric(`stonechat_onboard_certificates_total{result="` + result + `"}`); got != want {
		b.T.Errorf("%s: %q, want %q", result, got, want)
	}
}

// TestEnrol: an account is made of a certificate, as a thing in the groups of the configuration, once; where that is not asked for, none.
func TestEnrol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, onboard.Config{Certificates: "create", Groups: []string{"fleet"}, PerHour: 100}, true)
		b.enrols("press-1@d", true)
		b.enrols("press-1@d", true) // another connection of the same
		if x, err := b.Disk.Thing(t.Context(), store.ThingName{JID: jid.MustParse("press-1@d")}); err != nil || !x.Owner.IsZero() || len(x.Groups) != 1 || x.Groups[0] != "fleet" {
			t.Errorf("%+v %v", x, err)
		}
		b.counts("made", "1")
		b.m.Reload(onboard.New(onboard.Config{Certificates: "refuse", PerHour: 100}, b))
		b.enrols("press-2@d", false)
		b.m.Reload(onboard.New(onboard.Config{PerHour: 100}, b))
		b.enrols("press-2@d", false)
		if len(b.adopted) != 2 {
			t.Errorf("%d adopted", len(b.adopted))
		}
	})
}

// TestEnrolPerson: where there is no registry it is an account and no thing.
func TestEnrolPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, onboard.Config{Certificates: "create", PerHour: 100}, false)
		b.enrols("press-1@d", true)
		if n, err := b.Disk.CountThings(t.Context(), store.ThingFilter{}); err != nil || n != 0 {
			t.Errorf("%d things, %v", n, err)
		}
	})
}

// TestPerHour: so many are made in an hour of the clock, also by many at one time, and no more.
func TestPerHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, onboard.Config{Certificates: "create", PerHour: 5}, true)
		<-time.After(30 * time.Minute)
		var all sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 20 {
			all.Go(func() {
				ok, err := b.m.Enrol(t.Context(), jid.MustParse(fmt.Sprintf("press-%d@d", i)))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					made++
				}
			})
		}
		all.Wait()
		if made != 5 {
			t.Errorf("%d were made", made)
		}
		b.counts("made", "5")
		b.counts("limited", "15")
		<-time.After(29 * time.Minute)
		b.enrols("late@d", false)
		<-time.After(2 * time.Minute) // the next hour
		b.enrols("late@d", true)
		b.m.Reload(onboard.New(onboard.Config{Certificates: "create", PerHour: 1}, b))
		b.enrols("more@d", false)
		b.m.Reload(onboard.New(onboard.Config{Certificates: "create", PerHour: 2}, b))
		b.enrols("more@d", true)
		b.m.Reload(onboard.New(onboard.Config{Certificates: "create", PerHour: 0}, b))
		b.enrols("none@d", false)
	})
}

// TestNotMade: what the disk refuses is not there, and is said to have failed; it can be made later.
func TestNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, onboard.Config{Certificates: "create", PerHour: 100}, true)
		b.Disk.Failing.Store(true)
		if made, err := b.m.Enrol(t.Context(), jid.MustParse("press-1@d")); made || !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("made %v, %v", made, err)
		}
		b.counts("failed", "1")
		b.Disk.Failing.Store(false)
		b.enrols("press-1@d", true)
	})
}
