// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: a world has an authority for certificates and a DNS of its own. A town is a server in it, on
// loopback sockets, whose house is a place (house.NAME) that sends for its people and notes what comes for them.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// patience is for what should come at once.
const patience = 30 * time.Second

type world struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu       sync.Mutex
	services map[string][]*net.SRV // by service and domain
	unknown  map[string]bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, services: make(map[string][]*net.SRV), unknown: make(map[string]bool)}
	w.key, w.cert = w.authority()
	return w
}

func (w *world) authority() (*ecdsa.PrivateKey, *x509.Certificate) {
	w.t.Helper()
	key := newKey(w.t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return key, sign(w.t, c, c, &key.PublicKey, key)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, c, by *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// certify writes a certificate and its key, for servers alone as public authorities issue them now.
func (w *world) certify(folder string, change func(*x509.Certificate), names ...string) tlsconfig.Options {
	w.t.Helper()
	key := newKey(w.t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	cert := sign(w.t, c, w.cert, &key.PublicKey, w.key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	o := tlsconfig.Options{Certificate: filepath.Join(folder, "crt"), Key: filepath.Join(folder, "key"), Domains: names, Folder: folder}
	err = errors.Join(
		os.WriteFile(o.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600),
		os.WriteFile(o.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// LookupSRV implements locate.Resolver.
func (w *world) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if list := w.services[service+" "+name]; list != nil {
		return name, list, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupNetIP implements locate.Resolver: all that there is is here.
func (w *world) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network == "ip4" && strings.HasPrefix(host, "host.") {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// locate says where the servers of domains are.
func (w *world) locate(service, address string, domains ...string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		w.t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range domains {
		w.services[service+" "+d] = []*net.SRV{{Target: "host." + d + ".", Port: uint16(n)}}
	}
}

// setup is what differs between towns.
type setup struct {
	preferred bool                    // certificates
	stranger  bool                    // its certificate is of another authority
	change    func(*x509.Certificate) // of the certificate
	names     []string                // of it
	direct    bool
	policy    func(*Policy)
	limits    func(*Limits)
	driver    func(*slog.Logger) (drive.Driver, error)
	proves    *proving // nil: the world is without DNSSEC
	folder    string   // its data; "": new
}

type town struct {
	*Service
	w       *world
	t       testing.TB
	domain  string
	house   jid.JID
	address string // of its STARTTLS listener
	direct  string
	lines   *lines
	got     chan *stanza.Stanza
	leave   func()
}

func (w *world) town(domain string, x setup) *town {
	w.t.Helper()
	folder := x.folder
	if folder == "" {
		folder = w.t.TempDir()
	}
	o := w
	if x.stranger {
		o = &world{t: w.t}
		o.key, o.cert = o.authority()
	}
	if x.names == nil {
		x.names = []string{domain, "*." + domain}
	}
	certs, err := tlsconfig.Open(o.certify(folder, x.change, x.names...))
	if err != nil {
		w.t.Fatal(err)
	}
	town := &town{w: w, t: w.t, domain: domain, house: jid.MustParse("house." + domain), lines: new(lines), got: make(chan *stanza.Stanza, 10_000)}
	log := slog.New(slog.NewTextHandler(town.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := sqlite.Open(sqlite.Options{Folder: folder, Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	reg := metrics.New()
	srv, err := server.New(server.Config{Domains: []string{domain}, Limits: server.DefaultLimits(), Store: st, Log: log, Metrics: reg}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if x.driver == nil {
		x.driver = drive.New
	}
	d, err := x.driver(log)
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.cert)
	p := Policy{Required: !x.preferred, Idle: time.Minute, GiveUp: time.Minute, FenceStanzas: 32, FenceAfter: 50 * time.Millisecond, Confirm: time.Minute}
	l := DefaultLimits()
	if x.policy != nil {
		x.policy(&p)
	}
	if x.limits != nil {
		x.limits(&l)
	}
	config := Config{
		Server: srv, Store: st, Driver: d, TLS: certs, Roots: roots, Resolver: w, Secret: []byte("secret of " + domain),
		Kept:   func(s *stanza.Stanza) bool { return s.Type == stanza.Chat || s.Type == stanza.Normal },
		Policy: p, Limits: l, Log: log, Metrics: reg,
	}
	if x.proves != nil {
		config.Resolver, config.DANE = x.proves, x.proves
	}
	town.Service, err = New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := srv.Attach(town.house.Domain(), (*house)(town)); err != nil {
		w.t.Fatal(err)
	}
	srv.Start()
	if err := town.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	town.address, town.direct = town.listen(false), town.listen(true)
	if x.direct {
		w.locate("xmpps-server", town.direct, domain, town.house.Domain())
	} else {
		w.locate("xmpp-server", town.address, domain, town.house.Domain())
	}
	town.leave = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := errors.Join(srv.Stop(ctx), town.Shutdown(ctx))
		now, cancel := context.WithCancel(ctx)
		cancel()
		d.Close(now)
		if err = errors.Join(err, st.Close()); err != nil {
			w.t.Error(err)
		}
		if w.t.Failed() {
			w.t.Logf("%s:\n%s", domain, town.lines.String())
		}
	})
	w.t.Cleanup(town.leave)
	return town
}

func (x *town) listen(direct bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.t.Fatal(err)
	}
	x.Listen(l, direct)
	return l.Addr().String()
}

// house is the place of a town.
type house town

func (*house) Present() bool { return true }

func (h *house) Take(_ *server.Turn, s *stanza.Stanza) error {
	select {
	case h.got <- s.Retain():
		return nil
	default:
		return stanza.ResourceConstraint.Err("")
	}
}

// send sends a message of somebody in the house.
func (x *town) send(to, id string) {
	s := stanza.Text(stanza.Chat, jid.MustParse(to), "hi")
	s.ID = []byte(id)
	x.route(s)
}

func (x *town) route(s *stanza.Stanza) {
	s.From = jid.MustParse("romeo@" + x.house.Domain())
	t := x.Server.NewTurn()
	t.Route(s)
	t.End()
}

// gets waits for the next stanza for the house, which must contain the words.
func (x *town) gets(words ...string) *stanza.Stanza {
	x.t.Helper()
	select {
	case s := <-x.got:
		text := string(s.Append(nil, ""))
		for _, word := range words {
			if !strings.Contains(text, word) {
				x.t.Fatalf("%s: %s is not in %s", x.domain, word, text)
			}
		}
		return s
	case <-time.After(patience):
		x.t.Fatalf("%s: nothing came; want %q", x.domain, words)
		return nil
	}
}

// logs waits until the log has the words in one line.
func (x *town) logs(words ...string) {
	x.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		for line := range strings.Lines(x.lines.String()) {
			if all := true; func() bool {
				for _, word := range words {
					all = all && strings.Contains(line, word)
				}
				return all
			}() {
				return
			}
		}
	}
	x.t.Fatalf("%s: %q is not in the log", x.domain, words)
}

// confirmed waits until nothing that was sent is unconfirmed by others, who would be sent it once more.
func (x *town) confirmed() {
	x.t.Helper()
	eventually(x.t, "what was sent is confirmed", func() bool { return x.metric("stonechat_federation_queue_bytes") == 0 })
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// count is what a metric has counted, labels included in its name.
func (x *town) count(name string) float64 { return x.metric("stonechat_s2s_" + name) }

func (x *town) metric(name string) (n float64) {
	w := httptest.NewRecorder()
	x.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			_, _ = fmt.Sscan(value, &n)
		}
	}
	return n
}

// counts waits until a metric has counted so much.
func (x *town) counts(name string, least float64) {
	x.t.Helper()
	eventually(x.t, fmt.Sprintf("%s has counted %v %s", x.domain, least, name), func() bool { return x.count(name) >= least })
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
