// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: attempt goes through the targets that resolve.go found; try makes a
// connection at one of them, by connect (race.go, over its addresses), handshake, and login.go.

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
	lookupTime  = 20 * time.Second // for DNS to answer
	connectTime = 10 * time.Second // for one address to answer, and for a handshake of TLS
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
		case isRedirect(err) && errors.As(err, &e) && redirects < 3:
			// The certificate must be our domain's there too.
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

// isRedirect reports whether the server wants us at another address. RFC 6120 §4.9.3.19
func isRedirect(err error) bool {
	var e *stream.Error
	return errors.As(err, &e) && e.Received && e.Condition == stream.SeeOtherHost
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

// try makes a connection with a session at one target: at whichever of its addresses answers
// first, and if that one only seems to live, at the others. A network that lets packets of one
// family through until they are long is no rarity.
func (c *Client) try(ctx context.Context, t target) (*link, error) {
	var failed several
	for tried := []netip.Addr(nil); ; {
		conn, at, err := c.connect(ctx, t, tried)
		if err != nil {
			if errors.Is(err, errNoAddress) && len(failed) > 0 {
				return nil, failed
			}
			return nil, append(failed, err)
		}
		l, err := c.negotiated(ctx, conn, t.direct)
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
func (c *Client) negotiated(ctx context.Context, conn net.Conn, direct bool) (*link, error) {
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
