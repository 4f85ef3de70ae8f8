// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// prefs are an account's preferences, while it is in use; nil within: it has set none.
type prefs struct{ set atomic.Pointer[mam.Prefs] }

// preferences returns those of an account, which it reads unless they are at hand.
func (m *Module) preferences(ctx context.Context, u *server.User) (*prefs, error) {
	if p := m.prefs.Of(u); p != nil {
		return p, nil
	}
	p := new(prefs)
	if !u.Guest() {
		b, err := m.store.ArchivePreferences(ctx, u.JID)
		if err != nil {
			return nil, fmt.Errorf("mam: preferences of %s: %w", u.JID, err)
		}
		if b != nil {
			set := new(mam.Prefs)
			if err := set.DecodeXML(xmlstream.NewReader(b, stanza.NSClient)); err != nil {
				return nil, fmt.Errorf("mam: preferences of %s: %w", u.JID, err)
			}
			p.set.Store(set)
		}
	}
	return m.prefs.SetOnce(u, p), nil
}

// of is what is in force.
func (m *Module) prefsOf(p *prefs) mam.Prefs {
	if set := p.set.Load(); set != nil {
		return *set
	}
	return mam.Prefs{Default: mam.Policy(m.config.Load().Default)}
}

// wanted reports whether u wants messages to or from other archived. It may wait unless roster and preferences are at hand.
func (m *Module) wanted(u *server.User, p *prefs, other jid.JID) bool {
	in := m.prefsOf(p)
	switch in.Of(other) {
	case mam.Always:
		return true
	case mam.Never:
		return false
	}
	if other.Bare() == u.JID {
		return true
	}
	if m.roster == nil {
		return false
	}
	item, err := m.roster.Item(u, other.Bare())
	if err != nil {
		m.log.Error("contact not read, so that a message is not archived", "jid", u.JID.String(), "err", err)
		return false
	}
	return !item.Hidden
}

// getPrefs answers XEP-0441 §2.1.
func (m *Module) getPrefs(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	if !q.Own() {
		return nil, stanza.Forbidden.Err("")
	}
	p, err := m.preferences(context.Background(), q.User)
	if err != nil {
		return nil, err
	}
	in := m.prefsOf(p)
	return &in, nil
}

// setPrefs stores them before it answers.
func (m *Module) setPrefs(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	if !q.Own() || q.User.Guest() {
		return nil, stanza.Forbidden.Err("")
	}
	p, err := m.preferences(context.Background(), q.User)
	if err != nil {
		return nil, err
	}
	next := new(mam.Prefs)
	if _, err := q.Decode(next); err != nil {
		return nil, err
	}
	if next.Default == "" {
		return nil, stanza.BadRequest.Err("preferences need a default")
	}
	if len(next.Always)+len(next.Never) > m.config.Load().Preferences {
		m.metrics.prefsFull.Inc()
		return nil, stanza.PolicyViolation.Err("too many addresses")
	}
	commit := q.User.Commit(store.SetArchivePreferences{User: q.User.JID, Preferences: next.AppendXML(nil)})
	return q.After(t, commit, func(*server.Turn) (stanza.Payload, error) {
		p.set.Store(next)
		return next, nil
	})
}
