// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: attempt goes through the targets that resolve.go found; try makes a
// connection at one of them, by connect (race, over its addresses), handshake, and login.go.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

const (
	connectTime = 10 * time.Second       // for one address to answer
	loginTime   = 30 * time.Second       // from a connection to a session
	stagger     = 250 * time.Millisecond // before the next address is tried beside it, RFC 8305 §5
)

// attempt makes one connection with a session: the first that one of the targets gives.
func (c *Client) attempt(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	list, err := c.targets(ctx)
	if err != nil {
		return nil, err
	}
	if at := c.resume.location; at != "" {
		list = append([]target{elsewhere(at, list[0].direct)}, list...)
	}
	var failed several
	for redirects := 0; len(list) > 0; {
		t := list[0]
		list = list[1:]
		l, err := c.try(ctx, t)
		if err == nil {
			return l, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", t, err))
		var e *stream.Error
		switch {
		case ctx.Err() != nil || knowsUs(err):
			return nil, fmt.Errorf("client: cannot connect to %w", failed)
		case errors.As(err, &e) && e.Received && e.Condition == stream.SeeOtherHost && redirects < 3:
			// RFC 6120 §4.9.3.19. The certificate must be our domain's there too.
			redirects++
			list = append([]target{elsewhere(e.Host, t.direct)}, list...)
		}
	}
	return nil, fmt.Errorf("client: cannot connect to %w", failed)
}

// knowsUs reports whether the server refused this account, so that its other addresses will too.
func knowsUs(err error) bool {
	var login *stream.SASLError
	var bind *stream.BindError
	return errors.As(err, &login) || errors.As(err, &bind) || errors.Is(err, sasl.ErrDowngrade) || isFinal(err)
}

// elsewhere reads an address that the server gives us: host, or host:port.
func elsewhere(s string, direct bool) target {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return target{host, port, direct}
	}
	return target{strings.Trim(s, "[]"), "5222", false}
}

// several are errors on one line.
type several []error

func (s several) Error() string {
	texts := make([]string, len(s))
	for i, err := range s {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (s several) Unwrap() []error { return s }

// try makes a connection with a session at one target.
func (c *Client) try(ctx context.Context, t target) (*link, error) {
	conn, err := c.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	// Whatever waits for the connection ends with loginTime, or with ctx.
	_ = conn.SetDeadline(time.Now().Add(loginTime))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	l, err := c.login(ctx, conn, t.direct)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return l, nil
}

// connect connects to one target, at whichever of its addresses answers first.
func (c *Client) connect(ctx context.Context, t target) (net.Conn, error) {
	if c.config.Dial != nil && c.config.Address != "" {
		return c.config.Dial(ctx, "tcp", t.String())
	}
	var addresses []netip.Addr
	if a, err := netip.ParseAddr(t.host); err == nil {
		addresses = []netip.Addr{a}
	} else if addresses, err = c.config.Resolver.LookupNetIP(ctx, "ip", t.host); err != nil {
		return nil, fmt.Errorf("looking up its address: %w", err)
	}
	dial := c.config.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectTime}).DialContext
	}
	return race(ctx, dial, interleave(addresses), t.port)
}

// interleave takes addresses of both families in turns, IPv6 first. RFC 8305 §4.
func interleave(all []netip.Addr) []netip.Addr {
	var six, four, list []netip.Addr
	for _, a := range all {
		if a = a.Unmap(); a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for len(six) > 0 || len(four) > 0 {
		if len(six) > 0 {
			list, six = append(list, six[0]), six[1:]
		}
		if len(four) > 0 {
			list, four = append(list, four[0]), four[1:]
		}
	}
	return list
}

// race dials one address after another, each as soon as the one before has failed or has taken
// its time, and returns the first connection. RFC 8305 §5.
func race(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), addresses []netip.Addr, port string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		conn net.Conn
		err  error
	}
	outcomes := make(chan outcome)
	running := 0
	defer func() {
		cancel()
		for ; running > 0; running-- {
			if o := <-outcomes; o.conn != nil {
				_ = o.conn.Close()
			}
		}
	}()
	var errs several
	next := time.NewTimer(0)
	defer next.Stop()
	for running > 0 || len(addresses) > 0 {
		select {
		case <-next.C:
			if len(addresses) == 0 {
				continue
			}
			a := net.JoinHostPort(addresses[0].String(), port)
			addresses = addresses[1:]
			running++
			go func() {
				conn, err := dial(ctx, "tcp", a)
				outcomes <- outcome{conn, err}
			}()
			next.Reset(stagger)
		case o := <-outcomes:
			running--
			if o.err == nil {
				return o.conn, nil
			}
			if errs = append(errs, o.err); len(addresses) > 0 {
				next.Reset(0)
			}
		}
	}
	if len(errs) == 0 {
		return nil, errors.New("it has no address")
	}
	return nil, errs
}

// handshake starts TLS on a connection and returns what a login may bind to.
func (c *Client) handshake(ctx context.Context, conn net.Conn, direct bool) (*tls.Conn, []sasl.ChannelBinding, error) {
	config := c.tls
	if direct {
		config = config.Clone()
		config.NextProtos = []string{"xmpp-client"} // XEP-0368 §4
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		if e := (*tls.CertificateVerificationError)(nil); errors.As(err, &e) {
			return nil, nil, fmt.Errorf("the server's certificate is not to be trusted for %s: %w", config.ServerName, err)
		}
		return nil, nil, fmt.Errorf("starting TLS: %w", err)
	}
	state := over.ConnectionState()
	bindings, err := sasl.BindingOf(state, state.PeerCertificates[0])
	if err != nil {
		c.log.Debug("no channel binding", "err", err)
	}
	return over, bindings, nil
}
