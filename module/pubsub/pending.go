// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: the command by which an owner is asked again about those who wait for its word (§8.7). It is
// one of XEP-0050, with two steps and no state between them.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Lead sets, before Init, who leads people through commands.
func (m *Module) Lead(l *adhoc.Leader) {
	m.leader = l
	m.commands = []adhoc.Command{{
		Node: pubsub.CommandPending, Name: "Who waits to be subscribed", Do: m.pending,
		May: func(*server.Query) error { return nil }, // of nobody's nodes but their own
	}}
}

// pending carries the command out.
func (m *Module) pending(t *server.Turn, q *server.Query, x *command.Execution) error {
	r := &request{Module: m, ctx: context.Background(), t: t, q: q, at: q.To.Clone(), bare: q.From.Bare().Clone()}
	if x.Stage() > 0 {
		return r.askAgain(x)
	}
	return r.pendingNodes(x)
}

// pendingNodes lists the nodes of which whoever asks is an owner and for which somebody waits.
func (r *request) pendingNodes(x *command.Execution) error {
	field := form.Field{Var: "pubsub#node", Type: form.ListSingle, Label: "Node", Required: true}
	for after := ""; ; {
		list, err := r.store.Memberships(r.ctx, r.at, r.bare, after, 0)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, m := range list {
			if after = m.Node; m.Affiliation != store.AffiliationOwner {
				continue
			}
			waiting, err := r.waiting(m.Node)
			if err != nil {
				return err
			}
			if len(waiting) > 0 {
				field.Options = append(field.Options, form.Option{Value: m.Node})
			}
		}
	}
	if len(field.Options) == 0 {
		x.Note(command.Info, "Nobody waits.")
		x.Done(nil)
		return nil
	}
	x.Ask(form.New(form.Ask, pubsub.FormAuthorize, field))
	return nil
}

// waiting are the addresses that wait at a node.
func (r *request) waiting(name string) (list []jid.JID, err error) {
	n, release, err := r.own(name, false)
	if err != nil {
		if _, ok := stanza.AsError(err); ok {
			err = nil // it was there a moment ago
		}
		return nil, err
	}
	defer release()
	n.mu.Lock()
	defer n.mu.Unlock()
	for j, s := range n.subscriptions {
		if s.pending {
			list = append(list, j)
		}
	}
	return list, nil
}

// askAgain sends the requests of those who wait at a node to the owner who asks.
func (r *request) askAgain(x *command.Execution) error {
	n, release, err := r.own(x.Answer("pubsub#node"), true)
	if err != nil {
		return err
	}
	defer release()
	n.mu.Lock()
	for _, j := range sortedJIDs(n.subscriptions) {
		if n.subscriptions[j].pending {
			r.askOwners(r.t, n, j, []jid.JID{r.bare})
		}
	}
	n.mu.Unlock()
	x.Done(nil)
	x.Then(func() { r.t.Later(running{n}) })
	return nil
}
