// SPDX-License-Identifier: Apache-2.0

// Package dane checks the certificates of servers by what their own DNS says of them (TLSA records, RFC 6698,
// RFC 7671), in the place of public authorities. It asks no DNS: records may be given to it only if DNSSEC has
// proven them, and all that led to them (RFC 7673).
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Usage says what a record is about. RFC 7218 §2.1
type Usage uint8

// The usages. Those of PKIX ask for a chain to a trusted authority beside it.
const (
	PKIXTA Usage = 0 // an authority of the chain
	PKIXEE Usage = 1 // the server's certificate
	DANETA Usage = 2 // an authority that is trusted for this server by the record alone
	DANEEE Usage = 3 // the server's certificate, whatever its names and dates
)

// Selector says what of a certificate is compared. RFC 7218 §2.2
type Selector uint8

// The selectors.
const (
	Cert Selector = 0 // all of it
	SPKI Selector = 1 // its public key
)

// Matching says how it is compared. RFC 7218 §2.3
type Matching uint8

// The matching types.
const (
	Full   Matching = 0
	SHA256 Matching = 1
	SHA512 Matching = 2
)

// Record is a TLSA record.
type Record struct {
	Usage    Usage
	Selector Selector
	Matching Matching
	Data     []byte
}

func (r Record) String() string {
	return fmt.Sprintf("%d %d %d %X", r.Usage, r.Selector, r.Matching, r.Data)
}

// Of makes the record that is recommended for a certificate: of its public key, which may stay when the
// certificate is renewed. RFC 7671 §5.1
func Of(c *x509.Certificate) Record {
	return Record{DANEEE, SPKI, SHA256, digest(c.RawSubjectPublicKeyInfo, SHA256)}
}

// usable reports whether a record can be understood.
func (r Record) usable() bool {
	switch {
	case r.Usage > DANEEE || r.Selector > SPKI || len(r.Data) == 0:
		return false
	case r.Matching == Full:
		return true
	case r.Matching == SHA256:
		return len(r.Data) == sha256.Size
	}
	return r.Matching == SHA512 && len(r.Data) == sha512.Size
}

// Usable picks the records by which a certificate can be checked. Where there are none, it is as if there were
// no records at all (RFC 6698 §4.1). Of one usage and selector the strongest digest alone counts, beside
// what is not digested: RFC 7671 §9.
func Usable(records []Record) (usable []Record) {
	for _, r := range records {
		stronger := func(o Record) bool {
			return o.usable() && o.Usage == r.Usage && o.Selector == r.Selector && r.Matching != Full && o.Matching > r.Matching
		}
		if r.usable() && !slices.ContainsFunc(records, stronger) {
			usable = append(usable, r)
		}
	}
	return usable
}

func digest(data []byte, m Matching) []byte {
	switch m {
	case SHA256:
		sum := sha256.Sum256(data)
		return sum[:]
	case SHA512:
		sum := sha512.Sum512(data)
		return sum[:]
	}
	return data
}

// matches reports whether the record is about c.
func (r Record) matches(c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == SPKI {
		data = c.RawSubjectPublicKeyInfo
	}
	return bytes.Equal(digest(data, r.Matching), r.Data)
}

// ErrNoMatch is a certificate that none of the records is about.
var ErrNoMatch = errors.New("dane: the certificate is none of those that the TLSA records name")

// ErrUnusable is a verifier without a record that can be understood. Whoever makes one looks first ([Usable]).
var ErrUnusable = errors.New("dane: there is no usable TLSA record")

// maxChain bounds how many certificates of a chain are looked at: a peer chooses what it sends.
const maxChain = 10

// Verifier checks the certificates that a server shows. It must not change once it is in use.
type Verifier struct {
	Records []Record
	Domain  jid.JID        // whose server it is to be
	Host    string         // where the SRV record leads: a name of the certificate, too, since DNSSEC has proven it; may be empty
	Roots   *x509.CertPool // for the usages of PKIX; nil: the system's
	Now     func() time.Time
}

// VerifyConnection is for a tls.Config, whose InsecureSkipVerify must be set.
func (v *Verifier) VerifyConnection(state tls.ConnectionState) error {
	return v.Verify(state.PeerCertificates)
}

// Verify checks a chain, the server's own certificate first. One record that fits is enough.
func (v *Verifier) Verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return tlsconfig.ErrNoCertificate
	}
	chain = chain[:min(len(chain), maxChain)]
	usable := Usable(v.Records)
	if len(usable) == 0 {
		return ErrUnusable
	}
	failed := ErrNoMatch
	for _, r := range usable {
		err := v.by(r, chain)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrNoMatch) {
			failed = err // it says more
		}
	}
	return failed
}

// by checks a chain by one record.
func (v *Verifier) by(r Record, chain []*x509.Certificate) error {
	switch r.Usage {
	case DANEEE: // neither names nor dates count: RFC 7671 §5.1
		if !r.matches(chain[0]) {
			return ErrNoMatch
		}
		return nil
	case PKIXEE:
		if !r.matches(chain[0]) {
			return ErrNoMatch
		}
		_, err := v.chains(chain, v.Roots)
		return err
	case PKIXTA:
		paths, err := v.chains(chain, v.Roots)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if slices.ContainsFunc(path[1:], r.matches) {
				return nil
			}
		}
		return ErrNoMatch
	}
	return v.anchored(r, chain)
}

// anchored checks a chain to the authority that a record names: one of the chain, as RFC 7671 §5.2.2 wants it,
// or the record itself.
func (v *Verifier) anchored(r Record, chain []*x509.Certificate) error {
	roots, any := x509.NewCertPool(), false
	for _, c := range chain[1:] {
		if r.matches(c) {
			roots.AddCert(c)
			any = true
		}
	}
	if !any && r.Selector == Cert && r.Matching == Full {
		if c, err := x509.ParseCertificate(r.Data); err == nil {
			roots.AddCert(c)
			any = true
		}
	}
	if !any {
		return ErrNoMatch
	}
	_, err := v.chains(chain, roots)
	return err
}

// chains finds the ways from a certificate to roots, and looks at its names: the domain's, or the host's.
// RFC 7673 §4.2
func (v *Verifier) chains(chain []*x509.Certificate, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	between, now := x509.NewCertPool(), time.Now
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if v.Now != nil {
		now = v.Now
	}
	paths, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("dane: certificate of %s: %w", v.Domain, err)
	}
	err = tlsconfig.NamesServer(paths, v.Domain)
	if host, bad := jid.New("", v.Host, ""); err != nil && bad == nil && tlsconfig.NamesServer(paths, host) == nil {
		err = nil
	}
	return paths, err
}
