// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// snapshot is what one reading of the files gave. It never changes.
type snapshot struct {
	leaves    []*leaf            // in the order of Options
	byName    map[string][]*leaf // by the names of certificates, lower case, "*.…" among them; best key first
	clientCAs *x509.CertPool
	caDigest  [32]byte
}

// leaf is one certificate with what belongs to it.
type leaf struct {
	certificate tls.Certificate // with Leaf
	digest      [32]byte        // of the files' contents
	clientCAs   *x509.CertPool
	notAfter    time.Time
	selfSigned  bool

	configs sync.Map // of *tls.Config, by use.key
}

// use is what a listener is for.
type use struct {
	protocols []string
	asks      bool // for client certificates
	servers   bool // asks for those of servers, by whomever they are signed
}

func (u use) key() string {
	return strconv.FormatBool(u.asks) + strconv.FormatBool(u.servers) + "\x00" + strings.Join(u.protocols, "\x00")
}

// choose picks the certificate for a client: one that is valid for the name
// it asks for, and of those the best that it understands. Without such a name
// it gets one of all: a client that does not name the server can't ask more,
// and one that asks for a foreign name will say so itself.
func (s *snapshot) choose(hello *tls.ClientHelloInfo) *leaf {
	if len(s.leaves) == 1 {
		return s.leaves[0]
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	candidates := s.byName[name]
	if _, parent, ok := strings.Cut(name, "."); ok && len(candidates) == 0 {
		candidates = s.byName["*."+parent]
	}
	if name == "" || len(candidates) == 0 {
		candidates = s.leaves
	}
	anyName := *hello // SupportsCertificate would look at the name again
	anyName.ServerName = ""
	for _, l := range candidates {
		if anyName.SupportsCertificate(&l.certificate) == nil {
			return l
		}
	}
	return candidates[0] // crypto/tls will say what is missing
}

// rank orders keys: ECDSA signs fastest, RSA is understood by all; Ed25519 is
// not understood by many and has no tls-server-end-point.
func (l *leaf) rank() int {
	switch l.certificate.Leaf.PublicKeyAlgorithm {
	case x509.ECDSA:
		return 0
	case x509.RSA:
		return 1
	}
	return 2
}

// config returns the one configuration for a certificate and use. It makes
// and reads tickets by itself, since crypto/tls would otherwise take the keys
// of the listener's configuration, which all certificates share.
func (l *leaf) config(u use) *tls.Config {
	key := u.key()
	if c, ok := l.configs.Load(key); ok {
		return c.(*tls.Config)
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{l.certificate},
		NextProtos:   u.protocols,
	}
	if u.asks && l.clientCAs != nil {
		c.ClientAuth, c.ClientCAs = tls.RequestClientCert, l.clientCAs
	}
	if u.servers {
		c.ClientAuth = tls.RequestClientCert
	}
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		return c.EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		return c.DecryptTicket(ticket, state)
	}
	got, _ := l.configs.LoadOrStore(key, c)
	return got.(*tls.Config)
}

// tell gives the certificate to the connection that it is served on.
func tell(hello *tls.ClientHelloInfo, c *tls.Certificate) {
	if conn, ok := hello.Conn.(interface{ SetServed(*tls.Certificate) }); ok {
		conn.SetServed(c)
	}
}

// Conn is a connection that remembers the certificate served on it.
type Conn struct {
	net.Conn
	served atomic.Pointer[tls.Certificate]
}

// Wrap makes a connection remember. The result goes into tls.Server.
func Wrap(c net.Conn) *Conn { return &Conn{Conn: c} }

// SetServed is called during the handshake.
func (c *Conn) SetServed(cert *tls.Certificate) { c.served.Store(cert) }

// Served is the certificate of the connection; nil before the handshake.
func (c *Conn) Served() *tls.Certificate { return c.served.Load() }

// Served is the certificate that counts for a connection as its server's, for
// channel binding. nil: the handshake is not done, or the connection below
// does not remember.
func Served(c *tls.Conn) *x509.Certificate {
	conn, ok := c.NetConn().(interface{ Served() *tls.Certificate })
	if !ok {
		return nil
	}
	cert := conn.Served()
	if cert == nil || !c.ConnectionState().HandshakeComplete {
		return nil
	}
	return cert.Leaf
}
