// SPDX-License-Identifier: Apache-2.0

package c2s

// How to read this file: a conn has a machine for each of the two ways in which elements come, as
// a stream of bytes or one in each message (framed.go). First the calls of the driver (Input to Gone), then those of
// the session (Queue to Address), which may come from any goroutine.

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// conn is one client's connection: a drive.Machine to its driver, a server.Stream to its session.
type conn struct {
	service *Service
	config  *stream.ServerConfig
	drive.Conn
	session atomic.Pointer[server.Session]
	state   atomic.Int32 // a stream.State, for whoever asks from outside
	proxied bool         // TLS ends at a proxy that is trusted

	guest   bool           // it needs no account; guarded by in
	timed   bool           // the driver has a deadline; guarded by in
	in      sync.Mutex     // held while the machine is used: by the driver, or by a worker that answers it
	machine *stream.Server // guarded by in
	login   *login         // nil after it; guarded by in, and only the driver's goroutine changes it

	out     sync.Mutex // orders what is queued against the end
	ends    bool       // the machine ends the stream; guarded by out
	ended   bool       // the stream's end is queued; guarded by out
	gone    bool       // the connection is over; guarded by out
	binding *binding   // the session may be there, its client does not know; guarded by out
}

// login is what a connection has until it is logged in: most are for weeks.
type login struct {
	place   *place  // among the unauthenticated
	attempt jid.JID // whose login is under way
	notes   sync.Map
}

// binding is what the session is sent before its client knows of it.
type binding struct{ held [][]byte }

func (s *Service) newConn(dc drive.Conn, config *stream.ServerConfig, p *place) *conn {
	c := &conn{service: s, Conn: dc, config: config, login: &login{place: p}}
	c.machine = stream.NewServer(config, time.Now())
	c.machine.Owner = c
	c.setDeadline()
	if p == nil || !p.own(c) {
		c.Abort()
	}
	return c
}

// Input implements drive.Machine.
func (c *conn) Input(b *drive.Batch, data []byte) {
	c.in.Lock()
	defer c.in.Unlock()
	if len(data) > 0 && c.machine.State() != stream.Closed {
		c.machine.Feed(data)
	}
	// A machine that was closed while the connection paused, by the last failure that a login may
	// have, tells its end now.
	c.run(c.service.Server.TurnOf(&b.Turn))
	c.setDeadline()
}

// run takes events until there are none, or until somebody must answer first.
func (c *conn) run(t *server.Turn) {
	answered := false // by the machine itself: what the session is sent leaves with the turn
	for more := true; more; {
		e := c.machine.Next()
		for e.Kind != stream.End {
			out := c.machine.Out()
			if len(out) == 0 {
				break
			}
			c.state.Store(int32(c.machine.State()))
			c.Queue(out)
			answered = true
		}
		switch e.Kind {
		case stream.None:
			more = false
		case stream.StartTLS:
			c.Flush()
			c.StartTLS(c.service.TLS)
			return
		case stream.Lookup:
			more = c.lookup(e.JID)
		case stream.Stranger:
			c.stranger()
		case stream.Login:
			c.loggedIn()
		case stream.Bind:
			c.bind(e.JID)
			more = false
		case stream.Element:
			more = c.element(t, e.Element)
		case stream.End:
			c.over(t, e.Err)
			return
		}
	}
	c.machine.Keep()
	if answered {
		c.Flush()
	}
}

// element gives one element to whom it is for. It reports whether to read on at once.
func (c *conn) element(t *server.Turn, e *xmlstream.Element) (more bool) {
	var err error
	switch se := c.session.Load(); {
	case se != nil:
		more, err = se.Receive(t, c, e)
	case c.machine.State() == stream.Authenticated:
		more, err = c.service.Server.Unbound(t, c, e)
	case c.machine.State() == stream.Bound:
		more = true // the session has ended, and so has our side of the stream
	default:
		more, err = c.beforeLogin(e)
	}
	if err == nil {
		return more
	}
	c.fail(t, err)
	return true // Next tells the end
}

// beforeLogin answers a request that needs no login. The connection pauses until it is answered,
// so that it has one at a time.
func (c *conn) beforeLogin(e *xmlstream.Element) (more bool, err error) {
	host, _ := jid.Parse(c.machine.Domain())
	c.Pause()
	if c.service.Server.BeforeLogin(c, host, e, c.reply) {
		return false, nil
	}
	c.Resume()
	return true, &stream.Error{Condition: stream.NotAuthorized}
}

// fail ends the stream with err. The caller holds in.
func (c *conn) fail(t *server.Turn, err error) {
	var se *stream.Error
	if !errors.As(err, &se) {
		c.service.Log.Error("stream failed", "jid", c.Account().String(), "err", err)
		se = &stream.Error{Condition: stream.InternalServerError}
	}
	t.Flush() // what the session was sent goes first
	c.machine.Close(se, t.Now)
}

// reply sends the answer to beforeLogin. Who asks and asks, and reads nothing, is dropped (limits.unread_bytes).
func (c *conn) reply(s *stanza.Stanza) {
	c.Queue(s.Append(nil, ""))
	c.Flush()
	if int64(c.Queued()) > c.service.unread.Load() {
		c.service.metrics.unread.Inc()
		c.Abort()
	}
	c.Resume()
}

