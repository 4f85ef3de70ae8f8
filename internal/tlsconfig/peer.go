// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// ErrNoCertificate is a peer that has shown none.
var ErrNoCertificate = errors.New("tlsconfig: the peer has shown no certificate")

// maxChain bounds how many certificates of a chain are looked at: a peer chooses what it sends.
const maxChain = 10

// Servers is like Config, for a listener to which other servers connect: it asks them for a certificate, of
// whichever authority, and judges none. That is for VerifyServer.
func (s *Certificates) Servers(protocols ...string) *tls.Config {
	return s.listener(use{protocols: slices.Clone(protocols), servers: true})
}

// Calling is the configuration of a connection that this server makes to that of another domain, as its own
// domain of that name. The other's certificate is not judged: that is for VerifyServer.
func (s *Certificates) Calling(own, other jid.JID, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         other.ASCIIDomain(),
		NextProtos:         protocols,
		InsecureSkipVerify: true, //nolint:gosec // see VerifyServer
		GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.current.Load().own(own.ASCIIDomain(), asked), nil
		},
	}
}

// own is the certificate with which this server answers for its domain, one that the other understands.
func (s *snapshot) own(name string, asked *tls.CertificateRequestInfo) *tls.Certificate {
	name = strings.ToLower(name)
	candidates := s.byName[name]
	if _, parent, ok := strings.Cut(name, "."); ok && len(candidates) == 0 {
		candidates = s.byName["*."+parent]
	}
	if len(candidates) == 0 {
		candidates = s.leaves
	}
	anybody := *asked // many servers take others than those of the authorities that they name
	anybody.AcceptableCAs = nil
	for _, l := range candidates {
		if anybody.SupportsCertificate(&l.certificate) == nil {
			return &l.certificate
		}
	}
	return &candidates[0].certificate
}

// VerifyServer reports whether the certificates that a peer has shown prove that it is the XMPP server of
// domain at that time: a chain to one of roots (nil: the system's), every date, and a name of the leaf. The
// leaf may be for servers or for clients: public authorities do not sign for both any more, and a server is
// the client of the servers that it calls. until is when the first certificate of such a chain expires. RFC 6120 §13.7.2,
// RFC 6125 §6.
func VerifyServer(chain []*x509.Certificate, domain jid.JID, roots *x509.CertPool, now time.Time) (until time.Time, err error) {
	if len(chain) == 0 {
		return until, ErrNoCertificate
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:min(len(chain), maxChain)] {
		between.AddCert(c)
	}
	ways, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return until, fmt.Errorf("tlsconfig: certificate of %s: %w", domain, err)
	}
	for _, way := range ways {
		first := slices.MinFunc(way, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if first.NotAfter.After(until) {
			until = first.NotAfter
		}
	}
	return until, NamesServer(ways, domain)
}

// NamesServer looks for domain among the names of a certificate, for which x509 has found these ways to an authority: as the
// name of a server of XMPP (SRVName), an address (xmppAddr), or a name in DNS, in which a first label may be `*`. The common
// name says nothing. RFC 6120 §13.7.1.2, RFC 6125 §6.4.
//
// Where an authority may sign for some names alone, x509 has looked at those in DNS: then nothing else is believed.
func NamesServer(ways [][]*x509.Certificate, domain jid.JID) error {
	c, name := ways[0][0], domain.ASCIIDomain()
	if slices.ContainsFunc(ways, unconstrained) {
		if services, err := sasl.ServiceNames(c); err == nil {
			for _, s := range services {
				if of, ok := strings.CutPrefix(strings.ToLower(s), "_xmpp-server."); ok && matches(of, name, false) {
					return nil
				}
			}
		}
		if addresses, err := sasl.XMPPAddresses(c); err == nil && slices.Contains(addresses, domain.Host()) {
			return nil
		}
	}
	for _, n := range c.DNSNames {
		if matches(n, name, true) {
			return nil
		}
	}
	return fmt.Errorf("tlsconfig: the certificate is not for %s: it names %s", domain, strings.Join(c.DNSNames, ", "))
}

// unconstrained reports whether no authority on the way to one says for which names it may sign (nameConstraints).
// RFC 5280 §4.2.1.10
func unconstrained(way []*x509.Certificate) bool {
	constraints := asn1.ObjectIdentifier{2, 5, 29, 30}
	return !slices.ContainsFunc(way[1:], func(c *x509.Certificate) bool {
		return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(constraints) })
	})
}

// matches compares names in DNS. With wild a first label `*` stands for one label. RFC 6125 §6.4.3.
func matches(pattern, name string, wild bool) bool {
	pattern, name = strings.ToLower(strings.TrimSuffix(pattern, ".")), strings.ToLower(strings.TrimSuffix(name, "."))
	if pattern == name {
		return name != ""
	}
	rest, ok := strings.CutPrefix(pattern, "*.")
	if !wild || !ok {
		return false
	}
	_, parent, ok := strings.Cut(name, ".")
	return ok && parent == rest && strings.Contains(parent, ".")
}
