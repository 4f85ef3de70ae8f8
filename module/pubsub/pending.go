// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: the command by which an owner is asked again about those who wait for its word (§8.7). It is
// one of XEP-0050, with two steps and no state between them.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// spaceCommands qualifies <command/>. XEP-0050 §7
const spaceCommands = "http://jabber.org/protocol/commands"

// command is the request and its answer.
type command struct {
	node, session, action, status string
	form                          *form.Form
}

func (*command) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: spaceCommands, Local: "command"}
}

func (c *command) AppendXML(dst []byte) []byte {
	dst = append(dst, "<command xmlns='"+spaceCommands+"'"...)
	dst = xmlstream.AppendAttr(dst, "node", c.node)
	dst = xmlstream.AppendAttr(dst, "sessionid", c.session)
	dst = xmlstream.AppendAttr(dst, "status", c.status)
	if c.form == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, "><actions execute='complete'><complete/></actions>"...)
	dst = c.form.AppendXML(dst)
	return append(dst, "</command>"...)
}

func (c *command) DecodeXML(r *xmlstream.Reader) error {
	*c = command{node: r.Attr("node"), session: r.Attr("sessionid"), action: r.Attr("action")}
	for n := range r.Children() {
		if n.Space == form.NS && n.Local == "x" {
			c.form = new(form.Form)
			if err := c.form.DecodeXML(r); err != nil {
				r.Fail(err)
			}
		}
	}
	return r.Err()
}

// command answers at the service.
func (m *Module) command(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var c command
	if _, err := q.Decode(&c); err != nil {
		return nil, err
	}
	r := &request{Module: m, ctx: context.Background(), t: t, q: q, at: q.To.Clone(), bare: q.From.Bare().Clone()}
	switch {
	case c.node != pubsub.CommandPending:
		return nil, stanza.ItemNotFound.Err("there is no such command")
	case c.action == "cancel":
		return &command{node: c.node, session: c.session, status: "canceled"}, nil
	case c.form == nil:
		return r.pendingNodes(&c)
	}
	return r.askAgain(&c)
}

// pendingNodes lists the nodes of which whoever asks is an owner and for which somebody waits.
func (r *request) pendingNodes(c *command) (stanza.Payload, error) {
	field := form.Field{Var: "pubsub#node", Type: form.ListSingle, Label: "Node"}
	for after := ""; ; {
		list, err := r.store.Memberships(r.ctx, r.at, r.bare, after, 0)
		if err != nil {
			return nil, err
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
				return nil, err
			}
			if len(waiting) > 0 {
				field.Options = append(field.Options, form.Option{Value: m.Node})
			}
		}
	}
	return &command{
		node: c.node, session: newID(), status: "executing",
		form: form.New(form.Ask, pubsub.FormAuthorize, field),
	}, nil
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
func (r *request) askAgain(c *command) (stanza.Payload, error) {
	n, release, err := r.own(c.form.Get("pubsub#node"), true)
	if err != nil {
		return nil, err
	}
	defer release()
	n.mu.Lock()
	for _, j := range sortedJIDs(n.subscriptions) {
		if n.subscriptions[j].pending {
			r.askOwners(r.t, n, j, []jid.JID{r.bare})
		}
	}
	n.mu.Unlock()
	r.t.Later(running{n})
	return &command{node: c.node, session: c.session, status: "completed"}, nil
}
