// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// NewAccount is an account to be made.
type NewAccount struct {
	JID      jid.JID
	Password string
	Random   bool // the password was made at random, of 128 bits or more: its keys are made more quickly
	// Commit commits the operation that makes the account, with what belongs to that. It may wait. nil: the
	// operation alone.
	Commit func(ctx context.Context, create store.Op) (*store.Pending, error)
}

// CreateAccount is Create with a password that somebody has chosen.
func (s *Server) CreateAccount(ctx context.Context, account jid.JID, password string) error {
	return s.Create(ctx, NewAccount{JID: account, Password: password})
}

// Create makes an account. It takes some milliseconds of computing, and waits for the commit. The
// error is or wraps store.ErrExists, ErrPassword for a password that cannot be, or what Commit has
// failed with.
func (s *Server) Create(ctx context.Context, n NewAccount) error {
	iterations := sasl.DefaultIterations
	if n.Random {
		iterations = sasl.MinIterations
	}
	keys, err := s.derive(n.JID, n.Password, iterations)
	if err != nil {
		return err
	}
	a := store.Account{JID: n.JID, Keys: keys, Created: time.Now()}
	return s.changeAccount(ctx, n.JID, store.CreateAccount{Account: a}, n.Commit, nil)
}

// ErrPassword is that a password is empty, or has something in it that RFC 8265 does not allow.
var ErrPassword = errors.New("server: the password cannot be one")

// derive makes the keys of a password when a processor is free for it: thousands at a time must not
// be begun together.
func (s *Server) derive(account jid.JID, password string, iterations int) ([]sasl.Key, error) {
	s.deriving <- struct{}{}
	defer func() { <-s.deriving }()
	keys, err := sasl.DeriveKeys(password, iterations, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: of %s: %w", ErrPassword, account, err)
	}
	return keys, nil
}

// SetPassword changes it. Sessions go on.
func (s *Server) SetPassword(ctx context.Context, account jid.JID, password string) error {
	keys, err := s.derive(account, password, sasl.DefaultIterations)
	if err != nil {
		return err
	}
	return s.changeAccount(ctx, account, store.SetKeys{User: account, Keys: keys}, nil, nil)
}

// DeleteAccount removes the account and all that belongs to it, ends its sessions, and tells the
// modules. first, unless nil, runs when it is removed and its sessions still live.
func (s *Server) DeleteAccount(ctx context.Context, account jid.JID, first func(*Turn)) error {
	return s.changeAccount(ctx, account, store.DeleteAccount{User: account}, nil, func(u *User) {
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

// changeAccount changes an account by an operation, and forgets what was known of it. then, unless nil, runs when that is committed.
func (s *Server) changeAccount(ctx context.Context, account jid.JID, op store.Op,
	commit func(context.Context, store.Op) (*store.Pending, error), then func(*User),
) error {
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
	if commit == nil {
		commit = func(context.Context, store.Op) (*store.Pending, error) { return s.store.Commit(op), nil }
	}
	p, err := commit(ctx, op)
	if err == nil {
		err = p.Wait(ctx)
	}
	if err != nil {
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
