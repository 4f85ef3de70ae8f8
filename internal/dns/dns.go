// SPDX-License-Identifier: Apache-2.0

// Package dns asks DNS for what a server must know of others: it keeps the answers for as long as they say,
// those that there is nothing too (RFC 2308), tells them from failures, and knows which of them DNSSEC has
// proven. A [Resolver] is one of package locate.
//
// How to read this package: dns.go has the questions that others ask; ask.go keeps answers and sees that a question is
// asked once at a time; read.go finds the answer in a message; exchange.go brings messages to servers and back;
// system.go is what the system says: its servers, its hosts file, and what stands in for both where there are none.
package dns

import (
	"container/list"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	wire "github.com/miekg/dns"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Config says how a Resolver finds answers. Its zero value is that of the system.
type Config struct {
	// Servers are asked in this order, as HOST:PORT or HOST with an IP address. What one of them says that DNSSEC
	// has proven is believed, so they, and the way to them, must be trusted. Empty: the system's, of which only those on
	// this machine are believed.
	Servers []string
	Names   int // answers that are kept; 0 is 10,000
	Asked   int // questions to servers at once; more wait; 0 is 500

	// Exchange takes the place of the network to any server, for tests. It must be safe for concurrent use.
	Exchange func(ctx context.Context, question *wire.Msg) (*wire.Msg, error)
	// ResolvConf and Hosts are files that take the place of the system's, for tests.
	ResolvConf, Hosts string
}

// Stats counts what a Resolver has done.
type Stats struct {
	Asked     int64 // messages sent to servers
	Kept      int64 // questions answered by what was kept
	Failed    int64 // questions that no server has answered
	Displaced int64 // answers given up before their time, for others
	Names     int   // answers that are kept now
}

// Resolver asks DNS. It is safe for concurrent use, and must be closed.
type Resolver struct {
	config Config
	system system
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
	slots  chan struct{}
	first  atomic.Int64 // the server that has answered last

	asked, hits, failed, displaced atomic.Int64

	mu    sync.Mutex
	kept  map[question]*list.Element // of *kept
	order list.List                  // the one used last in front
	open  map[question]*call
}

// New makes a Resolver. An error names a server that is none.
func New(c Config) (*Resolver, error) {
	for i, s := range c.Servers {
		server, err := serverAt(s)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			c.Servers = append([]string(nil), c.Servers...)
		}
		c.Servers[i] = server
	}
	if c.Names <= 0 {
		c.Names = 10_000
	}
	if c.Asked <= 0 {
		c.Asked = 500
	}
	r := &Resolver{
		config: c, slots: make(chan struct{}, c.Asked), kept: map[question]*list.Element{}, open: map[question]*call{},
		system: system{resolvConf: fileOr(c.ResolvConf, "/etc/resolv.conf"), hosts: fileOr(c.Hosts, hostsFile())},
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// serverAt reads the address of a DNS server.
func serverAt(s string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), "53"), nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return "", fmt.Errorf("dns: %q is not the address of a DNS server, like 127.0.0.1:53", s)
	}
	return at.String(), nil
}

// Close ends all questions and waits for that.
func (r *Resolver) Close() {
	r.end()
	r.work.Wait()
}

// Stats says what was done so far.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{r.asked.Load(), r.hits.Load(), r.failed.Load(), r.displaced.Load(), r.order.Len()}
}

// LookupSRV is net.Resolver's. RFC 2782
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	records, _, err := Prover{r}.LookupProvenSRV(ctx, service, proto, name)
	return name, records, err
}

// Prover is a Resolver for who checks certificates by DNS (package dane). It is one of package locate, which then
// goes no way that DNSSEC might have refused.
type Prover struct{ *Resolver }

// LookupProvenSRV is LookupSRV, and says whether DNSSEC has proven the records, or that there are none.
func (r Prover) LookupProvenSRV(ctx context.Context, service, proto, name string) (records []*net.SRV, proven bool, err error) {
	name, _ = canonical(name) // before there are underlines, which no international name has
	a, err := r.ask(ctx, "_"+service+"._"+proto+"."+name, wire.TypeSRV)
	if a == nil {
		return nil, false, err
	}
	for _, rr := range a.records {
		// A host is a name: RFC 2782, "Target". What is none is left out, as net.Resolver does.
		if s, ok := rr.(*wire.SRV); ok && (s.Target == "." || isName(s.Target)) {
			records = append(records, &net.SRV{Target: s.Target, Port: s.Port, Priority: s.Priority, Weight: s.Weight})
		}
	}
	if err == nil && len(records) == 0 {
		err = &net.DNSError{Err: "its SRV records name no host", Name: name}
	}
	return records, a.proven, err
}

