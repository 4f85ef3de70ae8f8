// SPDX-License-Identifier: Apache-2.0

// Package tlsconfig keeps the certificates of a server for its listeners: it
// loads them, makes a self-signed one if there are none, chooses among them
// by name and by what the client understands, and changes them while
// connections come in.
//
//	certs, err := tlsconfig.Open(tlsconfig.Options{Folder: "data/tls", Domains: domains})
//	config := certs.Config("xmpp-client")
//	err = certs.Reload() // the files have changed; on an error the old ones stay
//
// # The certificate of a connection
//
// Channel binding needs the certificate that was served on a connection
// (RFC 5929 §4), which crypto/tls does not tell. It is given to the net.Conn
// below, if that has a method SetServed, as the connections of internal/drive
// have, or those of [Wrap].
//
// On a resumed connection no certificate is served, and the one of the first
// handshake counts. So there is one tls.Config for each certificate, with
// ticket keys of its own: a session is resumed only where its certificate is
// still the one that would be chosen. With the certificate the sessions go.
//
// How to read it: tlsconfig.go has what callers see, choose.go what happens to
// a ClientHello, files.go the reading of files, selfsigned.go the certificate
// that is made here.
package tlsconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say where the certificates are.
type Options struct {
	// Certificate and Key are the files of the certificate that is served
	// where no other fits: in PEM, the server's certificate first, then its
	// chain without the root. They may be one file. Both empty, with no More:
	// a self-signed one is made.
	Certificate, Key string

	// More are further certificates: for other names, or with another kind of
	// key for the same ones.
	More []Pair

	// Domains are what the server serves; a self-signed certificate names them
	// all. In either form, U-labels or A-labels.
	Domains []string

	// Folder is where a self-signed certificate is kept. It is made if it is
	// not there.
	Folder string

	// ClientCA is a file (PEM) of the authorities whose client certificates
	// are believed. Empty: none are asked for.
	ClientCA string

	// Now is the time. nil means time.Now.
	Now func() time.Time
}

// Pair names the files of a certificate and of its key.
type Pair struct{ Certificate, Key string }

// Certificates are those of a server. All methods are safe for concurrent use.
type Certificates struct {
	reload  sync.Mutex // one Reload at a time
	o       Options    // but for Now and Domains, guarded by reload
	current atomic.Pointer[snapshot]
}

// Open reads the certificates for the first time, or makes one. One that has
// expired is taken all the same, see DaysLeft: better a server that clients
// complain of than none.
func Open(o Options) (*Certificates, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Certificates{o: o}
	next, err := s.read(nil)
	if err != nil {
		return nil, err
	}
	s.current.Store(next)
	return s, nil
}

// Reload reads the files again. New handshakes get what it found; established
// connections go on as they are. If anything is wrong with any file, nothing
// changes and the error says what: a key that does not fit, or a certificate
// that is not valid now while the one in use is. Without a change of the files
// it does nothing; a self-signed certificate that is due is made anew.
func (s *Certificates) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	next, err := s.read(s.current.Load())
	if err != nil {
		return fmt.Errorf("%w; the certificates in use are kept", err)
	}
	s.current.Store(next)
	return nil
}

// Change is Reload with other files: those of o, whose Folder, Domains and Now do not count. If
// anything is wrong with them, the old ones stay, for later calls of Reload too.
func (s *Certificates) Change(o Options) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	old := s.o
	s.setFiles(o)
	next, err := s.read(s.current.Load())
	if err != nil {
		s.setFiles(old)
		return fmt.Errorf("%w; the certificates in use are kept", err)
	}
	s.current.Store(next)
	return nil
}

// setFiles leaves alone what others read without the lock.
func (s *Certificates) setFiles(o Options) {
	s.o.Certificate, s.o.Key, s.o.More, s.o.ClientCA = o.Certificate, o.Key, o.More, o.ClientCA
}

