// SPDX-License-Identifier: Apache-2.0

// Package c2s lets clients in over TCP, with STARTTLS or TLS from the first byte, and carries
// their sessions. It also has the machine for transports that frame each element by themselves
// ([Service.Framed]: WebSocket), so that there is one login, one admission and one kind of session.
//
// RFC 6120 §4–7, RFC 7590, XEP-0368 (complete, 1.1.0),
// XEP-0175 (complete, 1.2), XEP-0178 (complete, 1.2): between clients and server
//
// How to read this package: a conn ties three things together. The driver (internal/drive)
// brings bytes, the machine (xmpp/stream) makes events of them, the session (server) takes
// stanzas. conn.go is the tie, framed.go what others than TCP need of it, login.go what waits for the store,
// certificate.go whom a certificate names, guests.go those without an account, admission.go who may
// come in.
package c2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is what a Service needs.
type Config struct {
	Server  *server.Server
	Store   store.Store
	Driver  drive.Driver
	TLS     *tls.Config // for STARTTLS; nil: none, for test beds with AllowPlaintext
	Log     *slog.Logger
	Metrics *metrics.Registry

	// ClientCertificate returns the certificate that a client has shown, if it is to be believed;
	// nil without error if it has shown none. ClientIdentity is where it names the account
	// (config.TLS). nil: certificates of clients are not asked for.
	ClientCertificate func(tls.ConnectionState) (*x509.Certificate, error)
	ClientIdentity    string

	// Enrol makes the account that a believed certificate names, where it is not there, and reports whether it is
	// then. It may wait. nil: no account is made so.
	Enrol func(ctx context.Context, account jid.JID) (made bool, err error)

	// Anonymous are the domains where clients need no account (XEP-0175).
	Anonymous []string

	// AllowPlaintext lets clients log in without TLS.
	AllowPlaintext bool
	// Secret steadies the false salts of accounts that do not exist (RFC 5802 §9).
	Secret []byte
	Limits Limits
}

// Limits of connections; 0 or less is "none", for test beds.
type Limits struct {
	StanzaBytes                          int // of one stanza
	Depth                                int // of its elements
	Attributes                           int // of one start tag
	Children                             int // elements within one stanza
	UnauthenticatedConnectionsPerAddress int // IPv6 by /64; more wait
	UnauthenticatedConnections           int // in all, with those that wait; the fullest address loses one
	FailedLoginsPerMinute                int // per address and per account
	GuestsPerAddress, Guests             int // one more is refused
	UnreadBytes                          int // of answers to who has not logged in; then the connection is dropped
	LoginTimeout                         time.Duration
}

// DefaultLimits are those of a server without configuration.
func DefaultLimits() Limits {
	return Limits{
		StanzaBytes: 262144, Depth: 100, Attributes: 200, Children: 5000,
		UnauthenticatedConnectionsPerAddress: 1000, UnauthenticatedConnections: 10_000,
		FailedLoginsPerMinute: 60, GuestsPerAddress: 20, Guests: 1000, UnreadBytes: 64 << 10,
		LoginTimeout: 30 * time.Second,
	}
}

// Service accepts and serves clients' connections.
type Service struct {
	Config
	stream    stream.ServerConfig                 // but for limits
	live      atomic.Pointer[stream.ServerConfig] // with them, for new connections
	framed    atomic.Pointer[stream.ServerConfig] // the same for Framed
	admission admission
	failures  failures
	unread    atomic.Int64  // Limits.UnreadBytes
	computing chan struct{} // holds one for each password that is being compared
	guests    guests
	metrics   serviceMetrics
	listeners drive.Listeners
}

type serviceMetrics struct {
	accepted      metrics.Counter
	logins        metrics.CounterVec // by result
	limited       metrics.Counter
	unread        metrics.Counter
	certificates  metrics.CounterVec // by result
	guestsLimited metrics.Counter
	unbound       metrics.CounterVec // by condition of the stanza error we sent
	ended         metrics.CounterVec // by condition of the stream error we sent
	gone          metrics.CounterVec // by reason
}

