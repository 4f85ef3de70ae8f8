// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"context"
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What waits for the store runs on a goroutine of its own while the connection pauses: each
// connection has at most one, and admission bounds the connections.

// lookup finds the keys of the account that logs in. It reports whether the answer is there at
// once. The caller holds in.
func (c *conn) lookup(account jid.JID) (answered bool) {
	if !c.service.failures.begin(prefix(c.Remote().Addr()), account, time.Now()) {
		c.service.metrics.limited.Inc()
		c.machine.Resolve(nil, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "too many failed logins, try again later"})
		return true
	}
	c.login.attempt = account
	c.login.place.advance(time.Now())
	prepare, certified := c.machine.Prepare(), c.machine.Certifies()
	c.Pause()
	go func() {
		defer c.Resume()
		keys, err := c.keys(account)
		if certified && keys == nil && err == nil {
			keys, err = c.enrol(account)
		}
		if prepare != nil && !c.compute(func() { prepare(keys) }) {
			return
		}
		c.in.Lock()
		defer c.in.Unlock()
		c.machine.Resolve(keys, err)
	}()
	return false
}

// compute runs f, which takes milliseconds, when it is its turn: thousands of guesses at a time
// must not take the processors from those that are logged in. It reports false, and f does not run,
// where the connection is over by then.
func (c *conn) compute(f func()) bool {
	turns := c.service.computing
	turns <- struct{}{}
	defer func() { <-turns }()
	c.out.Lock()
	over := c.gone || c.ended
	c.out.Unlock()
	if !over {
		f()
	}
	return !over
}

// keys are nil for an account that does not exist: the exchange goes on and fails as one with a
// wrong password does.
func (c *conn) keys(account jid.JID) ([]sasl.Key, error) {
	s := c.service
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

// enrol is keys of an account that is not there, and may be made because a certificate names it.
func (c *conn) enrol(account jid.JID) ([]sasl.Key, error) {
	s := c.service
	if s.Enrol == nil {
		return nil, nil
	}
	made, err := s.Enrol(context.Background(), account)
	if err != nil {
		s.Log.Error("account of a certificate not made", "jid", account.String(), "err", err)
		return nil, err
	}
	if !made {
		return nil, nil
	}
	s.Log.Info("account made for a certificate", "jid", account.String(), "peer", c.Address())
	return c.keys(account)
}

// loggedIn runs when the exchange has succeeded. The caller holds in.
func (c *conn) loggedIn() {
	c.attempted(false)
	c.service.metrics.logins.WithLabelValues("success").Inc()
	c.leave()
	c.login = nil
}

// failed runs when a login has not succeeded. The caller holds in.
func (c *conn) failed(f *sasl.Failure) {
	c.service.metrics.logins.WithLabelValues(f.Condition).Inc()
	c.attempted(true)
}

// attempted is the end of what lookup began. The caller holds in.
func (c *conn) attempted(failed bool) {
	if l := c.login; l != nil && !l.attempt.IsZero() {
		c.service.failures.end(prefix(c.Remote().Addr()), l.attempt, time.Now(), failed)
		l.attempt = jid.JID{}
	}
}

// leave gives up the connection's place among the unauthenticated. It runs on the driver's goroutine.
func (c *conn) leave() {
	if c.login != nil {
		c.login.place.leave()
	}
}

// bind makes the session. The caller holds in; wanted is bare, or has the resource asked for.
func (c *conn) bind(wanted jid.JID) {
	c.Pause()
	c.out.Lock()
	c.binding = new(binding)
	c.out.Unlock()
	lang, bind := c.machine.Lang(), c.service.Server.Bind
	if c.guest {
		bind = c.service.Server.BindGuest
	}
	go func() {
		defer c.Resume()
		srv := c.service.Server
		t := srv.NewTurn()
		defer t.End()
		se, err := bind(context.Background(), t, c, wanted, lang)
		c.in.Lock()
		defer c.in.Unlock()
		if err != nil {
			e, _ := stanza.AsError(err)
			c.service.metrics.unbound.WithLabelValues(string(e.Condition)).Inc()
			c.machine.RefuseBind(e.AppendXML(nil))
		} else if !c.own(se) {
			se.Lost(t, c)
			return
		} else {
			c.machine.Bind(se.JID)
		}
		c.bound(c.machine.Out())
	}()
}

// bound sends the answer to the client's request, ahead of what the session was sent meanwhile.
func (c *conn) bound(answer []byte) {
	c.out.Lock()
	c.Conn.Queue(answer)
	for _, b := range c.binding.held {
		c.put(b)
	}
	c.binding = nil
	c.out.Unlock()
	c.Flush()
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
