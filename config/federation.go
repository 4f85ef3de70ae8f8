// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// checkFederation looks at the keys of federation, and brings its domains into canonical form.
func (c *Config) checkFederation(d *decoder) {
	f := &c.Federation
	for name, list := range map[string][]string{"allow": f.Allow, "block": f.Block} {
		for i, domain := range list {
			key := fmt.Sprintf("federation.%s[%d]", name, i)
			rest, below := strings.CutPrefix(domain, ".")
			j, err := jid.Parse(rest)
			if err != nil || j != j.Host() {
				d.fail(d.lineOf(key), key, "%q is not a domain", domain)
				continue
			}
			if list[i] = j.Domain(); below {
				list[i] = "." + j.Domain()
			}
		}
	}
	if f.Resolver != "" {
		_, err := netip.ParseAddr(f.Resolver)
		if _, e := netip.ParseAddrPort(f.Resolver); err != nil && e != nil {
			d.fail(d.lineOf("federation.resolver"), "federation.resolver", "%q is not the address of a DNS server, like 127.0.0.1:53", f.Resolver)
		}
	}
	all := make(map[string]FederationDomain, len(f.Domains))
	for _, domain := range slices.Sorted(maps.Keys(f.Domains)) {
		key, x := "federation.domains."+domain, f.Domains[domain]
		j, err := jid.Parse(domain)
		switch {
		case err != nil || j != j.Host():
			d.fail(d.lineOf(key), key, "%q is not a domain", domain)
		case slices.Contains(c.Domains, j.Domain()):
			d.fail(d.lineOf(key), key, "%s is one of domains", domain)
		case x.DirectTLS && x.Connect == "":
			d.fail(d.lineOf(key), key, "direct_tls says how to begin at connect, which is missing")
		}
		if x.Connect != "" {
			checkAddress(d, key+".connect", x.Connect)
		}
		if !slices.Contains([]string{"", "required", "preferred"}, x.Certificates) {
			d.fail(d.lineOf(key+".certificates"), key+".certificates", "%q is none of: required preferred", x.Certificates)
		}
		if _, twice := all[j.Domain()]; twice {
			d.fail(d.lineOf(key), key, "%s stands twice", j.Domain())
		}
		all[j.Domain()] = x
	}
	f.Domains = all
}

func checkAddress(d *decoder, key, address string) {
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		d.fail(d.lineOf(key), key, "%q is not an address, like 192.0.2.1:5269", address)
	}
}
