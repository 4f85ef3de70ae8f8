// SPDX-License-Identifier: Apache-2.0

package component_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
)

// late is a connection whose deadline for reading passes while the component asks whether the server lives; its reader
// sees that a moment later, unless it has just set another one.
type late struct {
	net.Conn
	passed atomic.Int64  // how often it did
	seen   chan struct{} // the reader sees it
}

func (c *late) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.Contains(b, []byte("<ping")) && err == nil {
		c.passed.Add(1)
		err = c.SetReadDeadline(time.Unix(1, 0))
		select {
		case <-c.seen:
		case <-time.After(100 * time.Millisecond):
		}
	}
	return n, err
}

func (c *late) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		select {
		case c.seen <- struct{}{}:
		default:
		}
		<-time.After(5 * time.Millisecond)
	}
	return n, err
}

// The server has all of AnswerTime for its answer, also where a deadline from before the question passes behind that.
func TestDeadlineFromBefore(t *testing.T) {
	l := listen(t)
	var dials atomic.Int64
	conn := &late{seen: make(chan struct{}, 1)}
	c := l.start(func(c *component.Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			var err error
			conn.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return conn, err
		}
	})
	p := l.admit()
	for _, id := range []string{"1", "2", "3"} {
		send(t, c, id)
		flushed := make(chan error)
		go func() { flushed <- c.Flush(limited(t)) }()
		p.expect(true, "id='"+id+"'")
		<-time.After(50 * time.Millisecond) // it does not go meanwhile
		p.fence()
		if err := <-flushed; err != nil {
			t.Fatal(err)
		}
	}
	if dials.Load() != 1 || conn.passed.Load() < 3 {
		t.Errorf("%d connections, on which %d deadlines have passed", dials.Load(), conn.passed.Load())
	}
}
