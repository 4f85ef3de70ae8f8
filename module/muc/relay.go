// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// relayTime is how long an occupant has to answer another.
const relayTime = 2 * time.Minute

// questions are the requests to occupants that are not answered yet, by the bare address of who has asked: the server has
// only so many at one time (limits.questions).
type questions struct {
	mu sync.Mutex
	of map[jid.JID]int
}

// begin counts one more, unless there are most.
func (q *questions) begin(who jid.JID, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of[who] >= most {
		return false
	}
	if q.of == nil {
		q.of = make(map[jid.JID]int)
	}
	q.of[who]++
	return true
}

func (q *questions) end(who jid.JID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of[who]--; q.of[who] == 0 {
		delete(q.of, who)
	}
}

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
	back := s.Result(nil).Retain()
	if !m.questions.begin(back.To.Bare(), m.config.Load().MaxQuestions) {
		return m.limited("max_questions", stanza.ResourceConstraint.Err("too much that you have asked is not answered yet"))
	}
	ask := *s
	ask.From, ask.To = from, target
	origin := t.Origin
	t.Origin = nil // what the other's server says is not for the sender himself
	m.server.Ask(t, &ask, relayTime, func(t *server.Turn, answer *stanza.Stanza) { m.relayed(t, back, answer) })
	t.Origin = origin
	return nil
}

// relayed sends the answer, as the nick's.
func (m *Module) relayed(t *server.Turn, back, answer *stanza.Stanza) {
	m.questions.end(back.To.Bare())
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
