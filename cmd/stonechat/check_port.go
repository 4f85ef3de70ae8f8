// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: port connects as a client would and goes as far as TLS; starttls is the
// way there for a port on which TLS does not begin with the first byte.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const nsTLS = "urn:ietf:params:xml:ns:xmpp-tls"

// ownPorts tries the listeners of the configuration, for a domain that is not in DNS.
func (c *checkup) ownPorts(ctx context.Context, domain string) {
	if c.config == nil || !c.running {
		return
	}
	for _, l := range []struct {
		addresses []string
		direct    bool
	}{{c.config.Listen.Client, false}, {c.config.Listen.ClientTLS, true}} {
		for _, a := range l.addresses {
			host, text, _ := net.SplitHostPort(a) // config has checked it
			port, _ := strconv.ParseUint(text, 10, 16)
			if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
				host = "localhost"
			}
			if port > 0 {
				c.port(ctx, domain, destination{host, uint16(port), l.direct})
			}
		}
	}
}

// port tries to reach a domain's server as its clients do.
func (c *checkup) port(ctx context.Context, domain string, at destination) {
	const where = "port"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", at.String())
	if err != nil {
		c.note(wrong, where, "see whether the server runs and a firewall or router lets it through", "%s cannot be reached: %v", at, err)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing was sent that matters
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d)
	}
	// The certificate is judged below, in words.
	t := &tls.Config{ServerName: ascii(domain), InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
	if at.direct {
		t.NextProtos = []string{"xmpp-client"}
	} else if err := starttls(conn, domain); err != nil {
		c.note(wrong, where, "see that this port is a server's for clients, with STARTTLS", "%s: %v", at, err)
		return
	}
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.note(wrong, where, "see that this port speaks TLS 1.2 or later, from the first byte where its record says xmpps", "%s: TLS: %v", at, err)
		return
	}
	state := secure.ConnectionState()
	how := "STARTTLS"
	if at.direct {
		how = "direct TLS"
		if state.NegotiatedProtocol != "xmpp-client" {
			c.note(warning, where, "the server, or the proxy before it, should choose xmpp-client (XEP-0368 §3)", "%s answers no ALPN", at)
		}
	}
	c.note(well, where, "", "%s answers with %s, %s", at, how, tls.VersionName(state.Version))
	c.judge(where, domain, state.PeerCertificates)
}

// dial connects to a host by the resolver of this run.
func (c *checkup) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	var list []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		list = []netip.Addr{ip}
	} else if list, err = c.resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	err = errors.New("it has no address")
	for i, ip := range list {
		// Each gets its share of the time: the first may be of a network that this machine has not.
		each := ctx
		if d, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			each, cancel = context.WithTimeout(ctx, time.Until(d)/time.Duration(len(list)-i))
			defer cancel()
		}
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(each, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// starttls opens a stream and asks for TLS (RFC 6120 §5.4).
func starttls(conn net.Conn, domain string) error {
	_, err := fmt.Fprintf(conn, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams'>",
		domain, stanza.NSClient)
	if err != nil {
		return err
	}
	in := xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 64 << 10, Depth: 20, Attributes: 50})
	features, err := next(conn, in)
	if err != nil {
		return err
	}
	switch {
	case string(features.Local) == "error":
		return fmt.Errorf("the server answers with a stream error: %s", features.Raw)
	case !offers(features):
		return errors.New("the server offers no STARTTLS")
	}
	if _, err := fmt.Fprintf(conn, "<starttls xmlns='%s'/>", nsTLS); err != nil {
		return err
	}
	answer, err := next(conn, in)
	if err != nil {
		return err
	}
	if string(answer.Local) != "proceed" || string(answer.Space) != nsTLS {
		return fmt.Errorf("the server answers <%s/> to <starttls/>", answer.Local)
	}
	return nil
}

func offers(features *xmlstream.Element) bool {
	for _, child := range features.Children {
		if string(child.Space) == nsTLS && string(child.Local) == "starttls" {
			return true
		}
	}
	return false
}

// next reads up to the next element of a stream.
func next(conn net.Conn, in *xmlstream.Parser) (*xmlstream.Element, error) {
	buf := make([]byte, 4096)
	for {
		switch e, err := in.Next(); {
		case err != nil:
			return nil, fmt.Errorf("what answers is not XMPP: %w", err)
		case e == xmlstream.EventElement:
			return in.Element(), nil
		case e == xmlstream.EventNone:
			n, err := conn.Read(buf)
			if n == 0 && err != nil {
				return nil, fmt.Errorf("no XMPP answers: %w", err)
			}
			in.Feed(buf[:n])
		}
	}
}