// over is the stream's end as the machine tells it, which has something to send last.
func (c *conn) over(t *server.Turn, err error) {
	c.state.Store(int32(stream.Closed))
	var sent *stream.Error
	if errors.As(err, &sent) && !sent.Received {
		c.service.metrics.ended.WithLabelValues(string(sent.Condition)).Inc()
	}
	c.out.Lock()
	c.ends = true
	c.out.Unlock()
	if se := c.session.Swap(nil); se != nil {
		// The stream is closed, not lost: there is nothing to resume (XEP-0198 §5). The session
		// goes first, so that nothing it is sent comes behind the end of the stream; or where it has work left it is sent nothing.
		if err == nil {
			se.Because(server.Closed)
			se.Finish(t)
		} else {
			se.Because(server.Failed)
			se.End(t, nil)
		}
	}
	c.out.Lock()
	if !c.ended {
		for out := c.machine.Out(); len(out) > 0; out = c.machine.Out() {
			c.Conn.Queue(out)
		}
	}
	c.ended = true
	c.out.Unlock()
	c.Close()
}

// Secured implements drive.Machine.
func (c *conn) Secured(st tls.ConnectionState) {
	c.in.Lock()
	defer c.in.Unlock()
	bindings, err := sasl.BindingOf(st, leafOf(c.Served()))
	if err != nil {
		c.service.Log.Error("no channel binding", "peer", c.Address(), "err", err)
	}
	c.login.place.advance(time.Now())
	c.machine.TLSStarted(bindings)
	c.machine.Certified(c.service.certified(st, c.Address()))
	c.state.Store(int32(c.machine.State()))
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
	c.service.metrics.gone.WithLabelValues(reason(err)).Inc()
	c.leave()
	c.in.Lock()
	c.attempted(false)
	c.departed()
	c.in.Unlock()
	c.out.Lock()
	c.gone = true
	c.out.Unlock()
	if se := c.session.Swap(nil); se != nil {
		t := c.service.Server.NewTurn()
		se.Because(lost(err))
		se.Lost(t, c)
		t.End()
	}
}

// reason is the label of err in metrics.
func reason(err error) string {
	switch {
	case errors.Is(err, io.EOF) && !errors.Is(err, drive.ErrHandshake):
		return "closed"
	case errors.Is(err, drive.ErrAborted):
		return "aborted"
	case errors.Is(err, drive.ErrHandshake):
		return "handshake"
	case errors.Is(err, drive.ErrStalled):
		return "stalled"
	case errors.Is(err, syscall.ETIMEDOUT):
		return "timeout"
	case errors.Is(err, drive.ErrPanic):
		return "panic"
	}
	return "broken"
}

// lost is why a session has lost its connection.
func lost(err error) server.Why {
	if r := reason(err); r == "timeout" || r == "stalled" {
		return server.TimedOut
	}
	return server.Lost
}

// setDeadline tells the driver when the machine wants to expire. The caller holds in, or has
// not shared c yet.
func (c *conn) setDeadline() {
	if d := c.machine.Deadline(); c.timed || !d.IsZero() {
		c.timed = !d.IsZero()
		c.SetDeadline(d)
	}
}

// Queue implements server.Stream. After the stream's end nothing is sent.
func (c *conn) Queue(b []byte) {
	c.out.Lock()
	switch {
	case c.ended:
	case c.binding != nil:
		c.binding.held = append(c.binding.held, bytes.Clone(b))
	default:
		c.put(b)
	}
	c.out.Unlock()
}

// put queues one element. In a frame of its own a stanza must say its namespace (RFC 7395 §3.3.3).
// The caller holds out.
func (c *conn) put(b []byte) {
	if c.config.Framed {
		b = stanza.Standalone(b)
	}
	c.Conn.Queue(b)
}

// Queued implements server.Stream: what is held has not left either.
func (c *conn) Queued() int {
	c.out.Lock()
	defer c.out.Unlock()
	n := c.Conn.Queued()
	if c.binding != nil {
		for _, b := range c.binding.held {
			n += len(b)
		}
	}
	return n
}

// End implements server.Stream. It may come from any goroutine, so that it does without the
// machine: a bound stream's end is always the same bytes.
func (c *conn) End(e *stream.Error) {
	c.out.Lock()
	if c.ends {
		c.out.Unlock()
		return
	}
	if !c.ended {
		if e != nil {
			c.Conn.Queue(stream.AppendError(nil, e, c.config.Framed))
		}
		c.Conn.Queue(stream.AppendEnd(nil, c.config.Framed))
	}
	c.ended = true
	c.out.Unlock()
	if e != nil {
		c.service.metrics.ended.WithLabelValues(string(e.Condition)).Inc()
	}
	c.session.Store(nil)
	c.Close()
}

// Adopt implements server.Stream.
func (c *conn) Adopt(se *server.Session) bool {
	c.in.Lock()
	defer c.in.Unlock()
	c.out.Lock()
	defer c.out.Unlock()
	if c.gone {
		return false
	}
	c.machine.Resume(se.JID)
	c.session.Store(se)
	c.state.Store(int32(stream.Bound))
	return true
}

// State implements server.Stream.
func (c *conn) State() stream.State { return stream.State(c.state.Load()) }

// Account implements server.Stream. It is asked from within the machine's callbacks and element
// handlers, which hold in.
func (c *conn) Account() jid.JID { return c.machine.JID().Bare() }

// Secure implements server.Stream.
func (c *conn) Secure() bool { return c.proxied || c.Served() != nil }

// Address implements server.Stream.
func (c *conn) Address() string { return c.Remote().String() }

// Notes implements server.Stream. It is asked while the connection pauses for beforeLogin.
func (c *conn) Notes() *sync.Map {
	if c.login == nil {
		return nil
	}
	return &c.login.notes
}

func leafOf(cert *tls.Certificate) *x509.Certificate {
	if cert == nil {
		return nil
	}
	return cert.Leaf
}

// prefix is what counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which
// is what one customer has.
func prefix(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
