// SPDX-License-Identifier: Apache-2.0

package keytokens

// How to read this file: Held says whether a token counts for somebody at a thing, by what is known, and how to find out. A challenge
// goes to whoever has shown the token, who answers it himself or asks the one that he has it from.

import (
	"context"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// proof is what somebody has proven: that he may act for the token's key, at that thing.
type proof struct {
	token      string
	who, thing jid.JID // bare
}

// About is to whom a token was given, and what its certificate calls him; store.ErrNotFound where there is none that counts. It may
// wait for the store.
func (m *Module) About(ctx context.Context, token string) (account jid.JID, name string, err error) {
	x, err := m.find(ctx, token)
	return x.Account, x.Name, err
}

// find is a token that counts.
func (m *Module) find(ctx context.Context, token string) (store.KeyToken, error) {
	if len(token) > store.MaxKeyToken {
		return store.KeyToken{}, store.ErrNotFound
	}
	x, err := m.store.KeyToken(ctx, token)
	if err == nil && !time.Now().Before(x.Expires) {
		err = store.ErrNotFound
	}
	return x, err
}

// Held reports whether a token counts for who, the bare address of whoever has shown it, at a thing: it was given to him, or he has
// proven just now that he acts for its key there. Where it does not, and it may be found out, prove does that: it asks shower, the full
// address that the token came from; as is the address that the token was sent to. f is called once, in some turn, when Held knows more,
// or nothing more will come; it must not wait. Held may wait for the store, prove does not.
func (m *Module) Held(ctx context.Context, token string, who, thing jid.JID) (held bool, prove func(t *server.Turn, shower, as jid.JID, f func(*server.Turn)), err error) {
	x, err := m.find(ctx, token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil, nil
	case err != nil:
		return false, nil, fmt.Errorf("keytokens: a token that %s has shown: %w", who, err)
	case x.Account == who:
		return true, nil, nil
	}
	of := proof{token, who.Clone(), thing.Clone()}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.proofs[of]) {
		return true, nil, nil
	}
	if now.Before(m.failed[of]) {
		return false, nil, nil
	}
	return false, func(t *server.Turn, shower, as jid.JID, f func(*server.Turn)) {
		m.challenge(t, of, x.Key, shower, as, f)
	}, nil
}

// challenge asks for a proof by the public key der.
func (m *Module) challenge(t *server.Turn, of proof, der []byte, shower, as jid.JID, f func(*server.Turn)) {
	key, err := parse(der)
	var secret, challenge []byte
	if err == nil {
		secret, challenge, err = provisioning.NewChallenge(key)
	}
	if err != nil {
		m.log.Error("a token that was shown cannot be proven", "from", shower.String(), "err", err)
		f(t)
		return
	}
	by := m.asker(shower)
	m.mu.Lock()
	ok := m.challenging(by)
	m.mu.Unlock()
	if !ok {
		f(t)
		return
	}
	iq := stanza.New(stanza.IQ, stanza.Get, shower.Clone(), &provisioning.TokenChallenge{Token: of.token, Challenge: challenge})
	iq.From = as.Clone()
	m.server.Ask(t, iq, time.Duration(m.config.Load().Wait), func(t *server.Turn, answer *stanza.Stanza) {
		result := judge(answer, secret)
		m.metrics.challenges.WithLabelValues(result).Inc()
		m.mu.Lock()
		m.answered(by)
		m.remember(of, result == "proven")
		m.mu.Unlock()
		f(t)
	})
}

func parse(der []byte) (*rsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(der)
	if key, ok := k.(*rsa.PublicKey); ok {
		return key, nil
	}
	return nil, errors.Join(err, store.ErrCorrupt)
}

// judge is how a challenge has ended.
func judge(answer *stanza.Stanza, secret []byte) string {
	var said provisioning.TokenChallengeResponse
	switch {
	case answer == nil:
		return "silent"
	case answer.Type != stanza.Result:
		return "refused"
	}
	if found, err := answer.Decode(&said); err != nil || !found || subtle.ConstantTimeCompare(said.Response, secret) != 1 {
		return "wrong"
	}
	return "proven"
}

// remember lets a proof count, if there is room for it, or has nobody asked again for one that has failed: what the guard has asked for
// the thing, which has had the request without it, does not ask for once more. The caller holds mu.
func (m *Module) remember(p proof, proven bool) {
	c, now := m.config.Load(), time.Now()
	list, d := m.failed, c.Wait
	if proven {
		list, d = m.proofs, c.Proof
		delete(m.failed, p)
	}
	if len(list) >= c.Proofs {
		past(list, now)
	}
	if len(list) >= c.Proofs {
		if proven {
			m.metrics.full.Inc()
		}
		return
	}
	list[p] = now.Add(time.Duration(d))
}
