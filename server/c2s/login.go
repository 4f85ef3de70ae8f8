// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What waits for the store runs on a goroutine of its own while the connection pauses: each
// connection has at most one, and admission bounds the connections.

// lookup finds the keys of the account that logs in. The caller holds in.
func (c *conn) lookup(account jid.JID) {
	c.Pause()
	go func() {
		keys, err := c.keys(account)
		c.in.Lock()
		c.machine.Resolve(keys, err)
		c.in.Unlock()
		c.Resume()
	}()
}

// keys are nil for an account that does not exist: the exchange goes on and fails as one with a
// wrong password does.
func (c *conn) keys(account jid.JID) ([]sasl.Key, error) {
	s := c.service
	if !s.failures.attempt(prefix(c.Remote().Addr()), account, time.Now()) {
		s.metrics.logins.WithLabelValues("limited").Inc()
		return nil, &sasl.Failure{Condition: "temporary-auth-failure", Text: "too many failed logins, try again in a minute"}
	}
	a, err := s.Store.Account(context.Background(), account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		s.Log.Error("account not read", "jid", account.String(), "err", err)
		return nil, err
	case a.Disabled:
		return a.Keys, sasl.ErrDisabled // told to whoever knows the password only
	}
	return a.Keys, nil
}

// loggedIn runs when the exchange has succeeded. The caller holds in.
func (c *conn) loggedIn(account jid.JID) {
	c.account = account
	c.service.failures.succeeded(prefix(c.Remote().Addr()), account)
	c.service.metrics.logins.WithLabelValues("success").Inc()
	c.leave()
}

// leave gives up the connection's place among the unauthenticated.
func (c *conn) leave() { c.service.admission.leave(c.place) }

// bind makes the session. The caller holds in; wanted is bare, or has the resource asked for.
func (c *conn) bind(wanted jid.JID) {
	c.Pause()
	lang := c.machine.Lang()
	go func() {
		defer c.Resume()
		srv := c.service.Server
		t := srv.NewTurn()
		defer t.End()
		se, err := srv.Bind(context.Background(), t, c, wanted.Bare(), wanted.Resource(), lang)
		c.in.Lock()
		defer c.in.Unlock()
		if err != nil {
			e, _ := stanza.AsError(err)
			c.machine.RefuseBind(e.AppendXML(nil))
		} else if !c.own(se) {
			se.Lost(t, c)
			return
		} else {
			c.machine.Bind(se.JID)
		}
		// The answer goes ahead of whatever the session is sent from now on.
		if out := c.machine.Out(); len(out) > 0 {
			c.Conn.Queue(out)
			c.Flush()
		}
	}()
}

// own makes se the connection's session, and reports whether the connection is still there.
func (c *conn) own(se *server.Session) bool {
	c.out.Lock()
	defer c.out.Unlock()
	if c.gone {
		return false
	}
	c.session.Store(se)
	return true
}

// failures counts logins that have not succeeded, per address and per account, in minutes.
type failures struct {
	perMinute int

	mu     sync.Mutex
	minute int64
	count  map[any]int // by netip.Prefix and jid.JID
}

// maxTracked bounds the table: beyond it the minute is forgotten, which errs on the side of
// letting people in.
const maxTracked = 100_000

// attempt counts one login that is about to be tried, and reports whether it may be.
func (f *failures) attempt(from netip.Prefix, account jid.JID, now time.Time) bool {
	if f.perMinute <= 0 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := now.Unix() / 60; m != f.minute || len(f.count) > maxTracked {
		f.minute, f.count = m, make(map[any]int)
	}
	if f.count[from] >= f.perMinute || f.count[account] >= f.perMinute {
		return false
	}
	f.count[from]++
	f.count[account]++
	return true
}

// succeeded takes back what attempt counted.
func (f *failures) succeeded(from netip.Prefix, account jid.JID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range []any{from, account} {
		if f.count[k] > 0 {
			f.count[k]--
		}
	}
}
