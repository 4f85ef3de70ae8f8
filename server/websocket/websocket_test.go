// SPDX-License-Identifier: Apache-2.0

package websocket

// How to read this file: a bed is a service behind an httpd.Server, a machine records what its
// connection does to it. Tests of time run in bubbles of testing/synctest, over pipes.

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server/httpd"
)

const patience = 20 * time.Second

// bed is a service that listens.
type bed struct {
	t        *testing.T
	service  *Service
	metrics  *metrics.Registry
	listener net.Listener
	machines chan *machine
	input    func(m *machine, data []byte) // of every machine
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// newBed makes one that lets clients in without TLS, unless change says otherwise.
func newBed(t *testing.T, l net.Listener, change func(*Config)) *bed {
	b := &bed{t: t, metrics: metrics.New(), listener: l, machines: make(chan *machine, 100)}
	b.input = func(*machine, []byte) {}
	log := slog.New(slog.DiscardHandler)
	c := Config{AllowPlaintext: true, Log: log, Metrics: b.metrics, Machine: func(c drive.Conn, proxied bool) drive.Framed {
		m := &machine{Conn: c, bed: b, proxied: proxied, inputs: make(chan string, 1000), gone: make(chan error, 1), expired: make(chan bool, 1)}
		b.machines <- m
		return m
	}}
	if change != nil {
		change(&c)
	}
	b.service = New(c)
	h := httpd.New(httpd.Config{
		Routes: []httpd.Route{{Pattern: Path, Handler: b.service}}, Limits: httpd.DefaultLimits(), Log: log, Metrics: b.metrics,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Admit:   func(interface{ Abort() }, netip.Addr) (<-chan struct{}, func()) { return nil, func() {} },
	})
	h.Listen(l, nil)
	t.Cleanup(func() {
		h.StopListening()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		b.service.Close(gone)
		h.Close(context.Background())
	})
	return b
}

// listening is a bed on the loopback.
func listening(t *testing.T, change func(*Config)) *bed {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newBed(t, l, change)
}

// connect opens a WebSocket, and returns both of its ends.
func (b *bed) connect() (*websocket.Conn, *machine) {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		if p, ok := b.listener.(*pipes); ok {
			ours, theirs := net.Pipe()
			p.conns <- theirs
			return ours, nil
		}
		return net.Dial("tcp", b.listener.Addr().String())
	}}}
	ws, _, err := websocket.Dial(b.t.Context(), "ws://d.test"+Path, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"xmpp"}, HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if ws.Subprotocol() != "xmpp" {
		b.t.Errorf("the subprotocol is %q", ws.Subprotocol())
	}
	b.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws, await(b.t, b.machines, "a machine")
}

func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for ", what)
	}
	return v
}

// machine is a drive.Framed that records.
type machine struct {
	drive.Conn
	bed     *bed
	proxied bool
	secured *tls.ConnectionState
	inputs  chan string
	gone    chan error
	expired chan bool
}

func (m *machine) Input(_ *drive.Batch, data []byte) {
	m.inputs <- string(data)
	m.bed.input(m, data)
	clear(data)
}
func (m *machine) Secured(s tls.ConnectionState) { m.secured = &s }
func (m *machine) Expired(*drive.Batch)          { m.expired <- true }
func (m *machine) Gone(err error)                { m.gone <- err }
func (*machine) MessageBytes() int               { return 100 }

func (m *machine) want(inputs ...string) {
	m.bed.t.Helper()
	for _, want := range inputs {
		if got := await(m.bed.t, m.inputs, "input "+want); got != want {
			m.bed.t.Errorf("input %q, want %q", got, want)
		}
	}
}

