// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// fewDays are those that a certificate may have left.
const fewDays = 14

// judge looks at a chain of certificates as those do who look for a domain, the server's own first. What is wrong with
// one is said once, what is well for each use and place.
func (c *checkup) judge(where, domain string, by peers, chain []*x509.Certificate) {
	for _, f := range c.opinions(domain, by, chain) {
		place := where + string(by)
		if f.Level != well {
			place = ""
		}
		if c.isNew("certificate", domain, place, f.What, string(chain[0].Raw)) {
			c.note(f.Level, where, f.Advice, "%s", f.What)
		}
	}
}

// opinions are what they think of it.
func (c *checkup) opinions(domain string, by peers, chain []*x509.Certificate) (list []found) {
	const others = "the certificate is for clients alone (clientAuth): those who call this server refuse it"
	say := func(l level, advice, what string, args ...any) []found {
		return append(list, found{Level: l, Advice: advice, What: fmt.Sprintf(what, args...)})
	}
	leaf := chain[0]
	days := int(leaf.NotAfter.Sub(c.now).Hours() / 24)
	switch {
	case c.now.After(leaf.NotAfter):
		return say(wrong, "renew it", "the certificate for %s has expired on %s", domain, leaf.NotAfter.Format(time.DateOnly))
	case c.now.Before(leaf.NotBefore):
		return say(wrong, "wait, or set this machine's clock", "the certificate for %s is not valid before %s", domain, leaf.NotBefore.Format(time.DateTime))
	case by.names(leaf, domain) != nil:
		return say(wrong, "get one that names the part of addresses behind the @, wherever the server is", "the certificate is not for %s, it names %v", domain, leaf.DNSNames)
	case by == clients && !isFor(leaf, x509.ExtKeyUsageServerAuth):
		return say(wrong, "get one that is for servers, too", others)
	}
	between := x509.NewCertPool()
	for _, link := range chain[1:] {
		between.AddCert(link)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, CurrentTime: c.now, KeyUsages: by.usages()})
	switch {
	case err == nil && days < fewDays:
		list = say(warning, "see why it was not renewed", "the certificate for %s is valid for %s more", domain, count(days, "day"))
	case err == nil:
		list = say(well, "", "the certificate for %s is trusted by %s, for %s more", domain, by.who(), count(days, "day"))
	case c.selfMade != nil && leaf.Equal(c.selfMade):
		return nil // that was said
	case string(leaf.RawIssuer) == string(leaf.RawSubject):
		return say(warning, "get one of an authority that they trust, or give them this one (--ca)", "the certificate for %s is self-signed: every client will ask whether to trust it, and servers that want a trusted one will not talk with it", domain)
	case len(chain) == 1:
		return say(wrong, "put the chain behind the certificate in the file (often called fullchain.pem); if its authority is one of your own, give them that (--ca)", "the certificate for %s comes without its chain: %v", domain, err)
	default:
		return say(wrong, "get one of an authority that they trust, or give them its certificate (--ca)", "the certificate for %s is not trusted: %v", domain, err)
	}
	switch {
	case !isFor(leaf, x509.ExtKeyUsageServerAuth):
		list = say(wrong, "get one that is for servers, too", others)
	case by == servers && !isFor(leaf, x509.ExtKeyUsageClientAuth):
		// For EXTERNAL: a server is a client of those that it calls.
		list = say(well, "", "the certificate is for servers alone (serverAuth), as all of public authorities are: servers of today take it, older ones ask for dialback instead of EXTERNAL")
	}
	return list
}

// isFor reports whether a certificate is for one side of TLS.
func isFor(leaf *x509.Certificate, side x509.ExtKeyUsage) bool {
	return len(leaf.ExtKeyUsage) == 0 || slices.Contains(leaf.ExtKeyUsage, side) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// names says whether a certificate names a domain's server, for those who look for it.
func (p peers) names(leaf *x509.Certificate, domain string) error {
	if p == servers {
		j, err := jid.New("", domain, "")
		if err != nil {
			return err
		}
		return tlsconfig.NamesServer([][]*x509.Certificate{{leaf}}, j) // whom it is by is looked at apart
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
