// SPDX-License-Identifier: Apache-2.0

package main

// How to read these tests: a remote is another's server, as far as it goes before a login, with all that may be wrong
// with it; a site is a web server with host-meta and what stands behind it.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/dns/dnstest"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; by nil makes an authority. change may be nil.
func issue(t *testing.T, by *authority, name string, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	template.Subject.CommonName = name + serial.String()
	parent, signs := template, key
	if by == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		template.DNSNames = []string{name}
		parent, signs = by.cert, by.key
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signs)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// pair is a certificate with its chain, for TLS.
func (a *authority) pair(chain ...*authority) tls.Certificate {
	c := tls.Certificate{PrivateKey: a.key, Leaf: a.cert, Certificate: [][]byte{a.cert.Raw}}
	for _, link := range chain {
		c.Certificate = append(c.Certificate, link.cert.Raw)
	}
	return c
}

// remote is a server for servers.
type remote struct {
	certificate tls.Certificate
	direct      bool // TLS first
	alpn        bool
	before      string // its features before TLS
	after       func(header string, shown bool) string
	login       string // what it answers to EXTERNAL
	tls12       bool   // at most
	required    bool   // TLS is
	asks        bool   // for a certificate
}

const (
	offersTLS     = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	external      = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
	callsBack     = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
	notAuthorized = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
	both          = "<bidi xmlns='urn:xmpp:features:bidi'/>"
	managed       = "<sm xmlns='urn:xmpp:sm:3'/>"
)

// listen starts it, for as long as the test runs.
func (p remote) listen(t *testing.T) destination {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // the test is of what came before
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				p.serve(conn)
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return destination{host: "xmpp.d.test", port: uint16(n), direct: p.direct, proven: true}
}

// header reads one and answers it with features.
func header(conn io.ReadWriter, features func(header string) string) bool {
	text, b := "", make([]byte, 1)
	for !strings.Contains(text, "<stream:stream") || !strings.HasSuffix(text, ">") {
		if _, err := conn.Read(b); err != nil || len(text) > 1000 {
			return false
		}
		text += string(b)
	}
	_, err := io.WriteString(conn, "<?xml version='1.0'?><stream:stream xmlns='"+stanza.NSServer+"' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1' from='d.test'>"+features(text))
	return err == nil
}

