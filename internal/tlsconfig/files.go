// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// maxFile bounds a file of certificates or keys, in bytes: a bundle of all
// public authorities has a quarter of it.
const maxFile = 1 << 20

// read makes a snapshot of the files. What has not changed since old is taken
// over with its sessions.
func (s *Certificates) read(old *snapshot) (*snapshot, error) {
	next := &snapshot{byName: map[string][]*leaf{}}
	if err := s.readClientCA(next); err != nil {
		return nil, err
	}
	pairs := s.o.More
	if s.o.Certificate != "" || s.o.Key != "" {
		pairs = append([]Pair{{s.o.Certificate, s.o.Key}}, pairs...)
	}
	own := len(pairs) == 0
	if own {
		pair, err := s.selfSigned()
		if err != nil {
			return nil, err
		}
		pairs = []Pair{pair}
	}
	for i, p := range pairs {
		l, err := readPair(p)
		if err != nil {
			return nil, err
		}
		l.clientCAs, l.selfSigned = next.clientCAs, own
		if old != nil && i < len(old.leaves) {
			if kept := old.leaves[i]; kept.digest == l.digest && old.caDigest == next.caDigest {
				l = kept
			} else if err := s.worse(l, kept); err != nil {
				return nil, fmt.Errorf("tlsconfig: certificate %s: %w", p.Certificate, err)
			}
		}
		next.leaves = append(next.leaves, l)
	}
	for _, l := range next.leaves {
		for _, name := range l.certificate.Leaf.DNSNames {
			name = strings.ToLower(name)
			next.byName[name] = append(next.byName[name], l)
		}
	}
	for _, list := range next.byName {
		slices.SortStableFunc(list, func(a, b *leaf) int { return cmp.Compare(a.rank(), b.rank()) })
	}
	return next, nil
}

// worse finds fault with a certificate that would take the place of a good one.
func (s *Certificates) worse(l, old *leaf) error {
	now := s.o.Now()
	valid := func(l *leaf) bool { return !now.Before(l.certificate.Leaf.NotBefore) && now.Before(l.notAfter) }
	if !valid(old) || valid(l) {
		return nil
	}
	if now.Before(l.certificate.Leaf.NotBefore) {
		return fmt.Errorf("it is not valid before %s", l.certificate.Leaf.NotBefore.Format(time.RFC3339))
	}
	return fmt.Errorf("it, or its chain, has expired on %s", l.notAfter.Format(time.RFC3339))
}

func (s *Certificates) readClientCA(next *snapshot) error {
	if s.o.ClientCA == "" {
		return nil
	}
	data, err := readFile(s.o.ClientCA)
	if err != nil {
		return fmt.Errorf("tlsconfig: reading client_ca: %w", err)
	}
	next.clientCAs, next.caDigest = x509.NewCertPool(), sha256.Sum256(data)
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		// Not AppendCertsFromPEM: it passes over what it can't read.
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("tlsconfig: client_ca %s: %w", s.o.ClientCA, err)
		}
		next.clientCAs.AddCert(ca)
		n++
	}
	if n == 0 {
		return fmt.Errorf("tlsconfig: client_ca %s has no certificate in PEM", s.o.ClientCA)
	}
	return nil
}

func readPair(p Pair) (*leaf, error) {
	certificate, err := readFile(p.Certificate)
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: reading a certificate: %w", err)
	}
	key, err := readFile(p.Key)
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: reading the key of a certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: certificate %s with key %s: %w", p.Certificate, p.Key, err)
	}
	l := &leaf{certificate: pair, notAfter: pair.Leaf.NotAfter}
	for _, der := range pair.Certificate[1:] {
		link, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("tlsconfig: chain of certificate %s: %w", p.Certificate, err)
		}
		if link.NotAfter.Before(l.notAfter) {
			l.notAfter = link.NotAfter
		}
	}
	h := sha256.New()
	for _, data := range [][]byte{certificate, key} {
		sum := sha256.Sum256(data)
		h.Write(sum[:])
	}
	h.Sum(l.digest[:0])
	return l, nil
}

// readFile reads a file that is no larger than it may be.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &os.PathError{Op: "read", Path: name, Err: errors.New("file is too large")}
	}
	return data, err
}
