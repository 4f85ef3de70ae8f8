// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

const (
	lifetime = 825 * 24 * time.Hour // the most that some clients accept
	renewal  = 30 * 24 * time.Hour  // before the end
)

// selfSigned returns the files of the certificate that was made here, after
// making it if there is none, if it names other domains, if it ends soon, or
// if it is damaged (the two files are not written in one step).
func (s *Certificates) selfSigned() (Pair, error) {
	if s.o.Folder == "" || len(s.o.Domains) == 0 {
		return Pair{}, errors.New("tlsconfig: no certificate is given, and no folder or domains to make one for")
	}
	folder := s.o.Folder
	p := Pair{filepath.Join(folder, "self-signed.crt"), filepath.Join(folder, "self-signed.key")}
	l, err := readPair(p)
	if errors.Is(err, fs.ErrPermission) {
		return Pair{}, err // somebody else's: not ours to replace
	}
	if err == nil && s.fits(l) {
		return p, nil
	}
	if err := s.makeSelfSigned(folder, p); err != nil {
		return Pair{}, fmt.Errorf("tlsconfig: making a self-signed certificate: %w", err)
	}
	return p, nil
}

// fits reports whether a certificate made earlier will still do.
func (s *Certificates) fits(l *leaf) bool {
	now, leaf := s.o.Now(), l.certificate.Leaf
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter.Add(-renewal)) {
		return false
	}
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return slices.Equal(names, s.names())
}

// names are the domains in the form of certificates, sorted, each once.
func (s *Certificates) names() []string {
	var list []string
	for _, d := range s.o.Domains {
		list = append(list, hostname(d))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// hostname turns a domain of an address into the form of certificates: A-labels
// in lower case, or an IP address without brackets.
func hostname(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if ip, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return strings.ToLower(domain)
}

func (s *Certificates) makeSelfSigned(folder string, p Pair) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now, names := s.o.Now(), s.names()
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: commonName(names[0])},
		NotBefore:             now.Add(-time.Hour), // for clocks that are behind
		NotAfter:              now.Add(lifetime - time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := writeFile(p.Key, "PRIVATE KEY", private); err != nil {
		return err
	}
	return writeFile(p.Certificate, "CERTIFICATE", certificate)
}

// commonName is a name as far as the field takes it: 64 characters. Nobody
// compares it any more; it is what people see.
func commonName(name string) string { return name[:min(len(name), 64)] }

// writeFile puts a file in its place whole, readable by the owner alone.
func writeFile(name, kind string, der []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // if it was not renamed
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	// Clients that pinned the certificate would miss it after a power loss.
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
