// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// service is the place of one domain.
type service struct {
	*Module
	at     jid.JID
	domain string
}

// Present implements server.Place.
func (*service) Present() bool { return true }

// Take implements server.Place.
func (s *service) Take(t *server.Turn, st *stanza.Stanza) error {
	switch {
	case !st.To.IsDomain() || st.To.IsFull():
		return stanza.ItemNotFound.Err("") // errors of errors are not sent
	case st.Kind == stanza.Presence:
		s.presence(t, st)
	case st.Kind == stanza.IQ:
		s.desk.Answer(t, st)
	case st.Kind == stanza.Message:
		s.chat.Answer(t, st)
	}
	return nil
}

// presence is for those who want a registry as their friend, as XEP-0347 §5.1 has it where it is no service: everybody may, and it
// is there.
func (s *service) presence(t *server.Turn, st *stanza.Stanza) {
	say := func(typ stanza.Type) {
		p := stanza.New(stanza.Presence, typ, st.From.Bare())
		p.From = s.at
		t.Route(p)
	}
	switch st.Type {
	case stanza.Subscribe:
		say(stanza.Subscribed)
		say(stanza.Available)
	case stanza.Probe:
		say(stanza.Available)
	case stanza.Unsubscribe:
		say(stanza.Unsubscribed)
	}
}

// answers registers what everybody may ask.
func (m *Module) answers() {
	m.desk.IQ(server.IQHandler{Type: stanza.Get, Name: (*disco.Info)(nil).XMLName(), Blocking: true, Do: m.info})
	m.desk.IQ(server.IQHandler{Type: stanza.Get, Name: (*disco.Items)(nil).XMLName(), Blocking: true, Do: m.items})
	m.requests()
	if m.leader != nil {
		m.desk.IQ(server.IQHandler{
			Type: stanza.Set, Name: (*command.Command)(nil).XMLName(), Blocking: true,
			Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) { return m.leader.Do(t, q, m.commands) },
		})
	}
}

func (m *Module) info(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Info
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	switch {
	case m.leader != nil && adhoc.Has(m.commands, ask.Node):
		return m.leader.Info(q, m.commands, ask.Node)
	case ask.Node != "":
		return nil, stanza.ItemNotFound.Err("")
	}
	features := append([]string{disco.NSInfo, disco.NSItems, registry.NS}, m.features...)
	if m.leader != nil {
		features = append(features, command.NS)
	}
	return &disco.Info{
		Identities: []disco.Identity{{Category: "component", Type: "generic", Name: "Things"}},
		Features:   features,
	}, nil
}

func (m *Module) items(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Items
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	switch {
	case m.leader != nil && adhoc.Has(m.commands, ask.Node):
		return m.leader.Items(q, m.commands, ask.Node)
	case ask.Node != "":
		return nil, stanza.ItemNotFound.Err("")
	}
	return &disco.Items{}, nil
}
