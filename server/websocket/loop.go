// SPDX-License-Identifier: Apache-2.0

package websocket

// How to read this file: run is the goroutine that the machine belongs to, from its making to Gone;
// loop is its life. A second goroutine, read, waits for messages and hands over one at a time, so that
// a paused machine is read ahead by one message at most.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server/httpd"
)

// run drives the connection until it is over.
func (c *conn) run(peer *httpd.Peer) {
	var helpers sync.WaitGroup
	err := c.call(func(*drive.Batch) {
		c.machine = c.service.config.Machine(c, peer.Proxied && peer.Secure)
		if peer.TLS != nil {
			c.machine.Secured(*peer.TLS)
		}
	})
	if err == nil {
		helpers.Go(func() { c.read(context.WithValue(context.Background(), connKey{}, c)) })
		err = c.loop(&helpers)
	}
	if b := c.socket.Broken(); b != nil && !errors.Is(b, net.ErrClosed) && !errors.Is(err, drive.ErrPanic) {
		err = b // why the reader has come to its end
	}
	close(c.over)
	if err == errClosed { //nolint:errorlint // never wrapped
		err = c.sayGoodbye(websocket.StatusNormalClosure)
	} else if errors.Is(err, errBinary) {
		_ = c.sayGoodbye(websocket.StatusUnsupportedData)
	}
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	_ = c.ws.CloseNow()
	c.socket.Abort()
	helpers.Wait()
	if c.machine != nil {
		_ = c.call(func(*drive.Batch) { c.machine.Gone(err) })
	}
}

// errClosed says that the loop has ended because of Close.
var errClosed = errors.New("websocket: closed here")

// loop calls the machine until the connection is over, and returns why.
func (c *conn) loop(helpers *sync.WaitGroup) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		do, messages, deadline, err := c.next()
		if err != nil {
			return err
		}
		if do != nil {
			if err := c.call(do); err != nil {
				return err
			}
			continue
		}
		timer.Reset(c.patience(deadline))
		select {
		case m := <-messages:
			if m.err != nil {
				return m.err
			}
			err := c.call(func(b *drive.Batch) { c.machine.Input(b, m.data) })
			if err != nil {
				return err
			}
			c.taken <- struct{}{}
		case <-c.awake:
		case <-timer.C:
			if err := c.keepAlive(messages == nil, helpers); err != nil {
				return err
			}
		}
	}
}

// next is what is to be done at once, or from where messages may come.
func (c *conn) next() (do func(*drive.Batch), messages <-chan message, deadline time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.aborted:
		return nil, nil, deadline, drive.ErrAborted
	case c.closing:
		return nil, nil, deadline, errClosed
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		c.deadline = time.Time{}
		return c.machine.Expired, nil, deadline, nil
	case c.paused > 0:
		c.resumed = false
		return nil, nil, c.deadline, nil
	case c.resumed:
		c.resumed = false
		return func(b *drive.Batch) { c.machine.Input(b, nil) }, nil, deadline, nil
	}
	return nil, c.messages, c.deadline, nil
}

// call calls the machine. A panic costs the connection, no other.
func (c *conn) call(f func(*drive.Batch)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.service.config.Log.Error("connection dropped after a panic", "panic", r, "stack", string(debug.Stack()))
			err = drive.ErrPanic
		}
	}()
	var b drive.Batch
	f(&b)
	b.End()
	return nil
}

// read reads messages until there are no more.
func (c *conn) read(ctx context.Context) {
	for {
		m := c.readOne(ctx)
		select {
		case c.messages <- m:
		case <-c.over:
			return
		}
		if m.err != nil {
			return
		}
		select {
		case <-c.taken:
		case <-c.over:
			return
		}
	}
}

// readOne reads one message, of one that is too long its beginning.
func (c *conn) readOne(ctx context.Context) message {
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return message{err: endOf(err)}
	}
	hear(ctx)
	if kind != websocket.MessageText {
		return message{err: errBinary}
	}
	var data bytes.Buffer // not kept: an idle connection has none
	if _, err := data.ReadFrom(io.LimitReader(r, int64(c.machine.MessageBytes())+1)); err != nil {
		return message{err: endOf(err)}
	}
	hear(ctx)
	return message{data: data.Bytes()}
}

// endOf is io.EOF where the peer closed the WebSocket, or just its connection.
func endOf(err error) error {
	if websocket.CloseStatus(err) != -1 || errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("websocket: %w", err)
}

// connKey finds the connection in the context of what is read.
type connKey struct{}

// hear notes that the peer lives.
func hear(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		c.heard.Store(time.Now().UnixNano())
	}
}

// patience is how long the loop may wait.
func (c *conn) patience(deadline time.Time) time.Duration {
	wait := time.Hour
	if dead := c.service.config.DeadAfter; dead > 0 {
		half := dead / 2
		if wait = half - c.silent(); wait <= 0 {
			wait = max(dead-c.silent(), half/8)
		}
	}
	if !deadline.IsZero() {
		wait = min(wait, time.Until(deadline))
	}
	return max(wait, 0)
}

// silent is how long nothing has been heard.
func (c *conn) silent() time.Duration { return time.Since(time.Unix(0, c.heard.Load())) }

// keepAlive pings a peer that has been silent for half of its time, and gives it up after the other
// half. While the machine is paused nobody listens, and silence proves nothing.
func (c *conn) keepAlive(paused bool, helpers *sync.WaitGroup) error {
	dead := c.service.config.DeadAfter
	silent := c.silent()
	switch {
	case dead <= 0 || silent < dead/2:
	case silent >= dead && !paused:
		return fmt.Errorf("websocket: no answer to a ping: %w", syscall.ETIMEDOUT)
	case c.pinged != c.heard.Load():
		c.pinged = c.heard.Load()
		helpers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), dead/2)
			defer cancel()
			_ = c.ws.Ping(ctx) // its answer is heard, or it is not
		})
	}
	return nil
}

// sayGoodbye closes the WebSocket (RFC 7395 §3.6, RFC 6455 §7.1.2). The peer has its time to take the
// last bytes and to answer.
func (c *conn) sayGoodbye(code websocket.StatusCode) error {
	late := time.AfterFunc(c.service.linger, c.socket.Abort)
	defer late.Stop()
	// The peer's answer comes behind all that it was sent, so that nothing waits any more then.
	_ = c.ws.Close(code, "")
	return io.EOF
}
