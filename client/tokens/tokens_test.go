// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
)

// lab is a client with a certificate, and the server that it talks to.
type lab struct {
	*testserver.Peer
	held        *tokens.Tokens
	certificate tls.Certificate
	key         *rsa.PrivateKey
}

func inLab(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := testserver.NewNetwork(t, testserver.Options{})
		c, err := client.New(client.Config{
			Account: jid.MustParse(testserver.Account), Password: testserver.Password, Address: "x:1", WithoutTLS: true, Keepalive: time.Hour, AnswerTime: time.Hour,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.Dial(ctx.Done()) },
		})
		if err != nil {
			t.Fatal(err)
		}
		x := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		l := &lab{held: tokens.New(c), key: key, certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = c.Close()
			n.Close()
		}()
		l.Peer = n.Accept()
		l.Session("s")
		test(t, l)
	})
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// get runs Get, and gives its outcome.
func (l *lab) get() chan string {
	out := make(chan string, 1)
	go func() {
		token, err := l.held.Get(context.Background(), jid.MustParse("things.example.org"), l.certificate)
		if err != nil {
			token = "error: " + err.Error()
		}
		out <- token
	}()
	return out
}

// offers answers the request for a token with a challenge, and returns what has to be said.
func (l *lab) offers(seq int) (secret string) {
	l.T.Helper()
	id := l.Expect("<iq to='things.example.org' id='([^']+)' type='get'><getToken xmlns='urn:xmpp:iot:provisioning'>" + regexp.QuoteMeta(b64(l.certificate.Certificate[0])) + "<.*")[1]
	plain, encrypted, err := provisioning.NewChallenge(&l.key.PublicKey)
	if err != nil {
		l.T.Fatal(err)
	}
	l.Say("<iq from='things.example.org' id='%s' type='result'><getTokenChallenge xmlns='urn:xmpp:iot:provisioning' seqnr='%d'>%s</getTokenChallenge></iq>", id, seq, b64(encrypted))
	return b64(plain)
}

// answers expects the right answer to a challenge.
func (l *lab) answers(seq int, secret string) (id string) {
	l.T.Helper()
	m := l.Expect("<iq to='things.example.org' id='([^']+)' type='get'><getTokenChallengeResponse xmlns='urn:xmpp:iot:provisioning' seqnr='" + fmt.Sprint(seq) + "'>([^<]+)<.*")
	if m[2] != secret {
		l.T.Errorf("answered %s, not %s", m[2], secret)
	}
	return m[1]
}

// holds has the client hold a token.
func (l *lab) holds(token string) {
	l.T.Helper()
	got := l.get()
	id := l.answers(7, l.offers(7))
	l.Say("<iq from='things.example.org' id='%s' type='result'><getTokenResponse xmlns='urn:xmpp:iot:provisioning' token='%s'/></iq>", id, token)
	if got := <-got; got != token {
		l.T.Fatal(got)
	}
}

const missing = "<iq from='things.example.org' id='%s' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

func TestGet(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.holds("t0ken")

		// The service has begun anew between its question and the answer: it is asked again, once.
		got := l.get()
		l.Say(missing, l.answers(8, l.offers(8)))
		id := l.answers(1, l.offers(1))
		l.Say("<iq from='things.example.org' id='%s' type='result'><getTokenResponse xmlns='urn:xmpp:iot:provisioning' token='n3w'/></iq>", id)
		if got := <-got; got != "n3w" {
			t.Error(got)
		}
		got = l.get()
		l.Say(missing, l.answers(8, l.offers(8)))
		l.Say(missing, l.answers(9, l.offers(9)))
		if got := <-got; !strings.Contains(got, "item-not-found") {
			t.Error(got)
		}

		// A challenge for another key is not answered.
		got = l.get()
		id = l.Expect("<iq to='things.example.org' id='([^']+)'.*<getToken .*")[1]
		l.Say("<iq from='things.example.org' id='%s' type='result'><getTokenChallenge xmlns='urn:xmpp:iot:provisioning' seqnr='1'>AAAA</getTokenChallenge></iq>", id)
		if got := <-got; !strings.Contains(got, "not a challenge for that key") {
			t.Error(got)
		}
		curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		l.certificate.PrivateKey = curve
		if got := <-l.get(); !strings.Contains(got, "no key that decrypts") {
			t.Error(got)
		}
	})
}

