// SPDX-License-Identifier: Apache-2.0

package component_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// patience is for what should come at once.
const patience = 30 * time.Second

// listener accepts a component's connections for a test to answer word by word.
type listener struct {
	t *testing.T
	net.Listener
}

func listen(t *testing.T) listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return listener{t, l}
}

func (l listener) config() component.Config {
	return component.Config{
		Domain: jid.MustParse("sms.d"), Secret: "secret", Address: l.Addr().String(),
		BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, CloseTime: 50 * time.Millisecond,
	}
}

// start makes a component that connects in the background.
func (l listener) start(change func(*component.Config)) *component.Component {
	l.t.Helper()
	config := l.config()
	if change != nil {
		change(&config)
	}
	c, err := component.New(config)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	return c
}

// peer is the server's side of one connection.
type peer struct {
	t    *testing.T
	conn net.Conn
	m    *stream.ComponentServer
	buf  []byte
}

// accept takes the component's next connection; admit also lets it in.
func (l listener) accept() *peer {
	l.t.Helper()
	conn, err := l.Accept()
	if err != nil {
		l.t.Fatal(err)
	}
	return l.peer(conn)
}

func (l listener) peer(conn net.Conn) *peer {
	l.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &peer{l.t, conn, stream.NewComponentServer(&stream.ComponentServerConfig{
		Secret: func(domain string) (string, bool) { return "secret", domain == "sms.d" },
	}, time.Now()), make([]byte, 64<<10)}
}

func (l listener) admit() *peer {
	l.t.Helper()
	p := l.accept()
	if err := p.admitted(); err != nil {
		l.t.Fatalf("no login: %v", err)
	}
	return p
}

func (p *peer) admitted() error {
	if e := p.event(); e.Kind != stream.Login {
		return fmt.Errorf("%v: %w", e.Kind, e.Err)
	}
	p.m.Admit()
	p.say(string(p.m.Out()))
	return nil
}

// serve lets in whoever comes from now on, and serves it.
func (l listener) serve() {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if p := l.peer(conn); p.admitted() == nil {
			p.serve()
		}
	}
}

// event moves bytes until there is something; the end of the connection is one.
func (p *peer) event() stream.Event {
	for {
		e := p.m.Next()
		if out := p.m.Out(); len(out) > 0 {
			p.say(string(out))
		}
		if e.Kind != stream.None {
			return e
		}
		n, err := p.conn.Read(p.buf)
		if n == 0 && err != nil {
			return stream.Event{Kind: stream.End, Err: err}
		}
		p.m.Feed(p.buf[:n])
	}
}

// read returns the next element, "" at the end.
func (p *peer) read() string {
	if e := p.event(); e.Kind == stream.Element {
		return string(e.Element.Raw)
	}
	return ""
}

var fenceID = regexp.MustCompile(`^<iq from='sms.d' to='sms.d' id='([^']+)' type='get'><ping `) //nolint:gochecknoglobals // a constant

// expect reads elements until one is no fence, wants it to have the parts, and returns it. Fences are answered if
// echo is set.
func (p *peer) expect(echo bool, parts ...string) string {
	p.t.Helper()
	for {
		s := p.read()
		if fenceID.MatchString(s) {
			if echo {
				p.say(s)
			}
			continue
		}
		for _, part := range parts {
			if !strings.Contains(s, part) {
				p.t.Fatalf("read %q, want %q", s, part)
			}
		}
		return s
	}
}

// fence waits for a fence, and sends it back.
func (p *peer) fence() {
	p.t.Helper()
	s := p.read()
	if !fenceID.MatchString(s) {
		p.t.Fatalf("read %q, want a ping to itself", s)
	}
	p.say(s)
}

// serve answers fences and drops all else, until the end.
func (p *peer) serve() {
	for s := p.read(); s != ""; s = p.read() {
		if fenceID.MatchString(s) {
			p.say(s)
		}
	}
	_ = p.conn.Close()
}

func (p *peer) say(text string) { _, _ = io.WriteString(p.conn, text) } // if the component is gone, read tells

// fail ends the stream with an error.
func (p *peer) fail(c stream.Condition) {
	p.m.Close(&stream.Error{Condition: c}, time.Now())
	p.say(string(p.m.Out()))
	_ = p.conn.Close()
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// received is the condition of the stream error that err is.
func received(err error) stream.Condition {
	var e *stream.Error
	if errors.As(err, &e) && e.Received {
		return e.Condition
	}
	return ""
}
