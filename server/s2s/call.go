// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: dial connects a route: reach finds a connection to the other server, or makes one, prove
// has it let us in for the pair. connect goes through the places where the server may be; call is one try.

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/locate"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// dialTime bounds one dial of a route: DNS, all targets, and the login.
const dialTime = 75 * time.Second

// dial implements dialer.
func (s *Service) dial(r *route) {
	if !s.spawn(func() {
		ctx, cancel := context.WithTimeout(s.running, dialTime)
		defer cancel()
		c, err := s.reach(ctx, r.key, true)
		if err == nil {
			if err = c.prove(ctx, r.key); err == nil {
				r.open(&c.out)
				return
			}
			c.useless()
		}
		o := outageOf(err)
		s.metrics.dialFailed.WithLabelValues(reasonOf(err)).Inc()
		s.incidents.reach(time.Now(), r.key.To.String(), err)
		r.failed(o)
	}) {
		r.failed(outage{Err: stanza.RemoteServerTimeout.Err(""), Cause: errClosed})
	}
}

// spawn runs f on a goroutine that Shutdown waits for, unless that has begun.
func (s *Service) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.workers.Go(f)
	}
	return !s.over
}

// outageError is why a server cannot be reached.
type outageError struct {
	reason    string // one of few
	permanent bool   // it will not be better soon
	err       error
}

func (e *outageError) Error() string { return "s2s: " + e.reason + ": " + e.err.Error() }
func (e *outageError) Unwrap() error { return e.err }

// certificateError is a peer whose certificate is not valid.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return "s2s: certificate refused: " + e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// refusedError is a peer that does not believe us, or does not want us.
type refusedError struct {
	by string
	e  error
}

func (e *refusedError) Error() string { return "s2s: " + e.by + " refused us: " + e.e.Error() }
func (e *refusedError) Unwrap() error { return e.e }

func reasonOf(err error) string {
	var o *outageError
	var cert *certificateError
	var refused *refusedError
	var sasl *stream.SASLError
	switch {
	case errors.As(err, &o):
		return o.reason
	case errors.As(err, &cert):
		return "certificate"
	case errors.As(err, &refused), errors.As(err, &sasl):
		return "login"
	}
	return "other"
}

// outageOf is what those hear whose stanzas cannot be sent: why is for the log.
func outageOf(err error) outage {
	o := outage{Err: stanza.RemoteServerTimeout.Err("the other server could not be reached"), Cause: err}
	var e *outageError
	if errors.As(err, &e) && e.permanent {
		o.Permanent = true
		o.Err = stanza.RemoteServerNotFound.Err("there is no such server")
		if e.reason == "policy" {
			o.Err = errNotAllowed()
		}
		return o
	}
	switch reasonOf(err) {
	case "certificate":
		o.Err.Text = "the other server could not prove that it is the one"
	case "login":
		o.Err.Text = "the other server does not let this one in"
	}
	return o
}

