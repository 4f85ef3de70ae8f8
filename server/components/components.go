// SPDX-License-Identifier: Apache-2.0

// Package components lets external components in over TCP: gateways and services that others
// wrote, each of which is a domain of its own.
//
// XEP-0114 (partial, 1.6): components connect to the server (jabber:component:accept), the server
// connects to none (jabber:component:connect)
//
// How to read this package: a component is a place of the core (server.Place) for as long as it is
// configured, connected or not. A conn is its connection: the driver (internal/drive) brings bytes,
// the machine (xmpp/stream) makes events of them, an Inlet of the core takes the stanzas. conn.go
// has the way in, outbound.go the way out.
//
// The stream is not encrypted, for XEP-0114 has no TLS: the listener belongs on the loopback
// interface or behind a tunnel.
package components

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/internal/seldom"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is what a Service needs.
type Config struct {
	Server  *server.Server
	Driver  drive.Driver      // closed by whoever made it, after Shutdown
	Secrets map[string]string // of components, by their prepared domains
	Log     *slog.Logger
	Metrics *metrics.Registry
	Limits  Limits
}

// Limits of connections; 0 or less is "none", for test beds. How many stanzas a component may send
// is a limit of the server.
type Limits struct {
	StanzaBytes                int // of one stanza
	Depth                      int // of its elements
	Attributes                 int // of one start tag
	Children                   int // elements within one stanza
	QueueBytes                 int // that a component has not read: then its connection is dropped
	UnauthenticatedConnections int // the oldest goes for one more
	LoginTimeout               time.Duration
}

// DefaultLimits are those of a server without configuration.
func DefaultLimits() Limits {
	return Limits{
		StanzaBytes: 262144, Depth: 100, Attributes: 200, Children: 5000, QueueBytes: 1 << 20,
		UnauthenticatedConnections: 10_000, LoginTimeout: 30 * time.Second,
	}
}

// Service accepts and serves components' connections.
type Service struct {
	Config
	stream     stream.ComponentServerConfig                 // but for limits
	live       atomic.Pointer[stream.ComponentServerConfig] // with them, for new connections
	queueBytes atomic.Int64
	components map[string]*external
	waiting    waiting
	metrics    serviceMetrics
	listeners  drive.Listeners
	complaints seldom.Log
}

type serviceMetrics struct {
	accepted, evicted, stalled metrics.Counter
	logins                     metrics.Counter
	ended                      metrics.CounterVec // by condition of the stream error we sent
	returned                   metrics.Counter
}

// external is a component that is configured: the place of its domain.
type external struct {
	service *Service
	address jid.JID
	secret  string
	conn    atomic.Pointer[conn] // nil while it is not connected
}

// New makes a Service and attaches its components to the server. It listens nowhere yet.
func New(c Config) (*Service, error) {
	s := &Service{Config: c, components: make(map[string]*external)}
	s.stream = stream.ComponentServerConfig{
		Secret: func(domain string) (string, bool) {
			x := s.components[domain]
			if x == nil {
				return "", false
			}
			return x.secret, true
		},
	}
	s.SetLimits(c.Limits)
	for domain, secret := range c.Secrets {
		address, err := jid.New("", domain, "")
		if err != nil {
			return nil, fmt.Errorf("components: %q is no domain: %w", domain, err)
		}
		x := &external{service: s, address: address, secret: secret}
		s.components[domain] = x
		if _, err := c.Server.Attach(domain, x); err != nil {
			return nil, fmt.Errorf("components: %w", err)
		}
	}
	r := c.Metrics
	s.metrics = serviceMetrics{
		accepted: r.Counter("stonechat_component_connections_total", "Connections accepted for components."),
		evicted:  r.Counter("stonechat_component_evicted_total", "Connections dropped before the handshake because there were too many (limits.unauthenticated_connections)."),
		logins:   r.Counter("stonechat_component_logins_total", "Components let in."),
		stalled:  r.Counter("stonechat_component_stalled_total", "Components dropped because they did not read (limits.queue_bytes)."),
		ended:    r.CounterVec("stonechat_component_stream_errors_total", "Components' streams ended with an error of ours.", "condition"),
		returned: r.Counter("stonechat_component_returned_total", "Stanzas for a component that came back to their senders because it was not, or no longer, connected."),
	}
	r.GaugeFunc("stonechat_component_unauthenticated", "Connections of components that have not shaken hands.", func() float64 { return float64(s.waiting.count()) })
	r.GaugeFunc("stonechat_components", "Components that are connected.", func() float64 {
		n := 0
		for _, x := range s.components {
			if x.Present() {
				n++
			}
		}
		return float64(n)
	})
	return s, nil
}

// SetLimits makes l the limits, of streams from the next connections on.
func (s *Service) SetLimits(l Limits) {
	s.waiting.limit(l.UnauthenticatedConnections)
	s.queueBytes.Store(int64(orHuge(l.QueueBytes)))
	c := s.stream
	c.LoginTimeout = l.LoginTimeout
	c.AfterLogin = xmlstream.Limits{
		ElementBytes: orHuge(l.StanzaBytes), Depth: orHuge(l.Depth),
		Attributes: orHuge(l.Attributes), Children: orHuge(l.Children),
	}
	s.live.Store(&c)
}

func orHuge(n int) int {
	if n <= 0 {
		return 1 << 30
	}
	return n
}

// Present implements server.Place.
func (x *external) Present() bool { return x.conn.Load() != nil }

// Take implements server.Place. While the component is not connected its domain is known and
// cannot be reached, which is remote-server-timeout (RFC 6120 §8.3.3.17): the sender may try
// again later.
func (x *external) Take(t *server.Turn, s *stanza.Stanza) error {
	if c := x.conn.Load(); c != nil && c.out.put(t, s) {
		return nil
	}
	x.service.metrics.returned.Inc()
	return away()
}

func away() *stanza.Error { return stanza.RemoteServerTimeout.Err("the component is not connected") }

// Listen accepts connections from l until StopListening.
func (s *Service) Listen(l net.Listener) {
	s.listeners.Accept(l, s.Log, func(nc net.Conn) {
		s.metrics.accepted.Inc()
		s.Driver.Serve(nc, nil, func(dc drive.Conn) drive.Machine { return s.newConn(dc) })
	})
}

// StopListening closes the listeners. Connections go on.
func (s *Service) StopListening() { s.listeners.Close() }

// complain logs why a component was refused, once a second at most: it may try again and again.
func (s *Service) complain(msg string, args ...any) { s.complaints.Warn(s.Log, msg, args...) }

// Shutdown ends all streams with system-shutdown and waits until what the components were sent has
// left, or ctx ends; what has not comes back to its senders. It belongs before the end of the
// server's sessions.
func (s *Service) Shutdown(ctx context.Context) {
	s.StopListening()
	for _, x := range s.components {
		if c := x.conn.Load(); c != nil {
			c.end(&stream.Error{Condition: stream.SystemShutdown})
		}
	}
	for _, x := range s.components {
		for x.conn.Load() != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}
