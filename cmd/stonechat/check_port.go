// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: port connects as a client or a server would, goes as far as TLS, and hands on to what
// answers there (check_offer.go) and its certificate (check_trust.go); starttls is the way there for a port on which TLS
// does not begin with the first byte.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// ownPorts tries the listeners of the configuration, for a domain that is not in DNS.
func (c *checkup) ownPorts(ctx context.Context, domain string) {
	if c.config == nil || !c.running {
		return
	}
	l := c.config.Listen
	for _, l := range []struct {
		addresses []string
		by        peers
		direct    bool
	}{{l.Client, clients, false}, {l.ClientTLS, clients, true}, {l.Server, servers, false}, {l.ServerTLS, servers, true}} {
		for _, a := range l.addresses {
			host, text, _ := net.SplitHostPort(a) // config has checked it
			port, _ := strconv.ParseUint(text, 10, 16)
			if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
				host = "localhost"
			}
			if port > 0 {
				c.port(ctx, l.by, domain, destination{host: host, port: uint16(port), direct: l.direct})
			}
		}
	}
}

// port tries to reach a domain's server as its clients, or other servers, do.
func (c *checkup) port(ctx context.Context, by peers, domain string, at destination) {
	where := string(by) + " port"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", at.String())
	if err != nil {
		c.unreached(where, by, domain, at, err)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing was sent that matters
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d)
	}
	s := &offered{conn: conn, by: by, domain: domain, from: c.from(by, domain)}
	// The certificate is judged below, in words.
	t := &tls.Config{ServerName: ascii(domain), InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
	if by == servers && s.from != "" && c.shows != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.shown = true
			return c.shows, nil
		}
	}
	protocol := "xmpp-" + string(by)
	if at.direct {
		t.NextProtos = []string{protocol}
	} else if err := s.starttls(); err != nil {
		c.note(wrong, where, "see that this port is a server's for "+by.who()+", with STARTTLS", "%s: %v", at, err)
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
		if state.NegotiatedProtocol != protocol {
			c.note(warning, where, "the server, or the proxy before it, should choose "+protocol+" (XEP-0368 §3)", "%s answers no ALPN", at)
		}
	}
	c.note(well, where, "", "%s answers with %s, %s", at, how, tls.VersionName(state.Version))
	c.judge(where, domain, by, state.PeerCertificates)
	c.tlsa(ctx, where, domain, at, state.PeerCertificates)
	if s.clear {
		c.note(wrong, where, "want TLS first (RFC 7590)", "%s lets %s in before TLS", at, by.who())
	}
	s.conn = secure
	c.offers(where, at, s)
}

// unreached notes a port at which nobody answers.
func (c *checkup) unreached(where string, by peers, domain string, at destination, err error) {
	switch {
	case by == servers && at.guessed && !c.ours(domain):
		c.note(warning, where, "if it is meant so, say so: _xmpp-server._tcp."+ascii(domain)+". IN SRV 0 0 0 .", "%s cannot be reached, so that other servers do not reach %s: %v", at, domain, err)
	case c.running && c.ours(domain):
		c.note(wrong, where, "see whether the server listens there and a firewall or router lets it through; some routers do not let this machine use its own outside address: try it from elsewhere", "%s cannot be reached: %v", at, err)
	default:
		c.note(wrong, where, "see whether the server runs and a firewall or router lets it through", "%s cannot be reached: %v", at, err)
	}
}

// from is the domain as whose server others are asked; empty: none.
func (c *checkup) from(by peers, domain string) string {
	if by == clients || c.config == nil || c.ours(domain) || !c.federates(c.config.Domains[0]) {
		return ""
	}
	return c.config.Domains[0]
}

// dial connects to a host by the resolver of this run.
func (c *checkup) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	list, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
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
func (s *offered) starttls() error {
	if err := s.open(); err != nil {
		return err
	}
	s.clear = !s.required && (len(s.mechanisms) > 0 || s.dialback)
	if !s.tls {
		return errors.New("the server offers no STARTTLS")
	}
	if _, err := fmt.Fprintf(s.conn, "<starttls xmlns='%s'/>", nsTLS); err != nil {
		return err
	}
	answer, err := s.next()
	if err != nil {
		return err
	}
	if string(answer.Local) != "proceed" || string(answer.Space) != nsTLS {
		return fmt.Errorf("the server answers <%s/> to <starttls/>", answer.Local)
	}
	return nil
}
