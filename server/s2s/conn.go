// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: a conn is a connection in either direction. The calls of the driver are first (Input
// to Gone), then the events of its machine, then what other goroutines may do with it.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// machine is what the streams of both sides have in common.
type machine interface {
	Feed(data []byte)
	Next() stream.Event
	Out() []byte
	Keep()
	Deadline() time.Time
	State() stream.State
	ID() string
	TLSStarted()
	Trust()
	Close(e *stream.Error, now time.Time)
	Expire(now time.Time)
}

// conn is one connection to another server. What comes in is handled by the driver, what goes out is out,
// which any goroutine may use. Who may send what is known by pairs of domains, ours and another's.
type conn struct {
	service *Service
	drive.Conn
	out   out
	visit visit // guarded by the door
	call  *call // of a connection that we made; nil: of one that was made to us

	in       sync.Mutex               // held while the machine is used, and guards what follows
	machine  machine                  // of either side
	accepted *stream.ReceivingServer  // the machine of a connection that was made to us
	made     *stream.InitiatingServer // of one that we made
	chain    []*x509.Certificate      // what the peer has shown
	proofs   map[jid.JID]error        // whether that proves a name
	until    time.Time                // when it proves nothing any more; zero: it never did, or by DNS alone

	takes     map[store.Route]bool // the peer may send to From as To
	sends     map[store.Route]bool // the peer has accepted that we send from From to To
	questions []*question          // of dialback, that we have asked here
	judging   int                  // keys of the peer's that are being judged
	asked     int                  // keys that it has sent
	refusals  int                  // of them

	bidi     bool // both directions are used
	headed   bool // our last header is sent: stanzas may follow (of a stream of both directions, accepted)
	managed  bool // XEP-0198 is on
	over     bool
	paced    jid.JID // whose pace counts; zero: nobody is known
	deadline time.Time
	heard    time.Time // when a stanza came last

	inlet     *server.Inlet
	addresses jid.Cache
	received  stanza.Stanza // memory of the one being handled
}

