// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// librarian answers requests with much, and notes which messages it was shown.
type librarian struct{ messages []string }

func (*librarian) Name() string { return "librarian" }

func (l *librarian) Init(h *server.Host) error {
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Get, Name: xmlstream.Name{Space: "urn:page", Local: "page"}, Blocking: true,
		Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) {
			t.Origin.Send(t, stanza.New(stanza.Message, stanza.Normal, q.From, stanza.Body(strings.Repeat("x", 10_000))))
			return nil, nil
		}})
	h.OnSent(server.Guard, func(_ *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Message {
			return nil
		}
		l.messages = append(l.messages, string(s.ID))
		return server.Handled
	})
	return nil
}

func (m *mute) Close() {}

// What a client has sent before it closed its stream is handled, though it stands behind a request whose answer waits; where the
// stream ends with an error it is not.
func TestOver(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{{nil, "one two"}, {&stream.Error{Condition: stream.PolicyViolation}, ""}} {
		synctest.Test(t, func(t *testing.T) {
			l, limits := new(librarian), server.DefaultLimits()
			limits.WindowBytes = 40_000
			host := servertest.Start(t, servertest.Options{Limits: &limits, Modules: func() []server.Module { return []server.Module{l} }})
			host.Account("a@d")
			a := host.Client("a@d/1")
			a.Session.Manage(time.Minute)
			a.Send(strings.Repeat("<iq type='get' to='d' id='page'><page xmlns='urn:page'/></iq>", 4), "<message to='b@d' id='one'/>", "<message to='b@d' id='two'/>")
			if len(l.messages) > 0 {
				t.Fatalf("%s do not wait", l.messages)
			}
			s := New(Config{Server: host.Server, Metrics: host.Metrics, Limits: DefaultLimits()})
			conn := &conn{service: s, Conn: new(mute), machine: stream.NewServer(&stream.ServerConfig{}, time.Now())}
			conn.session.Store(a.Session)
			turn := host.NewTurn()
			conn.over(turn, c.err)
			turn.End()
			time.Sleep(time.Second)
			synctest.Wait()
			if got := strings.Join(l.messages, " "); got != c.want {
				t.Errorf("%v: %q were handled, want %q", c.err, got, c.want)
			}
			if _, over := a.Stream.Ended(); !over || !host.Counts("stonechat_sessions 0") {
				t.Errorf("%v: the session has not ended", c.err)
			}
		})
	}
}
