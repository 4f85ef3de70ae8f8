// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: attempt goes through the targets that DNS names (internal/locate); try makes
// a connection at one of them, by connect, handshake, and login.go.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/internal/locate"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// connectTime is for a handshake of TLS.
const connectTime = 10 * time.Second

// attempt makes one connection with a session: the first that one of the targets gives.
func (c *Client) attempt(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.link.Life(), cancel)()
	list, err := c.targets(ctx)
	if err != nil {
		return nil, err
	}
	if at := c.resume.location; at != "" {
		list = append([]locate.Target{elsewhere(at, list[0].Direct)}, list...)
	}
	var failed locate.Errors
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
		case isRedirect(err) && errors.As(err, &e) && redirects < 3:
			// The certificate must be our domain's there too.
			redirects++
			list = append([]locate.Target{elsewhere(e.Host, t.Direct)}, list...)
		}
	}
	return nil, fmt.Errorf("client: cannot connect to %w", failed)
}

// targets lists where the server may be, in the order to try.
func (c *Client) targets(ctx context.Context) ([]locate.Target, error) {
	if c.config.Address != "" {
		host, port, _ := net.SplitHostPort(c.config.Address) // New has checked it
		return []locate.Target{{Host: host, Port: port, Direct: c.config.DirectTLS}}, nil
	}
	list, err := locate.Targets(ctx, c.config.Resolver, locate.Client, c.config.Account.ASCIIDomain())
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return list, nil
}

// connect connects to one target, at whichever of its addresses answers first, but for those that
// are tried. The address is zero where Config.Dial found its own.
func (c *Client) connect(ctx context.Context, t locate.Target, tried []netip.Addr) (net.Conn, netip.Addr, error) {
	if c.config.Dial != nil && c.config.Address != "" {
		conn, err := c.config.Dial(ctx, "tcp", t.String())
		return conn, netip.Addr{}, err
	}
	return locate.Connect(ctx, c.config.Resolver, c.config.Dial, t, tried)
}

// knowsUs reports whether the server refused this account, so that its other addresses will too.
func knowsUs(err error) bool {
	var login *stream.SASLError
	var bind *stream.BindError
	var refused *stanza.Error // of a registration
	return errors.As(err, &login) || errors.As(err, &bind) || errors.As(err, &refused) || errors.Is(err, ErrNoRegistration) || errors.Is(err, sasl.ErrDowngrade) || isFinal(err, false)
}

// isRedirect reports whether the server wants us at another address. RFC 6120 §4.9.3.19
func isRedirect(err error) bool {
	var e *stream.Error
	return errors.As(err, &e) && e.Received && e.Condition == stream.SeeOtherHost
}

// elsewhere reads an address that the server gives us: host, or host:port.
func elsewhere(s string, direct bool) locate.Target {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return locate.Target{Host: host, Port: port, Direct: direct}
	}
	return locate.Target{Host: strings.Trim(s, "[]"), Port: "5222"}
}

// try makes a connection with a session at one target: at whichever of its addresses answers
// first, and if that one only seems to live, at the others. A network that lets packets of one
// family through until they are long is no rarity.
func (c *Client) try(ctx context.Context, t locate.Target) (*session, error) {
	var failed locate.Errors
	for tried := []netip.Addr(nil); ; {
		conn, at, err := c.connect(ctx, t, tried)
		if err != nil {
			if errors.Is(err, locate.ErrNoAddress) && len(failed) > 0 {
				return nil, failed
			}
			return nil, append(failed, err)
		}
		l, err := c.negotiated(ctx, conn, t.Direct)
		if err == nil {
			return l, nil
		}
		failed = append(failed, err)
		if !at.IsValid() || ctx.Err() != nil || knowsUs(err) || isRedirect(err) {
			return nil, failed
		}
		tried = append(tried, at)
	}
}

// negotiated makes a session of a connection.
func (c *Client) negotiated(ctx context.Context, conn net.Conn, direct bool) (*session, error) {
	// Whatever waits for the connection ends with LoginTime, or with ctx.
	_ = conn.SetDeadline(time.Now().Add(c.config.LoginTime))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	l, err := c.login(ctx, conn, direct)
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
