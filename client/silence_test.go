// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/sm"
)

// late is a connection whose deadline for reading passes while the client asks for an acknowledgement, as it does for who
// sends as often as the connection is looked after. The reader sees that a moment later.
type late struct {
	net.Conn
	passed atomic.Int64 // how often it did
}

func (c *late) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.Contains(b, []byte(sm.RequestXML)) && err == nil {
		c.passed.Add(1)
		err = c.SetReadDeadline(time.Unix(1, 0))
	}
	return n, err
}

func (c *late) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		<-time.After(time.Millisecond)
	}
	return n, err
}

// The server has all of AnswerTime for its answer, also where a deadline from before the question passes behind that.
func TestDeadlineFromBefore(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		var conn *late
		dials := 0
		dial := l.config.Dial
		l.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			conn = &late{Conn: c}
			dials++
			return conn, err
		}
		p := l.start()
		p.Rest = true
		for _, body := range []string{"one", "two"} {
			l.send(body)
			p.Expect(message(body))
			p.Expect("<r .*")
			<-time.After(20 * time.Second)
			if dials != 1 || !l.Online() {
				t.Fatalf("%d connections", dials)
			}
			p.Ack()
			l.synced()
		}
		if conn.passed.Load() < 2 {
			t.Error("no deadline has passed")
		}
	})
}
