// SPDX-License-Identifier: Apache-2.0

// Package testserver is the other side of a client's connection, for the tests of clients: a peer
// that says and expects what a test tells, truth or lie.
//
// How to read this package: peer.go is one connection, word for word; network.go makes connections
// for a client and hands the test their other ends; pipe.go is the wire under them.
package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Whom all tests log in as, and where.
const (
	Domain   = "example.org"
	Account  = "juliet@example.org"
	Password = "R0m30"
)

// Options say what a peer offers.
type Options struct {
	TLS       *tls.Certificate // STARTTLS, or with Direct from the first byte; nil: no TLS
	Direct    bool
	Plain     bool // PLAIN too
	NoBinding bool // no channel binding
	NoSM      bool // no stream management
	Keys      []sasl.Key
	// Rewrite may change what is written before a resource is bound.
	Rewrite func(string) string
}

// Peer is a server's side of one connection. Its methods fail the test where the client does not
// do as expected. It is used from one goroutine.
type Peer struct {
	T       testing.TB
	Conn    net.Conn
	Machine *stream.Server
	JID     jid.JID // what it binds
	H       uint32  // stanzas received since stream management began
	Rest    bool    // <r/> is left to the test, not answered with H

	options Options
	buf     []byte
	managed bool
}

// Keys are what a server stores of Password.
func Keys() []sasl.Key { return keys() }

var keys = sync.OnceValue(func() []sasl.Key {
	keys, err := sasl.DeriveKeys(Password, sasl.MinIterations, rand.Reader)
	if err != nil {
		panic(err)
	}
	return keys
})

// Certificate makes a self-signed one for names.
func Certificate(notAfter time.Time, names ...string) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testserver"}, DNSNames: names,
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Pool is the pool of authorities that has c alone.
func Pool(c *tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf)
	return pool
}

// NewPeer begins a connection.
func NewPeer(t testing.TB, conn net.Conn, o Options) *Peer {
	p := &Peer{T: t, Conn: conn, JID: jid.MustParse(Account + "/balcony"), options: o, buf: make([]byte, 4096)}
	p.Machine = stream.NewServer(&stream.ServerConfig{
		Serves: func(domain string) bool { return domain == Domain },
		TLS:    o.TLS != nil,
		SASL:   sasl.ServerConfig{Plain: o.Plain, Secret: []byte("sixteen or more bytes"), Iterations: sasl.MinIterations},
		Features: func(s *stream.Server, dst []byte) []byte {
			if s.State() == stream.Authenticated && !o.NoSM {
				dst = (&sm.Feature{}).AppendXML(dst)
			}
			return dst
		},
	}, time.Now())
	return p
}

// Event moves bytes until there is something that the peer does not do by itself: Bind, Element
// or End, whose Err may be one of the connection. It answers <r/> unless Rest is set.
func (p *Peer) Event() stream.Event {
	if p.options.Direct && !p.Machine.Secure() {
		if err := p.startTLS(); err != nil {
			return stream.Event{Kind: stream.End, Err: err}
		}
	}
	for {
		e := p.Machine.Next()
		if e.Kind == stream.Lookup {
			p.Machine.Resolve(p.keys(e.JID), nil)
		}
		if err := p.flush(); err != nil {
			return stream.Event{Kind: stream.End, Err: err}
		}
		switch e.Kind {
		case stream.Element:
			if string(e.Element.Space) == "jabber:client" && p.managed {
				p.H++
			}
			if !sm.IsRequest(e.Element) || p.Rest {
				return e
			}
			p.Ack()
		case stream.Bind, stream.End:
			return e
		case stream.StartTLS:
			if err := p.startTLS(); err != nil {
				return stream.Event{Kind: stream.End, Err: err}
			}
		case stream.None:
			n, err := p.Conn.Read(p.buf)
			if n == 0 && err != nil {
				return stream.Event{Kind: stream.End, Err: err}
			}
			p.Machine.Feed(p.buf[:n])
		}
	}
}

func (p *Peer) keys(account jid.JID) []sasl.Key {
	if account.Bare() != jid.MustParse(Account) {
		return nil
	}
	return p.options.Keys
}

func (p *Peer) flush() error {
	out := p.Machine.Out()
	if out == nil {
		return nil
	}
	if p.options.Rewrite != nil && p.Machine.State() != stream.Bound {
		out = []byte(p.options.Rewrite(string(out)))
	}
	_, err := p.Conn.Write(out)
	return err
}

