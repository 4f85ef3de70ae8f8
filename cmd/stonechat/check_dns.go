// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: domain is the order of what is looked at from outside; records is one of its
// steps, for clients and for servers, and says where they are led.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// peers are those who look for a domain's server, by the name that they have in its records.
type peers string

const (
	clients peers = "client"
	servers peers = "server"
)

func (p peers) who() string { return string(p) + "s" }

// port is where they look without records. RFC 6120 §3.2.2
func (p peers) port() uint16 {
	if p == servers {
		return 5269
	}
	return 5222
}

func (p peers) namespace() string {
	if p == servers {
		return stanza.NSServer
	}
	return stanza.NSClient
}

// destination is where a server may be reached.
type destination struct {
	host    string // as DNS has it
	port    uint16
	direct  bool // TLS begins with the first byte
	guessed bool // no record leads there
	proven  bool // the record is, by DNSSEC
}

func (p destination) String() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

// domain looks at a domain from outside.
func (c *checkup) domain(ctx context.Context, domain string) {
	name := ascii(domain)
	if !public(name) {
		c.note(warning, "dns", "", "%s is a name for this machine or network alone: DNS is not looked at", domain)
		c.ownPorts(ctx, domain)
		return
	}
	all := make(map[peers][]destination)
	for _, by := range []peers{clients, servers} {
		if by == clients || !c.ours(domain) || c.federates(domain) {
			all[by] = c.records(ctx, by, domain, name)
		}
		if c.silent {
			return // nothing else would be found
		}
	}
	for _, by := range []peers{clients, servers} {
		for _, at := range all[by] {
			c.port(ctx, by, domain, at)
		}
	}
	c.web(ctx, name)
}