// receive makes the conn of a connection that was made to us.
func (s *Service) receive(dc drive.Conn) *conn {
	c := s.newConn(dc)
	c.accepted = stream.NewReceivingServer(s.receiving.Load(), c.heard)
	c.accepted.Owner, c.machine = c, c.accepted
	c.setDeadline()
	evicted, ok := s.door.enter(c)
	switch {
	case !ok:
		s.metrics.refused.Inc()
		c.Abort()
	case evicted != nil:
		s.metrics.evicted.Inc()
		evicted.Abort()
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return c
}

func (s *Service) newConn(dc drive.Conn) *conn {
	c := &conn{service: s, Conn: dc, heard: time.Now(), takes: make(map[store.Route]bool), sends: make(map[store.Route]bool)}
	c.out.begin(s.routes, dc)
	c.inlet = s.Server.NewInlet(dc)
	return c
}

// Input implements drive.Machine.
func (c *conn) Input(b *drive.Batch, data []byte) {
	c.in.Lock()
	defer c.in.Unlock()
	if c.machine.State() == stream.Closed {
		return
	}
	if len(data) > 0 {
		c.machine.Feed(data)
	}
	c.run(c.service.Server.TurnOf(&b.Turn))
	c.setDeadline()
}

// Secured implements drive.Machine.
func (c *conn) Secured(st tls.ConnectionState) {
	c.in.Lock()
	defer c.in.Unlock()
	c.chain, c.proofs = st.PeerCertificates, nil
	c.machine.TLSStarted()
	if x := c.call; x != nil {
		if x.dane != nil {
			c.proofs = map[jid.JID]error{x.key.To: x.dane.Verify(c.chain)}
		}
		// What DNSSEC has proven is not passed over: dialback would not do in its place (RFC 7673 §4.2).
		if err := c.proves(x.key.To); err != nil && (x.dane != nil || c.service.policy.Load().required(x.key.To.Domain())) {
			c.incident("certificate", x.key.To.String(), "err", err)
			c.why(&certificateError{err})
			c.machine.Close(&stream.Error{Condition: stream.PolicyViolation, Text: "the certificate is not valid for " + x.key.To.String()}, time.Now())
		}
	}
	t := c.service.Server.NewTurn()
	c.run(t)
	t.End()
	c.setDeadline()
}

// Expired implements drive.Machine.
func (c *conn) Expired(b *drive.Batch) {
	c.in.Lock()
	defer c.in.Unlock()
	if c.machine.State() == stream.Closed {
		return
	}
	t := c.service.Server.TurnOf(&b.Turn)
	c.machine.Expire(t.Now)
	c.run(t)
	c.setDeadline()
}

// Gone implements drive.Machine.
func (c *conn) Gone(err error) {
	c.in.Lock()
	defer c.in.Unlock()
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.leave(err)
}

// setDeadline tells the driver when the machine wants to expire. The caller holds in, or has not shared c yet.
func (c *conn) setDeadline() {
	if d := c.machine.Deadline(); !d.Equal(c.deadline) {
		c.deadline = d
		c.SetDeadline(d)
	}
}

// run takes events until there are none, or until somebody must answer first. The caller holds in.
func (c *conn) run(t *server.Turn) {
	for more := true; more; {
		e := c.machine.Next()
		if e.Kind == stream.End {
			c.ended(e.Err)
			return
		}
		if out := c.machine.Out(); len(out) > 0 {
			c.out.control(out)
		}
		c.openBidi()
		switch e.Kind {
		case stream.None:
			more = false
		case stream.StartTLS:
			if c.call != nil {
				c.ConnectTLS(c.call.tls)
			} else {
				c.StartTLS(c.service.starttls)
			}
			return
		case stream.Login:
			c.loggedIn()
		case stream.Features:
			c.call.offered(e.Element)
			if c.made.External() {
				// Also where we shall only ask here: a stream of both directions may bring stanzas now.
				c.verified(c.call.key, "EXTERNAL")
			}
			c.call.settle(nil)
		case stream.Element:
			more = c.element(t, e.Element)
		}
	}
	c.machine.Keep()
}

// loggedIn takes the outcome of EXTERNAL, in either role.
func (c *conn) loggedIn() {
	if c.accepted == nil {
		return // Features follows
	}
	c.headed = false
	c.admit(store.Route{From: c.accepted.To(), To: c.accepted.From()}, "EXTERNAL")
}

// element takes one element, and reports whether to read on at once.
func (c *conn) element(t *server.Turn, e *xmlstream.Element) (more bool) {
	if m := c.accepted; m != nil && !c.permitted(m.From()) {
		c.incident("blocked", m.From().String())
		return c.fail(t, &stream.Error{Condition: stream.PolicyViolation, Text: "this server does not talk with that domain"})
	}
	switch string(e.Space) {
	case stanza.NSServer:
		return c.stanza(t, e)
	case nsDialback:
		return c.dialback(t, e)
	case nsSM:
		return c.manage(t, e)
	case stream.NSBidi:
		// Ahead of all logins, or what it is for would be open to doubt.
		if c.accepted != nil && string(e.Local) == "bidi" && len(c.takes) == 0 && c.judging == 0 {
			c.bidi = true
			c.headed = true
			return true
		}
		return c.fail(t, &stream.Error{Condition: stream.PolicyViolation, Text: "too late for a stream of both directions"})
	}
	return c.fail(t, &stream.Error{Condition: stream.UnsupportedStanzaType})
}

// permitted reports whether the policy lets anybody talk with domain.
func (c *conn) permitted(domain jid.JID) bool {
	return domain.IsZero() || c.service.policy.Load().allows(domain.Domain())
}

// stanza takes one stanza: the pair of its domains must be verified on this very stream, and what is not for
// a domain of ours goes nowhere. RFC 6120 §4.9.3.6, §4.9.3.7, §4.9.3.9, §4.9.3.12.
func (c *conn) stanza(t *server.Turn, e *xmlstream.Element) (more bool) {
	s := &c.received
	err := s.FromElement(e, &c.addresses)
	pair := store.Route{From: s.To.Host(), To: s.From.Host()}
	refused := &stream.Error{Condition: stream.InvalidFrom, Text: "the sender's domain is not verified for that receiver's on this stream"}
	switch {
	case err == stanza.ErrNotStanza: //nolint:errorlint // it is never wrapped
		refused = &stream.Error{Condition: stream.UnsupportedStanzaType}
	case len(c.takes) == 0:
		refused = &stream.Error{Condition: stream.NotAuthorized, Text: "no domain is verified"}
	case s.From.IsZero() || s.To.IsZero():
		refused = &stream.Error{Condition: stream.ImproperAddressing, Text: "a stanza needs addresses in 'from' and 'to'"}
	case !c.service.Server.Hosts(s.To.Domain()):
		refused = &stream.Error{Condition: stream.HostUnknown}
	case !c.takes[pair]:
	case err != nil:
		refusal, _ := stanza.AsError(err)
		c.heard = t.Now
		c.inlet.Refuse(t, s, refusal)
		return true
	default:
		c.heard = t.Now
		return c.inlet.Receive(t, s)
	}
	c.incident(string(refused.Condition), c.name(), "from", s.From.Domain(), "to", s.To.Domain())
	return c.fail(t, refused)
}

// name is what the peer calls itself, or its address.
func (c *conn) name() string {
	switch {
	case !c.paced.IsZero():
		return c.paced.String()
	case c.call != nil:
		return c.call.key.To.String()
	case !c.accepted.From().IsZero():
		return c.accepted.From().String()
	}
	return prefix(c.Remote().Addr()).String()
}

// fail ends the stream with e. Next tells the end.
func (c *conn) fail(t *server.Turn, e *stream.Error) (more bool) {
	t.Flush() // what the peer was sent goes first
	c.out.stop(e)
	c.machine.Close(e, t.Now)
	return true
}

// ended is the stream's end as the machine tells it.
func (c *conn) ended(err error) {
	var sent *stream.Error
	switch {
	case errors.As(err, &sent) && !sent.Received:
		c.service.metrics.errors.WithLabelValues(string(sent.Condition)).Inc()
	case err == nil:
		err = errClosed
	}
	c.leave(err)
	if out := c.machine.Out(); len(out) > 0 {
		c.out.control(out)
	}
	c.Close()
}

// errClosed is a stream that the peer has closed in order.
var errClosed = errors.New("s2s: the stream was closed")

// why notes the reason that leave will give, where it knows a better one.
func (c *conn) why(err error) {
	if c.call != nil {
		c.call.settle(err)
	}
}

// leave makes an end of all that the connection is to others. The caller holds in.
func (c *conn) leave(err error) {
	if c.over {
		return
	}
	c.over = true
	s := c.service
	if why := c.out.failure(); why != nil {
		err = why
	}
	s.door.leave(c)
	s.forget(c)
	if !c.paced.IsZero() {
		s.peers.leave(c.paced)
		s.Log.Info("server gone", "peer", c.paced.String(), "at", c.Remote().String(), "err", err)
	}
	if c.call != nil {
		if m := c.made; m.Refused() != nil {
			err = m.Refused()
		}
		c.call.settle(err)
		c.call.end(err)
	}
	for _, q := range c.questions {
		q.answer(nil)
	}
	c.questions = nil
	c.out.stop(err)
}

func (s *Service) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.call == nil {
		return
	}
	to := c.call.key.To
	list := s.calls[to]
	for i, other := range list {
		if other == c {
			s.calls[to] = append(list[:i:i], list[i+1:]...)
		}
	}
	if len(s.calls[to]) == 0 {
		delete(s.calls, to)
	}
}

