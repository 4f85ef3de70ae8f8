// SPDX-License-Identifier: Apache-2.0

// Package websocket lets clients in over WebSocket: what browsers, and networks that let only HTTPS
// through, have instead of TCP.
//
// # RFC 7395
//
// How to read this package: websocket.go is the handshake and who may come in, conn.go a connection as
// its machine sees it (drive.Conn), loop.go the goroutine that drives it. The machine is that of
// package c2s: login, limits and sessions are the same as over TCP.
//
// What the RFC leaves open is decided so:
//
//   - TLS. Where a client would have to log in without it, the handshake is refused with 403, before
//     any XMPP: a stream without <starttls/> could offer it nothing (§3.9, RFC 7590 §3.2).
//   - Origin. Pages of any origin may connect. Nothing that a browser adds by itself, like a cookie,
//     lets anybody in here: a login needs the password, which a page of another origin does not have.
//   - Compression is not offered: beside secrets it is dangerous (CRIME), and it costs memory.
//   - see-other-uri (§3.6.1) is not sent.
//   - An XML declaration before an element (§3.3.3: not recommended) is read and means nothing.
package websocket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server/httpd"
)

// Path is where clients find it.
const Path = "/xmpp-websocket"

// Subprotocol is what client and server must agree on. RFC 7395 §3.1.
const Subprotocol = "xmpp"

// Config is what a Service needs.
type Config struct {
	// Machine makes the machine of a connection, see c2s.Service.Framed.
	Machine func(c drive.Conn, proxied bool) drive.Framed
	// AllowPlaintext lets clients come in without TLS.
	AllowPlaintext bool
	// DeadAfter is how long a client may be silent before it is given up; in the middle of that time
	// it is sent a ping. 0 is for ever, without pings.
	DeadAfter time.Duration
	Log       *slog.Logger
	Metrics   *metrics.Registry
}

// Service serves WebSockets. It is a http.Handler for requests of an httpd.Server.
type Service struct {
	config   Config
	linger   time.Duration // for the peer to take the last bytes, and to close
	accepted metrics.Counter
	refused  metrics.CounterVec // by reason
	open     atomic.Int64

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	wg     sync.WaitGroup
}

// New makes a Service.
func New(c Config) *Service {
	s := &Service{config: c, linger: 5 * time.Second, conns: make(map[*conn]struct{})}
	r := c.Metrics
	s.accepted = r.Counter("stonechat_websocket_connections_total", "WebSockets opened.")
	s.refused = r.CounterVec("stonechat_websocket_refused_total", "WebSockets refused: without TLS (plaintext), without the subprotocol xmpp (subprotocol), no good handshake (handshake), the server stops (stopping).", "reason")
	r.GaugeFunc("stonechat_websocket_open", "WebSockets open now.", func() float64 { return float64(s.open.Load()) })
	return s
}

// ServeHTTP implements http.Handler. It returns when the connection is over.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer := httpd.PeerOf(r)
	refuse := func(status int, reason, text string) {
		s.refused.WithLabelValues(reason).Inc()
		http.Error(w, text, status)
	}
	upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	switch {
	case !peer.Secure && !s.config.AllowPlaintext:
		refuse(http.StatusForbidden, "plaintext", "Clients log in over TLS only: connect to wss://, or, where a proxy has the TLS, let it say so (X-Forwarded-Proto: https) and list its address in http.trusted_proxies.")
		return
	case upgrade && !offers(r, Subprotocol):
		refuse(http.StatusBadRequest, "subprotocol", "This is XMPP: the WebSocket's subprotocol must be "+Subprotocol+".")
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // any Origin, see above
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(ctx context.Context, _ []byte) bool { hear(ctx); return true },
		OnPongReceived:     func(ctx context.Context, _ []byte) { hear(ctx) },
	})
	if err != nil {
		s.refused.WithLabelValues("handshake").Inc() // Accept has answered
		return
	}
	ws.SetReadLimit(-1) // conn.read has the machine's
	peer.Socket.Eager()
	c := newConn(s, ws, peer)
	if !s.enter(c) {
		s.refused.WithLabelValues("stopping").Inc()
		_ = ws.CloseNow()
		return
	}
	s.accepted.Inc()
	s.open.Add(1)
	c.run(peer)
	s.open.Add(-1)
	s.leave(c)
}

// offers reports whether the client names the subprotocol. RFC 6455 §11.3.4.
func offers(r *http.Request, name string) bool {
	for _, v := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(v, ",") {
			if strings.TrimSpace(p) == name {
				return true
			}
		}
	}
	return false
}

func (s *Service) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Service) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

// Close closes all connections, as drive.Conn.Close does, and returns when they are gone. Those that
// are left when ctx ends are aborted.
func (s *Service) Close(ctx context.Context) {
	each := func(f func(*conn)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			f(c)
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	each((*conn).Close)
	defer context.AfterFunc(ctx, func() { each((*conn).Abort) })()
	s.wg.Wait()
}

// errBinary: RFC 7395 §3.2.
var errBinary = errors.New("websocket: a binary message")