// New makes a Service. It listens nowhere yet.
func New(c Config) *Service {
	s := &Service{Config: c}
	s.computing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) // half of the processors
	s.stream = stream.ServerConfig{
		Serves:        c.Server.Serves,
		DefaultDomain: c.Server.Domains()[0],
		TLS:           c.TLS != nil,
		TLSRequired:   !c.AllowPlaintext,
		SASL:          sasl.ServerConfig{Plain: true, Secret: c.Secret},
		Anonymous:     func(domain string) bool { return slices.Contains(c.Anonymous, domain) },
		BeforeLogin:   xmlstream.Limits{ElementBytes: bytesBeforeLogin, Depth: 8, Attributes: 32, Children: 200},
	}
	s.stream.Features = func(m *stream.Server, dst []byte) []byte {
		c := m.Owner.(*conn)
		c.state.Store(int32(m.State()))
		return s.Server.StreamFeatures(dst, c)
	}
	s.stream.Failed = func(m *stream.Server, f *sasl.Failure) { m.Owner.(*conn).failed(f) }
	s.stream.Admit = func(m *stream.Server, e *xmlstream.Element) bool {
		if m.State() == stream.Authenticated {
			return string(e.Space) != stanza.NSClient // stream management, say
		}
		return s.Server.AnswersBeforeLogin(e)
	}
	s.SetLimits(c.Limits)
	r := c.Metrics
	s.metrics = serviceMetrics{
		accepted:     r.Counter("stonechat_c2s_connections_total", "Client connections accepted."),
		logins:       r.CounterVec("stonechat_c2s_logins_total", "Logins by result: success, or the condition of the failure.", "result"),
		limited:      r.Counter("stonechat_c2s_logins_limited_total", "Logins refused because too many had failed (limits.failed_logins_per_minute)."),
		certificates: r.CounterVec("stonechat_c2s_certificates_total", "Certificates that clients have shown (tls.client_ca): believed, nameless (no account of ours in it), refused.", "result"),
		unbound:      r.CounterVec("stonechat_c2s_binds_refused_total", "Clients that got no session (limits.sessions_per_account, limits.sessions).", "condition"),
		ended:        r.CounterVec("stonechat_c2s_stream_errors_total", "Streams ended with an error of ours; limits.stanza_bytes, limits.stanza_depth, limits.stanza_attributes and limits.stanza_children end them with policy-violation, limits.login_timeout with connection-timeout.", "condition"),
		gone:         r.CounterVec("stonechat_c2s_gone_total", "Client connections that are over: closed in order, aborted here, no TLS (handshake), not read (stalled), network dead (timeout: limits.dead_after), broken, panic.", "reason"),
	}
	s.metrics.unread = r.Counter("stonechat_c2s_unread_total", "Connections dropped because they went on to ask before their login and did not read the answers (limits.unread_bytes).")
	s.metrics.guestsLimited = r.Counter("stonechat_c2s_guests_limited_total", "Logins without an account refused because there were too many (limits.guests, limits.guests_per_address).")
	r.GaugeFunc("stonechat_c2s_guests", "Clients that logged in without an account.", func() float64 { return float64(s.guests.count()) })
	count := func(of func(admissionCounts) int) func() float64 {
		return func() float64 { return float64(of(s.admission.counts())) }
	}
	r.GaugeFunc("stonechat_c2s_unauthenticated", "Client connections that are logging in.", count(func(n admissionCounts) int { return n.places }))
	r.GaugeFunc("stonechat_c2s_waiting", "Client connections that wait until others of their address have logged in (limits.unauthenticated_connections_per_address).", count(func(n admissionCounts) int { return n.waiting }))
	r.CounterFunc("stonechat_c2s_evicted_total", "Connections dropped before login because they made no progress and others waited (limits.unauthenticated_connections_per_address), or because there were too many (limits.unauthenticated_connections).", count(func(n admissionCounts) int { return n.evicted }))
	r.CounterFunc("stonechat_c2s_dropped_total", "Connections dropped while they waited for their login to begin, because there were too many (limits.unauthenticated_connections).", count(func(n admissionCounts) int { return n.dropped }))
	return s
}

// bytesBeforeLogin is how long an element may be before login.
const bytesBeforeLogin = 10_000

// SetLimits makes l the limits of connections that come in from now on.
func (s *Service) SetLimits(l Limits) {
	s.admission.limit(l.UnauthenticatedConnectionsPerAddress, l.UnauthenticatedConnections)
	s.failures.limit(l.FailedLoginsPerMinute)
	s.guests.limit(l.GuestsPerAddress, l.Guests)
	s.unread.Store(int64(orHuge(l.UnreadBytes)))
	c := s.stream
	c.LoginTimeout = l.LoginTimeout
	c.AfterLogin = xmlstream.Limits{
		ElementBytes: orHuge(l.StanzaBytes), Depth: orHuge(l.Depth),
		Attributes: orHuge(l.Attributes), Children: orHuge(l.Children),
	}
	framed := c
	framed.Framed = true
	s.live.Store(&c)
	s.framed.Store(&framed)
}

func orHuge(n int) int {
	if n <= 0 {
		return 1 << 30
	}
	return n
}

// Listen accepts connections from l until Close. If direct is not nil they begin with TLS of that
// configuration, which should offer xmpp-client by ALPN (XEP-0368 §3).
func (s *Service) Listen(l net.Listener, direct *tls.Config) {
	s.listeners.Accept(l, s.Log, func(nc net.Conn) {
		s.metrics.accepted.Inc()
		s.admission.enter(prefix(peer(nc)), time.Now(), func(p *place) {
			if !s.Driver.Serve(nc, direct, func(dc drive.Conn) drive.Machine { return s.newConn(dc, s.live.Load(), p) }) {
				p.leave()
			}
		}, func() { _ = nc.Close() })
	})
}

// peer is the address of nc's other end.
func peer(nc net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(nc.RemoteAddr().String()) // none for a Unix socket
	return a.Addr().Unmap()
}

// StopListening closes the listeners. Connections go on, but for those that wait to begin.
func (s *Service) StopListening() {
	s.listeners.Close()
	s.admission.close()
}

// Close closes all connections that are left, and returns when they are gone. Those whose peers
// are still there when ctx ends are dropped.
func (s *Service) Close(ctx context.Context) {
	s.StopListening()
	s.Driver.Close(ctx)
}