// end ends the stream, from another goroutine than the driver's.
func (c *conn) end(e *stream.Error) {
	c.in.Lock()
	defer c.in.Unlock()
	c.finish(e)
}

// finish is end. The caller holds in.
func (c *conn) finish(e *stream.Error) {
	if c.over || c.machine.State() == stream.Closed {
		return
	}
	c.out.stop(e)
	c.machine.Close(e, time.Now())
	if e == nil { // the peer has its time to close its side
		if out := c.machine.Out(); len(out) > 0 {
			c.out.control(out)
		}
		c.setDeadline()
		return
	}
	for ev := c.machine.Next(); ev.Kind != stream.None; ev = c.machine.Next() {
		if ev.Kind == stream.End {
			c.ended(ev.Err)
			return
		}
	}
}

// judge ends the stream where the policy has changed and does not allow it any more.
func (c *conn) judge() {
	c.in.Lock()
	p, bad := c.service.policy.Load(), false
	for _, pairs := range []map[store.Route]bool{c.takes, c.sends} {
		for pair := range pairs {
			domain := pair.To.Domain()
			bad = bad || !p.allows(domain) || p.required(domain) && c.proves(pair.To) != nil
		}
	}
	c.in.Unlock()
	if bad {
		c.end(&stream.Error{Condition: stream.PolicyViolation, Text: "the policy has changed"})
	}
}

// retire ends the stream if its certificate has expired (RFC 6120 §13.7.2.3), or nothing came or went since that time; zero: it may
// be idle for ever.
func (c *conn) retire(now, since time.Time) {
	c.in.Lock()
	defer c.in.Unlock()
	if !c.until.IsZero() && now.After(c.until) {
		c.finish(&stream.Error{Condition: stream.Reset, Text: "a certificate has expired"})
		return
	}
	idle := !since.IsZero() && c.heard.Before(since) && c.judging == 0 && len(c.questions) == 0 && c.machine.State() == stream.Bound
	if idle && c.out.rest(since) {
		c.finish(nil)
	}
}
