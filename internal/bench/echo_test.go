// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// attachment is a server's side of an echo.
type attachment struct {
	t    *testing.T
	conn net.Conn
	m    *stream.ComponentServer
}

// attach accepts the next component, and lets it in if it has the secret.
func attach(t *testing.T, l net.Listener) *attachment {
	conn, err := l.Accept()
	if err != nil {
		t.Error(err)
		return nil
	}
	a := &attachment{t, conn, stream.NewComponentServer(&stream.ComponentServerConfig{
		Secret: func(domain string) (string, bool) { return "secret", domain == "echo.d" },
	}, time.Now())}
	if e := a.event(); e.Kind == stream.Login {
		a.m.Admit()
		_, _ = conn.Write(a.m.Out()) // the test hears of it otherwise
	}
	return a
}

func (a *attachment) event() stream.Event {
	buf := make([]byte, 4096)
	for {
		e := a.m.Next()
		if out := a.m.Out(); len(out) > 0 {
			_, _ = a.conn.Write(out) // the same
		}
		if e.Kind != stream.None {
			return e
		}
		n, err := a.conn.Read(buf)
		if n == 0 && err != nil {
			return stream.Event{Kind: stream.End, Err: err}
		}
		a.m.Feed(buf[:n])
	}
}

// An echo sends messages back, and nothing else.
func TestEcho(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	in := make(chan *attachment, 1)
	go func() { in <- attach(t, l) }()
	e, err := NewEcho(t.Context(), l.Addr().String(), "echo.d", "secret")
	if err != nil {
		t.Fatal(err)
	}
	a := <-in
	if _, err := a.conn.Write([]byte("<presence from='a@d/r' to='x@echo.d'/><iq from='a@d/r' to='x@echo.d' type='get' id='1'><q xmlns='u:q'/></iq>" +
		"<message from='a@d/r' to='x@echo.d' type='error' id='2'/><message from='a@d/r' to='x@echo.d' id='3'><body>hi</body></message>")); err != nil {
		t.Fatal(err)
	}
	ev := a.event()
	if ev.Kind != stream.Element {
		t.Fatalf("%v %v", ev.Kind, ev.Err)
	}
	for _, part := range []string{"<message ", "from='x@echo.d'", "to='a@d/r'", "id='3'", "<body>hi</body>"} {
		if got := string(ev.Element.Raw); !strings.Contains(got, part) {
			t.Errorf("%s lacks %s", got, part)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	go func() { in <- attach(t, l) }()
	if _, err := NewEcho(t.Context(), l.Addr().String(), "echo.d", "guessed"); err == nil || !strings.Contains(err.Error(), "not-authorized") {
		t.Errorf("a wrong secret: %v", err)
	}
	<-in
	if _, err := new(Run).Component(t.Context(), nil, ComponentOptions{}); err == nil {
		t.Error("options of nothing")
	}
}