func (p *Peer) startTLS() error {
	over := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{*p.options.TLS}, NextProtos: []string{"xmpp-client"}})
	if err := over.Handshake(); err != nil {
		return err
	}
	state := over.ConnectionState()
	if p.options.Direct && state.NegotiatedProtocol != "xmpp-client" {
		return errors.New("testserver: direct TLS without its ALPN")
	}
	bindings, err := sasl.BindingOf(state, p.options.TLS.Leaf)
	if p.options.NoBinding {
		bindings = nil
	}
	p.Conn = over
	p.Machine.TLSStarted(bindings)
	return err
}

// Bind expects a login and a request for a resource, and grants it.
func (p *Peer) Bind() {
	p.T.Helper()
	e := p.Event()
	if e.Kind != stream.Bind {
		p.T.Fatalf("the client asks for no resource: %+v", describe(e))
	}
	p.Machine.Bind(p.JID)
	if err := p.flush(); err != nil {
		p.T.Fatal(err)
	}
}

// Session expects Bind, and unless Options say otherwise <enable/>, which it grants as a stream to
// resume by id. An empty id grants no resumption.
func (p *Peer) Session(id string) {
	p.T.Helper()
	p.Bind()
	if p.options.NoSM {
		return
	}
	p.Expect("<enable .*")
	p.managed = true
	p.SayXML((&sm.Enabled{ID: id, Resume: id != ""}).AppendXML(nil))
}

// Resume expects the client to resume the session id having counted want, and resumes it
// having counted h.
func (p *Peer) Resume(id string, want, h uint32) {
	p.T.Helper()
	p.Expect(fmt.Sprintf(`<resume xmlns='urn:xmpp:sm:3' h='%d' previd='%s'/>`, want, id))
	p.Machine.Resume(p.JID)
	p.H, p.managed = h, true
	p.SayXML((&sm.Resumed{PrevID: id, H: h}).AppendXML(nil))
}

// Read returns the next element.
func (p *Peer) Read() (string, error) {
	e := p.Event()
	switch {
	case e.Kind == stream.End && e.Err == nil:
		return "", errors.New("the client has closed the stream")
	case e.Kind == stream.End:
		return "", e.Err
	case e.Kind != stream.Element:
		return "", errors.New("the client asks for a resource")
	}
	return string(e.Element.Raw), nil
}

// Ack says <a/> with H.
func (p *Peer) Ack() { p.SayXML((&sm.Ack{H: p.H}).AppendXML(nil)) }

// Expect reads an element, which the regular expression must match whole, and returns the
// submatches. Elements <r/> that it does not begin with are passed over.
func (p *Peer) Expect(pattern string) []string {
	p.T.Helper()
	raw, err := p.Read()
	for err == nil && strings.HasPrefix(raw, "<r ") && !strings.HasPrefix(pattern, "<r ") {
		raw, err = p.Read()
	}
	if err != nil {
		p.T.Fatalf("expected %s: %v", pattern, err)
	}
	m := regexp.MustCompile("^(?s:" + pattern + ")$").FindStringSubmatch(raw)
	if m == nil {
		p.T.Fatalf("expected %s\nread     %s", pattern, raw)
	}
	return m
}

// Say writes; ' ' and line ends around each line are cut.
func (p *Peer) Say(format string, args ...any) {
	p.T.Helper()
	var b strings.Builder
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		b.WriteString(strings.TrimSpace(line))
	}
	p.SayXML([]byte(b.String()))
}

// SayXML writes bytes as they are. If the client is gone, the next Read tells.
func (p *Peer) SayXML(b []byte) {
	_, _ = p.Conn.Write(b)
}

// End reads until the stream or the connection is over and returns why: nil is the client's end
// tag, which is answered.
func (p *Peer) End() error {
	for {
		if e := p.Event(); e.Kind == stream.End {
			_ = p.Conn.Close()
			return e.Err
		}
	}
}

// Drop breaks the connection.
func (p *Peer) Drop() { _ = p.Conn.Close() }

func describe(e stream.Event) string {
	if e.Element != nil {
		return string(e.Element.Raw)
	}
	return fmt.Sprintf("kind %d, %v", e.Kind, e.Err)
}
