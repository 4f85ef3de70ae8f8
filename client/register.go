// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/preauth"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ErrNoRegistration: the server lets nobody make an account so: neither by a token, if there is one, nor without.
var ErrNoRegistration = errors.New("client: the server offers no registration")

// Register makes config's account, with config's password, at its server (XEP-0077): by a token that somebody has given for that (XEP-0445),
// or with "" where the server lets anybody. It returns when the account is there.
//
// What the server refuses is a *stanza.Error: item-not-found for a token that is not valid or not any more, conflict where
// there is such an account. A program that calls Register again, because it does not know what became of the last call, takes
// conflict for success, and finds out by logging in.
func Register(ctx context.Context, config Config, token string) error {
	if config.Password == "" {
		return fmt.Errorf("client: there is no password to register %s with", config.Account)
	}
	c, err := New(config)
	if err != nil {
		return err
	}
	c.newcomer = &newcomer{token: token}
	l, err := c.attempt(ctx)
	if err != nil {
		return err
	}
	_ = l.Net.SetDeadline(time.Now().Add(link.LastTime))
	l.machine.Close(nil, time.Now())
	_ = l.Send(l.machine.Out()) // the account is there, however this ends
	return l.Net.Close()
}

// newcomer is a client that has no account yet.
type newcomer struct{ token string }

// offers are what features say of registration.
func offers(e *xmlstream.Element) (open, byToken bool) {
	r := xmlstream.NewReader(e.Raw, stream.NS)
	for n := range r.Children() {
		open = open || n == xmlstream.Name{Space: register.NSFeature, Local: "register"}
		byToken = byToken || n == xmlstream.Name{Space: preauth.NSFeature, Local: "register"}
	}
	return open, byToken
}

// register makes the account, before any login. features are what the server offers.
func (l *session) register(features *xmlstream.Element) error {
	config, token := &l.c.config, l.c.newcomer.token
	switch open, byToken := offers(features); {
	case token != "" && !byToken, token == "" && !open:
		return ErrNoRegistration
	case token != "":
		if err := l.ask(&preauth.Preauth{Token: token}); err != nil {
			return fmt.Errorf("showing the token: %w", err)
		}
	}
	err := l.ask(&register.Query{Fields: []register.Field{
		{Name: register.Username, Value: config.Account.Local()}, {Name: register.Password, Value: config.Password},
	}})
	if err != nil {
		return fmt.Errorf("registering %s: %w", config.Account.Bare(), err)
	}
	return nil
}

// ask sends a request of type set, before login, and waits for its answer. XEP-0077 §3.1
func (l *session) ask(p stanza.Payload) error {
	s := stanza.New(stanza.IQ, stanza.Set, l.c.config.Account.Host())
	s.ID = []byte(rand.Text())
	s.Add(p)
	if err := l.Send(s.Append(nil, "")); err != nil {
		return err
	}
	for {
		e, err := l.nextElement()
		if err != nil {
			return err
		}
		answer := new(stanza.Stanza)
		if err := answer.FromElement(e, new(jid.Cache)); err != nil || answer.Kind != stanza.IQ || string(answer.ID) != string(s.ID) || answer.Type.IsRequest() {
			continue // nothing that we asked for
		}
		if answer.Type == stanza.TypeError {
			return answer.Refusal()
		}
		return nil
	}
}
