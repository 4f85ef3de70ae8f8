// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Sink is the server of very many domains, of which each takes messages and does nothing with them but note when the
// first one came. Whoever connects has to use STARTTLS, and proves who it is by a certificate (SASL EXTERNAL, XEP-0178)
// or by dialback, which the sink believes: it measures, it does not judge. A domain may have a connection of its own,
// or share one with others.
type Sink struct {
	listener net.Listener
	tls      *tls.Config
	running  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]struct{}
	proven  map[string]string    // what each domain of ours has been proven by, by the last who did
	arrived map[string]time.Time // when the first message for a domain came
	wanted  string               // tells the domain that is waited for; empty: none
	came    chan struct{}        // is closed when it has one
	wrong   []string             // what should not have happened
}

// How a domain was proven.
const (
	provenExternal = "EXTERNAL"
	provenDialback = "dialback"
)

// NewSink serves until Close. The certificate has to be for all domains.
func NewSink(addr string, cert tls.Certificate) (*Sink, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bench: sink: %w", err)
	}
	s := &Sink{
		listener: l, conns: map[net.Conn]struct{}{},
		tls: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
	}
	s.Forget()
	s.running.Go(s.accept)
	return s, nil
}

// Forget begins anew: no domain has had a message.
func (s *Sink) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven, s.arrived, s.wrong, s.wanted, s.came = map[string]string{}, map[string]time.Time{}, nil, "", nil
}

// Close ends the sink and all its connections.
func (s *Sink) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close() // nothing is at stake
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// next returns a channel that is closed when a domain has had a message.
func (s *Sink) next(domain string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := make(chan struct{})
	if _, has := s.arrived[domain]; has {
		close(came)
		return came
	}
	s.wanted, s.came = domain, came
	return came
}

// state is what has happened so far.
type state struct {
	domains     int // that had a message
	connections int
	external    int // domains proven so
	dialback    int
	wrong       []string
}

func (s *Sink) state() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := state{domains: len(s.arrived), connections: len(s.conns), wrong: s.wrong}
	for _, by := range s.proven {
		if by == provenExternal {
			now.external++
		} else {
			now.dialback++
		}
	}
	return now
}

// at is when the first message for a domain came.
func (s *Sink) at(domain string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived[domain]
}

func (s *Sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // it has been closed
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = conn.Close() // nothing is at stake
			return
		}
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		s.running.Go(func() {
			g := &guest{sink: s, conn: conn, wire: &wire{s: &session{sock: &sock{conn: conn, fd: -1}, kind: XMPP}}}
			err := g.serve()
			_ = conn.Close() // it ends either way
			s.mu.Lock()
			delete(s.conns, conn)
			if err != nil && len(s.wrong) < maxFaults {
				s.wrong = append(s.wrong, err.Error())
			}
			s.mu.Unlock()
		})
	}
}

func (s *Sink) prove(domain, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven[domain] = by
}

// take notes a message for a domain, which has to be proven.
func (s *Sink) take(domain string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proven[domain] == "" {
		return fmt.Errorf("a message for %s, for which nothing has been proven", domain)
	}
	if _, again := s.arrived[domain]; !again {
		s.arrived[domain] = now
	}
	if domain == s.wanted {
		close(s.came)
		s.wanted, s.came = "", nil
	}
	return nil
}

// guest is a connection of a server that sends to the sink.
type guest struct {
	sink     *Sink
	conn     net.Conn
	wire     *wire
	from, to string // of its last stream header
	known    bool   // it has proven who it is by SASL
	counted  uint32 // stanzas since stream management was enabled
}

// smFeature offers acks (XEP-0198), so that who sends knows what has arrived.
const smFeature = "<sm xmlns='urn:xmpp:sm:3'/>"

const sinkTimeout = 2 * time.Minute // until a guest has proven itself

// serve answers until the guest leaves, which is no error once it is known.
func (g *guest) serve() error {
	if err := g.conn.SetDeadline(time.Now().Add(sinkTimeout)); err != nil {
		return err
	}
	for {
		unit, err := g.wire.next()
		var problem net.Error
		switch {
		case err != nil && errors.As(err, &problem) && problem.Timeout():
			return fmt.Errorf("sink: %s has not proven itself after %s", g.from, sinkTimeout)
		case err != nil:
			return nil // it has gone, or it was made to
		}
		if err := g.unit(unit); err != nil {
			return fmt.Errorf("sink: %w", err)
		}
		if string(localName(unit)) == "stream" && unit[1] == '/' {
			return nil
		}
	}
}

func (g *guest) unit(unit []byte) error {
	switch string(localName(unit)) {
	case "stream":
		if unit[1] == '/' {
			return g.write("</stream:stream>")
		}
		return g.header(unit)
	case "starttls":
		return g.secure()
	case "auth":
		if g.wire.s.tls == nil || g.certificate() == nil {
			return g.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
		}
		g.known = true
		g.sink.prove(g.to, provenExternal)
		return errors.Join(g.write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"), g.conn.SetDeadline(time.Time{}))
	case "result":
		from, to := string(attr(unit, "from")), string(attr(unit, "to"))
		if g.wire.s.tls == nil {
			return fmt.Errorf("a key from %s before TLS", from)
		}
		g.sink.prove(to, provenDialback)
		return errors.Join(g.write("<db:result from='"+to+"' to='"+from+"' type='valid'/>"), g.conn.SetDeadline(time.Time{}))
	case "enable":
		g.counted = 0
		return g.write("<enabled xmlns='urn:xmpp:sm:3'/>")
	case "r":
		return g.write(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", g.counted))
	case "message":
		g.counted++
		_, to, _ := strings.Cut(string(attr(unit, "to")), "@")
		return g.sink.take(to, time.Now())
	case "iq", "presence":
		g.counted++ // an answer would need a connection of our own: this one is of one direction
	case "error":
		return fmt.Errorf("%s says %.300s", g.from, unit)
	}
	return nil
}

// header answers a stream header and says what there is. That the sink understands errors of dialback
// (XEP-0220 §2.5) is not said, so that each domain has a connection of its own.
func (g *guest) header(unit []byte) error {
	g.from, g.to = string(attr(unit, "from")), string(attr(unit, "to"))
	features := ""
	switch {
	case g.wire.s.tls == nil:
		features = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	case g.known:
		features = smFeature
	case g.certificate() != nil:
		features = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
	default:
		features = "<dialback xmlns='urn:xmpp:features:dialback'/>" + smFeature
	}
	return g.write(fmt.Sprintf("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' "+
		"id='%p' from='%s' to='%s' version='1.0'><stream:features>%s</stream:features>", g, g.to, g.from, features))
}

func (g *guest) certificate() *x509.Certificate {
	if shown := g.wire.s.tls.ConnectionState().PeerCertificates; len(shown) > 0 {
		return shown[0]
	}
	return nil
}

func (g *guest) secure() error {
	if g.wire.s.tls != nil {
		return errors.New("TLS within TLS")
	}
	if err := g.write("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
		return err
	}
	g.wire.s.tls = tls.Server(g.wire.s.sock, g.sink.tls)
	if err := g.wire.s.tls.Handshake(); err != nil {
		return fmt.Errorf("TLS with %s: %w", g.from, err)
	}
	return nil
}

func (g *guest) write(text string) error { return g.wire.s.write([]byte(text)) }
