// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TestToken: a reader with a certificate reads a meter by what the owner allows its token, on the command line; a gateway that was
// shown the token reads in its place; nobody else does, and nobody at all when it is taken back.
func TestToken(t *testing.T) {
	s := start(t, options{})
	owner := s.person(s.account("owner"))
	reader, thief := s.account("reader"), s.account("thief")
	s.thing(s.account("meter"), "--csv", s.write("meter.csv", "temperature [Cel],power [W]\n"+strings.Repeat("21.5,1200\n", 2000)), "--every", "500ms",
		"--maker", "maker.test", "--serial", "1").claimedBy(owner)
	owner.hears("meter@home.test", "power")
	_, at, err := owner.reads("meter@home.test")
	if err != nil {
		t.Fatal(err)
	}
	file, certificate := identity(t, s, "Meter reader")
	other, _ := identity(t, s, "Thief")

	// read is the program that reads.
	read := func(own, file string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := exec.CommandContext(ctx, stonechat.MustPath(t), "thing", "read", "--identity", file, at.String())
		c.Env = append(c.Environ(), s.environment(own)...)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	out, err := read(reader, file)
	token := regexp.MustCompile(`allow token:(\S+) to read`).FindStringSubmatch(out)
	if err == nil || token == nil {
		t.Fatalf("before it is allowed: %v\n%s", err, out)
	}
	rule, _ := owner.asks(service, "allow token:"+token[1]+" to read meter power", `Meter reader of reader@home\.test.* may read power.*"revoke (\d+)"`)
	if out, err = read(reader, file); err != nil || !strings.Contains(out, "power 1200") || strings.Contains(out, "temperature") {
		t.Errorf("with the token: %v\n%s", err, out)
	}
	if out, err = read(thief, other); err == nil {
		t.Errorf("with another's certificate: %s", out)
	}

	// The holder at a client of its own, and who has its token from it.
	holder := s.holder(reader)
	first, err := holder.held.Get(t.Context(), jid.MustParse(service), certificate)
	if err != nil || first != token[1] {
		t.Fatalf("the same certificate has %s and %s: %v", token[1], first, err)
	}
	gateway, spy := s.holder(s.account("gateway")), s.holder(thief)
	asks := func(h *holding) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		q := sensordata.Request{Seq: "1", Names: []string{"power"}, Tokens: sensordata.Tokens{Service: first}}
		_, err := h.client.IQ(ctx, at, stanza.Get, &q)
		return err
	}
	refused(t, "a token that was found", asks(spy))
	spy.held.Pass(first, holder.client.JID(), at) // as if it had it from the holder, which knows nothing of that
	refused(t, "a token whose holder has not sent it there", asks(spy))
	holder.held.Show(first, gateway.client.JID())
	q := sensordata.Request{Seq: "1", Tokens: sensordata.Tokens{Service: first}} // which the gateway answers by no value
	if _, err := holder.client.IQ(t.Context(), gateway.client.JID(), stanza.Get, &q); err == nil {
		t.Error("a gateway that has no values gives some")
	}
	gateway.held.Pass(first, holder.client.JID(), at)
	began := time.Now()
	if err := asks(gateway); err != nil {
		t.Errorf("who was given the token: %v", err)
	}
	figure(t, "a token that is proven by way of another", time.Since(began), 5*time.Second)

	// It outlives the server, and ends when its holder says so.
	s.kill()
	s.run()
	await(t, owner)
	until(t, "the meter after a crash", func() bool {
		_, at, err = owner.reads("meter@home.test")
		return err == nil
	})
	if out, err = read(reader, file); err != nil || !strings.Contains(out, "power 1200") {
		t.Errorf("after a crash: %v\n%s", err, out)
	}
	said := s.person(reader)
	said.asks(service, "tokens", regexp.QuoteMeta(first)+": the key of Meter reader")
	said.asks(service, "withdraw "+first, "Nobody may do anything")
	if out, err = read(reader, file); err == nil {
		t.Errorf("after it was taken back: %s", out)
	}
	owner.asks(service, "rules meter", `which there is no more`)
	owner.asks(service, "refusals meter", `thief@home\.test.* by token`)
	owner.asks(service, "revoke "+rule[1], "is gone")
}

// identity is a certificate that signs itself, also as a file with its key.
func identity(t *testing.T, s *server, name string) (file string, c tls.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return s.write(strings.ReplaceAll(name, " ", "-")+".pem", string(text)), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// holding is a program that has tokens, or passes them on.
type holding struct {
	client *client.Client
	held   *tokens.Tokens
}

// holder logs one in, until the test ends.
func (s *server) holder(own string) *holding {
	s.t.Helper()
	c := client.Config{Account: jid.MustParse(own), Password: password, Address: s.address}
	err := c.Trust(s.authority())
	h := new(holding)
	if err == nil {
		h.client, err = client.New(c)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	h.held = tokens.New(h.client)
	if err := h.client.Connect(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = h.client.Close() })
	return h
}
