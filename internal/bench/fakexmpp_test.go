// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeXMPP is as much of an XMPP server as the generator needs, in the test's
// process, with faults to order.
type fakeXMPP struct {
	addr     string
	tls      *tls.Config
	starttls bool // offered and demanded; else direct TLS or none
	direct   bool

	// relay decides what becomes of the n-th message: how often it is delivered.
	relay func(n int) int
	// edit changes a message on its way, nil does not.
	edit func(n int, stanza []byte) []byte
	// ask sends <r/> behind every delivered message.
	ask bool
	// deaf leaves every <r/> unanswered.
	deaf bool

	// places, where there are any, take what is for rooms, nodes and archives.
	places *fakePlaces

	mu       sync.Mutex
	accounts map[string]string
	sessions map[string]*fakeSession

	messages, acks, logins, rosters atomic.Int64 // received; acks are <a/>
}

type fakeSession struct {
	mu   sync.Mutex
	conn net.Conn
	jid  string
	sm   bool
	h    int
}

func (s *fakeSession) send(parts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.conn.Write([]byte(strings.Join(parts, ""))) // the client may have left
}

// startFakeXMPP serves until the test ends.
func startFakeXMPP(t *testing.T, security Security, accounts map[string]string) *fakeXMPP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeXMPP{addr: l.Addr().String(), tls: fakeTLS(t), starttls: security == StartTLS, direct: security == DirectTLS,
		accounts: accounts, sessions: make(map[string]*fakeSession),
		relay: func(int) int { return 1 }}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				f.serve(conn)
			})
		}
	})
	return f
}

// fakeTLS is a configuration with a fresh self-signed certificate.
func fakeTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"fake.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (f *fakeXMPP) target(security Security) Target {
	return Target{Name: "fake", Kind: XMPP, Security: security, Addr: f.addr, Domain: "fake.test",
		Accounts: Accounts{Pattern: "bench%d", Password: "secret", Register: true}}
}

// fakeStream reads the units of one connection.
type fakeStream struct {
	conn net.Conn
	buf  []byte
}

func (s *fakeStream) next() ([]byte, error) {
	for {
		if n := cutXML(s.buf); n > 0 {
			unit := bytes.Clone(s.buf[:n])
			s.buf = s.buf[n:]
			if unit[0] == '<' && unit[1] != '?' {
				return unit, nil
			}
			continue
		}
		chunk := make([]byte, 4096)
		n, err := s.conn.Read(chunk)
		s.buf = append(s.buf, chunk[:n]...)
		if n == 0 {
			return nil, err
		}
	}
}

// serve plays the server on one connection.
func (f *fakeXMPP) serve(conn net.Conn) {
	if f.direct {
		conn = tls.Server(conn, f.tls)
	}
	in := &fakeStream{conn: conn}
	session := &fakeSession{conn: conn}
	var user string
	var exchange *fakeScram
	secure := !f.starttls
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.sessions[session.jid] == session {
			delete(f.sessions, session.jid)
		}
	}()
	for {
		u, err := in.next()
		if err != nil {
			return
		}
		switch name := string(localName(u)); {
		case name == "stream":
			session.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='fake.test' version='1.0'>",
				f.features(secure, user != ""))
		case name == "starttls":
			session.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			conn = tls.Server(conn, f.tls)
			in, session.conn, secure = &fakeStream{conn: conn}, conn, true
		case name == "auth":
			exchange = &fakeScram{accounts: f.account}
			session.send("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", exchange.challenge(content(u)), "</challenge>")
		case name == "response":
			final, ok := exchange.final(content(u))
			if !ok {
				session.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
				continue
			}
			user = exchange.user
			session.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", final, "</success>")
		case len(u) > 1 && u[1] == '/':
			session.send("</stream:stream>")
			return
		default:
			f.stanza(session, user, name, u)
		}
	}
}

func (f *fakeXMPP) features(secure, authenticated bool) string {
	switch {
	case !secure:
		return "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
	case !authenticated:
		return "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>"
	}
	return "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>"
}

func (f *fakeXMPP) account(user string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accounts[user]
}