// Only whom a token was sent to within a minute may have it proven.
func TestChallenged(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.holds("t0ken")
		secret, encrypted, err := provisioning.NewChallenge(&l.key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		challenge := func(from, token string, encrypted []byte, want string) {
			t.Helper()
			l.Say("<iq from='%s' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='%s'>%s</tokenChallenge></iq>", from, token, b64(encrypted))
			if got := l.Expect("(<iq .*id='c'.*)")[1]; !strings.Contains(got, want) {
				t.Errorf("%s about %s: %s, want %s", from, token, got, want)
			}
		}
		const lamp, forbidden = "lamp@example.org/x", "<error type='cancel'><forbidden "
		proof := "<tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>" + b64(secret) + "<"
		challenge(lamp, "t0ken", encrypted, forbidden)
		challenge("things.example.org", "t0ken", encrypted, forbidden) // who gave it
		l.held.Show("t0ken", jid.MustParse(lamp))
		challenge(lamp, "t0ken", encrypted, proof)
		challenge("lamp@example.org", "t0ken", encrypted, proof)
		challenge("lamp@example.com/x", "t0ken", encrypted, forbidden)
		challenge("door@example.org/x", "t0ken", encrypted, forbidden)
		challenge(lamp, "t0ken", []byte("not for this key"), "bad-request")
		l.held.Show("another", jid.MustParse(lamp)) // which it does not hold
		challenge(lamp, "another", encrypted, forbidden)
		<-time.After(61 * time.Second)
		challenge(lamp, "t0ken", encrypted, forbidden)
		for i := range 2000 { // whom it was shown to is remembered of so many
			l.held.Show("t0ken", jid.MustParse(fmt.Sprintf("lamp%d@example.org", i)))
		}
		challenge("lamp0@example.org", "t0ken", encrypted, proof)
		challenge("lamp1999@example.org", "t0ken", encrypted, forbidden)
	})
}

// Another's token is proven by whom it has come from.
func TestPass(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		reader, things := jid.MustParse("reader@example.org/r"), jid.MustParse("things.example.org")
		ask := func() {
			l.Say("<iq from='things.example.org' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='t'>QUJD</tokenChallenge></iq>")
		}
		want := func(want string) {
			t.Helper()
			if got := l.Expect("(<iq to='things.example.org'.*id='c'.*)")[1]; !strings.Contains(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		}
		passed := func() string {
			t.Helper()
			return l.Expect("<iq to='reader@example.org/r' id='([^']+)' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='t'>QUJD</tokenChallenge>.*")[1]
		}
		ask()
		want("forbidden")
		l.held.Pass("t", reader, things)
		ask()
		l.Say("<iq from='reader@example.org/r' id='%s' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG</tokenChallengeResponse></iq>", passed())
		want(">REVG<")
		ask()
		l.Say("<iq from='reader@example.org/r' id='%s' type='error'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", passed())
		want("forbidden")
		ask()
		id := passed()
		l.Say("<iq from='reader@example.com/r' id='%s' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG</tokenChallengeResponse></iq>", id) // a liar
		<-time.After(21 * time.Second)
		want("remote-server-timeout")

		// So many at once, and no more.
		var ids []string
		for range 4 {
			ask()
			ids = append(ids, passed())
		}
		ask()
		want("resource-constraint")
		for _, id := range ids {
			l.Say("<iq from='reader@example.org/r' id='%s' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG</tokenChallengeResponse></iq>", id)
			want(">REVG<")
		}
		<-time.After(61 * time.Second)
		ask()
		want("forbidden")
	})
}

// What others show takes no room from what a client shows of its own, nor does the silence of one keep those of another from being proven.
func TestPassMany(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.holds("t0ken")
		secret, encrypted, err := provisioning.NewChallenge(&l.key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		lamp, things := jid.MustParse("lamp@example.org"), jid.MustParse("things.example.org")
		silent, reader := jid.MustParse("silent@example.org/r"), jid.MustParse("reader@example.org/r")
		for i := range 1500 {
			l.held.Pass(fmt.Sprint("junk", i), silent, things)
			<-time.After(time.Millisecond)
		}
		l.held.Pass("t", reader, things)
		l.held.Show("t0ken", lamp)
		ask := func(from, token string) {
			l.Say("<iq from='%s' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='%s'>%s</tokenChallenge></iq>", from, token, b64(encrypted))
		}
		for i := 1499; i > 1495; i-- {
			ask("things.example.org", fmt.Sprint("junk", i))
			l.Expect("<iq to='silent@example.org/r' .*<tokenChallenge .*")
		}
		ask("things.example.org", "junk1495")
		l.Expect("<iq to='things.example.org' .*id='c'.*resource-constraint.*")
		ask("things.example.org", "t")
		id := l.Expect("<iq to='reader@example.org/r' id='([^']+)' type='get'><tokenChallenge .*")[1]
		l.Say("<iq from='reader@example.org/r' id='%s' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG</tokenChallengeResponse></iq>", id)
		l.Expect("<iq to='things.example.org' .*>REVG<.*")
		ask("lamp@example.org", "t0ken")
		l.Expect("<iq to='lamp@example.org' .*" + regexp.QuoteMeta(b64(secret)) + ".*")
		ask("things.example.org", "junk0") // the oldest is gone
		l.Expect("<iq to='things.example.org' .*id='c'.*forbidden.*")

		// So many are waited for, and no more; whoever is there proves his own all the same.
		for i := range 20 {
			from := jid.MustParse(fmt.Sprintf("silent%d@example.org/r", i))
			l.held.Pass(fmt.Sprint("of", i), from, things)
			ask("things.example.org", fmt.Sprint("of", i))
			if i < 15 {
				l.Expect("<iq to='" + from.String() + "' .*<tokenChallenge .*")
				continue
			}
			l.Expect("<iq to='things.example.org' .*id='c'.*resource-constraint.*")
		}
		ask("lamp@example.org", "t0ken")
		l.Expect("<iq to='lamp@example.org' .*" + regexp.QuoteMeta(b64(secret)) + ".*")
	})
}
