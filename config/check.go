// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// check reports what no single field can tell. It also brings the domains into
// their canonical form.
func (c *Config) check(d *decoder) {
	c.checkDomains(d)
	c.checkAnonymous(d)
	c.checkComponents(d)
	c.checkFederation(d)
	c.checkAddresses(d)
	c.checkHTTP(d)
	if c.Data == "" {
		d.fail(d.lineOf("data"), "data", "is empty; it names a folder")
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		d.fail(d.lineOf("tls"), "tls", "certificate and key go together; without both a self-signed certificate is made")
	}
	for _, domain := range slices.Sorted(maps.Keys(c.TLS.Domains)) {
		key, pair := "tls.domains."+domain, c.TLS.Domains[domain]
		switch j, err := jid.Parse(domain); {
		case err != nil || !slices.Contains(c.Domains, j.Domain()):
			d.fail(d.lineOf(key), key, "%s is none of domains", domain)
		case pair.Certificate == "" || pair.Key == "":
			d.fail(d.lineOf(key), key, "needs a certificate and a key")
		}
	}
	if len(c.TLS.Domains) > 0 && c.TLS.Certificate == "" {
		d.fail(d.lineOf("tls.domains"), "tls.domains", "needs tls.certificate beside it, for clients that ask for no domain")
	}
}

func (c *Config) checkDomains(d *decoder) {
	if len(c.Domains) == 0 {
		d.fail(d.lineOf("domains"), "domains", "is empty; a server serves at least one domain")
	}
	seen := map[string]bool{}
	for i, domain := range c.Domains {
		key := fmt.Sprintf("domains[%d]", i)
		j, err := jid.Parse(domain)
		switch {
		case err != nil:
			d.fail(d.lineOf(key), key, "%q is not a domain: %v", domain, err)
		case !j.IsDomain() || !j.IsBare():
			d.fail(d.lineOf(key), key, "%q is not a domain", domain)
		case seen[j.Domain()]:
			d.fail(d.lineOf(key), key, "%s stands twice", j.Domain())
		default:
			seen[j.Domain()] = true
			c.Domains[i] = j.Domain()
		}
	}
}

func (c *Config) checkAnonymous(d *decoder) {
	for i, domain := range c.Anonymous {
		key := fmt.Sprintf("anonymous[%d]", i)
		j, err := jid.Parse(domain)
		if err != nil || !slices.Contains(c.Domains, j.Domain()) || j != j.Host() {
			d.fail(d.lineOf(key), key, "%q is none of domains", domain)
		}
		c.Anonymous[i] = j.Domain()
	}
}

// checkComponents brings their domains into canonical form, too.
func (c *Config) checkComponents(d *decoder) {
	all := make(map[string]Component, len(c.Components))
	for _, domain := range slices.Sorted(maps.Keys(c.Components)) {
		key := "components." + domain
		j, err := jid.Parse(domain)
		name := j.Domain()
		_, twice := all[name]
		switch {
		case err != nil:
			d.fail(d.lineOf(key), key, "%q is not a domain: %v", domain, err)
		case j != j.Host():
			d.fail(d.lineOf(key), key, "%q is not a domain", domain)
		case twice:
			d.fail(d.lineOf(key), key, "%s stands twice", name)
		case slices.Contains(c.Domains, name):
			d.fail(d.lineOf(key), key, "%s is one of domains, which have accounts", name)
		case c.Components[domain].Secret == "":
			d.fail(d.lineOf(key), key, "has no secret")
		}
		all[name] = c.Components[domain]
		c.checkGrants(d, key, all[name])
	}
	c.Components = all
	c.checkDelegations(d)
}

// checkDelegations looks for namespaces that two components were given.
func (c *Config) checkDelegations(d *decoder) {
	taken := map[[2]string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Components)) {
		for _, domain := range c.DomainsFor(name) {
			for ns := range c.Components[name].Delegation {
				key := "components." + name + ".delegation"
				if other := taken[[2]string{domain, ns}]; other != "" {
					d.fail(d.lineOf(key), key, "%s is delegated to %s already", ns, other)
				}
				taken[[2]string{domain, ns}] = name
			}
		}
	}
}

// DomainsFor are the domains for whose accounts a component has privileges and answers requests.
func (c *Config) DomainsFor(component string) []string {
	if x := c.Components[component]; len(x.For) > 0 {
		return x.For
	}
	best := ""
	for _, domain := range c.Domains {
		if strings.HasSuffix(component, "."+domain) && len(domain) > len(best) {
			best = domain
		}
	}
	if best == "" && len(c.Domains) > 0 {
		best = c.Domains[0]
	}
	return []string{best}
}

