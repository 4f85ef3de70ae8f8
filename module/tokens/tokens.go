// SPDX-License-Identifier: Apache-2.0

// Package tokens lets things, and people, make accounts for themselves by a token that the operator gives
// to whoever makes or installs them: so many times, until some day, and with the groups and tags of
// those that come by it.
//
// XEP-0445 (partial, 0.2.0): tokens are made by the operator on the server's machine; none reserves a user name
package tokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/preauth"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Config is the key modules.tokens.
type Config struct {
	// FailuresPerMinute is how many tokens that are not valid one address (IPv6: network of 64 bits) may
	// show in a minute; more are not looked at, and refused with resource-constraint.
	FailuresPerMinute int `yaml:"failures_per_minute" default:"60" live:"yes"`
}

// Options are what the module takes from other keys.
type Options struct {
	On        bool // registration is not closed
	Plaintext bool // tokens may be shown without TLS, in test beds
}

// Things registers accounts as things. Module registry does.
type Things interface {
	// Adopt registers a thing in one commit with ops, which come first and make its account. It may wait.
	Adopt(ctx context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error)
}

// Module is registration by token.
type Module struct {
	config  atomic.Pointer[Config]
	options atomic.Pointer[Options]
	store   store.Store
	things  Things
	shown   metrics.CounterVec

	mu     sync.Mutex
	minute int64
	failed map[netip.Prefix]int
}

// New makes the module. things may be nil: then nothing is registered as a thing.
func New(c Config, o Options, things Things) *Module {
	m := &Module{things: things}
	m.config.Store(&c)
	m.options.Store(&o)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "tokens" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	m.config.Store(next.(*Module).config.Load())
	m.options.Store(next.(*Module).options.Load())
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.store = h.Store
	m.shown = h.Metrics.CounterVec("stonechat_tokens_shown_total",
		"Tokens shown before registration: valid, refused (unknown, used up, expired, of another domain), limited (modules.tokens.failures_per_minute).", "result")
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Set, Name: (*preauth.Preauth)(nil).XMLName(), Blocking: true, BeforeLogin: true, Do: m.show})
	h.Features = m.feature
	return nil
}

// feature announces what show takes. XEP-0445 §3
func (m *Module) feature(dst []byte, st server.Stream) []byte {
	o := m.options.Load()
	if o.On && (st.State() == stream.Secured || o.Plaintext && st.State() == stream.Negotiating) {
		return append(dst, "<register xmlns='"+preauth.NSFeature+"'/>"...)
	}
	return dst
}

// refused is the answer to whatever token does not do: it tells nobody which he has guessed. XEP-0445 §4
func refused() error { return stanza.ItemNotFound.Err("the token is not valid here, or not any more") }

// show looks at a token, and notes it for the registration that follows.
func (m *Module) show(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var got preauth.Preauth
	if _, err := q.Decode(&got); err != nil {
		return nil, err
	}
	switch {
	case q.LoggedIn():
		return nil, stanza.UnexpectedRequest.Err("you have an account")
	case !m.options.Load().On:
		return nil, stanza.NotAllowed.Err("accounts on this server are made by its operator")
	case !m.mayTry(q.Address, t.Now):
		m.shown.WithLabelValues("limited").Inc()
		return nil, stanza.ResourceConstraint.Err("too many tokens from your address were not valid, try again in a minute")
	}
	x, err := m.store.Token(context.Background(), digest(got.Token))
	if err == nil && x.Domain != q.To.Domain() {
		err = store.ErrNotFound
	}
	if err == nil {
		err = x.Spent(t.Now)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		m.shown.WithLabelValues("refused").Inc()
		m.count(q.Address, t.Now)
		return nil, refused()
	case err != nil:
		return nil, err
	}
	m.shown.WithLabelValues("valid").Inc()
	q.Notes.Store(m, &x)
	return nil, nil
}

// Invited reports whether the peer that asks has shown a token.
func (m *Module) Invited(q *server.Query) bool {
	_, ok := m.noted(q)
	return ok
}

func (m *Module) noted(q *server.Query) (*store.Token, bool) {
	if q.Notes == nil || !m.options.Load().On {
		return nil, false
	}
	x, _ := q.Notes.Load(m)
	token, ok := x.(*store.Token)
	return token, ok
}

// Commit returns what commits the operation that makes the account of a peer that has shown a token: with one use of
// that, and with what a thing is given. The error of what it returns is or wraps store.ErrNotFound where the token does not
// do any more. What has expired since it was shown still does. XEP-0445 §4
func (m *Module) Commit(q *server.Query, account jid.JID) func(context.Context, store.Op) (*store.Pending, error) {
	token, ok := m.noted(q)
	if !ok {
		return nil
	}
	return func(ctx context.Context, create store.Op) (*store.Pending, error) {
		use := store.UseToken{Digest: token.Digest, Domain: token.Domain}
		if !token.Thing || m.things == nil {
			return m.store.Commit(create, use), nil
		}
		x := store.Thing{ThingName: store.ThingName{JID: account}, Groups: slices.Clone(token.Groups), Tags: slices.Clone(token.Tags)}
		return m.things.Adopt(ctx, x, create, use)
	}
}

// mayTry reports whether an address may show one more.
func (m *Module) mayTry(address string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Unix()/60 != m.minute || m.failed[prefix(address)] < m.config.Load().FailuresPerMinute
}

// count counts a token that was not valid.
func (m *Module) count(address string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := now.Unix() / 60; at != m.minute || len(m.failed) > maxTracked {
		m.minute, m.failed = at, make(map[netip.Prefix]int)
	}
	m.failed[prefix(address)]++
}

// maxTracked bounds the table of addresses.
const maxTracked = 100_000

// prefix is what counts as one address; those that cannot be read are one together.
func prefix(address string) netip.Prefix {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	from, bits := a.Addr().Unmap(), 64
	if from.Is4() {
		bits = 32
	}
	p, _ := from.Prefix(bits)
	return p
}

// digest is by what the store knows a token.
func digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