func send(t *testing.T, ws *websocket.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

func receive(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	kind, data, err := ws.Read(t.Context())
	if err != nil || kind != websocket.MessageText {
		t.Fatal(kind, err)
	}
	return string(data)
}

// Messages are whole in both directions, however many leave with one Flush.
func TestMessages(t *testing.T) {
	b := listening(t, nil)
	ws, m := b.connect()
	ws.SetReadLimit(1 << 20)
	send(t, ws, "one", "", "three")
	m.want("one", "", "three")
	long := strings.Repeat("x", 70_000)
	for _, s := range []string{"1", long, "3"} {
		m.Queue([]byte(s))
	}
	if n := m.Queued(); n != len(long)+2 {
		t.Errorf("%d bytes are queued", n)
	}
	m.Flush()
	for _, want := range []string{"1", long, "3"} {
		if got := receive(t, ws); got != want {
			t.Errorf("received %.20q", got)
		}
	}
}

// While it is paused a machine is given nothing; the last Resume is followed by an Input.
func TestPause(t *testing.T) {
	b := listening(t, nil)
	b.input = func(m *machine, data []byte) {
		if string(data) == "pause" {
			m.Pause()
			m.Pause()
		}
	}
	ws, m := b.connect()
	send(t, ws, "pause", "later", "last")
	m.want("pause")
	m.Resume()
	m.SetDeadline(time.Now()) // which is told all the same
	await(t, m.expired, "Expired")
	select {
	case s := <-m.inputs:
		t.Errorf("input %q while paused", s)
	default:
	}
	m.Resume()
	m.want("", "later", "last")
}

// Of a message that is too long the machine gets as much as shows it.
func TestTooLong(t *testing.T) {
	b := listening(t, nil)
	b.input = func(m *machine, data []byte) {
		if len(data) > 100 {
			m.Queue([]byte("too long"))
			m.Close()
		}
	}
	ws, m := b.connect()
	send(t, ws, strings.Repeat("x", 100), strings.Repeat("y", 1_000_000), "z")
	m.want(strings.Repeat("x", 100), strings.Repeat("y", 101))
	if got := receive(t, ws); got != "too long" {
		t.Errorf("received %q", got)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
	if err := await(t, m.gone, "Gone"); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if len(m.inputs) > 0 {
		t.Error("input after Close")
	}
}

// RFC 7395 §3.2.
func TestBinary(t *testing.T) {
	b := listening(t, nil)
	ws, m := b.connect()
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Error(err)
	}
	if err := await(t, m.gone, "Gone"); !errors.Is(err, errBinary) {
		t.Error(err)
	}
}

// The peer ends the WebSocket in order, or just its connection.
func TestPeerCloses(t *testing.T) {
	b := listening(t, nil)
	for name, end := range map[string]func(*websocket.Conn) error{
		"close":      func(ws *websocket.Conn) error { return ws.Close(websocket.StatusGoingAway, "") },
		"connection": (*websocket.Conn).CloseNow,
	} {
		ws, m := b.connect()
		if err := end(ws); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := await(t, m.gone, "Gone"); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A reader that does not read makes nobody wait; what waits for it is counted, and for good once
// the connection is aborted.
func TestSlowReader(t *testing.T) {
	b := listening(t, nil)
	_, m := b.connect()
	for range 500 {
		m.Queue(bytes.Repeat([]byte("x"), 64<<10))
		m.Flush()
	}
	if m.Queued() < 8<<20 {
		t.Errorf("%d bytes are queued of 32 MB", m.Queued())
	}
	m.Abort()
	n := m.Queued()
	m.Queue([]byte("more"))
	m.Flush()
	if err := await(t, m.gone, "Gone"); !errors.Is(err, drive.ErrAborted) {
		t.Error(err)
	}
	if got := m.Queued(); got != n+4 {
		t.Errorf("%d bytes queued, then %d", n, got)
	}
}

// A machine that panics costs its connection, no other.
func TestPanic(t *testing.T) {
	b := listening(t, nil)
	b.input = func(_ *machine, data []byte) {
		if string(data) == "bad" {
			panic("as wanted")
		}
	}
	bad, badMachine := b.connect()
	good, goodMachine := b.connect()
	send(t, bad, "bad")
	if err := await(t, badMachine.gone, "Gone"); !errors.Is(err, drive.ErrPanic) {
		t.Error(err)
	}
	send(t, good, "good")
	goodMachine.want("good")
}

// bubble runs a test where time passes only while all wait, over a pipe.
func bubble(t *testing.T, change func(*Config), f func(b *bed)) {
	synctest.Test(t, func(t *testing.T) {
		f(newBed(t, &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}, change))
	})
}

func deadAfterMinute(c *Config) { c.DeadAfter = time.Minute }

// A client that answers pings lives, whatever it does not say.
func TestPinged(t *testing.T) {
	bubble(t, deadAfterMinute, func(b *bed) {
		ws, m := b.connect()
		ctx := ws.CloseRead(b.t.Context()) // reads, and answers pings
		<-time.After(time.Hour)
		if ctx.Err() != nil || len(m.gone) > 0 {
			b.t.Fatal("the client was given up")
		}
	})
}

// One that does not is dead after its time, but not while its machine is paused.
func TestDead(t *testing.T) {
	bubble(t, deadAfterMinute, func(b *bed) {
		_, m := b.connect()
		began := time.Now()
		if err := <-m.gone; !errors.Is(err, syscall.ETIMEDOUT) {
			b.t.Error(err)
		}
		if took := time.Since(began); took < time.Minute || took > 70*time.Second {
			b.t.Errorf("dead after %v", took)
		}
		_, m = b.connect()
		m.Pause()
		<-time.After(time.Hour)
		if len(m.gone) > 0 {
			b.t.Error("dead while paused")
		}
	})
}

// A peer that does not answer the closing of the WebSocket has five seconds.
func TestLinger(t *testing.T) {
	bubble(t, nil, func(b *bed) {
		_, m := b.connect()
		m.Queue([]byte("bye"))
		began := time.Now()
		m.Close()
		if err := <-m.gone; !errors.Is(err, io.EOF) {
			b.t.Error(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			b.t.Errorf("gone after %v", took)
		}
	})
}

// Close ends all connections, and aborts those that are left at its end.
func TestServiceClose(t *testing.T) {
	bubble(t, nil, func(b *bed) {
		polite, m1 := b.connect()
		_, m2 := b.connect()
		closed := make(chan error, 1)
		go func() {
			_, _, err := polite.Read(b.t.Context())
			closed <- err
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		b.service.Close(ctx)
		if took := time.Since(began); took != time.Second {
			b.t.Errorf("closed after %v", took)
		}
		if err := <-closed; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			b.t.Error(err)
		}
		if err := <-m1.gone; !errors.Is(err, io.EOF) {
			b.t.Error(err)
		}
		<-m2.gone
	})
}

// The handshakes that are refused, each counted.
func TestRefused(t *testing.T) {
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	xmpp := "Sec-WebSocket-Protocol: chat, xmpp\r\n"
	for _, tt := range []struct {
		name, headers string
		plaintext     bool
		from          string
		status        int
		reason        string
	}{
		{"no TLS", upgrade + xmpp, false, "127.0.0.1", 403, "plaintext"},
		{"TLS claimed by a stranger", upgrade + xmpp + "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n", false, "127.0.0.1", 403, "plaintext"},
		{"TLS claimed by a proxy", upgrade + xmpp + "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n", false, "127.0.0.2", 101, ""},
		{"no TLS before the proxy", upgrade + xmpp + "X-Forwarded-Proto: http\r\nX-Forwarded-For: 192.0.2.1\r\n", false, "127.0.0.2", 403, "plaintext"},
		{"the proxy does not say", upgrade + xmpp + "X-Forwarded-For: 192.0.2.1\r\n", false, "127.0.0.2", 403, "plaintext"},
		{"no TLS, test bed", upgrade + xmpp, true, "127.0.0.1", 101, ""},
		{"no subprotocol", upgrade, true, "127.0.0.1", 400, "subprotocol"},
		{"another subprotocol", upgrade + "Sec-WebSocket-Protocol: xmpps, mqtt\r\n", true, "127.0.0.1", 400, "subprotocol"},
		{"no WebSocket", "", true, "127.0.0.1", 426, "handshake"},
		{"another version", strings.Replace(upgrade, "13", "8", 1) + xmpp, true, "127.0.0.1", 400, "handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listening(t, func(c *Config) { c.AllowPlaintext = tt.plaintext })
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tt.from)}}
			conn, err := d.Dial("tcp", b.listener.Addr().String())
			if err != nil {
				t.Skipf("no address %s here: %v", tt.from, err)
			}
			defer conn.Close() //nolint:errcheck // a test's
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: d.test\r\n%s\r\n", Path, tt.headers)
			status := make([]byte, len("HTTP/1.1 101"))
			if _, err := io.ReadFull(conn, status); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("HTTP/1.1 %d", tt.status); string(status) != want {
				t.Errorf("%s, want %s", status, want)
			}
			if tt.status == http.StatusSwitchingProtocols {
				m := await(t, b.machines, "a machine")
				if behind := tt.from == "127.0.0.2"; m.proxied != behind || behind && m.Remote().Addr() != netip.MustParseAddr("192.0.2.1") {
					t.Errorf("proxied %v, from %v", m.proxied, m.Remote())
				}
				return
			}
			if want := fmt.Sprintf("stonechat_websocket_refused_total{reason=%q} 1\n", tt.reason); !strings.Contains(b.scrape(), want) {
				t.Errorf("no metric %s", want)
			}
		})
	}
}

// scrape is what the metrics say.
func (b *bed) scrape() string {
	w := httptest.NewRecorder()
	b.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
