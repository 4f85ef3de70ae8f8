// SPDX-License-Identifier: Apache-2.0

package httpd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server/httpd"
)

const patience = 20 * time.Second

// bed is a server with the routes /who, which tells the peer, /wait, and /over, which takes over.
type bed struct {
	*testing.T
	address  string
	server   *httpd.Server
	metrics  *metrics.Registry
	admitted chan interface{ Abort() }
	inside   atomic.Int32 // connections that have a place
	entered  chan bool    // /wait has begun
	proceed  chan bool
}

func newBed(t *testing.T, change func(*httpd.Config)) *bed {
	t.Helper()
	b := &bed{T: t, metrics: metrics.New(), admitted: make(chan interface{ Abort() }, 100), entered: make(chan bool), proceed: make(chan bool)}
	c := httpd.Config{
		Routes: []httpd.Route{
			{Pattern: "GET /who", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p := httpd.PeerOf(r)
				fmt.Fprintf(w, "%s %v %v", p.Address.Addr(), p.Secure, p.Proxied)
			})},
			{Pattern: "/wait", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { b.entered <- true; <-b.proceed })},
			{Pattern: "/over", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				nc, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(nc, "mine")
				b.entered <- true
				_ = nc.Close()
			})},
		},
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Limits:  httpd.DefaultLimits(), Log: slog.New(slog.DiscardHandler), Metrics: b.metrics,
		Admit: func(c interface{ Abort() }, _ netip.Addr) (<-chan struct{}, func()) {
			b.inside.Add(1)
			b.admitted <- c
			return nil, func() { b.inside.Add(-1) }
		},
	}
	if change != nil {
		change(&c)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	b.server = httpd.New(c)
	b.server.Listen(l, nil)
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		b.server.Close(now)
	})
	return b
}

// dial connects from an address of the loopback.
func (b *bed) dial(from string) net.Conn {
	b.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", b.address)
	if err != nil {
		b.Skipf("no address %s here: %v", from, err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends a request and returns status and body.
func (b *bed) ask(conn net.Conn, request string) (int, string) {
	b.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		b.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // a test's
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func (b *bed) counts(lines ...string) {
	b.Helper()
	w := httptest.NewRecorder()
	b.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, l := range lines {
		if !strings.Contains(w.Body.String(), l+"\n") {
			b.Errorf("no metric %s", l)
		}
	}
}

// eventually waits until f.
func (b *bed) eventually(what string, f func() bool) {
	b.Helper()
	late := time.After(patience)
	for tick := time.NewTicker(time.Millisecond); !f(); {
		select {
		case <-tick.C:
		case <-late:
			b.Fatal(what, "takes too long")
		}
	}
}

func TestRequests(t *testing.T) {
	b := newBed(t, nil)
	for _, tt := range []struct {
		from, request string
		status        int
		body          string
	}{
		{"127.0.0.1", "GET /who HTTP/1.1\r\nHost: d.test\r\n\r\n", 200, "127.0.0.1 false false"},
		{"127.0.0.1", "GET /who HTTP/1.1\r\nHost: d.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n", 200, "127.0.0.1 false false"},
		{"127.0.0.2", "GET /who HTTP/1.1\r\nHost: d.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n", 200, "192.0.2.1 true true"},
		{"127.0.0.2", "GET /who HTTP/1.1\r\nHost: d.test\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n\r\n", 400, "contradict"},
		{"127.0.0.1", "POST /who HTTP/1.1\r\nHost: d.test\r\n\r\n", 405, ""},
		{"127.0.0.1", "GET /../etc/passwd HTTP/1.1\r\nHost: d.test\r\n\r\n", 307, ""},
		{"127.0.0.1", "GET /nothing HTTP/1.1\r\nHost: d.test\r\n\r\n", 404, ""},
	} {
		if status, body := b.ask(b.dial(tt.from), tt.request); status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("%q: %d %s", tt.request, status, body)
		}
	}
	b.counts(`stonechat_http_requests_total{route="/who",status="200"} 3`, `stonechat_http_requests_total{route="none",status="404"} 1`,
		`stonechat_http_refused_total{reason="forwarded"} 1`, `stonechat_http_connections_total 7`)
}

// limits.http_header_bytes and limits.http_timeout.
func TestLimits(t *testing.T) {
	b := newBed(t, func(c *httpd.Config) { c.Limits.HeaderBytes, c.Limits.Timeout = 2000, 2*time.Second })
	if status, _ := b.ask(b.dial("127.0.0.1"), "GET /who HTTP/1.1\r\nHost: d.test\r\nX: "+strings.Repeat("x", 10_000)+"\r\n\r\n"); status != 431 {
		t.Errorf("a large header is answered with %d", status)
	}
	slow := b.dial("127.0.0.1")
	if _, err := io.WriteString(slow, "GET /who HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(slow); err != nil {
		t.Errorf("a request that does not come whole: %v", err)
	}
	garbage := b.dial("127.0.0.1")
	if _, err := io.WriteString(garbage, "\x16\x03\x01 not HTTP\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(garbage)
	b.eventually("closing", func() bool { return b.inside.Load() == 0 })
	b.counts(`stonechat_http_refused_total{reason="request"} 3`, `stonechat_http_open 0`)
}

// A stranger's connection has a place among the unauthenticated until it is closed or becomes
// something else; a proxy's has none. Whoever holds a place may have to go.
func TestAdmission(t *testing.T) {
	b := newBed(t, nil)
	over := b.dial("127.0.0.1")
	if _, err := io.WriteString(over, "GET /over HTTP/1.1\r\nHost: d.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-b.admitted
	mine := make([]byte, 4)
	if _, err := io.ReadFull(over, mine); err != nil || string(mine) != "mine" {
		t.Fatal(string(mine), err)
	}
	if n := b.inside.Load(); n != 0 {
		t.Errorf("%d have a place though one was taken over", n)
	}
	<-b.entered

	if status, _ := b.ask(b.dial("127.0.0.2"), "GET /who HTTP/1.1\r\nHost: d.test\r\n\r\n"); status != 200 || len(b.admitted) != 0 {
		t.Errorf("the proxy: %d, %d admitted", status, len(b.admitted))
	}

	evicted := b.dial("127.0.0.1")
	(<-b.admitted).Abort()
	if _, err := evicted.Read(make([]byte, 1)); err == nil {
		t.Error("an evicted connection lives")
	}
	b.eventually("leaving", func() bool { return b.inside.Load() == 0 })
}

// Close lets a request under way end, and no longer than its context.
func TestClose(t *testing.T) {
	for _, polite := range []bool{true, false} {
		b := newBed(t, nil)
		conn := b.dial("127.0.0.1")
		if _, err := io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: d.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-b.entered
		ctx, cancel := context.WithCancel(context.Background())
		if polite {
			go func() { b.server.Close(ctx); cancel() }()
			b.proceed <- true
			if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != 200 {
				t.Error(r, err)
			}
			<-ctx.Done()
			continue
		}
		cancel()
		b.server.Close(ctx)
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection lives")
		}
		b.proceed <- true
	}
}
