// SPDX-License-Identifier: Apache-2.0

package keytokens_test

// How to read this file: a bed is a server with this module, at whose domain the service stands; then who is given a token, and what ends
// one. For whom one counts is in prove_test.go.

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/keytokens"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
)

type bed struct {
	*servertest.Server
	m     *keytokens.Module
	host  *server.Host
	verbs map[string]chat.Verb
}

// desk is the service, and comes before the module.
type desk struct{ *bed }

func (desk) Name() string                { return "desk" }
func (d desk) Init(h *server.Host) error { d.host = h; return nil }

// Handle implements keytokens.Service.
func (b *bed) Handle(h server.IQHandler, _ ...string) {
	h.At = server.AtHost
	b.host.IQ(h)
}

// Verb implements keytokens.Service.
func (b *bed) Verb(v chat.Verb) { b.verbs[v.Name] = v }

// Lead implements keytokens.Service.
func (*bed) Lead(adhoc.Command) {}

func usual() keytokens.Config {
	return keytokens.Config{
		PerAccount: 2, Expire: config.Duration(10 * 24 * time.Hour), Challenges: 20, ChallengesPerAccount: 3,
		Wait: config.Duration(30 * time.Second), Proof: config.Duration(time.Minute), Proofs: 20, Shown: 2,
	}
}

func newBed(t *testing.T, c keytokens.Config, accounts ...string) *bed {
	t.Helper()
	b := new(bed)
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		b.verbs = make(map[string]chat.Verb)
		b.m = keytokens.New(c, b)
		return []server.Module{desk{b}, b.m}
	}})
	for _, a := range accounts {
		b.Account(a)
	}
	return b
}

// identity is a certificate and its key.
type identity struct {
	der []byte
	key crypto.Signer
}

func (x *identity) decrypter() crypto.Decrypter { return x.key.(crypto.Decrypter) }

// certify makes a certificate that signs itself.
func certify(t *testing.T, key crypto.Signer, name string, from, until time.Time) *identity {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{der, key}
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// fresh is a certificate that is good for a year.
func fresh(t *testing.T, name string) *identity {
	t.Helper()
	return certify(t, rsaKey(t, 2048), name, time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour))
}

