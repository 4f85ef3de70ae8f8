// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: tokens that came with what somebody wants count where a rule of the thing's owner names them (named) and he
// may use them (vouch); prove finds that out where it is not known. A token gives what its rules allow; it takes nothing, since who
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
	Held(ctx context.Context, token string, who, thing jid.JID) (held, open bool, err error)
	Admits(t *server.Turn, u *server.User, s *stanza.Stanza) bool
	Challenge(token string, who, thing jid.JID) func(t *server.Turn, shower, as jid.JID, f func(*server.Turn))
}

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

// vouch has those tokens that count for the caller be his in st, and returns those about which he would have to be asked. It may wait.
func (m *Module) vouch(ctx context.Context, thing jid.JID, st *standing, w *want) (open []string, err error) {
	for _, token := range m.named(st, w) {
		held, unproven, err := m.tokens.Held(ctx, token, st.caller, thing)
		switch {
		case err != nil:
			m.metrics.failed.Inc()
			m.log.Error("a token was not looked up, and what was wanted of a thing is refused", "jid", thing.String(), "err", err)
			return nil, unread()
		case held:
			st.tokens = append(st.tokens, token)
		case unproven:
			open = append(open, token)
		}
		w.unproven = w.unproven || !held
	}
	return open, nil
}

// showing is that somebody shows tokens.
type showing struct {
	tokens        []string
	caller, thing jid.JID // bare: for whom they are to count, and where
	from, to      jid.JID // full: where they came from, and the address that they were sent to
}

// challenge has each of the tokens proven, and calls f once when that is over. f must not wait.
func (m *Module) challenge(t *server.Turn, s showing, f func(*server.Turn)) {
	left := &count{n: len(s.tokens)}
	for _, token := range s.tokens {
		m.tokens.Challenge(token, s.caller, s.thing)(t, s.from, s.to, func(t *server.Turn) {
			if left.down() {
				f(t)
			}
		})
	}
}

// prove holds s, a request to a thing, until its sender has proven that he may use the tokens, or has not; then it is decided about as
// if it came now. He is asked in the thing's name: he proves a token to that alone to which he has sent it (XEP-0324 §6.2).
func (m *Module) prove(t *server.Turn, s *stanza.Stanza, tokens []string) {
	s = s.Retain()
	m.challenge(t, showing{tokens, s.From.Bare(), s.To.Bare(), s.From, s.To}, func(t *server.Turn) {
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
