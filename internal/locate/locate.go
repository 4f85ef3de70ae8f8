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

// Target is one place where the service may be.
type Target struct {
	Host   string // a name or an IP address
	Port   string
	Direct bool // TLS begins with the first byte
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

// Targets lists where the service of a domain may be, in the order to try. domain is in ASCII.
func Targets(ctx context.Context, resolver Resolver, s Service, domain string) ([]Target, error) {
	fallback := []Target{{domain, s.port(), false}}
	if _, err := netip.ParseAddr(domain); err == nil {
		return fallback, nil
	}
	var records [2][]*net.SRV
	var work sync.WaitGroup
	for i, service := range []string{"xmpps-" + string(s), "xmpp-" + string(s)} {
		work.Go(func() {
			// An error may come with the records that are valid; without any it is as if there
			// were none: RFC 6120 §3.2.1 step 8.
			ctx, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			_, records[i], _ = resolver.LookupSRV(ctx, service, "tcp", domain)
		})
	}
	work.Wait()
	var all []service
	for i := range records {
		for _, r := range records[i] {
			all = append(all, service{r, i == 0})
		}
	}
	if len(all) == 0 {
		return fallback, nil
	}
	if list := inOrder(all, rand.IntN); len(list) > 0 {
		return list, nil
	}
	return nil, fmt.Errorf("%s: %w for %ss", domain, ErrNoService, s)
}

// service is an SRV record of either kind.
type service struct {
	*net.SRV
	direct bool
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
			list = append(list, Target{host, strconv.Itoa(int(all[i].Port)), all[i].direct})
		}
		all = slices.Delete(all, i, i+1)
	}
	return list
}
