// SPDX-License-Identifier: Apache-2.0

// Package httpd serves what the server has to say over HTTP, for the parts that say it: behind a reverse
// proxy, and over our own TLS.
//
// A part is a [Route]: a pattern and a handler. A handler asks [PeerOf] who is at the other end, which
// is not whom the socket is connected to where a proxy stands between.
//
// How to read this package: httpd.go has the listeners and the way of a request, peer.go who asks and
// which proxies are believed.
//
// HTTP/1.1 only: a WebSocket needs it, and nothing else here gains from more.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
)

// Route is one thing that is served; Pattern is http.ServeMux's.
type Route struct {
	Pattern string
	Handler http.Handler
}

// Config is what a Server needs.
type Config struct {
	Routes []Route
	// Proxies are the networks of reverse proxies: what they say of their clients is believed.
	Proxies []netip.Prefix
	// Admit asks for a place for a connection of a stranger among those that have not logged in,
	// see c2s.Service.Admit.
	Admit   func(c interface{ Abort() }, from netip.Addr) (admitted <-chan struct{}, leave func())
	Limits  Limits
	Log     *slog.Logger
	Metrics *metrics.Registry
}

// Limits of requests; 0 or less is "none", for test beds.
type Limits struct {
	HeaderBytes int           // of a request's header; a larger one is answered 431
	Timeout     time.Duration // for a request to come, and for its answer to be taken; handlers may allow more
	Idle        time.Duration // between requests of one connection
}

// DefaultLimits are those of a server without configuration.
func DefaultLimits() Limits {
	return Limits{HeaderBytes: 16 << 10, Timeout: 30 * time.Second, Idle: time.Minute}
}

// Server listens and hands requests to routes.
type Server struct {
	config  Config
	http    http.Server
	mux     http.ServeMux
	metrics serverMetrics
	open    atomic.Int64

	mu        sync.Mutex
	listeners []net.Listener
	serving   sync.WaitGroup
}

type serverMetrics struct {
	accepted metrics.Counter
	requests metrics.CounterVec // by route and status
	bad      metrics.CounterVec // by reason
}

// New makes a Server. It listens nowhere yet.
func New(c Config) *Server {
	s := &Server{config: c}
	for _, r := range c.Routes {
		s.mux.Handle(r.Pattern, r.Handler)
	}
	if s.config.Limits.HeaderBytes <= 0 {
		s.config.Limits.HeaderBytes = 1 << 30 // net/http has a limit of its own for 0
	}
	s.http = http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ReadHeaderTimeout: c.Limits.Timeout,
		ReadTimeout:       c.Limits.Timeout,
		WriteTimeout:      c.Limits.Timeout,
		IdleTimeout:       c.Limits.Idle,
		MaxHeaderBytes:    s.config.Limits.HeaderBytes,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connOf(nc))
		},
		ConnState: func(nc net.Conn, state http.ConnState) { connOf(nc).changed(state) },
	}
	r := c.Metrics
	s.metrics = serverMetrics{
		accepted: r.Counter("stonechat_http_connections_total", "HTTP connections accepted."),
		requests: r.CounterVec("stonechat_http_requests_total", "HTTP requests by what was asked for and the status answered.", "route", "status"),
		bad:      r.CounterVec("stonechat_http_refused_total", "HTTP connections that brought no good request: not whole in time, too large or malformed (request; limits.http_header_bytes, limits.http_timeout), a proxy's headers that contradict each other (forwarded).", "reason"),
	}
	r.GaugeFunc("stonechat_http_open", "HTTP connections open now, those not counted that have become WebSockets.", func() float64 { return float64(s.open.Load()) })
	return s
}

// Listen serves l until StopListening, over TLS if c is not nil.
func (s *Server) Listen(l net.Listener, c *tls.Config) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	var at net.Listener = listener{l, s}
	if c != nil {
		at = tls.NewListener(at, c)
	}
	s.serving.Go(func() {
		if err := s.http.Serve(at); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			s.config.Log.Error("HTTP listener failed", "err", err)
		}
	})
}

// StopListening closes the listeners. Requests under way go on.
func (s *Server) StopListening() {
	s.mu.Lock()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()
	s.http.SetKeepAlivesEnabled(false)
	s.serving.Wait()
}

// Close waits for the requests under way, until ctx ends, and closes all connections but those that
// have become something else.
func (s *Server) Close(ctx context.Context) {
	s.StopListening()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
}

// listener makes connections of ours.
type listener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	c := &conn{Outlet: drive.NewOutlet(nc), server: l.server, from: unmap(nc.RemoteAddr())}
	l.server.metrics.accepted.Inc()
	l.server.open.Add(1)
	if !c.byProxy() {
		c.admitted, c.leave = l.server.config.Admit(c, c.from.Addr())
	}
	return c, nil
}

// conn is a connection as the listener accepted it, below TLS.
type conn struct {
	*drive.Outlet
	server   *Server
	from     netip.AddrPort
	admitted <-chan struct{} // nil: at once
	leave    func()          // its place among the unauthenticated; nil if it has none

	awaited atomic.Bool // a request has begun to come and has not been handled
}

// Read implements net.Conn. It waits for the connection's place.
func (c *conn) Read(p []byte) (int, error) {
	if c.admitted != nil {
		<-c.admitted
	}
	return c.Outlet.Read(p) //nolint:wrapcheck // net/http looks at it
}

type connKey struct{}

// connOf finds the connection below nc.
func connOf(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.(*conn)
}

// changed hears of the connection's life from net/http.
func (c *conn) changed(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.awaited.Store(true)
	case http.StateClosed, http.StateHijacked:
		if state == http.StateClosed && c.awaited.Load() {
			c.server.metrics.bad.WithLabelValues("request").Inc()
		}
		c.server.open.Add(-1)
		if c.leave != nil {
			c.leave()
		}
	}
}

// byProxy reports whether the other end of the socket is a proxy that is believed.
func (c *conn) byProxy() bool { return c.server.trusts(c.from.Addr()) }

// handle takes a request its way.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	c.awaited.Store(false)
	peer, err := s.peer(c, r)
	if err != nil {
		s.metrics.bad.WithLabelValues("forwarded").Inc()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), peerKey{}, peer))
	sw := &statusWriter{ResponseWriter: w, told: func(status int) {
		s.metrics.requests.WithLabelValues(route(r.Pattern), strconv.Itoa(status)).Inc()
		s.config.Log.Debug("HTTP request", "route", route(r.Pattern), "status", status, "peer", peer.Address.String())
	}}
	s.mux.ServeHTTP(sw, r)
	sw.tell(http.StatusOK)
}

// route is the label of a pattern in metrics.
func route(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return "none"
}

// statusWriter tells the status of an answer, once.
type statusWriter struct {
	http.ResponseWriter
	told func(status int)
}

func (w *statusWriter) tell(status int) {
	if told := w.told; told != nil {
		w.told = nil
		told(status)
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.tell(status)
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController and for whoever hijacks.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
