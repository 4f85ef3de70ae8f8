// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Readers decides who may read what some accounts publish: things, whose owners have a say. Module consent does.
type Readers interface {
	// Knows reports whether there may be anything to decide about an account's nodes. It does not wait.
	Knows(account jid.JID) bool
	// Reads decides: where decided is false, the node's access model does. It may wait for the store.
	Reads(ctx context.Context, account jid.JID, node string, who jid.JID) (decided, may bool, err error)
	// Denied is told of a request that Reads has refused, and returns what it is answered. It may wait for the store.
	Denied(ctx context.Context, account jid.JID, node string, who jid.JID) error
}

// decided reports whether others may decide about an account's nodes.
func (m *Module) decided(account jid.JID) bool {
	return m.others != nil && !account.IsDomain() && m.others.Knows(account)
}

// readBy is what others say of somebody who wants to read a node.
func (m *Module) readBy(ctx context.Context, s *standing) (decided bool, err error) {
	if !m.decided(s.at.JID) || s.who == s.at.JID {
		return false, nil
	}
	decided, may, err := m.others.Reads(ctx, s.at.JID, s.at.Node, s.who)
	switch {
	case err != nil:
		return true, err
	case decided && !may:
		return true, stanza.Forbidden.Err("")
	}
	return decided, nil
}

// undecided is why it cannot be said now what somebody may read of an account, nil where it can. That is asked before anything is read: a
// store that stalls must not make him wait for a no.
func (m *Module) undecided(ctx context.Context, account, who jid.JID) error {
	if !m.decided(account) || who == account {
		return nil
	}
	_, _, err := m.others.Reads(ctx, account, "", who)
	return err
}

// denied is what a request is answered that was refused with err.
func (m *Module) denied(ctx context.Context, s *standing, err error) error {
	if decided, e := m.readBy(ctx, s); decided && e != nil {
		if told, _ := stanza.AsError(e); told.Condition != stanza.Forbidden {
			return e // nobody has decided
		}
		return m.others.Denied(ctx, s.at.JID, s.at.Node, s.who)
	}
	return err
}
