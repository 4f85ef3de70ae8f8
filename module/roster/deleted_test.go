// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/roster"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// late is a store whose rosters, once read, are long in coming.
type late struct {
	store.Store
	gate atomic.Pointer[chan struct{}]
}

func (l *late) Roster(ctx context.Context, user jid.JID) (store.Roster, error) {
	gate := l.gate.Swap(nil)
	kept, err := l.Store.Roster(ctx, user)
	if gate != nil {
		<-*gate
	}
	return kept, err
}

// deletion is a server with rosters and no presence, so that nothing happens but what module roster does, and an owner of whose
// contacts one will be deleted.
func deletion(t *testing.T, it store.RosterItem) (s *servertest.Server, ros *roster.Module, owner, renter jid.JID) {
	s = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		ros = roster.New(roster.Config{Items: 10, Related: 10, Requests: 10, Groups: 10, NameBytes: 100})
		return []server.Module{ros}
	}})
	renter = s.Account("renter@d")
	it.Contact = renter
	return s, ros, s.Account("owner@d", it), renter
}

// Who is deleted is nobody in rosters that are in use, whatever they are in use for, or are being read.
func TestDeletedIsNobody(t *testing.T) {
	for name, use := range map[string]func(read func(), hold func()){
		"being read": func(_ func(), hold func()) { hold() },
		"read":       func(read func(), _ func()) { read() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ros, owner, renter := deletion(t, store.RosterItem{Groups: []string{"family"}, Approved: true})
				synctest.Wait()
				l := &late{Store: s.Disk.Store}
				s.Disk.Store = l
				u := hold(s, owner)
				resume := func() {}
				read := func() {
					if _, err := ros.Item(u, renter); err != nil {
						t.Error(err)
					}
				}
				use(read, func() {
					gate := make(chan struct{})
					l.gate.Store(&gate)
					go read()
					resume = func() { close(gate) }
				})
				synctest.Wait()
				if err := s.DeleteAccount(t.Context(), renter, nil); err != nil {
					t.Fatal(err)
				}
				resume()
				synctest.Wait()
				if it, err := ros.Item(u, renter); err != nil || len(it.Groups) > 0 || it.Approved {
					t.Errorf("in memory: %+v %v", it, err)
				}
				if it, err := s.Disk.RosterItem(t.Context(), owner, renter); err != nil || len(it.Groups) > 0 || it.Approved {
					t.Errorf("in the store: %+v %v", it, err)
				}
			})
		})
	}
}

// What ended in the store when an account was deleted is not written again, however short the server lives after that.
func TestDeletedStaysEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, owner, renter := deletion(t, store.RosterItem{Groups: []string{"family"}, Subscription: store.SubscriptionBoth, Related: true})
		o := s.Client("owner@d/o")
		o.Send(askRoster)
		o.Got()
		if err := s.DeleteAccount(t.Context(), renter, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		o.Gets("type='set' & jid='renter@d'")
		it, err := s.Disk.RosterItem(t.Context(), owner, renter)
		if err != nil || it.Subscription != store.SubscriptionNone || len(it.Groups) > 0 || it.Related {
			t.Errorf("in the store: %+v %v", it, err)
		}
	})
}
