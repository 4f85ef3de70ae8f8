// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: battery and alone are programs that makers of things would write; authority signs the servers' certificates.
// The scenarios are two houses with a server each, and a thing whose decider does not answer.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// battery reads the price at another thing, $PRICE, again and again, and says a line for each attempt.
func battery() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := thing.Environment()
	must(err)
	c.Fields = []thing.Measure{{Name: "charge", Unit: "%EL", Kind: thing.Numeric, Read: func(context.Context) (thing.Value, error) { return thing.Number(50), nil }}}
	t, err := thing.New(c)
	must(err)
	reader := thing.NewReader(t.Client())
	go func() { must(t.Run(ctx)) }()
	price := jid.MustParse(os.Getenv("PRICE"))
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !t.Client().Online() {
			continue
		}
		fmt.Println("here", t.Client().JID())
		within, cancel := context.WithTimeout(ctx, patience)
		answer, err := reader.Read(within, price, sensordata.Request{Categories: sensordata.All &^ sensordata.Historical, Names: []string{"price"}})
		cancel()
		switch {
		case err != nil:
			fmt.Println("refused:", err)
		case len(answer.Fields()) == 0:
			fmt.Println("nothing")
		default:
			fmt.Println("price", answer.Fields()[0].Value)
		}
	}
}

// alone is a thing whose decider is at a domain that there is not.
func alone() {
	c, err := thing.Environment()
	must(err)
	c.Registry = jid.MustParse("things.nowhere.test")
	c.Fields = []thing.Measure{{Name: "temperature", Unit: "Cel", Kind: thing.Numeric, Read: func(context.Context) (thing.Value, error) { return thing.Number(21.5), nil }}}
	c.Parameters = []thing.Parameter{{Name: "lamp", Kind: thing.Boolean, Set: func(context.Context, thing.Value) error { fmt.Println("lamp"); return nil }}}
	thing.Main(c)
}

// TestNobodyDecides: a thing whose decider does not answer obeys its owner and refuses all others.
func TestNobodyDecides(t *testing.T) {
	s := start(t, options{more: "federation:\n  enabled: false\n"})
	owner, friend := s.person(s.account("owner")), s.person(s.account("friend"))
	own := s.account("meter")
	p := runProgram(t, "alone", append(s.environment(own), "STONECHAT_OWNER="+owner.own.String())...)
	if err := owner.client.Subscribe(t.Context(), jid.MustParse(own)); err != nil {
		t.Fatal(err)
	}
	owner.hears(own, "^presence normal")
	fields, at, err := owner.reads(own)
	if err != nil || fields != "temperature" {
		t.Fatalf("the owner reads %q, %v", fields, err)
	}
	if err := owner.sets(at.String(), "lamp", true); err != nil {
		t.Error(err)
	}
	p.expect("^lamp")
	_, _, err = friend.reads(at.String())
	refused(t, "reading while nobody decides", err)
	refused(t, "control while nobody decides", friend.sets(at.String(), "lamp", true))
	friend.say(own, "set lamp on")
	owner.asks(own, "read", "temperature 21.5") // behind the friend's words
	count(t, "commands obeyed of others while nobody decides", p.said("^lamp")-1, 0)
}

// TestNeighbourhood: a battery here reads the price there, by TLS and by the consent of who owns the price, until that is taken back;
// who runs one server reads nothing at the other.
func TestNeighbourhood(t *testing.T) {
	signer := newAuthority(t)
	a := start(t, options{domain: "a.test", signed: signer, more: runBy("admin@a.test")})
	b := start(t, options{domain: "b.test", signed: signer, more: runBy("admin@b.test")})
	a.meets(b)
	b.meets(a)
	anna, bert := a.account("anna"), b.person(b.account("bert"))
	const price = "price@b.test"
	b.thing(b.account("price"), "--walk", "0.1,0.4,0.05", "--field", "price", "--every", "1s", "--maker", "maker.test", "--serial", "1",
		"--state", filepath.Join(b.folder, "price")).claimedAt("things.b.test", bert)
	bert.hears(price, `price 0\.\d`)
	_, at, err := bert.reads(price)
	if err != nil {
		t.Fatal(err)
	}
	store := runProgram(t, "battery", append(a.environment(a.account("battery")), "STONECHAT_OWNER="+anna, "PRICE="+at.String())...)
	here := store.expect("^here (.*)")[1]
	store.expect("^refused:")
	question, _ := bert.hears("registry@things.b.test", `battery@a\.test wants to read price .*Say "yes (\d+)"`)
	rule, _ := bert.asks("things.b.test", "yes "+question[1], `battery@a\.test may read price.*"revoke (\d+)"`)
	store.expect("^price 0")

	// They speak by TLS, and each has proven by its certificate who it is.
	secure := 0
	for _, s := range []*server{a, b} {
		secure += min(1, strings.Count(s.process.stderr.String(), "by=EXTERNAL"))
	}
	count(t, "servers that have verified the other by its certificate", secure, 2)

	// Who runs a server reads nothing of the other's, whatever he may at home.
	read := 0
	for _, x := range []struct {
		admin *person
		of    string
	}{{a.person(a.account("admin")), at.String()}, {b.person(b.account("admin")), here}} {
		fields, _, err := x.admin.reads(x.of)
		refused(t, x.of+", by who runs the other server", err)
		read += len(fields)
	}
	count(t, "what who runs one server reads of things at the other", read, 0)

	bert.asks("things.b.test", "revoke "+rule[1], "is gone")
	figure(t, "taken back, at the battery", until(t, "the refusal", func() bool { return store.expect("^(price|refused).*")[1] == "refused" }), 5*time.Second)
	store.expect("^refused:")
}

// runBy is what a server's configuration says of who runs it.
func runBy(admin string) string {
	return fmt.Sprintf("modules:\n  contact:\n    admin: [%q]\n", "xmpp:"+admin)
}

// meets has a server know where another is.
func (s *server) meets(other *server) {
	s.t.Helper()
	name := filepath.Join(s.folder, "stonechat.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("stonechat.yaml", string(text)+fmt.Sprintf("federation:\n  domains:\n    %[1]s: {connect: %[2]q}\n    things.%[1]s: {connect: %[2]q}\n", other.domain, other.s2s))
	s.stop()
	s.run()
}

// claimedAt has somebody claim a thing by the code that it shows, at a service.
func (p *process) claimedAt(service string, who *person) {
	p.t.Helper()
	who.asks(service, "claim "+p.expect("^IoTDisco;.*")[0], "is yours")
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // with its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "roots.pem")}
	a.cert, a.key = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "scenario"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	if err := os.WriteFile(a.file, certificatePEM(a.cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate, with itself as the authority where there is none yet.
func (a *authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, by := c, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// certify writes a server's certificate, and returns the lines of its configuration.
func (a *authority) certify(s *server) string {
	s.t.Helper()
	made, key := a.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: s.domain}, DNSNames: []string{s.domain, "*." + s.domain},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert := s.write("cert.pem", string(certificatePEM(made)))
	return fmt.Sprintf("tls: {certificate: %q, key: %q}\n", cert, s.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
}