// Watch calls Reload at that interval until ctx ends, so that renewed files
// are found and a self-signed certificate does not expire. report gets the
// errors; it may be nil.
func (s *Certificates) Watch(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Reload(); err != nil && report != nil {
				report(err)
			}
		}
	}
}

// Status describes one certificate in use.
type Status struct {
	Names      []string  // what it is valid for: names and addresses
	NotBefore  time.Time // its beginning
	NotAfter   time.Time // the end of it, or of its chain if that is earlier
	Algorithm  string    // of its key: ECDSA, RSA, Ed25519
	SelfSigned bool      // made here
}

// Status lists the certificates in use, in the order of Options.
func (s *Certificates) Status() []Status {
	var list []Status
	for _, l := range s.current.Load().leaves {
		leaf := l.certificate.Leaf
		names := slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		list = append(list, Status{names, leaf.NotBefore, l.notAfter, leaf.PublicKeyAlgorithm.String(), l.selfSigned})
	}
	return list
}

// DaysLeft is how long the certificate that ends first is valid, in days;
// negative when it has expired.
func (s *Certificates) DaysLeft() float64 {
	leaves := s.current.Load().leaves
	first := leaves[0].notAfter
	for _, l := range leaves[1:] {
		if l.notAfter.Before(first) {
			first = l.notAfter
		}
	}
	return first.Sub(s.o.Now()).Hours() / 24
}

// Uncovered lists the domains of Options.Domains for which no certificate is
// valid: a client that checks will refuse them.
func (s *Certificates) Uncovered() []string {
	now := s.current.Load()
	var list []string
	for _, d := range s.o.Domains {
		name := hostname(d)
		covers := func(l *leaf) bool { return l.certificate.Leaf.VerifyHostname(name) == nil }
		if !slices.ContainsFunc(now.leaves, covers) {
			list = append(list, d)
		}
	}
	return list
}

// ClientCAs are the authorities of Options.ClientCA; nil without. It is not to
// be changed.
func (s *Certificates) ClientCAs() *x509.CertPool { return s.current.Load().clientCAs }

// Config makes the configuration for a listener; it follows every Reload and
// is not to be changed. The protocols are offered by ALPN, in order of
// preference ("xmpp-client", "h2"); without any ALPN is ignored, as it is
// after STARTTLS. TLS 1.2 at least (RFC 9325 §3.1.1); the suites are those that
// crypto/tls finds good.
func (s *Certificates) Config(protocols ...string) *tls.Config {
	return s.listener(use{protocols: slices.Clone(protocols)})
}

// Asking is like Config, but asks clients for a certificate if there is an
// Options.ClientCA. A client need not have one, and one that is not good does
// not end the handshake: the client may know a password. It is for the caller
// to ask Client whether it is good. That the client has the certificate's key is
// certain. A resumed session has the certificate of the first handshake.
func (s *Certificates) Asking(protocols ...string) *tls.Config {
	return s.listener(use{protocols: slices.Clone(protocols), asks: true})
}

func (s *Certificates) listener(u use) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			l := s.current.Load().choose(hello)
			tell(hello, &l.certificate)
			return l.config(u), nil
		},
	}
}

// Client verifies, as of now, the certificate that a client has shown on a
// connection of Asking: dates, chain, and that it is one for clients. It
// returns nil for a client that has shown none.
func (s *Certificates) Client(state tls.ConnectionState) (*x509.Certificate, error) {
	cas := s.ClientCAs()
	if cas == nil || len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	// A certificate that names nothing but XMPP addresses marks those as critical
	// (RFC 5280 §4.2.1.6). crypto/x509 does not know them; our callers do.
	leaf := *state.PeerCertificates[0]
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) })
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: cas, Intermediates: between, CurrentTime: s.o.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: a client's certificate: %w", err)
	}
	return &leaf, nil
}

// GetCertificate chooses a certificate, for a tls.Config made elsewhere. Such
// a configuration should not issue session tickets if its connections use
// channel binding: see the package comment.
func (s *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l := s.current.Load().choose(hello)
	tell(hello, &l.certificate)
	return &l.certificate, nil
}
