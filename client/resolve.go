// SPDX-License-Identifier: Apache-2.0

package client

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

// target is one place where the server may be.
type target struct {
	host   string // a name or an IP address
	port   string
	direct bool // TLS begins with the first byte
}

func (t target) String() string { return net.JoinHostPort(t.host, t.port) }

// errNoService is what a domain says with a record that names the root. RFC 2782, "Target".
var errNoService = errors.New("its DNS records say that there is no XMPP service for clients")

// targets lists where the server may be, in the order to try.
func (c *Client) targets(ctx context.Context) ([]target, error) {
	if c.config.Address != "" {
		host, port, _ := net.SplitHostPort(c.config.Address) // New has checked it
		return []target{{host, port, c.config.DirectTLS}}, nil
	}
	domain := c.config.Account.ASCIIDomain()
	fallback := []target{{domain, "5222", false}} // RFC 6120 §3.2.2
	if _, err := netip.ParseAddr(domain); err == nil {
		return fallback, nil
	}
	var records [2][]*net.SRV
	var work sync.WaitGroup
	for i, service := range []string{"xmpps-client", "xmpp-client"} {
		work.Go(func() {
			// An error may come with the records that are valid; without any it is as if there
			// were none: RFC 6120 §3.2.1 step 8.
			ctx, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			_, records[i], _ = c.config.Resolver.LookupSRV(ctx, service, "tcp", domain)
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
	return nil, fmt.Errorf("client: %s: %w", domain, errNoService)
}

// service is an SRV record of either kind.
type service struct {
	*net.SRV
	direct bool
}

// inOrder mixes the records of both kinds as if they were of one: by priority, and at random by
// weight within one. XEP-0368 §3, RFC 2782. below returns a number from 0 up to below n.
func inOrder(all []service, below func(n int) int) []target {
	slices.SortStableFunc(all, func(a, b service) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	var list []target
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
			list = append(list, target{host, strconv.Itoa(int(all[i].Port)), all[i].direct})
		}
		all = slices.Delete(all, i, i+1)
	}
	return list
}