// reach returns a connection of ours to the server of pair.To whose negotiation is over: one that there is, if
// it fits, or a new one. With login set we want to send on it; those who only want to ask wait for one and the same,
// or the keys of a stranger could have many made to a third.
func (s *Service) reach(ctx context.Context, pair store.Route, login bool) (*conn, error) {
	if !s.policy.Load().allows(pair.To.Domain()) {
		return nil, &outageError{"policy", true, errors.New("the policy does not allow it")}
	}
	s.mu.Lock()
	for _, c := range s.calls[pair.To] {
		if c.call.fits(pair, login) {
			s.mu.Unlock()
			return c, nil
		}
	}
	if login {
		s.mu.Unlock()
		return s.connect(ctx, pair)
	}
	x, begun := s.reaching[pair]
	if !begun {
		x = &reaching{over: make(chan struct{})}
		s.reaching[pair] = x
	}
	s.mu.Unlock()
	if begun {
		select {
		case <-x.over:
			return x.c, x.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	x.c, x.err = s.connect(ctx, pair)
	s.mu.Lock()
	delete(s.reaching, pair)
	s.mu.Unlock()
	close(x.over)
	return x.c, x.err
}

// reaching is a connection to ask on that is being made.
type reaching struct {
	over chan struct{}
	c    *conn
	err  error
}

// connect tries one place after another.
func (s *Service) connect(ctx context.Context, pair store.Route) (*conn, error) {
	targets, err := s.targets(ctx, pair.To.Domain(), pair.To.ASCIIDomain())
	if err != nil {
		return nil, err
	}
	var failed locate.Errors
	for _, target := range targets {
		c, err := s.try(ctx, pair, target)
		if err == nil {
			return c, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", target, err))
		if ctx.Err() != nil {
			break
		}
	}
	if locate.Permanent(failed) {
		return nil, &outageError{"dns", true, failed}
	}
	return nil, failed
}

// targets are where the server of a domain may be.
func (s *Service) targets(ctx context.Context, domain, ascii string) ([]locate.Target, error) {
	if p := s.policy.Load().Domains[domain]; p.Connect != "" {
		host, port, err := net.SplitHostPort(p.Connect)
		if err != nil {
			return nil, &outageError{"connect", true, err}
		}
		return []locate.Target{{Host: host, Port: port, Direct: p.DirectTLS}}, nil
	}
	list, err := locate.Targets(ctx, s.Resolver, locate.Server, ascii)
	if err != nil {
		return nil, &outageError{"dns", locate.Permanent(err), err}
	}
	return list, nil
}

// try connects to one target. Where the login by certificate is refused there, another connection goes without:
// dialback may do.
func (s *Service) try(ctx context.Context, pair store.Route, target locate.Target) (*conn, error) {
	verifier, err := s.verifier(ctx, pair, target)
	if err != nil {
		return nil, err
	}
	dial := s.Dial
	if dial == nil {
		dial = drive.Dialer(s.limits.Load().DeadAfter).DialContext
	}
	for external := true; ; external = false {
		nc, _, err := locate.Connect(ctx, s.Resolver, dial, target, nil)
		if err != nil {
			return nil, &outageError{"connect", false, err}
		}
		c, err := s.place(ctx, nc, &call{key: pair, direct: target.Direct, external: external, dane: verifier})
		var refused *stream.SASLError
		if err == nil || !external || !errors.As(err, &refused) {
			return c, err
		}
		s.Log.Info("login by certificate refused, trying dialback", "peer", pair.To.String(), "err", err)
	}
}

// verifier judges a certificate by what DNSSEC has proven of the target; nil where that is nothing.
func (s *Service) verifier(ctx context.Context, pair store.Route, target locate.Target) (*dane.Verifier, error) {
	if s.DANE == nil || !target.Proven {
		return nil, nil
	}
	records, err := s.DANE.LookupTLSA(ctx, target.Port, target.Host)
	if err != nil {
		return nil, &outageError{"dns", false, fmt.Errorf("TLSA records of %s: %w", target, err)}
	}
	if len(dane.Usable(records)) == 0 {
		return nil, nil
	}
	return &dane.Verifier{Records: records, Domain: pair.To, Host: target.Host, Roots: s.Roots, Now: time.Now}, nil
}

// place makes a conn of a connection, and waits until its negotiation is over.
func (s *Service) place(ctx context.Context, nc net.Conn, x *call) (*conn, error) {
	pair := x.key
	x.ready, x.ended, x.answered = make(chan struct{}), make(chan struct{}), make(chan struct{})
	if x.direct {
		x.tls = s.TLS.Calling(pair.From, pair.To, "xmpp-server")
	} else {
		x.tls = s.TLS.Calling(pair.From, pair.To)
	}
	var c *conn
	made := make(chan bool, 1)
	if !s.Driver.Serve(nc, nil, func(dc drive.Conn) drive.Machine {
		c = s.newConn(dc)
		c.call = x
		c.made = stream.NewInitiatingServer(s.initiating.Load(), pair.From, pair.To, x.external, c.heard)
		c.machine = c.made
		c.in.Lock() // from here on others find it, and may end it
		defer c.in.Unlock()
		ok := s.enter(c)
		switch {
		case !ok:
			c.Abort()
		case x.direct:
			dc.ConnectTLS(x.tls)
		default:
			c.made.Start()
			c.out.control(c.made.Out())
		}
		c.setDeadline()
		made <- ok
		return c
	}) {
		return nil, &outageError{"connect", false, errors.New("no room for a connection")}
	}
	if !<-made {
		return nil, &outageError{"connect", false, errors.New("too many connections (limits.federation_connections)")}
	}
	select {
	case <-x.ready:
		if x.err != nil {
			c.end(nil)
			return nil, x.err
		}
		return c, nil
	case <-ctx.Done():
		c.end(&stream.Error{Condition: stream.ConnectionTimeout})
		return nil, fmt.Errorf("negotiating: %w", ctx.Err())
	}
}

// enter makes c one of our connections.
func (s *Service) enter(c *conn) bool {
	s.mu.Lock()
	over := s.over
	if !over {
		s.conns[c] = struct{}{}
		s.calls[c.call.key.To] = append(s.calls[c.call.key.To], c)
	}
	s.mu.Unlock()
	return !over && s.door.enterCall(c)
}

// call is what only a connection has that we made.
type call struct {
	key      store.Route
	tls      *tls.Config
	direct   bool           // TLS begins with the first byte
	external bool           // the login by certificate is tried
	dane     *dane.Verifier // nil: the certificate must come from an authority

	once  sync.Once
	ready chan struct{} // closed when negotiation is over
	err   error         // why it failed

	last  sync.Once
	ended chan struct{} // closed when the connection is over

	// What the peer offers; from ready on.
	errors     bool // dialback errors: a failure does not end the stream
	management bool

	asked    bool          // for stream management; guarded by conn.in
	acked    sync.Once     //
	answered chan struct{} // closed when the peer has answered that
}

// settle says how negotiation ended; the first one counts.
func (x *call) settle(err error) {
	x.once.Do(func() {
		x.err = err
		close(x.ready)
	})
}

func (x *call) end(error) { x.last.Do(func() { close(x.ended) }) }

// offered notes what the peer offers.
func (x *call) offered(e *xmlstream.Element) {
	r := xmlstream.NewReader(e.Raw, stanza.NSServer)
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: dialback.NSFeature, Local: "dialback"}:
			for n := range r.Children() {
				x.errors = x.errors || n.Local == "errors"
			}
		case xmlstream.Name{Space: sm.NS, Local: "sm"}:
			x.management = true
		}
	}
}

