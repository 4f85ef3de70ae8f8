// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// A desk answers what it has a handler for, once, and refuses other requests.
func TestDesk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := &deskModule{}
		b := newBench(t, DefaultLimits(), "a", m)
		a := b.online("a/1")
		if _, err := b.Attach("room.d", m); err != nil {
			t.Fatal(err)
		}
		ask := func(id, ns string) string {
			return "<iq type='get' id='" + id + "' to='x@room.d/y'><q xmlns='" + ns + "'/></iq>"
		}
		a.send(ask("1", "u:now") + ask("2", "u:later") + ask("3", "u:panic") + ask("4", "u:none") + "<iq type='result' id='5' to='room.d'/>")
		a.settle()
		a.gets("from='x@room.d/y' to='a@d/1' id='1' type='result'", "id='2' type='result'", "id='3' type='error'", "id='4' type='error'")
		a.send(ask("6", "u:quick") + ask("7", "u:waits") + ask("8", "u:quickpanics") + ask("9", "u:quickrefused"))
		a.settle()
		a.gets("<quick", "id='7' type='result'/>", "internal-server-error", "<gone")
		m.desk.IQ(IQHandler{Type: stanza.Get, Name: xmlstream.Name{Space: "u:now", Local: "q"}})
		if m.desk.iqs.err == nil {
			t.Error("two handlers of one request")
		}
	})
}

// deskModule is a place with a desk.
type deskModule struct{ desk *Desk }

func (*deskModule) Name() string  { return "desk" }
func (*deskModule) Present() bool { return true }

func (m *deskModule) Init(h *Host) error {
	m.desk = h.NewDesk()
	for ns, do := range map[string]func(*Turn, *Query) (stanza.Payload, error){
		"u:now":   func(*Turn, *Query) (stanza.Payload, error) { return nil, nil },
		"u:panic": func(*Turn, *Query) (stanza.Payload, error) { panic("at the desk") },
		"u:later": func(t *Turn, q *Query) (stanza.Payload, error) {
			if !t.mayWait || q.User != nil {
				return nil, stanza.BadRequest.Err("")
			}
			return nil, nil
		},
	} {
		m.desk.IQ(IQHandler{Type: stanza.Get, Name: xmlstream.Name{Space: ns, Local: "q"}, Blocking: ns == "u:later", Do: do})
	}
	for ns, quick := range map[string]func(*Turn, *Query) (stanza.Payload, error){
		"u:quick": func(t *Turn, _ *Query) (stanza.Payload, error) {
			if t.mayWait {
				return nil, stanza.BadRequest.Err("")
			}
			return &stanza.Raw{Name: xmlstream.Name{Space: "u:q", Local: "quick"}, Bytes: []byte("<quick xmlns='u:q'/>")}, nil
		},
		"u:waits":        func(*Turn, *Query) (stanza.Payload, error) { return nil, ErrWaits },
		"u:quickpanics":  func(*Turn, *Query) (stanza.Payload, error) { panic("at the desk") },
		"u:quickrefused": func(*Turn, *Query) (stanza.Payload, error) { return nil, stanza.Gone.Err("") },
	} {
		m.desk.IQ(IQHandler{Type: stanza.Get, Name: xmlstream.Name{Space: ns, Local: "q"}, Blocking: true, Quick: quick,
			Do: func(t *Turn, _ *Query) (stanza.Payload, error) {
				if !t.mayWait || ns != "u:waits" {
					return nil, stanza.BadRequest.Err("")
				}
				return nil, nil
			}})
	}
	return nil
}

func (m *deskModule) Take(t *Turn, s *stanza.Stanza) error {
	m.desk.Answer(t, s)
	return nil
}
