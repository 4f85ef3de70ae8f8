// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: tokens that came with what somebody wants count where a rule of the thing's owner names them (named) and he
// may use them (vouch); challenge finds that out where it is not known. A token gives what its rules allow; it takes nothing, since who
// shows none has none. XEP-0324 §3.1.3, §3.1.5

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Tokens is what this module needs of module keytokens: see there.
type Tokens interface {
	About(ctx context.Context, token string) (account jid.JID, name string, err error)
	Held(ctx context.Context, token string, who, thing jid.JID) (held bool, prove func(t *server.Turn, shower, as jid.JID, f func(*server.Turn)), err error)
	Admits(t *server.Turn, u *server.User, s *stanza.Stanza) bool
}

// proof finds out whether a token counts. It does not wait: see Tokens.Held.
type proof = func(t *server.Turn, shower, as jid.JID, f func(*server.Turn))

// Naming sets, before Init, who knows tokens. Without, no rule names one, and none counts.
func (m *Module) Naming(t Tokens) { m.tokens = t }

// tokensOf are the tokens of all kinds: which kind one was called makes no difference to the key that it is the name of.
func tokensOf(t provisioning.Tokens) []string {
	if t == (provisioning.Tokens{}) {
		return nil
	}
	return strings.Fields(t.Service + " " + t.Device + " " + t.User)
}

// named are the tokens shown by which rules allow something of the kind that is wanted.
func (m *Module) named(st *standing, w *want) (list []string) {
	if len(w.tokens) == 0 || m.tokens == nil || st.person {
		return nil
	}
	for i := range st.rules {
		r := &st.rules[i]
		if r.Subject.Kind != store.SubjectToken || !r.Right.Covers(w.right) || !r.Allow || slices.Contains(list, r.Subject.Name) {
			continue
		}
		if slices.Contains(w.tokens, r.Subject.Name) && len(list) < m.config.Load().Tokens {
			list = append(list, r.Subject.Name)
		}
	}
	return list
}

// looked is a token that was looked up: whether it counts, and how that may be found out.
type looked struct {
	token string
	held  bool
	prove proof
}

// lookUp looks tokens up that somebody shows a thing.
func (m *Module) lookUp(ctx context.Context, tokens []string, who, thing jid.JID) ([]looked, error) {
	list := make([]looked, len(tokens))
	for i, token := range tokens {
		held, prove, err := m.tokens.Held(ctx, token, who, thing)
		if err != nil {
			return nil, err
		}
		list[i] = looked{token, held, prove}
	}
	return list, nil
}

// vouch has those tokens that count for the caller be his in st, and returns the proofs of those about which he would have to be asked.
// It waits no longer than modules.consent.read_within.
func (m *Module) vouch(ctx context.Context, thing jid.JID, st *standing, w *want) (open []proof, err error) {
	tokens := m.named(st, w)
	if len(tokens) == 0 {
		return nil, nil
	}
	list, err := readWithin(ctx, m, thing, func(ctx context.Context) ([]looked, error) { return m.lookUp(ctx, tokens, st.caller, thing) })
	return vouched(st, w, list), err
}

// vouched is vouch where they were looked up.
func vouched(st *standing, w *want, list []looked) (open []proof) {
	for _, x := range list {
		switch {
		case x.held:
			st.tokens = append(st.tokens, x.token)
		case x.prove != nil:
			open = append(open, x.prove)
		}
		w.unproven = w.unproven || !x.held
	}
	return open
}

// challenge has each of the tokens proven by from, where they came from, which sent them to that address; and calls f once when that is
// over. f must not wait.
func challenge(t *server.Turn, open []proof, from, to jid.JID, f func(*server.Turn)) {
	left := &count{n: len(open)}
	for _, prove := range open {
		prove(t, from, to, func(t *server.Turn) {
			if left.down() {
				f(t)
			}
		})
	}
}

// prove holds s, a request to a thing, until its sender has proven that he may use the tokens, or has not; then it is decided about as
// if it came now. He is asked in the thing's name: he proves a token to that alone to which he has sent it (XEP-0324 §6.2).
func (m *Module) prove(t *server.Turn, s *stanza.Stanza, open []proof) {
	s = s.Retain()
	challenge(t, open, s.From, s.To, func(t *server.Turn) {
		m.proven.Set(t, s)
		t.Route(s)
		m.proven.Set(t, nil)
	})
}

// checkToken refuses rules for tokens that say what such cannot. An owner allows by a token what he would allow by an address; what he
// forbids by one, its holder would have by not showing it.
func (m *Module) checkToken(ctx context.Context, r *store.Rule) error {
	if r.Subject.Kind != store.SubjectToken {
		return nil
	}
	switch {
	case m.tokens == nil:
		return stanza.FeatureNotImplemented.Err("there are no tokens here")
	case !r.Allow:
		return stanza.BadRequest.Err("nothing can be forbidden by a token: whoever has it would not show it")
	case r.Right == store.RightFriend:
		return stanza.BadRequest.Err("nobody shows a token with his wish to see a thing: allow his address")
	}
	_, _, err := m.tokens.About(ctx, r.Subject.Name)
	if errors.Is(err, store.ErrNotFound) {
		return stanza.ItemNotFound.Err("there is no token " + printable(r.Subject.Name))
	}
	return err
}

// holder is whom a rule for a token is for, in words.
func (m *Module) holder(ctx context.Context, token string) string {
	text := "Whoever has the key of token " + printable(token)
	if m.tokens == nil {
		return text
	}
	account, name, err := m.tokens.About(ctx, token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return text + ", which there is no more,"
	case err != nil:
		return text
	case name != "":
		return text + " (" + printable(name) + " of " + account.String() + ")"
	}
	return text + " (of " + account.String() + ")"
}