// fits reports whether the connection, whose other end is right, may be used for pair: with login set we must
// prove ourselves on it, which is done for a second pair only where a failure leaves the first alone.
func (x *call) fits(pair store.Route, login bool) bool {
	select {
	case <-x.ended:
		return false
	default:
	}
	select {
	case <-x.ready:
		return x.err == nil && (!login || x.key == pair || x.errors)
	default:
		return false
	}
}

// manages reports whether the peer was asked for stream management. The caller holds conn.in.
func (x *call) manages() bool { return x.asked }

func (x *call) managed(error) { x.acked.Do(func() { close(x.answered) }) }

// prove has the peer let us in for pair: by the login that the connection has, or by dialback.
func (c *conn) prove(ctx context.Context, pair store.Route) error {
	c.in.Lock()
	done := c.sends[pair]
	c.in.Unlock()
	if !done {
		answer, err := c.ask(ctx, &dialback.Message{From: pair.From, To: pair.To})
		switch {
		case err != nil:
			return fmt.Errorf("dialback: %w", err)
		case answer.Type == dialback.Failed:
			return &refusedError{"dialback", answer.Error}
		case answer.Type != dialback.Valid:
			return &refusedError{"dialback", errors.New("our key was found invalid")}
		}
	}
	c.in.Lock()
	if c.over {
		c.in.Unlock()
		return errClosed
	}
	ask := c.call.management && !c.call.asked
	if ask {
		c.call.asked = true
		c.out.control((&sm.Enable{}).AppendXML(nil))
	}
	waits := c.call.asked
	c.in.Unlock()
	if !waits {
		return nil
	}
	// What is sent from now on would be counted or not: the answer tells.
	select {
	case <-c.call.answered:
		return nil
	case <-c.call.ended:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("stream management: %w", ctx.Err())
	}
}

// verified notes that the peer takes what we send for pair. It may send the other way where the stream has both
// directions: it was found under that name, and has proved it by its certificate where that is required. The
// caller holds in.
func (c *conn) verified(pair store.Route, how string) {
	s := c.service
	if c.sends[pair] {
		return
	}
	c.sends[pair] = true
	if c.made.Bidi() {
		c.takes[pair] = true
	}
	c.machine.Trust()
	c.setDeadline()
	if c.paced.IsZero() {
		c.paced = pair.To
		c.inlet.Share(s.peers.enter(pair.To))
	}
	s.metrics.verified.WithLabelValues("out", how).Inc()
	s.Log.Info("server verified", "direction", "out", "by", how, "peer", pair.To.String(), "to", pair.From.String(),
		"at", c.Remote().String(), "fingerprint", c.fingerprint(), "certificate", c.proves(pair.To) == nil, "dane", c.call.dane != nil, "bidi", c.made.Bidi())
}

// useless ends a connection on which nothing may be sent.
func (c *conn) useless() {
	c.in.Lock()
	useless := len(c.sends)+len(c.takes)+len(c.questions) == 0
	c.in.Unlock()
	if useless {
		c.end(nil)
	}
}

// fingerprint is the SHA-256 of a certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
