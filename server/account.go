// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// CreateAccount makes an account. It takes some milliseconds of computing, and waits for the
// commit. The error is or wraps store.ErrExists, or a *stanza.Error for a password that cannot be.
func (s *Server) CreateAccount(ctx context.Context, account jid.JID, password string) error {
	keys, err := sasl.DeriveKeys(password, sasl.DefaultIterations, rand.Reader)
	if err != nil {
		return fmt.Errorf("server: password of %s: %w", account, err)
	}
	return s.changeAccount(ctx, account, store.CreateAccount{Account: store.Account{
		JID: account, Keys: keys, Created: time.Now(),
	}}, nil)
}

// SetPassword changes it. Sessions go on.
func (s *Server) SetPassword(ctx context.Context, account jid.JID, password string) error {
	keys, err := sasl.DeriveKeys(password, sasl.DefaultIterations, rand.Reader)
	if err != nil {
		return fmt.Errorf("server: password of %s: %w", account, err)
	}
	return s.changeAccount(ctx, account, store.SetKeys{User: account, Keys: keys}, nil)
}

// DeleteAccount removes the account and all that belongs to it, ends its sessions, and tells the
// modules. first, unless nil, runs when it is removed and its sessions still live.
func (s *Server) DeleteAccount(ctx context.Context, account jid.JID, first func(*Turn)) error {
	return s.changeAccount(ctx, account, store.DeleteAccount{User: account}, func(u *User) {
		u.deleted.Store(true)
		t := s.NewTurn()
		defer t.End()
		if first != nil {
			first(t)
		}
		for _, se := range u.Sessions(nil) {
			se.End(t, &stream.Error{Condition: stream.NotAuthorized, Text: "the account was deleted"})
		}
		for _, f := range s.table.deleted {
			f(t, u)
		}
		s.users.drop(u)
	})
}

// changeAccount commits op, runs then, and forgets what was known of the account.
func (s *Server) changeAccount(ctx context.Context, account jid.JID, op store.Op, then func(*User)) error {
	u := s.users.acquire(account)
	defer s.users.release(u)
	if u.Guest() {
		why := store.ErrNotFound
		if _, creates := op.(store.CreateAccount); creates {
			why = store.ErrExists // or two would share one name
		}
		return fmt.Errorf("server: account %s: %w", account, why)
	}
	if then != nil {
		if err := u.load(ctx); err != nil { // read before it is gone: modules still need it
			return err
		}
	}
	if err := s.store.Commit(op).Wait(ctx); err != nil {
		return fmt.Errorf("server: account %s: %w", account, err)
	}
	if then != nil {
		then(u)
	}
	u.ready.Lock()
	u.known = false
	u.ready.Unlock()
	return nil
}
