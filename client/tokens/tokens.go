// SPDX-License-Identifier: Apache-2.0

// Package tokens shows things by which key a client acts: a service of things gives a token for a certificate, and the owner of a
// thing says what whoever has its key may. The token goes with what is asked of the thing.
//
//	held := tokens.New(c)
//	token, err := held.Get(ctx, things, certificate)
//	held.Show(token, lamp)
//	_, err = c.IQ(ctx, lamp, stanza.Get, &sensordata.Request{Seq: "1", Tokens: sensordata.Tokens{Device: token}})
//
// A token is no secret, but whom it was sent to may for a minute use it in the client's name, which is what it is for: a thing that
// asks others in its turn passes it on (Pass). Show it to whom that may be allowed, and use its key for nothing else.
//
// XEP-0324 (partial, 0.5.1): the holder's side of tokens (§3.1.3, §6.2), for RSA keys
//
// How to read this file: Get gets a token; Show and Pass note whom one is sent to (note); challenged answers whom it was sent to, by the
// key or by asking whom it has come from (prove).
package tokens

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	maxShown  = 1000             // of our own, that are remembered; more are not
	maxPassed = 500              // of others' that are remembered; then the oldest goes
	maxAtOnce = 4                // challenges that are worked on: to prove takes a processor some milliseconds; and as many that wait for one other
	maxOthers = 16               // for whom challenges wait
	passTime  = 20 * time.Second // for whoever a token came from to prove it
)

// Tokens are what a client holds, and passes on. Its methods may be called from any goroutine.
type Tokens struct {
	client *client.Client

	mu    sync.Mutex
	keys  map[string]crypto.Decrypter // by token
	shown map[showing]origin
	busy  map[jid.JID]int // challenges by the bare address of who is asked, zero for ourselves
}

// showing is that a token was shown to somebody.
type showing struct {
	token string
	to    jid.JID // bare
}

type origin struct {
	from  jid.JID // of another's token: who has shown it to us. Zero: it is our own
	until time.Time
}

// New makes a client answer those who want a token proven. A client has one Tokens; make it before the client connects.
func New(c *client.Client) *Tokens {
	x := &Tokens{client: c, keys: make(map[string]crypto.Decrypter), shown: make(map[showing]origin), busy: make(map[jid.JID]int)}
	c.HandleIQ(stanza.Get, (*provisioning.TokenChallenge)(nil).XMLName(), x.challenged)
	return x
}

