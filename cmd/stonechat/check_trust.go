// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/x509"
	"slices"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// fewDays are those that a certificate may have left.
const fewDays = 14

// judge looks at a chain of certificates as those do who look for a domain, the server's own first. Each is judged
// once for them.
func (c *checkup) judge(where, domain string, by peers, chain []*x509.Certificate) {
	leaf := chain[0]
	key := string(by) + string(leaf.Raw)
	if c.judged[key] {
		return
	}
	c.judged[key] = true
	days := int(leaf.NotAfter.Sub(c.now).Hours() / 24)
	switch {
	case c.now.After(leaf.NotAfter):
		c.note(wrong, where, "renew it", "the certificate for %s has expired on %s", domain, leaf.NotAfter.Format(time.DateOnly))
		return
	case c.now.Before(leaf.NotBefore):
		c.note(wrong, where, "wait, or set this machine's clock", "the certificate for %s is not valid before %s", domain, leaf.NotBefore.Format(time.DateTime))
		return
	case by.names(leaf, domain) != nil:
		c.note(wrong, where, "get one that names the part of addresses behind the @, wherever the server is", "the certificate is not for %s, it names %v", domain, leaf.DNSNames)
		return
	}
	between := x509.NewCertPool()
	for _, link := range chain[1:] {
		between.AddCert(link)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, CurrentTime: c.now, KeyUsages: by.usages()})
	switch {
	case err == nil && days < fewDays:
		c.note(warning, where, "see why it was not renewed", "the certificate for %s is valid for %s more", domain, count(days, "day"))
	case err == nil:
		c.note(well, where, "", "the certificate for %s is trusted by %s, for %s more", domain, by.who(), count(days, "day"))
	case string(leaf.RawIssuer) == string(leaf.RawSubject):
		c.note(warning, where, "get one of an authority that they trust, or give them this one (--ca)", "the certificate for %s is self-signed: %s", domain, by.doubts())
	case len(chain) == 1:
		c.note(wrong, where, "put the chain behind the certificate in the file (often called fullchain.pem)", "the certificate for %s comes without its chain: %v", domain, err)
	default:
		c.note(wrong, where, "get one of an authority that they trust, or give them its certificate (--ca)", "the certificate for %s is not trusted: %v", domain, err)
	}
	if by == servers && err == nil {
		c.purpose(where, leaf)
	}
}

// purpose tells what it means for EXTERNAL that a certificate is for one side of TLS alone: a server is a client of
// those that it calls.
func (c *checkup) purpose(where string, leaf *x509.Certificate) {
	is := func(u x509.ExtKeyUsage) bool {
		return len(leaf.ExtKeyUsage) == 0 || slices.Contains(leaf.ExtKeyUsage, u) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
	}
	switch {
	case !is(x509.ExtKeyUsageServerAuth):
		c.note(wrong, where, "get one that is for servers, too", "the certificate is for clients alone (clientAuth): those who call this server refuse it")
	case !is(x509.ExtKeyUsageClientAuth):
		c.note(well, where, "", "the certificate is for servers alone (serverAuth), as all of public authorities are: servers of today take it, older ones ask for dialback instead of EXTERNAL")
	}
}

// names says whether a certificate names a domain's server, for those who look for it.
func (p peers) names(leaf *x509.Certificate, domain string) error {
	if p == servers {
		j, err := jid.New("", domain, "")
		if err != nil {
			return err
		}
		return tlsconfig.NamesServer(leaf, j)
	}
	return leaf.VerifyHostname(ascii(domain))
}

// usages are what a certificate may be for. Of servers see tlsconfig.VerifyServer.
func (p peers) usages() []x509.ExtKeyUsage {
	if p == servers {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func (p peers) doubts() string {
	if p == servers {
		return "servers that want a trusted one will not talk with it"
	}
	return "every client will ask whether to trust it"
}

// records of DNS about certificates, TLSA, are looked at where DNSSEC proves them.
func (c *checkup) tlsa(ctx context.Context, where, domain string, at destination, chain []*x509.Certificate) {
	port := strconv.Itoa(int(at.port))
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	records, err := c.resolver.LookupTLSA(ctx, port, at.host)
	name := "_" + port + "._tcp." + at.host
	if err != nil {
		c.note(wrong, where, "see that the zone is signed well: whoever checks certificates by DNS goes no further", "%s (TLSA): %v", name, err)
		return
	}
	if len(records) == 0 || !at.proven {
		return
	}
	j, err := jid.New("", domain, "")
	if err != nil {
		return
	}
	v := dane.Verifier{Records: records, Domain: j, Host: at.host, Roots: c.roots, Now: func() time.Time { return c.now }}
	switch err := v.Verify(chain); {
	case len(dane.Usable(records)) == 0:
		c.note(warning, where, name+". IN TLSA "+dane.Of(chain[0]).String(), "nobody can use the TLSA records of %s", name)
	case err != nil:
		c.note(wrong, where, name+". IN TLSA "+dane.Of(chain[0]).String()+"\nbeside the old one for as long as that is kept (TTL), before the certificate changes", "the certificate is not what %s (TLSA) names: %v", name, err)
	default:
		c.note(well, where, "", "the certificate is what %s (TLSA) names", name)
	}
}

// ascii is a domain as DNS and certificates have it.
func ascii(domain string) string {
	j, err := jid.Parse(domain)
	if err != nil {
		return domain
	}
	return j.ASCIIDomain()
}