const (
	getToken = "<iq to='d' type='get' id='g'><getToken xmlns='urn:xmpp:iot:provisioning'>%s</getToken></iq>"
	respond  = "<iq to='d' type='get' id='r'><getTokenChallengeResponse xmlns='urn:xmpp:iot:provisioning' seqnr='%s'>%s</getTokenChallengeResponse></iq>"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// challenge is what p is asked who shows a certificate.
func challenge(p *servertest.Peer, x *identity) (seq string, encrypted []byte) {
	p.Server.T.Helper()
	p.Send(fmt.Sprintf(getToken, b64(x.der)))
	got := p.Gets("type='result' & <getTokenChallenge ")[0]
	m := regexp.MustCompile(`seqnr='(\d+)'>([^<]+)<`).FindStringSubmatch(got)
	if m == nil {
		p.Server.T.Fatalf("challenged by %s", got)
	}
	encrypted, err := base64.StdEncoding.DecodeString(m[2])
	if err != nil {
		p.Server.T.Fatal(err)
	}
	return m[1], encrypted
}

func prove(t testing.TB, x *identity, encrypted []byte) string {
	t.Helper()
	secret, err := provisioning.Prove(x.decrypter(), encrypted)
	if err != nil {
		t.Fatal(err)
	}
	return b64(secret)
}

// token is what p is given for a certificate.
func token(p *servertest.Peer, x *identity) string {
	p.Server.T.Helper()
	seq, encrypted := challenge(p, x)
	p.Send(fmt.Sprintf(respond, seq, prove(p.Server.T, x, encrypted)))
	got := p.Gets("type='result' & <getTokenResponse ")[0]
	_, got, _ = strings.Cut(got, "token='")
	got, _, _ = strings.Cut(got, "'")
	if got == "" {
		p.Server.T.Fatal("an empty token")
	}
	return got
}

// say is what the service answers, or its error.
func (b *bed) say(who, verb string, args ...string) string {
	b.T.Helper()
	turn := b.NewTurn()
	defer turn.End()
	text, err := b.verbs[verb].Do(turn, &chat.Message{From: jid.MustParse(who)}, args)
	if err != nil {
		return "error: " + err.Error()
	}
	return text
}

func TestGive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d", "other@d")
		reader, other := b.Client("reader@d/r"), b.Client("other@d/r")
		x, y := fresh(t, "Meter\treader"), fresh(t, "")
		first := token(reader, x)
		if again := token(reader, x); again != first {
			t.Errorf("the same certificate has the tokens %s and %s", first, again)
		}
		if another := token(other, x); another == first {
			t.Error("two accounts have one token")
		}
		second := token(reader, y)
		text := b.say("reader@d/r", "tokens")
		if !strings.Contains(text, first+": the key of Meter reader, until ") || !strings.Contains(text, second+": a key without a name") {
			t.Errorf("tokens: %s", text)
		}
		account, name, err := b.m.About(t.Context(), first)
		if err != nil || account.String() != "reader@d" || name != "Meter reader" {
			t.Errorf("about it: %s %s %v", account, name, err)
		}
		b.Restart()
		reader = b.Client("reader@d/r")
		if again := token(reader, x); again != first {
			t.Errorf("after a restart it is %s, and was %s", again, first)
		}
		if text := b.say("other@d", "withdraw", first); !strings.Contains(text, "no such token") {
			t.Errorf("somebody else has taken it back: %s", text)
		}
		if text := b.say("reader@d", "withdraw", first); !strings.Contains(text, "Nobody may") {
			t.Errorf("it was not taken back: %s", text)
		}
		if _, _, err := b.m.About(t.Context(), first); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("about one that was taken back: %v", err)
		}
		if again := token(reader, x); again == first {
			t.Error("what was taken back is given again")
		}
	})
}

func TestNotGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d")
		reader, elsewhere := b.Client("reader@d/r"), b.Client("reader@d/s")
		x := fresh(t, "x")
		curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		hour := time.Hour
		for name, c := range map[string]struct {
			certificate []byte
			want        string
		}{
			"no certificate":   {[]byte("certificate"), "bad-request"},
			"no RSA":           {certify(t, curve, "x", time.Now().Add(-hour), time.Now().Add(hour)).der, "not-acceptable"},
			"a short key":      {certify(t, rsaKey(t, 1024), "x", time.Now().Add(-hour), time.Now().Add(hour)).der, "not-acceptable"},
			"over":             {certify(t, x.key, "x", time.Now().Add(-2*hour), time.Now().Add(-hour)).der, "not-acceptable"},
			"not yet":          {certify(t, x.key, "x", time.Now().Add(hour), time.Now().Add(2*hour)).der, "not-acceptable"},
			"nothing":          {nil, "bad-request"},
			"half of it":       {x.der[:len(x.der)/2], "bad-request"},
			"something behind": {append(append([]byte(nil), x.der...), 0), "bad-request"},
			"far too long":     {make([]byte, provisioning.MaxCertificate+1), "policy-violation"},
		} {
			reader.Send(fmt.Sprintf(getToken, b64(c.certificate)))
			if got := reader.Got(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}

		// What is answered counts once, whatever it was.
		seq, encrypted := challenge(reader, x)
		right := prove(t, x, encrypted)
		elsewhere.Send(fmt.Sprintf(respond, seq, right))
		elsewhere.Gets("item-not-found")
		reader.Send(fmt.Sprintf(respond, seq, b64([]byte("something else"))))
		reader.Gets("bad-request")
		reader.Send(fmt.Sprintf(respond, seq, right))
		reader.Gets("item-not-found")

		// Nor when it comes too late, or to another server.
		seq, encrypted = challenge(reader, x)
		<-time.After(2*time.Minute + time.Second)
		reader.Send(fmt.Sprintf(respond, seq, prove(t, x, encrypted)))
		reader.Gets("item-not-found")
		seq, encrypted = challenge(reader, x)
		b.Restart()
		reader = b.Client("reader@d/r")
		guest := b.Guest("guest@d/g")
		reader.Send(fmt.Sprintf(respond, seq, prove(t, x, encrypted)))
		reader.Gets("item-not-found")

		// Who has no account has no token, and is not asked for a proof.
		guest.Send(fmt.Sprintf(getToken, b64(x.der)))
		guest.Gets("not-allowed")
		// What cannot be kept is not given.
		seq, encrypted = challenge(reader, x)
		b.Disk.Failing.Store(true)
		reader.Send(fmt.Sprintf(respond, seq, prove(t, x, encrypted)))
		reader.Gets("type='error'")
		b.Disk.Failing.Store(false)
		if list, err := b.Disk.AccountKeyTokens(t.Context(), jid.MustParse("reader@d")); err != nil || len(list) > 0 {
			t.Errorf("kept: %v, %v", list, err)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Challenges = 4
		b := newBed(t, c, "reader@d", "other@d")
		reader, other := b.Client("reader@d/r"), b.Client("other@d/r")
		x, y, z := fresh(t, "x"), fresh(t, "y"), fresh(t, "z")
		token(reader, x)
		token(reader, y)
		seq, encrypted := challenge(reader, z)
		reader.Send(fmt.Sprintf(respond, seq, prove(t, z, encrypted)))
		reader.Gets("resource-constraint")
		token(reader, x) // which it has already

		for range c.ChallengesPerAccount {
			challenge(reader, x)
		}
		reader.Send(fmt.Sprintf(getToken, b64(x.der)))
		reader.Gets("resource-constraint")
		challenge(other, x) // the fourth of all
		other.Send(fmt.Sprintf(getToken, b64(x.der)))
		other.Gets("resource-constraint")
		if !b.Counts("stonechat_keytokens_refused_total 3") || !b.Counts("stonechat_keytokens_challenges_open 4") {
			t.Errorf("counted: %s %s", b.Metric("stonechat_keytokens_refused_total"), b.Metric("stonechat_keytokens_challenges_open"))
		}
		<-time.After(4 * time.Minute)
		if !b.Counts("stonechat_keytokens_challenges_open 0") {
			t.Errorf("left: %s", b.Metric("stonechat_keytokens_challenges_open"))
		}
		token(other, x)
	})
}

// A token ends when its time is over, and with its account.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d", "other@d")
		reader, other := b.Client("reader@d/r"), b.Client("other@d/r")
		x := certify(t, rsaKey(t, 2048), "x", time.Now().Add(-time.Hour), time.Now().Add(3*time.Hour)) // shorter than a token lasts
		own, theirs := token(reader, x), token(other, fresh(t, "y"))
		<-time.After(3*time.Hour + time.Second)
		if got := b.held(t, own, "reader@d", "thing@d"); got != "false false <nil>" {
			t.Errorf("when the certificate is over: %s", got)
		}
		<-time.After(2 * time.Minute)
		if _, err := b.Disk.KeyToken(t.Context(), own); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("kept when it is over: %v", err)
		}
		if err := b.DeleteAccount(t.Context(), jid.MustParse("other@d"), nil); err != nil {
			t.Fatal(err)
		}
		if got := b.held(t, theirs, "other@d", "thing@d"); got != "false false <nil>" {
			t.Errorf("when the account is gone: %s", got)
		}
	})
}

// While the store is down no token counts.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d")
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if held, open, err := b.m.Held(ctx, "x", jid.MustParse("reader@d"), jid.MustParse("thing@d")); held || open != nil || err == nil {
			t.Errorf("%t %t %v", held, open != nil, err)
		}
	})
}
