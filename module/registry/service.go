// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
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
	case !s.is(st.To):
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

// is reports whether an address is one of the service's.
func (s *service) is(to jid.JID) bool {
	return to == s.at || to.Bare() == voiceOf(s.at) && (to.IsBare() || to.Resource() == voiceResource)
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
	case ask.Node != "" && !m.isCapabilities(q.To, ask.Node):
		return nil, stanza.ItemNotFound.Err("")
	}
	info := m.about(!q.To.IsDomain())
	info.Node = ask.Node
	return info, nil
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
	all := new(disco.Items)
	if q.To.IsDomain() {
		all.Items = append(all.Items, disco.Item{JID: voiceOf(q.To), Name: voiceName})
	}
	return all, nil
}
