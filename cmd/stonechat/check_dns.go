// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// service is one kind of SRV record.
type service struct {
	name   string
	direct bool // TLS begins with the first byte
	port   uint16
}

// services are those by which clients find a server (RFC 6120 §3.2.1, XEP-0368 §3).
func services() []service {
	return []service{{"xmpp-client", false, 5222}, {"xmpps-client", true, 5223}}
}

// domain looks at a domain from outside.
func (c *checkup) domain(ctx context.Context, domain string) {
	name := ascii(domain)
	if !public(name) {
		c.note(warning, "dns", "", "%s is a name for this machine or network alone: DNS is not looked at", domain)
		c.ownPorts(ctx, domain)
		return
	}
	targets := c.records(ctx, domain, name)
	for _, t := range targets {
		c.port(ctx, domain, t)
	}
	c.hostMeta(ctx, name)
}

// public reports whether a name can be in the public DNS.
func public(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	i := strings.LastIndexByte(name, '.')
	switch name[i+1:] {
	case "localhost", "local", "internal", "home":
		return false
	}
	return i > 0
}

// destination is where a server may be reached.
type destination struct {
	host   string // as DNS has it
	port   uint16
	direct bool
}

func (p destination) String() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

// records looks at the records of a domain and returns where they lead.
func (c *checkup) records(ctx context.Context, domain, name string) (list []destination) {
	any := false
	for _, s := range services() {
		records, err := c.srv(ctx, s.name, name)
		if err != nil {
			c.note(wrong, "dns", "see whether the DNS server answers; --resolver asks another", "%s of %s: %v", s.name, domain, err)
			continue
		}
		for _, r := range records {
			any = true
			target := strings.TrimSuffix(r.Target, ".")
			_, err := netip.ParseAddr(target)
			switch {
			case target == "" && len(records) == 1:
				c.note(warning, "dns", "", "_%s._tcp.%s says that there is no such service (.)", s.name, domain)
				continue
			case target == "" || err == nil:
				c.note(wrong, "dns", "name a host: RFC 2782", "_%s._tcp.%s leads to %q", s.name, domain, r.Target)
				continue
			}
			if c.addresses(ctx, target, "_"+s.name+"._tcp."+domain) {
				c.note(well, "dns", "", "_%s._tcp.%s leads to %s port %d", s.name, domain, target, r.Port)
				list = append(list, destination{target, r.Port, s.direct})
			}
		}
		if len(records) == 0 && s.direct && any {
			c.note(warning, "dns", "_xmpps-client._tcp."+name+". IN SRV 5 0 5223 …", "%s has no record for direct TLS: clients in networks that allow TLS alone do not find it", domain)
		}
	}
	if any {
		return list
	}
	if c.addresses(ctx, name, "") {
		c.note(well, "dns", "", "%s has no SRV record: clients try port 5222 at its own address", domain)
		return []destination{{name, 5222, false}}
	}
	c.note(wrong, "dns", "_xmpp-client._tcp."+name+". IN SRV 5 0 5222 HOST.\n_xmpps-client._tcp."+name+". IN SRV 5 0 5223 HOST.",
		"%s has neither SRV records for clients nor an address", domain)
	return nil
}

// srv asks for the records of a service; that there are none is no error.
func (c *checkup) srv(ctx context.Context, service, name string) ([]*net.SRV, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, records, err := c.resolver.LookupSRV(ctx, service, "tcp", name)
	if missing(err) || len(records) > 0 {
		err = nil
	}
	return records, err
}

// missing reports whether err says that there is no such name.
func missing(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// addresses reports whether a host has an address. With by, the record that leads there, it notes
// if not.
func (c *checkup) addresses(ctx context.Context, host, by string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	list, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil && !missing(err) {
		c.note(wrong, "dns", "see whether the DNS server answers; --resolver asks another", "address of %s: %v", host, err)
		return false
	}
	if len(list) == 0 && by != "" {
		c.note(wrong, "dns", host+". IN A …, or AAAA", "%s leads to %s, which has no address", by, host)
	}
	return len(list) > 0
}

// maxHostMeta bounds what is read of a web page, in bytes.
const maxHostMeta = 64 << 10

// hostMeta looks at what clients in browsers need (XEP-0156 §4).
func (c *checkup) hostMeta(ctx context.Context, name string) {
	const where, advice = "host-meta", "for clients in browsers: see the operator's guide, Behind a reverse proxy"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dial(ctx, network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/.well-known/host-meta", http.NoBody)
	if err != nil {
		c.note(warning, where, advice, "%v", err)
		return
	}
	// Without redirects: clients follow some or none of them, and who knows where they lead.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		c.note(warning, where, advice, "%s: %v", req.URL, err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxHostMeta))
	switch {
	case err != nil || resp.StatusCode != http.StatusOK:
		c.note(warning, where, advice, "%s: %s", req.URL, resp.Status)
	case !strings.Contains(string(page), "urn:xmpp:alt-connections:websocket"):
		c.note(warning, where, advice, "%s names no WebSocket", req.URL)
	case strings.Contains(string(page), "ws://"):
		c.note(wrong, where, "wss:// alone (XEP-0156 §6)", "%s names a WebSocket without TLS", req.URL)
	case resp.Header.Get("Access-Control-Allow-Origin") != "*":
		c.note(warning, where, "the header Access-Control-Allow-Origin: * (XEP-0156 §4)", "%s may not be read by pages of other hosts", req.URL)
	default:
		c.note(well, where, "", "%s names a WebSocket", req.URL)
	}
}
