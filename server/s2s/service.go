// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: Config and Limits, what a Service is made of and how it begins (New, Start), what is out of
// its door (Take) and into it (Listen), and its end (Shutdown).

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/locate"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is what a Service needs.
type Config struct {
	Server   *server.Server
	Store    store.Store
	Driver   drive.Driver // closed by whoever made it, after Shutdown
	TLS      Certificates
	Roots    *x509.CertPool // whom certificates of other servers must come from; nil: the system's
	Resolver locate.Resolver
	Dial     locate.DialFunc // nil: a net.Dialer's
	DANE     TLSA            // nil: TLSA records do not count
	// Secret is what dialback keys are made with: 32 random bytes that stay the same for ever.
	Secret []byte
	// Kept reports whether a message must survive its receiver's absence (module message).
	Kept    func(*stanza.Stanza) bool
	Policy  Policy
	Limits  Limits
	Log     *slog.Logger
	Metrics *metrics.Registry
}

// TLSA tells the records of a port of a host that DNSSEC has proven. With an error nobody may connect there.
// A dns.Prover is one.
type TLSA interface {
	LookupTLSA(ctx context.Context, port, host string) ([]dane.Record, error)
}

// Certificates are those of this server. *tlsconfig.Certificates is one.
type Certificates interface {
	Servers(protocols ...string) *tls.Config
	Calling(own, other jid.JID, protocols ...string) *tls.Config
}

// Limits of connections; 0 or less is "none", for test beds.
type Limits struct {
	StanzaBytes           int // of one stanza
	Depth                 int // of its elements
	Attributes            int // of one start tag
	Children              int // elements within one stanza
	Connections           int // in all; for one more the oldest of the fullest address goes that is nobody yet
	ConnectionsPerAddress int // accepted from one address (IPv6 by /64); as above
	Pairs                 int // of domains, verified on one connection
	Routes                int // to other servers, in use
	QueueBytes            int // that wait in memory for one route, or that one peer has not read
	UnreadBytes           int // of answers that one peer has not read to which nothing else is sent
	SpoolStanzas          int // that wait on the disk for one route
	Dials                 int // at one time
	LoginTimeout          time.Duration
	DeadAfter             time.Duration // of silence of a network
	SpoolAfter            time.Duration // (sm.spool_after)
}

// DefaultLimits are those of a server without configuration.
func DefaultLimits() Limits {
	r := defaultRouteLimits()
	return Limits{
		StanzaBytes: 262144, Depth: 100, Attributes: 200, Children: 5000,
		Connections: 10_000, ConnectionsPerAddress: 200, Pairs: 1000,
		Routes: r.Routes, QueueBytes: r.QueueBytes, UnreadBytes: r.UnreadBytes, SpoolStanzas: r.SpoolStanzas, Dials: r.Dials, SpoolAfter: r.SpoolAfter,
		LoginTimeout: 30 * time.Second, DeadAfter: 5 * time.Minute,
	}
}

// Service is the way to other servers, and the door for them.
type Service struct {
	Config
	policy     atomic.Pointer[Policy]
	limits     atomic.Pointer[Limits]
	receiving  atomic.Pointer[stream.PeerConfig]
	initiating atomic.Pointer[stream.PeerConfig]
	routes     *routes
	door       door
	peers      peers
	incidents  incidents
	metrics    serviceMetrics
	starttls   *tls.Config
	judging    judging // keys of others
	detach     func()
	listeners  drive.Listeners

	running  context.Context //nolint:containedctx // of goroutines that connections start; ends with Shutdown
	stop     context.CancelFunc
	workers  sync.WaitGroup
	mu       sync.Mutex
	conns    map[*conn]struct{}
	calls    map[jid.JID][]*conn // those of them that we have made, by the other's domain
	reaching map[store.Route]*reaching
	over     bool
}

// New makes a Service. It is not attached to its server, and listens nowhere, before Start.
func New(c Config) (*Service, error) {
	s := &Service{Config: c, conns: make(map[*conn]struct{}), calls: make(map[jid.JID][]*conn), reaching: make(map[store.Route]*reaching)}
	s.running, s.stop = context.WithCancel(context.Background())
	s.starttls = c.TLS.Servers()
	s.incidents = incidents{log: c.Log}
	s.metrics.register(c.Metrics, s)
	var err error
	s.routes, err = newRoutes(routesConfig{
		Server: c.Server, Store: c.Store, Dialer: s, Kept: c.Kept, Limits: c.Limits.ofRoutes(&c.Policy), Log: c.Log, Metrics: c.Metrics,
	})
	if err != nil {
		return nil, err
	}
	s.Set(c.Policy, c.Limits)
	return s, nil
}

// Start lets stanzas out, first those that wait since the last run.
func (s *Service) Start(ctx context.Context) error {
	if err := s.routes.load(ctx); err != nil {
		return err
	}
	var err error
	if s.detach, err = s.Server.Attach(server.Elsewhere, s); err != nil {
		return err
	}
	s.workers.Go(s.keepHouse)
	return nil
}

