// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
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

// Questions are answered by whom was asked, once, or by nobody in time.
func TestAsk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := DefaultLimits()
		l.Questions = 2
		b := newBench(t, l, "a b")
		a, c := b.online("a/1"), b.online("b/1")
		var mu sync.Mutex
		var answers []string
		ask := func(from, to string) {
			iq := stanza.New(stanza.IQ, stanza.Get, jid.MustParse(to), &stanza.Raw{Bytes: []byte("<q xmlns='u:q'/>")})
			iq.From = jid.MustParse(from)
			turn := b.NewTurn()
			b.Ask(turn, iq, time.Minute, func(_ *Turn, st *stanza.Stanza) {
				mu.Lock()
				defer mu.Unlock()
				if st == nil {
					answers = append(answers, "none")
					return
				}
				answers = append(answers, st.Type.String())
			})
			turn.End()
		}
		expect := func(want ...string) {
			t.Helper()
			a.settle()
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(answers) != fmt.Sprint(want) {
				t.Fatalf("answers %v, want %v", answers, want)
			}
			answers = nil
		}
		reply := func(p *peer, id, to string) {
			p.send("<iq type='result' id='" + id + "' to='" + to + "'/>")
		}
		idOf := func(s string) string {
			_, s, _ = strings.Cut(s, " id='")
			s, _, _ = strings.Cut(s, "'")
			return s
		}
		ask("d", "a@d/1")
		id := idOf(a.got()[0])
		reply(c, id, "d")      // another
		reply(a, "guess", "d") // another question
		reply(a, id, "b@d")    // to another
		expect()
		reply(a, id, "d")
		reply(a, id, "d")
		expect("result")
		ask("b@d", "a@d/1") // as an account
		reply(a, idOf(a.got()[0]), "b@d")
		expect("result")
		ask("d", "a@d/gone")
		expect("error")
		ask("d", "a@d/1")
		ask("d", "a@d/1")
		ask("d", "a@d/1")
		expect("none")
		time.Sleep(2 * time.Minute)
		expect("none", "none")
		if !b.counts("stonechat_questions 0") || !b.counts("stonechat_questions_refused_total 1") {
			t.Error("metrics")
		}
	})
}
