// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"context"
	"strings"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Knows reports whether there may be anything to decide.
func (m *Module) Knows(account jid.JID) bool { return m.things.Known(account) }

// Reads decides, for module pubsub, about a node that an account publishes at: decided says that the node's own access model counts for
// nothing. What a thing measures is read by who may read that field, and what the nodes behind it measure by who may read that of the node; all
// else a thing publishes is for who has any right to it, as far as the access model lets him. It may wait for the store.
func (m *Module) Reads(ctx context.Context, account jid.JID, node string, who jid.JID) (decided, may bool, err error) {
	w, st, err := m.published(ctx, account, node, who)
	if w == nil || err != nil {
		return false, false, err
	}
	if w.need == needAny {
		return !st.any(), false, nil
	}
	d := st.decideAll(w.nodes, w.right, w.names)
	return true, d.whole() && (len(w.nodes) > 0 || len(w.names) > 0 || !st.split(w.right)), nil
}

// Denied has a refusal of Reads noted, and the owner asked, where somebody has asked for a node.
func (m *Module) Denied(ctx context.Context, account jid.JID, node string, who jid.JID) error {
	w, st, err := m.published(ctx, account, node, who)
	if w == nil || err != nil {
		return err
	}
	m.note(account, w, st.caller)
	if w.need != needAny {
		m.ask(account, w, st, false)
	}
	if st.any() {
		return stanza.Forbidden.Err("")
	}
	return stanza.ServiceUnavailable.Err("")
}

// published is what reading a node of an account is; nil where that is not decided here.
func (m *Module) published(ctx context.Context, account jid.JID, node string, who jid.JID) (*want, *standing, error) {
	if account.IsDomain() || who.Bare() == account || !m.things.Known(account) {
		return nil, nil, nil
	}
	w := &want{way: wayPublished, right: store.RightRead, need: needAny}
	if strings.HasPrefix(node, senml.NS) {
		w.need = needNames
		if n, field, ok := sensordata.ParsePublishedAt(node); ok {
			w.names = []string{field}
			if !n.IsZero() {
				w.nodes = nodesOf([]sensordata.Node{n})
			}
		}
	}
	st, err := m.load(ctx, account, w.nodes, who.Bare())
	if err != nil || st.person {
		return nil, nil, err
	}
	return w, st, nil
}
