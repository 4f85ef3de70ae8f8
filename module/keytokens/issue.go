// SPDX-License-Identifier: Apache-2.0

package keytokens

// How to read this file: offer is the answer to who shows a certificate, a challenge; give to who has met it, a token.

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"math"
	"time"
	"unicode"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// offer is a token that is given to who answers the challenge.
type offer struct {
	from   jid.JID // full: who has asked
	by     asker
	secret []byte
	token  store.KeyToken // without text and account
	until  time.Time
}

func (m *Module) answer() {
	// Type get, though it makes something: XEP-0324 §3.1.3.
	m.service.Handle(server.IQHandler{Type: stanza.Get, Name: (*provisioning.GetToken)(nil).XMLName(), Blocking: true, Do: m.getToken})
	m.service.Handle(server.IQHandler{Type: stanza.Get, Name: (*provisioning.GetTokenChallengeResponse)(nil).XMLName(), Blocking: true, Do: m.getTokenChallengeResponse})
}

// getToken challenges whoever shows a certificate. XEP-0324 §3.1.3
func (m *Module) getToken(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.GetToken
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if !m.server.Serves(q.From.Domain()) || q.From.IsDomain() || !q.From.IsFull() || m.guest(q.From) {
		return nil, stanza.NotAllowed.Err("tokens are given to accounts of this server")
	}
	certificate, key, err := provisioning.KeyOf(ask.Certificate)
	if errors.Is(err, provisioning.ErrKey) {
		return nil, stanza.NotAcceptable.Err("the key must be one of RSA, of 2048 to 4096 bits")
	}
	if err != nil {
		return nil, stanza.BadRequest.Err("that is no certificate")
	}
	expires := t.Now.Add(time.Duration(m.config.Load().Expire))
	if certificate.NotAfter.Before(expires) {
		expires = certificate.NotAfter
	}
	if t.Now.Before(certificate.NotBefore) || !t.Now.Before(expires) {
		return nil, stanza.NotAcceptable.Err("the certificate is not valid now")
	}
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, stanza.BadRequest.Err("that key cannot be kept")
	}
	secret, challenge, err := provisioning.NewChallenge(key)
	if err != nil {
		return nil, stanza.BadRequest.Err("nothing can be encrypted for that key")
	}
	o := &offer{from: q.From.Clone(), by: m.asker(q.From), secret: secret, until: t.Now.Add(offerTime)}
	o.token = store.KeyToken{Key: public, Name: printable(certificate.Subject.CommonName), Created: t.Now, Expires: expires}
	seq, ok := m.put(o, t.Now)
	if !ok {
		return nil, stanza.ResourceConstraint.Err("answer what you were asked before")
	}
	return &provisioning.GetTokenChallenge{Seq: seq, Challenge: challenge}, nil
}

// put keeps an offer, and gives it its number.
func (m *Module) put(o *offer, now time.Time) (seq int32, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, x := range m.offers { // those of his that are over make room
		if x.by == o.by && !now.Before(x.until) {
			delete(m.offers, n)
			m.answered(x.by)
		}
	}
	if !m.challenging(o.by) {
		return 0, false
	}
	for taken := true; taken; _, taken = m.offers[m.last] {
		m.last = m.last%math.MaxInt32 + 1
	}
	m.offers[m.last] = o
	return m.last, true
}

// take takes the offer of that number to that address: whatever it answers, it answers once.
func (m *Module) take(from jid.JID, seq int32, now time.Time) *offer {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.offers[seq]
	if o == nil || o.from != from {
		return nil
	}
	delete(m.offers, seq)
	m.answered(o.by)
	if !now.Before(o.until) {
		m.metrics.challenges.WithLabelValues("silent").Inc()
		return nil
	}
	return o
}

// getTokenChallengeResponse gives the token to who has proven that he has the key. XEP-0324 §3.1.3
func (m *Module) getTokenChallengeResponse(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.GetTokenChallengeResponse
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	o := m.take(q.From, ask.Seq, t.Now)
	if o == nil {
		return nil, stanza.ItemNotFound.Err("there is no challenge of that number")
	}
	if subtle.ConstantTimeCompare(o.secret, ask.Response) != 1 {
		m.metrics.challenges.WithLabelValues("wrong").Inc()
		return nil, stanza.BadRequest.Err("that is not what was encrypted")
	}
	m.metrics.challenges.WithLabelValues("proven").Inc()
	token, err := m.give(context.Background(), q.From.Bare(), o.token)
	if err != nil {
		return nil, err
	}
	return &provisioning.GetTokenResponse{Token: token}, nil
}

// give gives an account the token x, under the text that it has already, and returns that when it is kept.
func (m *Module) give(ctx context.Context, account jid.JID, x store.KeyToken) (string, error) {
	m.giving.Lock()
	defer m.giving.Unlock()
	list, err := m.store.AccountKeyTokens(ctx, account)
	if err != nil {
		return "", err
	}
	x.Account, x.Token = account, rand.Text()
	for _, old := range list {
		if string(old.Key) == string(x.Key) && old.Expires.After(x.Created) {
			x.Token = old.Token
		}
	}
	err = m.store.Commit(store.SetKeyToken{Token: x, Most: max(m.config.Load().PerAccount, 1)}).Wait(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound): // gone meanwhile
		return "", stanza.NotAllowed.Err("tokens are given to accounts of this server")
	case errors.Is(err, store.ErrTooLarge):
		m.metrics.full.Inc()
		return "", stanza.ResourceConstraint.Err("you have as many tokens as you may: take one back")
	case err != nil:
		return "", err
	}
	m.metrics.given.Inc()
	return x.Token, nil
}

// printable is the name in a certificate, as it may stand in a line.
func printable(s string) string {
	var out []rune
	for _, r := range s {
		if len(out) == 60 {
			return string(out) + "…"
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
