// SPDX-License-Identifier: Apache-2.0

package httpd

// How to read this file: Peer is what handlers see. A proxy tells who its client is in X-Forwarded-For,
// X-Forwarded-Proto and X-Forwarded-Host, or in Forwarded (RFC 7239). Both make a list of hops, of which
// hops.client picks the one that counts.
//
// The rule is that of the rightmost stranger. Each proxy appends the address it was connected from, so
// that the last entry is by the proxy we know, and entries are true from the right as far as they were
// made by proxies that are believed. The first address from the right that is not a proxy's is the
// client; what stands left of it may be the client's invention.

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// Peer is who makes a request.
type Peer struct {
	// Address is the client's; without a port where a proxy told it.
	Address netip.AddrPort
	// Secure says that the client's request came over TLS, to us or to a proxy that is believed.
	Secure bool
	// Proxied says that a proxy that is believed stands between: TLS, if any, ends there.
	Proxied bool
	// Host is what the client asked for, as host or host:port.
	Host string
	// TLS is our own, nil without or where it ends at a proxy.
	TLS *tls.ConnectionState
	// Socket is below TLS, for a handler that takes the connection over.
	Socket *drive.Outlet
}

type peerKey struct{}

// PeerOf returns who makes r, a request that a Server handles.
func PeerOf(r *http.Request) *Peer { return r.Context().Value(peerKey{}).(*Peer) }

// errForwarded: a proxy writes one kind of header and passes the other as its client sent it. Which
// one is the client's invention cannot be told.
var errForwarded = errors.New("the headers Forwarded and X-Forwarded-* contradict each other: the proxy must write both, or delete the one that it does not write")

// peer finds out who makes r on c.
func (s *Server) peer(c *conn, r *http.Request) (*Peer, error) {
	p := &Peer{Address: c.from, Secure: r.TLS != nil, Host: r.Host, TLS: r.TLS, Socket: c.Outlet}
	if !c.byProxy() {
		return p, nil
	}
	x, standard := xForwarded(r.Header), forwarded(r.Header)
	var told hop
	switch {
	case len(x) == 0 && len(standard) == 0:
		return p, nil // no proxy, but a program of the proxy's machine
	case len(x) == 0:
		told = standard.client(s)
	case len(standard) == 0:
		told = x.client(s)
	default:
		told = x.client(s)
		if other := standard.client(s); other.address != told.address || other.proto != told.proto {
			return nil, errForwarded
		}
	}
	p.Proxied = true
	p.Secure = told.proto == "https"
	p.TLS = nil
	if told.host != "" {
		p.Host = told.host
	}
	if told.address.IsValid() {
		p.Address = netip.AddrPortFrom(told.address, 0)
	}
	return p, nil
}

// trusts reports whether a is a proxy that is believed.
func (s *Server) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.config.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hop is what one proxy says of whom it was connected from.
type hop struct {
	address     netip.Addr // zero where it hides it, or where it makes no sense
	proto, host string
}

// hops are in the order of the header: the nearest is the last.
type hops []hop

// client is the hop that counts: the last that is not by a proxy of ours, or the first one if all
// are. Where an address cannot be read the proxy that wrote it stands for its client.
func (h hops) client(s *Server) hop {
	var last netip.Addr // the nearest that could be read
	for i := len(h) - 1; ; i-- {
		at := h[i]
		if !at.address.IsValid() {
			at.address = last
			return at
		}
		if i == 0 || !s.trusts(at.address) {
			return at
		}
		last = at.address
	}
}

// forwarded reads Forwarded. RFC 7239 §4.
func forwarded(header http.Header) (h hops) {
	for _, element := range list(header.Values("Forwarded")) {
		var at hop
		for _, pair := range split(element, ';') {
			name, value, _ := strings.Cut(pair, "=")
			value = unquote(strings.TrimSpace(value))
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "for":
				at.address = address(value)
			case "proto":
				at.proto = strings.ToLower(value)
			case "host":
				at.host = value
			}
		}
		h = append(h, at)
	}
	return h
}

// xForwarded reads X-Forwarded-*. Where there are as many protocols (or hosts) as addresses they belong
// together; else the last one, which is by the proxy we know, counts for all.
func xForwarded(header http.Header) hops {
	addresses := list(header.Values("X-Forwarded-For"))
	protos := list(header.Values("X-Forwarded-Proto"))
	hosts := list(header.Values("X-Forwarded-Host"))
	n := len(addresses)
	if n == 0 && len(protos)+len(hosts) > 0 {
		n = 1
	}
	of := func(values []string, i int) string {
		switch len(values) {
		case 0:
			return ""
		case n:
			return values[i]
		}
		return values[len(values)-1]
	}
	h := make(hops, n)
	for i := range h {
		h[i] = hop{proto: strings.ToLower(of(protos, i)), host: of(hosts, i)}
		if len(addresses) > 0 {
			h[i].address = address(addresses[i])
		}
	}
	return h
}

// list joins the values of a header that is a list.
func list(values []string) (items []string) {
	for _, v := range values {
		items = append(items, split(v, ',')...)
	}
	return items
}

// split splits at a separator that is not within quotes. Empty items are left out.
func split(s string, at byte) (items []string) {
	start, quoted := 0, false
	add := func(item string) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == at && !quoted:
			add(s[start:i])
			start = i + 1
		}
	}
	add(s[start:])
	return items
}

// unquote reads a quoted-string, or leaves a token as it is. RFC 9110 §5.6.4.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// address reads 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:4711; the zero
// address is for anything else ("unknown", "_hidden").
func address(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func unmap(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
