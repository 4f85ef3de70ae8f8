// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: the place pubsub.DOMAIN, and what it takes besides requests.

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// service is the place of one domain.
type service struct {
	*Module
	at jid.JID
}

// serveHosts attaches the service of each domain.
func (m *Module) serveHosts(h *server.Host) error {
	m.services = make(map[jid.JID]*service)
	m.desk = h.NewDesk()
	for _, space := range []string{pubsub.NS, pubsub.NSOwner} {
		name := xmlstream.Name{Space: space, Local: "pubsub"}
		for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
			h := server.IQHandler{Type: typ, Name: name, Blocking: true, Do: m.toService}
			if space == pubsub.NS && typ == stanza.Set {
				h.Quick = m.quick
			}
			m.desk.IQ(h)
		}
	}
	m.desk.IQ(server.IQHandler{Type: stanza.Get, Name: (*disco.Info)(nil).XMLName(), Blocking: true, Do: m.serviceInfo})
	m.desk.IQ(server.IQHandler{Type: stanza.Get, Name: (*disco.Items)(nil).XMLName(), Blocking: true, Do: m.serviceItems})
	if m.leader != nil {
		m.desk.IQ(server.IQHandler{
			Type: stanza.Set, Name: (*command.Command)(nil).XMLName(), Blocking: true,
			Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) { return m.leader.Do(t, q, m.commands) },
		})
	}
	m.serveArchives()
	for _, domain := range h.Server.Domains() {
		at, err := jid.New("", m.config.Load().Host+"."+domain, "")
		if err != nil {
			return fmt.Errorf("modules.pubsub.host: %w", err)
		}
		s := &service{m, at}
		if _, err := h.Server.Attach(at.Domain(), s); err != nil {
			return err
		}
		m.services[at] = s
	}
	return nil
}

// Present implements server.Place.
func (*service) Present() bool { return true }

// Take implements server.Place.
func (s *service) Take(t *server.Turn, st *stanza.Stanza) error {
	switch {
	case !st.To.IsDomain():
		return stanza.ItemNotFound.Err("") // errors of errors are not sent
	case st.Kind == stanza.Presence:
		s.presence(t, st)
	case st.Kind == stanza.IQ:
		s.desk.Answer(t, st)
	case st.Kind == stanza.Message && st.Type == stanza.TypeError && fatal(st):
		t.OffLoop(nil, st, s.bounced)
	case st.Kind == stanza.Message && st.Type != stanza.TypeError && st.Has(form.NS, "x"):
		t.OffLoop(nil, st, s.message)
	case st.Kind == stanza.Message && st.Type != stanza.TypeError && st.Type != stanza.Headline:
		return stanza.ServiceUnavailable.Err("")
	}
	return nil
}

// message takes the answers of owners to those who ask to subscribe.
func (s *service) message(t *server.Turn, st *stanza.Stanza) {
	f := new(form.Form)
	if _, err := st.Decode(f); err == nil {
		s.decide(t, s.at, st.From, f)
	}
}

// fatal reports whether the error of a notification says that its receiver will not be there again: an address that does
// not exist, or a resource that has gone (§13.4).
func fatal(st *stanza.Stanza) bool {
	switch st.Refusal().Condition {
	case stanza.Gone, stanza.ItemNotFound:
		return true
	case stanza.ServiceUnavailable, stanza.RecipientUnavailable:
		return st.From.IsFull()
	}
	return false
}

// bounced ends the subscriptions of an address that is no more.
func (s *service) bounced(t *server.Turn, st *stanza.Stanza) {
	j := st.From.Clone()
	r := &request{Module: s.Module, ctx: context.Background(), t: t, at: s.at, bare: j.Bare()}
	list, err := s.store.Memberships(r.ctx, s.at, r.bare, "", 0)
	if err != nil {
		s.log.Error("subscriptions not ended", "jid", j.String(), "err", err)
		return
	}
	for _, m := range list {
		n, release, err := r.look(m.Node, true)
		if err != nil {
			continue
		}
		n.mu.Lock()
		sub := n.subscriptions[j]
		n.mu.Unlock()
		if sub != nil {
			s.runAfter(n, r.leave(n, sub, false))
		}
		release()
	}
}

func (m *Module) toService(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	return m.serve(t, q, q.To.Bare().Clone())
}
