// SPDX-License-Identifier: Apache-2.0

package seen

// How to read this file: look notes what state an account is in now, and when that began; settle, which Run calls each
// second, keeps and tells what has lasted, and forgets the change when a minute has been quiet.

import (
	"context"
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// change is an account whose state has changed not long ago. Module.mu guards it.
type change struct {
	online   bool
	unsteady bool
	kept     bool      // what is here now is in the store
	flaps    int32     // in this minute
	minute   time.Time // when that began
	since    time.Time // it is online, or is not
	left     *left     // how it went; nil while it is there to stay
}

// left is what is known of an account that has gone, or is about to. Most changes are of those that come, all at once perhaps.
type left struct {
	reason string    // why it is not online
	until  time.Time // it sleeps; zero: it does not
	status string
}

// quiet is how long an account must stay as it is to be steady.
const quiet = time.Minute

// changing is the change of an account, a new one where there is none, from whether it was online. The caller holds mu.
func (m *Module) changing(account jid.JID, online bool, now time.Time) *change {
	c := m.changes[account]
	if c == nil {
		c = &change{online: online, since: now, kept: true, minute: now}
		m.changes[account] = c
	}
	return c
}

// look notes whether se's account is online now.
func (m *Module) look(t *server.Turn, se *server.Session) {
	u := se.User
	if u.Guest() || m.stopping.Load() { // whoever is there until the end: see Open
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	online := false
	for _, se := range u.Sessions(nil) {
		online = online || se.Attached()
	}
	c := m.changing(u.JID, !online, t.Now)
	if c.online == online {
		return
	}
	c.online, c.since, c.kept = online, t.Now, false
	if online {
		c.left = nil
	} else {
		c.leaving().reason = [...]string{server.Closed: "closed", server.Lost: "lost", server.TimedOut: "timeout", server.Failed: "error"}[se.Why()]
	}
	if t.Now.Sub(c.minute) > quiet {
		c.minute, c.flaps = t.Now, 0
	}
	c.flaps++
	if most := m.config.Load().FlapsPerMinute; most > 0 && int(c.flaps) > most && !c.unsteady {
		c.unsteady = true
		m.metrics.unsteady.Inc()
	}
}

// leaving is how the account goes. The caller holds mu.
func (c *change) leaving() *left {
	if c.left == nil {
		c.left = new(left)
	}
	return c.left
}

// sleeps reports whether the account said that it sleeps, still at now. The caller holds mu.
func (c *change) sleeps(now time.Time) bool { return c.left != nil && c.left.until.After(now) }

// forget drops what is known of a deleted account.
func (m *Module) forget(account jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.changes, account)
}

// state is what c comes to. The caller holds mu.
func (c *change) state(now time.Time) store.Seen {
	s := store.Seen{Since: micro(c.since), Last: micro(c.since)}
	if c.left != nil {
		s.Status, s.Reason = c.left.status, c.left.reason
	}
	switch {
	case c.unsteady:
		return store.Seen{State: store.Unsteady, Since: micro(c.minute), Last: micro(c.since)}
	case c.online:
		s.State, s.Status, s.Reason = store.Online, "", ""
	case c.sleeps(now):
		s.State, s.Until, s.Reason = store.Sleeping, micro(c.left.until), "sleep"
	default:
		s.State = store.Offline
	}
	return s
}

// micro is a time as the store keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Now is the state of an account, also one that has not settled yet. It may wait.
func (m *Module) Now(ctx context.Context, account jid.JID) (store.Seen, error) {
	m.mu.Lock()
	if c := m.changes[account]; c != nil && !c.kept {
		defer m.mu.Unlock()
		return c.state(time.Now()), nil
	}
	m.mu.Unlock()
	return m.store.Seen(ctx, account)
}

const (
	tick    = time.Second
	alive   = 30 * time.Second // how often it is noted that the server runs
	oversee = 10 * time.Second // how often those who sleep are looked at
)

// Run implements server.Runner.
func (m *Module) Run(ctx context.Context) error {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	var noted, looked time.Time
	for {
		select {
		case <-ctx.Done():
			// Whoever was there until the end is lost with the server, which Open says. The others are kept.
			m.note(time.Now())
			m.settle(context.Background(), time.Now(), true)
			return nil
		case <-ticks.C:
		}
		now := time.Now()
		if now.Sub(noted) >= alive {
			noted = now
			m.note(now)
		}
		m.settle(ctx, now, false)
		if now.Sub(looked) >= oversee {
			looked = now
			m.wake(ctx, now)
		}
	}
}

// note keeps that the server runs.
func (m *Module) note(now time.Time) {
	m.store.Commit(store.SetSetting{Name: setting, Value: []byte(now.UTC().Format(time.RFC3339))}).OnDone(func(err error) {
		if err != nil {
			m.metrics.failed.Inc()
		}
	})
}

// due is a state that has lasted.
type due struct {
	account jid.JID
	is      store.Seen
	since   time.Time // of the change that it comes of
}

// settle keeps and tells what has lasted, all of it where the server ends.
func (m *Module) settle(ctx context.Context, now time.Time, all bool) {
	var list []due
	settle := m.config.Load().Settle
	m.mu.Lock()
	had := len(m.changes)
	for account, c := range m.changes {
		still := now.Sub(c.since)
		if c.unsteady && still >= quiet {
			c.unsteady, c.kept = false, false
		}
		switch {
		case !c.kept && (c.unsteady || all || still >= settle):
			list = append(list, due{account, c.state(now), c.since})
		case c.kept && !c.unsteady && still >= quiet && !(c.online && c.sleeps(now)):
			delete(m.changes, account)
		}
	}
	if had > 0 && len(m.changes) == 0 {
		m.changes = make(map[jid.JID]*change) // the old one is as large as it has ever been
	}
	m.mu.Unlock()
	for _, d := range list {
		m.keep(ctx, d)
	}
}

// keep keeps one state, and tells it if it is another than before.
func (m *Module) keep(ctx context.Context, d due) {
	was, err := m.store.Seen(ctx, d.account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		m.metrics.failed.Inc()
		return
	}
	same := was.State == d.is.State
	if same && d.is.State == store.Offline && was.Until.IsZero() {
		d.is.Since = was.Since // it was there for a moment only
	}
	if same && (d.is.State == store.Online || d.is.State == store.Unsteady) {
		d.is = was
	}
	if d.is != was {
		switch err := m.store.Commit(store.SetSeen{User: d.account, Seen: d.is}).Wait(ctx); {
		case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		case err != nil:
			m.metrics.failed.Inc()
			return
		}
	}
	m.mu.Lock()
	if c := m.changes[d.account]; c != nil && (c.since.Equal(d.since) || c.unsteady) {
		c.kept = true
	}
	m.mu.Unlock()
	if same {
		return
	}
	m.metrics.changes.WithLabelValues(string(d.is.State)).Inc()
	for _, f := range m.told {
		f(d.account, was, d.is)
	}
}

// wake says of those that should have woken that they are offline.
func (m *Module) wake(ctx context.Context, now time.Time) {
	list, err := m.store.Overslept(ctx, now.Add(-m.config.Load().WakeLate), 0)
	if err != nil {
		m.metrics.failed.Inc()
		return
	}
	for _, account := range list {
		m.mu.Lock()
		busy := m.changes[account] != nil && !m.changes[account].kept // it has just come
		m.mu.Unlock()
		was, err := m.store.Seen(ctx, account)
		if err != nil || busy || was.State != store.Sleeping {
			continue
		}
		is := store.Seen{State: store.Offline, Since: was.Until, Last: was.Last, Reason: "overslept", Status: was.Status}
		m.keep(ctx, due{account: account, is: is})
	}
}
