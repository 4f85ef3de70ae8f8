// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// keep puts an event into the node's archive, if it has one, and its id there into the message. n.work is held.
//
// XEP-0442 §3
func (m *Module) keep(t *server.Turn, n *node, c *pubsub.Config, event *stanza.Stanza) error {
	if m.archive == nil || !c.Archive {
		return nil
	}
	id, p := m.archive.Add(t, store.ArchiveName(n.name), jid.JID{}, event)
	if p.Done() && p.Wait(context.Background()) != nil {
		return stanza.ResourceConstraint.Err("the event could not be kept now")
	}
	t.Keep(p)
	event.Add(&stanzaid.ID{By: n.name.JID, ID: id})
	return nil
}

// serveArchives registers who answers requests to the archives of the service's nodes.
func (m *Module) serveArchives() {
	for _, x := range []struct {
		typ   stanza.Type
		local string
	}{{stanza.Get, "query"}, {stanza.Set, "query"}, {stanza.Get, "metadata"}} {
		m.desk.IQ(server.IQHandler{
			Type: x.typ, Name: xmlstream.Name{Space: mam.NS, Local: x.local}, Blocking: true,
			Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) {
				return m.ReadArchive(t, q, q.To.Bare().Clone(), q.Reader(q.First()).Attr("node"))
			},
		})
	}
}

// ReadArchive answers a request to the archive of a node, as its items are read: to those who may. It may wait.
func (m *Module) ReadArchive(t *server.Turn, q *server.Query, at jid.JID, name string) (stanza.Payload, error) {
	if m.archive == nil {
		return nil, stanza.ServiceUnavailable.Err("")
	}
	r := &request{Module: m, ctx: context.Background(), t: t, q: q, at: at, bare: q.From.Bare()}
	n, release, err := r.look(name, false)
	if err != nil {
		return nil, err
	}
	defer release()
	s := n.standingOf(r.bare)
	if err := m.mayRetrieve(r.ctx, &s); err != nil {
		return nil, m.denied(r.ctx, &s, err)
	}
	return m.archive.Answer(t, q, store.ArchiveName(n.name), nil)
}

// archiveFeatures are those of a place with archives.
func (m *Module) archiveFeatures() []string {
	if m.archive == nil {
		return nil
	}
	return m.archive.Features()
}
