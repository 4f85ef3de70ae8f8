// SPDX-License-Identifier: Apache-2.0

// Package locate finds where the service of a domain is, by the SRV records of DNS (those of
// direct TLS, XEP-0368, are mixed with the others as if they were of one kind), and connects to it,
// over both families of addresses.
package locate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Resolver asks DNS. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Prover is a Resolver that also tells what DNSSEC has proven. Where it cannot answer, that may be an attack, which
// it has noticed.
type Prover interface {
	Resolver
	// LookupProvenSRV is LookupSRV; proven holds for the records, or for there being none.
	LookupProvenSRV(ctx context.Context, service, proto, name string) (records []*net.SRV, proven bool, err error)
}

// Target is one place where the service may be.
type Target struct {
	Host   string // a name or an IP address
	Port   string
	Direct bool // TLS begins with the first byte
	Proven bool // that the domain leads here, by DNSSEC: only then do TLSA records of the host count (RFC 7673)
}

func (t Target) String() string { return net.JoinHostPort(t.Host, t.Port) }

// Service is what is looked for, by its name in DNS without "xmpp-".
type Service string

// The services of XMPP. RFC 6120 §14.7
const (
	Client Service = "client"
	Server Service = "server"
)

// port is where it is when there are no records. RFC 6120 §3.2.2
func (s Service) port() string {
	if s == Server {
		return "5269"
	}
	return "5222"
}

// ErrNoService is what a domain says with a record that names the root. RFC 2782, "Target".
var ErrNoService = errors.New("its DNS records say that there is no XMPP service")

// Permanent reports whether err, of Targets or Connect, is DNS's own word that there is nothing: the domain
// says that it has no such service, or has no records and no address, or no host that it names has one.
// Anything else may be otherwise soon. Of [Errors] all must be permanent.
func Permanent(err error) bool {
	var all Errors
	if errors.As(err, &all) {
		return len(all) > 0 && !slices.ContainsFunc(all, func(err error) bool { return !Permanent(err) })
	}
	return errors.Is(err, ErrNoService) || isNotFound(err)
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// Targets lists where the service of a domain may be, in the order to try. domain is in ASCII.
//
// Without an answer about its records it is as if there were none (RFC 6120 §3.2.1 step 8), but not for a
// [Prover]: whoever can make an answer fail must not choose the way (RFC 7673).
func Targets(ctx context.Context, resolver Resolver, s Service, domain string) ([]Target, error) {
	if _, err := netip.ParseAddr(domain); err == nil {
		return []Target{{domain, s.port(), false, false}}, nil
	}
	var found [2]services
	var work sync.WaitGroup
	for i, name := range []string{"xmpps-" + string(s), "xmpp-" + string(s)} {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			found[i] = ask(ctx, resolver, name, domain)
		})
	}
	work.Wait()
	var all []service
	for i, f := range found {
		if _, ok := resolver.(Prover); ok && f.err != nil && !isNotFound(f.err) {
			return nil, fmt.Errorf("%s: looking up its service: %w", domain, f.err)
		}
		for _, r := range f.records {
			all = append(all, service{r, i == 0, f.proven})
		}
	}
	if len(all) == 0 {
		return []Target{{domain, s.port(), false, found[0].proven && found[1].proven}}, nil
	}
	if list := inOrder(all, rand.IntN); len(list) > 0 {
		return list, nil
	}
	return nil, fmt.Errorf("%s: %w for %ss", domain, ErrNoService, s)
}

// services are the records of one kind. An error may come with those that are valid.
type services struct {
	records []*net.SRV
	proven  bool
	err     error
}

func ask(ctx context.Context, resolver Resolver, name, domain string) (s services) {
	if p, ok := resolver.(Prover); ok {
		s.records, s.proven, s.err = p.LookupProvenSRV(ctx, name, "tcp", domain)
	} else {
		_, s.records, s.err = resolver.LookupSRV(ctx, name, "tcp", domain)
	}
	return s
}

// service is an SRV record of either kind.
type service struct {
	*net.SRV
	direct, proven bool
}

// inOrder mixes the records of both kinds as if they were of one: by priority, and at random by
// weight within one. XEP-0368 §3, RFC 2782. below returns a number from 0 up to below n.
func inOrder(all []service, below func(n int) int) []Target {
	slices.SortStableFunc(all, func(a, b service) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	var list []Target
	for len(all) > 0 {
		sum := 0
		for _, s := range all {
			if s.Priority == all[0].Priority {
				sum += int(s.Weight)
			}
		}
		i, at := 0, below(sum+1)
		for at -= int(all[i].Weight); at > 0; at -= int(all[i].Weight) {
			i++
		}
		if host := strings.TrimSuffix(all[i].Target, "."); host != "" {
			list = append(list, Target{host, strconv.Itoa(int(all[i].Port)), all[i].direct, all[i].proven})
		}
		all = slices.Delete(all, i, i+1)
	}
	return list
}