// checkGrants looks at what a component may do for accounts, and brings its domains into canonical form.
func (c *Config) checkGrants(d *decoder, key string, x Component) {
	for i, domain := range x.For {
		j, err := jid.Parse(domain)
		if err != nil || !slices.Contains(c.Domains, j.Domain()) || j != j.Host() {
			d.fail(d.lineOf(key+".for"), key+".for", "%q is none of domains", domain)
		}
		x.For[i] = j.Domain()
	}
	for _, ns := range slices.Sorted(maps.Keys(x.Privilege.IQ)) {
		at := key + ".privilege.iq." + ns
		switch typ := x.Privilege.IQ[ns]; {
		case !slices.Contains([]string{"none", "get", "set", "both"}, typ):
			d.fail(d.lineOf(at), at, "%q is none of: none get set both", typ)
		case untransferable(ns):
			d.fail(d.lineOf(at), at, "nobody can be given this namespace")
		}
	}
	if x.Privilege.Presence == "roster" && x.Privilege.Roster != "get" && x.Privilege.Roster != "both" {
		at := key + ".privilege.presence"
		d.fail(d.lineOf(at), at, "needs roster: get or both beside it (XEP-0356 §7.4)")
	}
	for _, ns := range slices.Sorted(maps.Keys(x.Delegation)) {
		at := key + ".delegation." + ns
		switch {
		case ns == "":
			d.fail(d.lineOf(at), at, "is no namespace")
		case untransferable(ns):
			d.fail(d.lineOf(at), at, "nobody can be given this namespace")
		case strings.HasPrefix(ns, "urn:xmpp:delegation:2:bare:disco#"):
			if _, nodes := x.Delegation["http://jabber.org/protocol/pubsub"]; !nodes {
				d.fail(d.lineOf(at), at, "needs http://jabber.org/protocol/pubsub beside it, or the nodes that it tells of would be the server's")
			}
		}
	}
}

// untransferable reports whether requests of a namespace are for nobody to make or answer in place of
// others: those by which others were given theirs, and those of logging in.
func untransferable(ns string) bool {
	switch ns {
	case "urn:xmpp:delegation:2", "urn:xmpp:privilege:2", "urn:xmpp:privilege:1",
		"urn:ietf:params:xml:ns:xmpp-bind", "urn:ietf:params:xml:ns:xmpp-session", "jabber:iq:auth":
		return true
	}
	return false
}

// checkHTTP looks at the keys of http.
func (c *Config) checkHTTP(d *decoder) {
	for i, s := range c.HTTP.TrustedProxies {
		if _, err := network(s); err != nil {
			key := fmt.Sprintf("http.trusted_proxies[%d]", i)
			d.fail(d.lineOf(key), key, "%q is not an address or a network, like 192.0.2.0/24", s)
		}
	}
	if c.HTTP.PublicURL == "" {
		return
	}
	u, err := url.Parse(c.HTTP.PublicURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		d.fail(d.lineOf("http.public_url"), "http.public_url", "%q is not an address like https://example.org or https://example.org/path", c.HTTP.PublicURL)
	}
}

// Proxies are the networks of TrustedProxies.
func (h *HTTP) Proxies() []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range h.TrustedProxies {
		if p, err := network(s); err == nil { // check has reported it
			ps = append(ps, p)
		}
	}
	return ps
}

// network reads a network, or one address.
func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen()) //nolint:wrapcheck // it cannot fail
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("config: %w", err)
	}
	return p.Masked(), nil
}

// checkAddresses looks at every list of Listen.
func (c *Config) checkAddresses(d *decoder) {
	v := reflect.ValueOf(c.Listen)
	used := map[string]string{}
	for i := range v.NumField() {
		name := "listen." + v.Type().Field(i).Tag.Get("yaml")
		for k, address := range v.Field(i).Interface().([]string) {
			key := fmt.Sprintf("%s[%d]", name, k)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				d.fail(d.lineOf(key), key, "%q is not an address, like [::]:5222", address)
				continue
			}
			if n, err := strconv.ParseUint(port, 10, 16); err != nil {
				d.fail(d.lineOf(key), key, "%q is not a port", port)
			} else if other := used[address]; other != "" && n != 0 {
				d.fail(d.lineOf(key), key, "%s is taken by %s", address, other)
			}
			used[address] = key
		}
	}
}