// Get gets the token of a certificate from a service, such as things.DOMAIN, and keeps the key, to prove the token by. The certificate
// need not be signed by anybody; its key must be one of RSA, of 2048 to 4096 bits, that decrypts (crypto.Decrypter). The same
// certificate has the same token until that ends, or is taken back: then Get gets another.
func (x *Tokens) Get(ctx context.Context, service jid.JID, certificate tls.Certificate) (string, error) {
	key, ok := certificate.PrivateKey.(crypto.Decrypter)
	if !ok || len(certificate.Certificate) == 0 {
		return "", errors.New("tokens: that certificate has no key that decrypts")
	}
	token, err := x.get(ctx, service, certificate.Certificate[0], key)
	var refused *stanza.Error
	if errors.As(err, &refused) && refused.Condition == stanza.ItemNotFound { // the service has begun anew between its question and our answer
		token, err = x.get(ctx, service, certificate.Certificate[0], key)
	}
	if err != nil {
		return "", fmt.Errorf("tokens: none from %s: %w", service, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keys[token] = key
	return token, nil
}

func (x *Tokens) get(ctx context.Context, service jid.JID, certificate []byte, key crypto.Decrypter) (string, error) {
	var challenge provisioning.GetTokenChallenge
	if err := x.client.Ask(ctx, service, &provisioning.GetToken{Certificate: certificate}, &challenge); err != nil {
		return "", err
	}
	secret, err := provisioning.Prove(key, challenge.Challenge)
	if err != nil {
		return "", err
	}
	var given provisioning.GetTokenResponse
	err = x.client.Ask(ctx, service, &provisioning.GetTokenChallengeResponse{Seq: challenge.Seq, Response: secret}, &given)
	return given.Token, err
}

// Show says that a token of Get's is about to be sent to somebody, who may have it proven for a minute. It is called before each
// request that bears the token.
func (x *Tokens) Show(token string, to jid.JID) { x.note(token, to, jid.JID{}) }

// Pass says that a token that has come from somebody, full address, is about to be sent on: what is asked about it by whom it is
// sent to is passed to whom it came from.
func (x *Tokens) Pass(token string, from, to jid.JID) { x.note(token, to, from) }

func (x *Tokens) note(token string, to, from jid.JID) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	key := showing{token, to.Bare()}
	if _, again := x.shown[key]; again || x.makeRoom(from, now) {
		x.shown[key] = origin{from, now.Add(provisioning.ChallengeTime)}
	}
}

// makeRoom reports whether one more showing is remembered. Others, who may show us any number of what are no tokens, take no room from our
// own, nor from who comes after them. The caller holds mu.
func (x *Tokens) makeRoom(from jid.JID, now time.Time) bool {
	var oldest showing
	passed := 0
	for s, o := range x.shown {
		switch {
		case !now.Before(o.until):
			delete(x.shown, s)
		case !o.from.IsZero():
			if passed++; passed == 1 || o.until.Before(x.shown[oldest].until) {
				oldest = s
			}
		}
	}
	if from.IsZero() {
		return len(x.shown)-passed < maxShown
	}
	if passed >= maxPassed {
		delete(x.shown, oldest)
	}
	return true
}

// challenged proves a token to whom it was shown, and to nobody else. XEP-0324 §3.1.3
func (x *Tokens) challenged(_ context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var ask provisioning.TokenChallenge
	if _, err := s.Decode(&ask); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	of, ok := x.shown[showing{ask.Token, s.From.Bare()}]
	key := x.keys[ask.Token]
	switch {
	case !ok, !time.Now().Before(of.until), of.from.IsZero() && key == nil:
		e := stanza.Forbidden.Err("that token was not sent to you just now")
		e.Type = stanza.Cancel
		return nil, e
	}
	by := of.from.Bare()
	if x.isBusy(by) {
		return nil, stanza.ResourceConstraint.Err("")
	}
	x.busy[by]++
	go func() {
		p, err := x.prove(&ask, of.from, key)
		x.mu.Lock()
		if x.busy[by]--; x.busy[by] == 0 {
			delete(x.busy, by)
		}
		x.mu.Unlock()
		if err != nil {
			x.client.Answer(s, nil, err)
			return
		}
		x.client.Answer(s, p, nil)
	}()
	return nil, client.ErrLater
}

// isBusy reports whether somebody, or for the zero JID we, have as much to prove as may be. The caller holds mu.
func (x *Tokens) isBusy(by jid.JID) bool {
	others := len(x.busy)
	if x.busy[jid.JID{}] > 0 {
		others--
	}
	return x.busy[by] >= maxAtOnce || !by.IsZero() && x.busy[by] == 0 && others >= maxOthers
}

// prove answers a challenge by the key, or by whoever a token has come from.
func (x *Tokens) prove(ask *provisioning.TokenChallenge, from jid.JID, key crypto.Decrypter) (*provisioning.TokenChallengeResponse, error) {
	answer := new(provisioning.TokenChallengeResponse)
	if from.IsZero() {
		secret, err := provisioning.Prove(key, ask.Challenge)
		if err != nil {
			return nil, stanza.BadRequest.Err("that is not encrypted for this key")
		}
		answer.Response = secret
		return answer, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), passTime) // the client's end ends it as well
	defer cancel()
	err := x.client.Ask(ctx, from, ask, answer)
	var refused *stanza.Error
	if err != nil && !errors.As(err, &refused) {
		err = stanza.RemoteServerTimeout.Err("whoever has shown it does not answer")
	}
	return answer, err
}
