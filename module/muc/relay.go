// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// relayTime is how long an occupant has to answer another.
const relayTime = 2 * time.Minute

// relay takes a request to an occupant (§17.4): it is asked in the name of the sender's nick, and the answer
// comes from the other's, so that neither learns an address. A ping to oneself says that one is in the room
// (XEP-0410 §3.3); a vCard is the account's.
func (m *Module) relay(r *room, t *server.Turn, s *stanza.Stanza) error {
	r.mu.Lock()
	o, to := r.occupantOf(s.From), r.called(s.To.Resource())
	var from, target jid.JID
	var err error
	switch {
	case r.gone.Load():
		err = errNoRoom()
	case o == nil && (s.Has(disco.NSInfo, "query") || s.Has(disco.NSItems, "query")):
		err = stanza.BadRequest.Err("you are not in this room") // §6.6
	case o == nil:
		err = stanza.NotAcceptable.Err("you are not in this room")
	case to == nil:
		err = stanza.ItemNotFound.Err("nobody has that nick")
	default:
		from, target = o.at, to.shown.jid
		if s.Has(nsVCard, "vCard") && s.Type == stanza.Get {
			target = to.user
		}
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if o == to && s.Has(ping.NS, "ping") {
		t.Route(s.Result(nil))
		return nil
	}
	ask := *s
	ask.From, ask.To = from, target
	back := s.Result(nil).Retain()
	origin := t.Origin
	t.Origin = nil // what the other's server says is not for the sender himself
	m.server.Ask(t, &ask, relayTime, func(t *server.Turn, answer *stanza.Stanza) { m.relayed(t, back, answer) })
	t.Origin = origin
	return nil
}

// relayed sends the answer, as the nick's.
func (m *Module) relayed(t *server.Turn, back, answer *stanza.Stanza) {
	origin := t.Origin
	t.Origin = nil
	defer func() { t.Origin = origin }()
	switch {
	case answer == nil:
		t.Route(failed(back, stanza.RemoteServerTimeout.Err("")))
	case answer.Type == stanza.TypeError:
		e := answer.Refusal()
		t.Route(failed(back, &stanza.Error{Type: e.Type, Condition: e.Condition, Text: e.Text}))
	default:
		c := *answer
		c.From, c.To, c.ID = back.From, back.To, back.ID
		t.Route(&c)
	}
}

func failed(back *stanza.Stanza, e *stanza.Error) *stanza.Stanza {
	s := stanza.New(stanza.IQ, stanza.TypeError, back.To, e)
	s.From, s.ID = back.From, back.ID
	return s
}