func (p remote) serve(conn net.Conn) {
	if !p.direct {
		before := "<stream:features>" + p.before + offersTLS + "</stream:features>"
		if p.required {
			before = strings.ReplaceAll(before, "tls'/>", "tls'><required/></starttls>")
		}
		if !header(conn, func(string) string { return before }) {
			return
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if err != nil || !strings.Contains(string(buf[:n]), "starttls") {
			return
		}
		_, _ = io.WriteString(conn, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	}
	c := &tls.Config{Certificates: []tls.Certificate{p.certificate}, MinVersion: tls.VersionTLS12}
	if p.tls12 {
		c.MaxVersion = tls.VersionTLS12
	}
	if p.alpn {
		c.NextProtos = []string{"xmpp-server"}
	}
	if p.asks {
		c.ClientAuth = tls.RequestClientCert
	}
	secure := tls.Server(conn, c)
	if secure.Handshake() != nil {
		return
	}
	shown := len(secure.ConnectionState().PeerCertificates) > 0
	if !header(secure, func(h string) string { return p.after(h, shown) }) {
		return
	}
	buf := make([]byte, 1000)
	if n, err := secure.Read(buf); err == nil && strings.Contains(string(buf[:n]), "EXTERNAL'>"+base64.StdEncoding.EncodeToString([]byte("ours.test"))+"<") {
		_, _ = io.WriteString(secure, p.login)
	}
	_, _ = io.Copy(io.Discard, secure)
}

func always(features string) func(string, bool) string {
	return func(string, bool) string { return "<stream:features>" + features + "</stream:features>" }
}

func TestCheckServers(t *testing.T) {
	ca, other := issue(t, nil, "", nil), issue(t, nil, "", nil)
	good := issue(t, ca, "d.test", nil)
	expired := issue(t, ca, "d.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	wrongName := issue(t, ca, "xmpp.d.test", nil)
	forServers := issue(t, ca, "d.test", func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })
	forClients := issue(t, ca, "d.test", func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] })
	untrusted := issue(t, other, "d.test", nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close() //nolint:errcheck // it is closed before
	nobody := destination{host: "xmpp.d.test", port: uint16(closed.Addr().(*net.TCPAddr).Port)}
	guessed := nobody
	guessed.guessed = true

	// What is offered to those alone who show a certificate and say who they are.
	believes := func(h string, shown bool) string {
		if shown && strings.Contains(h, "from='ours.test'") {
			return "<stream:features>" + external + callsBack + both + managed + "</stream:features>"
		}
		return "<stream:features>" + callsBack + "</stream:features>"
	}
	const trusted = "ok server port the certificate for d.test is trusted by servers, for 99 days more"
	for _, c := range []struct {
		name string
		ours bool // with a server of our own that asks
		at   destination
		want []string
	}{
		{"good", false, remote{certificate: good.pair(), after: always(callsBack + both + managed)}.listen(t),
			[]string{"answers with STARTTLS, TLS 1.3", trusted, "offers dialback with errors, streams for both directions, stream management"}},
		{"direct TLS", false, remote{certificate: good.pair(), direct: true, alpn: true, after: always(callsBack)}.listen(t),
			[]string{"answers with direct TLS, TLS 1.3", trusted, "offers dialback with errors"}},
		{"no ALPN", false, remote{certificate: good.pair(), direct: true, after: always("<dialback xmlns='urn:xmpp:features:dialback'/>")}.listen(t),
			[]string{"answers no ALPN", "answers with direct TLS", trusted, "offers dialback"}},
		{"TLS 1.2", false, remote{certificate: good.pair(), tls12: true, after: always(callsBack)}.listen(t), []string{"TLS 1.2", trusted, "offers"}},
		{"believes us", true, remote{certificate: good.pair(), asks: true, after: believes, login: "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"}.listen(t),
			[]string{"STARTTLS", trusted, "offers EXTERNAL, dialback with errors, streams for both directions, stream management: it believes the certificate of ours.test"}},
		{"does not believe us", true, remote{certificate: good.pair(), asks: true, after: always(callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "warning server port 127.0.0.1"}},
		{"offers EXTERNAL to everybody", true, remote{certificate: good.pair(), asks: true, after: always(external + callsBack), login: notAuthorized}.listen(t),
			[]string{"STARTTLS", trusted, "offers EXTERNAL, dialback with errors, but does not believe the certificate of ours.test: <failure"}},
		{"offers EXTERNAL to everybody, and nothing else", true, remote{certificate: good.pair(), asks: true, after: always(external), login: notAuthorized}.listen(t),
			[]string{"STARTTLS", trusted, "error server port 127.0.0.1"}},
		{"EXTERNAL without a certificate", true, remote{certificate: good.pair(), after: always(external + callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "ok server port 127.0.0.1"}},
		{"does not believe us, and no dialback", true, remote{certificate: good.pair(), asks: true, after: always("")}.listen(t),
			[]string{"STARTTLS", trusted, "error server port 127.0.0.1"}},
		{"asks for no certificate, and no dialback", true, remote{certificate: good.pair(), after: always("")}.listen(t),
			[]string{"STARTTLS", trusted, "asks for no certificate that ours.test could show"}},
		{"nothing to strangers", false, remote{certificate: good.pair(), asks: true, after: always("")}.listen(t),
			[]string{"STARTTLS", trusted, "ok server port 127.0.0.1"}},
		{"expired", false, remote{certificate: expired.pair(), after: always(callsBack)}.listen(t), []string{"STARTTLS", "error server port the certificate for d.test has expired", "offers"}},
		{"wrong name", false, remote{certificate: wrongName.pair(), after: always(callsBack)}.listen(t), []string{"STARTTLS", "error server port the certificate is not for d.test, it names [xmpp.d.test]", "offers"}},
		{"untrusted", false, remote{certificate: untrusted.pair(other), after: always(callsBack)}.listen(t), []string{"STARTTLS", "error server port the certificate for d.test is not trusted", "offers"}},
		{"for servers alone", false, remote{certificate: forServers.pair(), after: always(callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "ok server port the certificate is for servers alone (serverAuth)", "offers"}},
		{"for clients alone", false, remote{certificate: forClients.pair(), after: always(callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "error server port the certificate is for clients alone (clientAuth)", "offers"}},
		{"dialback in the clear", false, remote{certificate: good.pair(), before: callsBack, after: always(callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "error server port 127.0.0.1", "offers"}},
		{"dialback, but TLS first", false, remote{certificate: good.pair(), before: callsBack, required: true, after: always(callsBack)}.listen(t),
			[]string{"STARTTLS", trusted, "offers"}},
		{"an error over TLS", false, remote{certificate: good.pair(), after: func(string, bool) string {
			return "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
		}}.listen(t), []string{"STARTTLS", trusted, "over TLS: the server answers with a stream error"}},
		{"closed", false, nobody, []string{"error server port"}},
		{"closed, and no record", false, guessed, []string{"warning server port"}},
	} {
		if c.at.port == nobody.port {
			_ = closed.Close() // not before: the next to listen could get the port
		}
		z := dnstest.New(t, "xmpp.d.test. 60 IN A 127.0.0.1")
		k := newCheckup(z)
		k.roots = x509.NewCertPool()
		k.roots.AddCert(ca.cert)
		if c.ours {
			own := issue(t, ca, "ours.test", nil).pair()
			k.shows = &own
			k.config = &config.Config{Domains: []string{"ours.test"}, Listen: config.Listen{Server: []string{"[::]:5269"}}}
		}
		k.port(t.Context(), servers, "d.test", c.at)
		// The address is the host's; what is wanted names it by what it became.
		for i := range k.found {
			k.found[i].What = strings.Replace(k.found[i].What, "xmpp.d.test:", "127.0.0.1:", 1)
		}
		k.finds(t, c.name, c.want...)
	}
}

// What DNS says of a certificate, if DNSSEC proves it.
func TestCheckTLSA(t *testing.T) {
	ca := issue(t, nil, "", nil)
	good, other := issue(t, ca, "d.test", nil), issue(t, ca, "d.test", nil)
	at := remote{certificate: good.pair(), after: always(callsBack)}.listen(t)
	name := fmt.Sprintf("_%d._tcp.xmpp.d.test", at.port)
	record := func(r dane.Record) []string { return []string{name + ". 60 IN TLSA " + r.String()} }
	const trusted = "trusted by servers"
	for _, c := range []struct {
		name    string
		records []string
		proven  bool
		trouble dnstest.Trouble
		want    []string
	}{
		{"none", nil, true, 0, []string{"STARTTLS", trusted, "offers"}},
		{"fits", record(dane.Of(good.cert)), true, 0, []string{"STARTTLS", trusted, "ok server port the certificate is what " + name, "offers"}},
		{"of another", record(dane.Of(other.cert)), true, 0, []string{"STARTTLS", trusted, "error server port the certificate is not what " + name, "offers"}},
		{"nobody understands it", []string{name + ". 60 IN TLSA 9 1 1 ABCD"}, true, 0, []string{"STARTTLS", trusted, "warning server port nobody can use", "offers"}},
		{"not proven", record(dane.Of(other.cert)), false, 0, []string{"STARTTLS", trusted, "offers"}},
		{"forged", nil, true, dnstest.ServFail, []string{"STARTTLS", trusted, "error server port " + name, "offers"}},
	} {
		z := dnstest.New(t, append(c.records, "xmpp.d.test. 60 IN A 127.0.0.1")...)
		z.Prove(c.proven)
		z.Trouble(name, "TLSA", c.trouble)
		k := newCheckup(z)
		k.roots = x509.NewCertPool()
		k.roots.AddCert(ca.cert)
		k.port(t.Context(), servers, "d.test", at)
		k.finds(t, c.name, c.want...)
	}
}

// upgraded answers a WebSocket and sends frames, the first of them when something was read.
func upgraded(w http.ResponseWriter, r *http.Request, subprotocol string, frames ...string) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	w.Header().Set("Sec-Websocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.Header().Set("Sec-Websocket-Protocol", subprotocol)
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // the test is of what came before
	_, _ = both.ReadByte()
	for _, f := range frames {
		size := []byte{byte(len(f))}
		if len(f) > 125 {
			size = []byte{126, byte(len(f) >> 8), byte(len(f))}
		}
		_, _ = both.Write(append(append([]byte{0x81}, size...), f...))
	}
	_ = both.Flush()
	_, _ = io.Copy(io.Discard, both)
}

// site is a web server with a certificate for d.test; PORT in its pages becomes its own.
type site struct {
	xrd, jrd string
	cors     string
	date     string
	socket   http.HandlerFunc
}

func (s site) start(t *testing.T, ca *authority) string {
	t.Helper()
	mux := http.NewServeMux()
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if s.cors != "" {
				w.Header().Set("Access-Control-Allow-Origin", s.cors)
			}
			if s.date != "" {
				w.Header().Set("Date", s.date)
			}
			if text == "" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, port, _ := net.SplitHostPort(r.Host)
			_, _ = io.WriteString(w, strings.ReplaceAll(text, "PORT", port))
		}
	}
	mux.HandleFunc("/.well-known/host-meta", page(s.xrd))
	mux.HandleFunc("/.well-known/host-meta.json", page(s.jrd))
	mux.HandleFunc("/bosh", page("ok"))
	if s.socket != nil {
		mux.HandleFunc("/ws", s.socket)
	}
	server := httptest.NewUnstartedServer(mux)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{issue(t, ca, "d.test", nil).pair()}}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Nobody at the port for browsers: said once.
func TestCheckNoWeb(t *testing.T) {
	k := newCheckup(dnstest.New(t))
	k.web(t.Context(), "d.test")
	k.finds(t, "nobody", "warning web https://d.test/.well-known/host-meta")
}

func TestCheckWeb(t *testing.T) {
	ca := issue(t, nil, "", nil)
	const open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>"
	const offers = "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>" +
		"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>"
	xrd := func(rel, href string) string {
		return "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><Link rel='" + rel + "' href='" + href + "'/></XRD>"
	}
	jrd := func(rel, href string) string { return `{"links":[{"rel":"` + rel + `","href":"` + href + `"}]}` }
	const socket, bosh = "urn:xmpp:alt-connections:websocket", "urn:xmpp:alt-connections:xbosh"
	answers := func(w http.ResponseWriter, r *http.Request) { upgraded(w, r, "xmpp", open, offers) }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "said so", code) }
	}
	const names = "names a WebSocket"
	for _, c := range []struct {
		name string
		site site
		want []string
	}{
		{"good", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: answers},
			[]string{"ok web https://d.test:PORT/.well-known/host-meta " + names, "ok web wss://d.test:PORT/ws lets clients log in", "ok web https://d.test:PORT/.well-known/host-meta.json"}},
		{"XML alone, another way each", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: answers},
			[]string{names, "lets clients log in", "warning web https://d.test:PORT/.well-known/host-meta.json: 404"}},
		{"nothing", site{}, []string{"warning web", "warning web"}},
		{"no XML", site{xrd: "<XRD><Link>", jrd: "{"}, []string{"warning web", "warning web"}},
		{"BOSH alone", site{xrd: xrd(bosh, "https://d.test:PORT/bosh"), jrd: jrd(bosh, "https://d.test:PORT/gone"), cors: "*"},
			[]string{"names no WebSocket", "ok web https://d.test:PORT/bosh (BOSH) answers", "names no WebSocket", "error web https://d.test:PORT/gone (BOSH): 404"}},
		{"in the clear", site{xrd: xrd(socket, "ws://d.test:PORT/ws"), jrd: jrd(socket, "ws://d.test:PORT/ws"), cors: "*"},
			[]string{"error web", "names no WebSocket", "error web", "names no WebSocket"}},
		{"for nobody else", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), socket: answers},
			[]string{"warning web https://d.test:PORT/.well-known/host-meta may not be read", "lets clients log in", "warning web"}},
		{"the proxy does not upgrade", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: status(426)},
			[]string{names, "error web wss://d.test:PORT/ws: no WebSocket, 426 Upgrade Required said so", names}},
		{"the proxy is not trusted", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: status(403)},
			[]string{names, "error web wss://d.test:PORT/ws: no WebSocket, 403 Forbidden said so", names}},
		{"nobody behind the proxy", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: status(502)},
			[]string{names, "no WebSocket, 502", names}},
		{"the wrong path", site{xrd: xrd(socket, "wss://d.test:PORT/gone"), jrd: jrd(socket, "wss://d.test:PORT/gone"), cors: "*"},
			[]string{names, "no WebSocket, 404", names}},
		{"invented headers", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Forwarded") != "" {
				http.Error(w, "contradicts", http.StatusBadRequest)
				return
			}
			answers(w, r)
		}}, []string{names, "lets clients log in", "warning web a proxy before wss://d.test:PORT/ws passes on the header Forwarded", names}},
		{"another WebSocket", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: func(w http.ResponseWriter, r *http.Request) {
			upgraded(w, r, "chat", open)
		}}, []string{names, "error web wss://d.test:PORT/ws: the WebSocket is not for XMPP", names}},
		{"closed again", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: func(w http.ResponseWriter, r *http.Request) {
			upgraded(w, r, "xmpp", "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
		}}, []string{names, "the server answers <close", names}},
		{"no login", site{xrd: xrd(socket, "wss://d.test:PORT/ws"), jrd: jrd(socket, "wss://d.test:PORT/ws"), cors: "*", socket: func(w http.ResponseWriter, r *http.Request) {
			upgraded(w, r, "xmpp", open, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")
		}}, []string{names, "error web wss://d.test:PORT/ws answers, but lets nobody log in", names}},
		{"a slow clock", site{date: "Mon, 02 Jan 2006 15:04:05 GMT"}, []string{"warning clock this machine's clock and the web server's are", "404", "404"}},
	} {
		port := c.site.start(t, ca)
		k := newCheckup(dnstest.New(t, "d.test. 60 IN A 127.0.0.1"))
		k.roots = x509.NewCertPool()
		k.roots.AddCert(ca.cert)
		k.web(t.Context(), "d.test:"+port)
		want := make([]string, len(c.want))
		for i, w := range c.want {
			want[i] = strings.ReplaceAll(w, "PORT", port)
		}
		k.finds(t, c.name, want...)
	}
}