// LookupNetIP is net.Resolver's: network is ip, ip4 or ip6. The hosts file counts before DNS.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	fits := func(a netip.Addr) bool { return network == "ip" || a.Unmap().Is4() == (network == "ip4") }
	var local []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		local = []netip.Addr{a}
	} else {
		local = r.system.local(host)
	}
	if len(local) > 0 {
		return those(local, fits, host)
	}
	var kinds []uint16
	if network != "ip4" {
		kinds = append(kinds, wire.TypeAAAA)
	}
	if network != "ip6" {
		kinds = append(kinds, wire.TypeA)
	}
	found, errs := make([][]netip.Addr, len(kinds)), make([]error, len(kinds))
	var work sync.WaitGroup
	for i, kind := range kinds {
		work.Go(func() {
			var a *answer
			if a, errs[i] = r.ask(ctx, host, kind); errs[i] == nil {
				found[i] = a.addresses()
			}
		})
	}
	work.Wait()
	var all []netip.Addr
	var err error
	for i := range kinds {
		all = append(all, found[i]...)
		if errs[i] != nil && (err == nil || isNotFound(err)) {
			err = errs[i] // a failure says more than that there is nothing
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, err
}

// those are the addresses of one family.
func those(list []netip.Addr, fits func(netip.Addr) bool, host string) (picked []netip.Addr, err error) {
	for _, a := range list {
		if fits(a) {
			picked = append(picked, a)
		}
	}
	if len(picked) == 0 {
		return nil, notFound(host)
	}
	return picked, nil
}

// LookupTLSA returns the TLSA records of a service at a port of a host, if DNSSEC has proven them and the host's
// address: by nothing less may a certificate be checked. Without an error and without records there are none. With
// an error nobody may connect there: it is not known whether there are, which may be an attack. RFC 7673,
// RFC 7672 §2.2
func (r Prover) LookupTLSA(ctx context.Context, port, host string) ([]dane.Record, error) {
	host, _ = canonical(host)
	a, err := r.provenAddress(ctx, host)
	if a == nil {
		return nil, err
	}
	names := []string{host}
	if a.alias != "" {
		names = []string{a.alias, host} // RFC 7671 §7: what the host is called at the end, first
	}
	for _, name := range names {
		a, err := r.ask(ctx, "_"+port+"._tcp."+name, wire.TypeTLSA)
		switch {
		case isNotFound(err):
			continue
		case err != nil:
			return nil, err
		case a.proven:
			return a.tlsa(), nil
		}
	}
	return nil, nil
}

// provenAddress returns a proven answer that has an address of a host; nil if there is none.
func (r *Resolver) provenAddress(ctx context.Context, host string) (*answer, error) {
	for _, kind := range []uint16{wire.TypeA, wire.TypeAAAA} {
		a, err := r.ask(ctx, host, kind)
		switch {
		case err != nil && !isNotFound(err):
			return nil, err
		case err == nil && a.proven:
			return a, nil
		}
	}
	return nil, nil
}

// LookupAlias returns what a name stands for (CNAME), which a host named by an SRV record must not need
// (RFC 2782, "Target"); empty: itself.
func (r *Resolver) LookupAlias(ctx context.Context, host string) (string, error) {
	a, err := r.ask(ctx, host, wire.TypeA)
	if a == nil || err != nil && !isNotFound(err) {
		return "", err
	}
	return a.alias, nil
}

// addresses are those of an answer.
func (a *answer) addresses() (list []netip.Addr) {
	for _, rr := range a.records {
		var ip net.IP
		switch rr := rr.(type) {
		case *wire.A:
			ip = rr.A.To4()
		case *wire.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, a)
		}
	}
	return list
}

func (a *answer) tlsa() (list []dane.Record) {
	for _, rr := range a.records {
		if t, ok := rr.(*wire.TLSA); ok {
			if data, err := hex.DecodeString(t.Certificate); err == nil {
				list = append(list, dane.Record{Usage: dane.Usage(t.Usage), Selector: dane.Selector(t.Selector), Matching: dane.Matching(t.MatchingType), Data: data})
			}
		}
	}
	return list
}

// canonical is a name as questions have it: in ASCII, lower case, without the dot at its end. ok: it can be one.
func canonical(name string) (_ string, ok bool) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			j, err := jid.New("", name, "")
			if err != nil {
				return name, false
			}
			name = j.ASCIIDomain()
			break
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, isName(name)
}

// isName reports whether a name could be a host's, or a service's with its underlines. Nothing that would be
// quoted in the text of a record, or mean something else there, is let in.
func isName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