// Set makes p and l those in force. Connections that may not be any more are closed.
func (s *Service) Set(p Policy, l Limits) {
	s.policy.Store(&p)
	s.limits.Store(&l)
	s.routes.setLimits(l.ofRoutes(&p))
	s.door.limit(l.ConnectionsPerAddress, l.Connections)
	s.peers.set(&p)
	after := xmlstream.Limits{
		ElementBytes: orHuge(l.StanzaBytes), Depth: orHuge(l.Depth), Attributes: orHuge(l.Attributes), Children: orHuge(l.Children),
	}
	s.receiving.Store(&stream.PeerConfig{
		Serves: s.Server.Hosts, Certified: certified, Features: features, AfterLogin: after, LoginTimeout: l.LoginTimeout,
	})
	s.initiating.Store(&stream.PeerConfig{Bidi: true, AfterLogin: after, LoginTimeout: l.LoginTimeout})
	for _, c := range s.all() {
		c.judge()
	}
}

func (l *Limits) ofRoutes(p *Policy) routeLimits {
	return routeLimits{
		Routes: l.Routes, QueueBytes: l.QueueBytes, UnreadBytes: l.UnreadBytes, SpoolStanzas: l.SpoolStanzas, Dials: orHuge(l.Dials), SpoolAfter: l.SpoolAfter,
		GiveUp: p.GiveUp, Idle: p.Idle, FenceStanzas: p.FenceStanzas, FenceAfter: p.FenceAfter, Confirm: p.Confirm,
	}
}

func orHuge(n int) int {
	if n <= 0 {
		return 1 << 30
	}
	return n
}

// Present implements server.Place.
func (s *Service) Present() bool { return true }

// Take implements server.Place. What another server has sent is never handed on to a third (RFC 6120
// §4.9.3.6). A domain with which the policy lets nobody talk is not-allowed (RFC 6120 §8.3.3.10: "the entity
// does not allow it to anybody"): it is there, and not-found would be a lie that hides a mistake in the policy.
func (s *Service) Take(t *server.Turn, st *stanza.Stanza) error {
	switch {
	case !s.Server.Hosts(st.From.Domain()):
		return stanza.RemoteServerNotFound.Err("")
	case !s.policy.Load().allows(st.To.Domain()):
		s.metrics.blocked.Inc()
		return errNotAllowed()
	}
	return s.routes.take(t, st)
}

func errNotAllowed() *stanza.Error {
	return stanza.NotAllowed.Err("this server does not talk with that domain")
}

// secretOf is the secret of one domain of ours: nobody who has it can make the keys of another.
func (s *Service) secretOf(domain jid.JID) []byte {
	m := hmac.New(sha256.New, s.Secret)
	m.Write([]byte(domain.Domain()))
	return m.Sum(nil)
}

// features are offered beside EXTERNAL.
func features(m *stream.ReceivingServer, dst []byte) []byte {
	dst = append(dst, dialback.FeatureXML...)
	c := m.Owner.(*conn)
	if c.headed = c.headed || m.External(); !c.bidi {
		dst = append(dst, "<bidi xmlns='"+stream.NSBidiFeature+"'/>"...)
	}
	return (&sm.Feature{}).AppendXML(dst)
}

// Listen accepts connections from l until StopListening. With direct they begin with TLS (XEP-0368).
func (s *Service) Listen(l net.Listener, direct bool) {
	var config *tls.Config
	if direct {
		config = s.TLS.Servers("xmpp-server")
	}
	s.listeners.Accept(l, s.Log, func(nc net.Conn) {
		s.metrics.accepted.Inc()
		s.Driver.Serve(nc, config, func(dc drive.Conn) drive.Machine { return s.receive(dc) })
	})
}

// StopListening closes the listeners. Connections go on.
func (s *Service) StopListening() { s.listeners.Close() }

// lastAckTime is how long other servers have, at the end, to confirm what they were sent.
const lastAckTime = time.Second

// Shutdown closes all connections and puts what has not reached other servers on the disk. The server has
// stopped already, so that what it had to say last is said.
func (s *Service) Shutdown(ctx context.Context) error {
	s.StopListening()
	if s.detach != nil {
		s.detach()
	}
	s.lastAcks(ctx)
	s.stop()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.end(&stream.Error{Condition: stream.SystemShutdown})
	}
	err := s.routes.drain(ctx)
	s.workers.Wait()
	return err
}

// lastAcks waits until all is confirmed, or for a moment.
func (s *Service) lastAcks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastAckTime)
	defer cancel()
	tick := time.NewTicker(lastAckTime / 50)
	defer tick.Stop()
	for _, c := range s.all() {
		c.askLast()
	}
	for {
		waits := false
		for _, c := range s.all() {
			_, idle := c.out.unused()
			waits = waits || !idle
		}
		if !waits {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// all are the connections there are.
func (s *Service) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// idleInCrowd is how long a connection may be idle where there are nearly as many as may be.
const idleInCrowd = 10 * time.Second

// idle is how long a connection may be. 0 or less: for ever.
func (s *Service) idle() time.Duration {
	idle, l := s.policy.Load().Idle, s.limits.Load()
	conns, _ := s.door.counts()
	crowd := func(n, most int) bool { return most > 0 && n > most-most/8 }
	if (crowd(conns, l.Connections) || crowd(s.routes.count(), l.Routes)) && (idle <= 0 || idle > idleInCrowd) {
		idle = idleInCrowd
	}
	return idle
}

// keepHouse closes connections whose certificates have expired, and those that nobody has used for federation.idle, or for less
// where there are so many that others might find no room.
func (s *Service) keepHouse() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.running.Done():
			return
		case now := <-tick.C:
			var since time.Time
			if idle := s.idle(); idle > 0 {
				since = now.Add(-idle)
			}
			for _, c := range s.all() {
				c.retire(now, since)
			}
		}
	}
}