func (f *fakeXMPP) stanza(s *fakeSession, user, name string, u []byte) {
	if name == "message" || name == "presence" || name == "iq" {
		s.h++
	}
	if f.places != nil && s.jid != "" && f.places.take(f, s, name, u) {
		return
	}
	switch name {
	case "iq":
		f.iq(s, user, u)
	case "enable":
		s.sm, s.h = true, 0
		s.send("<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>")
	case "r":
		if f.deaf {
			return
		}
		s.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", s.h))
	case "a":
		f.acks.Add(1)
	case "message":
		n := int(f.messages.Add(1)) - 1
		f.mu.Lock()
		to := f.sessions[string(attr(u, "to"))]
		f.mu.Unlock()
		if to == nil {
			return // lost, which is for the generator to notice
		}
		stanza := bytes.Replace(u, []byte("<message "), []byte("<message from='"+s.jid+"' "), 1)
		if f.edit != nil {
			stanza = f.edit(n, stanza)
		}
		for range f.relay(n) {
			to.send(string(stanza))
		}
		if f.ask && to.sm {
			to.send(smRequest)
		}
	}
}

func (f *fakeXMPP) iq(s *fakeSession, user string, u []byte) {
	if typ := string(attr(u, "type")); typ != "get" && typ != "set" {
		return
	}
	result := "<iq type='result' id='" + string(attr(u, "id")) + "'>"
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case bytes.Contains(u, []byte("jabber:iq:register")):
		name := string(inner(u, "username"))
		if f.accounts[name] != "" {
			s.send("<iq type='error' id='", string(attr(u, "id")), "'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			return
		}
		f.accounts[name] = string(inner(u, "password"))
		s.send(result, "</iq>")
	case bytes.Contains(u, []byte("<bind")):
		s.jid = user + "@fake.test/" + string(inner(u, "resource"))
		f.sessions[s.jid] = s
		f.logins.Add(1)
		s.send(result, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>", s.jid, "</jid></bind></iq>")
	case bytes.Contains(u, []byte("jabber:iq:roster")):
		f.rosters.Add(1)
		// A ping before the answer: it must be answered and must not confuse.
		s.send("<iq type='get' id='ping' from='fake.test'><ping xmlns='urn:xmpp:ping'/></iq>", result, "<query xmlns='jabber:iq:roster'/></iq>")
	case bytes.Contains(u, []byte("jabber:iq:version")):
		s.send(result, "<query xmlns='jabber:iq:version'><name>Fake</name><version>1</version></query></iq>")
	}
}

// fakeScram is the server's side of SCRAM-SHA-256.
type fakeScram struct {
	accounts                 func(user string) string
	user, clientBare, server string
	salted                   []byte
}

func (s *fakeScram) challenge(data []byte) string {
	first, _ := base64.StdEncoding.DecodeString(string(data))
	s.clientBare = strings.TrimPrefix(string(first), "n,,")
	name, nonce, _ := strings.Cut(s.clientBare, ",r=")
	s.user = strings.TrimPrefix(name, "n=")
	salt := []byte("salt of " + s.user)
	s.salted, _ = pbkdf2.Key(sha256.New, s.accounts(s.user), salt, 16, 32)
	s.server = "r=" + nonce + "more,s=" + base64.StdEncoding.EncodeToString(salt) + ",i=16"
	return base64.StdEncoding.EncodeToString([]byte(s.server))
}

func (s *fakeScram) final(data []byte) (string, bool) {
	final, _ := base64.StdEncoding.DecodeString(string(data))
	without, proof, _ := strings.Cut(string(final), ",p=")
	message := []byte(s.clientBare + "," + s.server + "," + without)
	client := mac(sha256.New, s.salted, []byte("Client Key"))
	stored := sha256.Sum256(client)
	want := mac(sha256.New, stored[:], message)
	for i := range want {
		want[i] ^= client[i]
	}
	if s.accounts(s.user) == "" || proof != base64.StdEncoding.EncodeToString(want) {
		return "", false
	}
	signature := mac(sha256.New, mac(sha256.New, s.salted, []byte("Server Key")), message)
	return base64.StdEncoding.EncodeToString([]byte("v=" + base64.StdEncoding.EncodeToString(signature))), true
}