// A whole run over the network: DNS, ports and a file of authorities.
func TestCheckRun(t *testing.T) {
	ca := issue(t, nil, "", nil)
	at := remote{certificate: issue(t, ca, "d.test", nil).pair(), after: always(callsBack)}.listen(t)
	z := dnstest.New(t, "xmpp.d.test. 60 IN A 127.0.0.1", fmt.Sprintf("_xmpp-server._tcp.d.test. 60 IN SRV 0 0 %d xmpp.d.test.", at.port),
		"_xmpp-client._tcp.d.test. 60 IN SRV 0 0 0 .", "_xmpps-client._tcp.d.test. 60 IN SRV 0 0 0 .")
	file := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, file, ca.cert)
	run := Check{Domains: []string{"d.test"}, CA: file, Resolver: z.Serve(), Timeout: 10 * time.Second, JSON: true}
	if err := run.Run(); err != nil {
		t.Error(err)
	}
	z.Remove("xmpp.d.test", "A")
	if err := run.Run(); err == nil || !strings.HasPrefix(err.Error(), "1 error, ") {
		t.Error(err)
	}
	if err := (Check{Domains: []string{"d.test"}, Resolver: "nonsense"}).Run(); err == nil || !strings.Contains(err.Error(), "--resolver") {
		t.Error(err)
	}
}

func writePEM(t *testing.T, file string, c *x509.Certificate) {
	t.Helper()
	text := "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(c.Raw) + "\n-----END CERTIFICATE-----\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
