// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"strconv"
	"testing"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// mute is a connection whose peer reads nothing.
type mute struct {
	drive.Conn
	queued, resumed int
	aborted         bool
}

func (m *mute) Queue(b []byte) { m.queued += len(b) }
func (m *mute) Queued() int    { return m.queued }
func (m *mute) Flush()         {}
func (m *mute) Resume()        { m.resumed++ }
func (m *mute) Abort()         { m.aborted = true }

// Who asks and asks before a login, and reads no answer, is dropped; the limit may change while it is connected.
func TestUnread(t *testing.T) {
	host := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return nil }})
	limits := DefaultLimits()
	s := New(Config{Server: host.Server, Metrics: host.Metrics, Limits: limits})
	answer := stanza.Text(stanza.Normal, jid.MustParse("d"), "what is asked for")
	dropped := 0
	for _, most := range []int{64 << 10, 4096, 0} {
		m := new(mute)
		c := &conn{service: s, Conn: m, config: new(stream.ServerConfig)}
		c.reply(answer)
		limits.UnreadBytes = most
		s.SetLimits(limits)
		for n := 2; m.queued <= most || most == 0 && n < 10_000; n++ {
			if m.aborted {
				t.Fatalf("%d: dropped after %d bytes", most, m.queued)
			}
			if c.reply(answer); m.resumed != n {
				t.Fatalf("%d: after %d answers it was resumed %d times", most, n, m.resumed)
			}
		}
		if most > 0 {
			dropped++
		}
		if m.aborted != (most > 0) || !host.Counts("stonechat_c2s_unread_total "+strconv.Itoa(dropped)) {
			t.Errorf("%d: %d bytes wait; dropped: %v, %s in all", most, m.queued, m.aborted, host.Metric("stonechat_c2s_unread_total"))
		}
	}
}