// federates reports whether the server of the configuration talks with others.
func (c *checkup) federates(domain string) bool {
	return c.ours(domain) && len(c.config.Listen.Server)+len(c.config.Listen.ServerTLS) > 0
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

// records looks at the records of a domain and returns where they lead (RFC 6120 §3.2.1, XEP-0368 §3).
func (c *checkup) records(ctx context.Context, by peers, domain, name string) (list []destination) {
	found, refused, failed := 0, 0, false
	must := c.ours(domain) || by == clients && !c.serves(ctx, servers, name)
	for _, direct := range []bool{false, true} {
		service := "xmpp-" + string(by)
		if direct {
			service = "xmpps-" + string(by)
		}
		records, proven, err := c.srv(ctx, service, name)
		if err != nil {
			failed = true
			if c.silent = c.unanswered(service+" of "+domain, err); c.silent {
				return nil
			}
			continue
		}
		if by == clients && !direct {
			c.signed(domain, proven)
		}
		label := "_" + service + "._tcp." + domain
		for _, r := range records {
			found++
			if r.Target == "." {
				refused++
				c.refusal(label, by, len(records))
				continue
			}
			at := destination{host: strings.TrimSuffix(r.Target, "."), port: r.Port, direct: direct, proven: proven}
			if c.leads(ctx, label, by, at, domain) {
				list = append(list, at)
			}
		}
		if len(records) == 0 && direct && found > refused && by == clients {
			c.note(warning, "dns", "_xmpps-client._tcp."+name+". IN SRV 5 0 5223 …", "%s has no record for direct TLS: clients in networks that allow TLS alone do not find it", domain)
		}
	}
	if found > 0 && found == refused {
		c.note(worse(must), "dns", "if that is not so, take the records away that lead to .", "%s says that it has no service for %s", domain, by.who())
	}
	if found > 0 || failed {
		return list
	}
	switch there, known := c.addresses(ctx, name, ""); {
	case !known:
	case there:
		c.note(well, "dns", "", "%s has no SRV record: %s try port %d at its own address", domain, by.who(), by.port())
		return []destination{{host: name, port: by.port(), guessed: true}}
	default:
		port := strconv.Itoa(int(by.port()))
		c.note(worse(must), "dns", "_xmpp-"+string(by)+"._tcp."+name+". IN SRV 5 0 "+port+" HOST.\n_xmpps-"+string(by)+"._tcp."+name+". IN SRV 5 0 "+strconv.Itoa(int(by.port()+1))+" HOST.",
			"%s has neither SRV records for %s nor an address", domain, by.who())
	}
	return list
}

// serves reports whether a domain has records for others: one of rooms or of a gateway has none for clients.
func (c *checkup) serves(ctx context.Context, by peers, name string) bool {
	records, _, err := c.srv(ctx, "xmpp-"+string(by), name)
	return err == nil && len(records) > 0 && records[0].Target != "."
}

// worse is an error where something must be there, and a warning where it may be meant so.
func worse(must bool) level {
	if must {
		return wrong
	}
	return warning
}

// refusal notes a record that leads to the root. RFC 2782, "Target"
func (c *checkup) refusal(label string, by peers, records int) {
	if records > 1 {
		c.note(wrong, "dns", "take it away, or the others", "%s says that there is no such service (.), and where it is", label)
		return
	}
	l := well
	if by == clients {
		l = warning
	}
	c.note(l, "dns", "", "%s says that there is no such service (.)", label)
}

// signed notes whether answers are proven.
func (c *checkup) signed(domain string, proven bool) {
	if proven {
		c.note(well, "dns", "", "DNSSEC proves what DNS says of %s", domain)
		return
	}
	c.note(well, "dns", "", "DNSSEC proves nothing about %s, or this DNS server does not look: certificates cannot be checked by DNS (DANE)", domain)
}

// leads looks at the host that a record names, and reports whether one can go there.
func (c *checkup) leads(ctx context.Context, label string, by peers, at destination, domain string) bool {
	if _, err := netip.ParseAddr(at.host); err == nil || at.port == 0 {
		c.note(wrong, "dns", "name a host, and its port: RFC 2782", "%s leads to %q port %d", label, at.host, at.port)
		return false
	}
	if there, _ := c.addresses(ctx, at.host, label); !there {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if alias, err := c.resolver.LookupAlias(ctx, at.host); err == nil && alias != "" && c.isNew("alias", c.at, at.host) {
		c.note(warning, "dns", "name "+alias+" in the record, or give "+at.host+" an address of its own", "%s leads to %s, an alias (CNAME) of %s: RFC 2782 forbids it, and not everybody follows", label, at.host, alias)
	}
	c.note(well, "dns", "", "%s leads to %s port %d", label, at.host, at.port)
	if c.running && c.ours(domain) && by == clients {
		c.isHere(ctx, at.host)
	}
	return true
}

// isHere notes if a host, of a domain of the server that runs here, is another machine.
func (c *checkup) isHere(ctx context.Context, host string) {
	if !c.isNew("here", host) {
		return
	}
	list, err := c.resolver.LookupNetIP(ctx, "ip", host)
	own, err2 := net.InterfaceAddrs()
	if err != nil || err2 != nil {
		return
	}
	isOwn := func(ip netip.Addr) bool {
		return ip.Unmap().IsLoopback() || slices.ContainsFunc(own, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.String() == ip.Unmap().String()
		})
	}
	if slices.ContainsFunc(list, isOwn) {
		return
	}
	c.note(warning, "dns", "if that is an old address, change it; behind a router, proxy or balancer that passes the ports on all is well",
		"%s is at %v, which is no address of this machine", host, list)
}

// srv asks for the records of a service; that there are none is no error.
func (c *checkup) srv(ctx context.Context, service, name string) ([]*net.SRV, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	records, proven, err := c.resolver.LookupProvenSRV(ctx, service, "tcp", name)
	if missing(err) || len(records) > 0 {
		err = nil
	}
	c.heard = c.heard || err == nil
	return records, proven, err
}

// unanswered notes what DNS does not tell, and reports whether it has told nothing of the domain at all. What a server refuses in one
// way is said once.
func (c *checkup) unanswered(what string, err error) (silence bool) {
	key := what
	var e *net.DNSError
	var network *net.OpError
	switch isDNS := errors.As(err, &e); {
	case isDNS && e.IsTimeout && c.heard:
		err = fmt.Errorf("no answer within %s", c.timeout)
	case isDNS && e.IsTimeout:
		silence, err = true, fmt.Errorf("no DNS server answers within %s", c.timeout)
	case errors.As(err, &network):
		silence = !c.heard
	case isDNS && e.IsTemporary:
		key = e.Err
	}
	if c.isNew("dns", c.at, key) {
		c.note(wrong, "dns", "see whether the DNS server answers; --resolver asks another", "%s: %v", what, err)
	}
	return silence
}

// missing reports whether err says that there is no such name.
func missing(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// addresses reports whether a host has an address, and whether that is known. With by, the record that leads there, it notes if there
// is none.
func (c *checkup) addresses(ctx context.Context, host, by string) (there, known bool) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	list, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil && !missing(err) {
		c.unanswered("address of "+host, err)
		return false, false
	}
	if len(list) == 0 && by != "" && c.isNew("address", c.at, host) {
		c.note(wrong, "dns", host+". IN A …, or AAAA", "%s leads to %s, which has no address", by, host)
	}
	return len(list) > 0, true
}
