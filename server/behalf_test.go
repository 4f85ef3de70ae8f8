// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// deputy is a module that acts in the name of accounts.
type deputy struct {
	sent, joined []string
	refuse       error
}

func (*deputy) Name() string { return "deputy" }

func (d *deputy) Init(h *Host) error {
	h.Behalf = func(_ *Turn, u *User, s *stanza.Stanza) error {
		d.sent = append(d.sent, u.JID.String()+" "+string(s.ID))
		return d.refuse
	}
	h.Host = func(t *Turn, s *stanza.Stanza) error {
		if !s.Has("u:deputy", "send") {
			return nil
		}
		if s.Has("u:deputy", "no") {
			return stanza.Forbidden.Err("")
		}
		inner := stanza.Text(stanza.Chat, jid.MustParse("b@d"), "x")
		inner.ID = []byte("for " + stanza.BodyOf(s))
		t.As(jid.MustParse(stanza.BodyOf(s)), s, func(t *Turn, u *User, s *stanza.Stanza) {
			if u == nil {
				t.Refuse(s, stanza.ItemNotFound.Err(""))
				return
			}
			if err := t.SendAs(u, inner); err != nil {
				e, _ := stanza.AsError(err)
				t.Refuse(s, e)
			}
		})
		return Handled
	}
	h.Requested = func(t *Turn, s *stanza.Stanza) bool {
		if !s.Has("u:deputy", "mine") {
			return false
		}
		t.Route(s.Result(nil))
		return true
	}
	h.Joined = func(_ *Turn, place jid.JID) { d.joined = append(d.joined, place.String()) }
	h.IQ(IQHandler{At: AtAccount, Type: stanza.Get, Name: xmlstream.Name{Space: "u:own", Local: "q"}, Admit: func(s *stanza.Stanza) error {
		if s.From.Local() == "b" {
			return nil
		}
		return stanza.Forbidden.Err("")
	}, Do: func(*Turn, *Query) (stanza.Payload, error) { return nil, nil }})
	return nil
}

func TestBehalf(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := new(deputy)
		b := newBench(t, DefaultLimits(), "a b c", d)
		place, _ := b.attach("x.d")
		to := b.online("b/1")
		c := b.online("c/1")
		turn := b.NewTurn()
		b.Joined(turn, jid.MustParse("x.d"))
		turn.End()
		if len(d.joined) != 1 || !b.Present("x.d") || b.Present("y.d") || b.Present("") || b.Present("d") {
			t.Errorf("%q", d.joined)
		}
		send := func(id, account, more string) {
			t.Helper()
			to.send("<message to='d' id='" + id + "'><send xmlns='u:deputy'/><body>" + account + "</body>" + more + "</message>")
		}
		send("1", "a@d", "") // who is away
		to.gets("from='a@d'")
		send("2", "c@d", "")
		to.gets("from='c@d'")
		send("3", "nobody@d", "")
		to.gets("item-not-found")
		send("4", "c@d", "<no xmlns='u:deputy'/>")
		to.gets("forbidden")
		to.send("<message to='d' id='5'><body>x</body></message>")
		to.gets("service-unavailable")
		d.refuse = stanza.PolicyViolation.Err("")
		send("6", "c@d", "")
		to.gets("policy-violation")
		if len(d.sent) != 3 {
			t.Errorf("%q", d.sent)
		}
		// Requests, taken and admitted.
		to.send("<iq type='get' id='7' to='a@d'><mine xmlns='u:deputy'/></iq>")
		to.gets("type='result'")
		to.send("<iq type='get' id='8' to='a@d'><q xmlns='u:own'/></iq>")
		to.gets("type='result'")
		c.send("<iq type='get' id='9' to='a@d'><q xmlns='u:own'/></iq>")
		c.gets("forbidden")
		var online []string
		b.Each(func(u *User) { online = append(online, u.JID.String()) })
		if len(online) != 2 {
			t.Errorf("%q", online)
		}
		place.gets(t)
	})
}
