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
	}
	c.Components = all
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
