// SPDX-License-Identifier: Apache-2.0

// Package register lets people make an account with their client, where the operator allows it,
// and change its password or remove it.
//
// XEP-0077 (complete, 2.4)
package register

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Config says who may register.
type Config struct {
	// Open lets anybody make an account; otherwise only the operator does.
	Open bool
	// PerHour is how many accounts may be made from one address (IPv6: network of 64 bits); 0
	// is no limit.
	PerHour int
	// Plaintext lets passwords be sent without TLS, in test beds.
	Plaintext bool
}

// Invitations let somebody in who may not come otherwise. Module tokens has them.
type Invitations interface {
	// Invited reports whether whoever asks has been let in.
	Invited(q *server.Query) bool
	// Commit returns what commits the operation that makes such an account. The error of that is or wraps
	// store.ErrNotFound where the invitation does not do any more.
	Commit(q *server.Query, account jid.JID) func(context.Context, store.Op) (*store.Pending, error)
}

// Module is in-band registration.
type Module struct {
	config   atomic.Pointer[Config]
	server   *server.Server
	inviting Invitations // nil: nobody is invited

	limited metrics.Counter

	mu   sync.Mutex
	hour int64
	made map[netip.Prefix]int
}

// New makes the module.
func New(c Config) *Module {
	m := new(Module)
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "register" }

// Invite lets in who is invited, also where registration is not open. It is called before the server starts.
func (m *Module) Invite(i Invitations) { m.inviting = i }

func (m *Module) invited(q *server.Query) bool { return m.inviting != nil && m.inviting.Invited(q) }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.limited = h.Metrics.Counter("stonechat_registrations_limited_total", "Accounts not made because too many were from the same address (limits.registrations_per_hour).")
	h.Feature(server.AtHost, register.NS)
	name := (*register.Query)(nil).XMLName()
	at := server.AtHost | server.AtAccount // without an address, clients mean the server
	h.IQ(server.IQHandler{At: at, Type: stanza.Get, Name: name, Blocking: true, BeforeLogin: true, Do: m.ask})
	h.IQ(server.IQHandler{At: at, Type: stanza.Set, Name: name, Blocking: true, BeforeLogin: true, Do: m.submit})
	h.Features = m.feature
	return nil
}

func (m *Module) feature(dst []byte, st server.Stream) []byte {
	c := m.config.Load()
	if c.Open && (st.State() == stream.Secured || c.Plaintext && st.State() == stream.Negotiating) {
		return append(dst, "<register xmlns='"+register.NSFeature+"'/>"...)
	}
	return dst
}

// fields are what it takes to register.
func fields() *register.Query {
	return &register.Query{
		Instructions: "Choose a user name and a password.",
		Fields:       []register.Field{{Name: "username"}, {Name: "password"}},
	}
}

// ask answers what is needed to register (XEP-0077 §3.1).
func (m *Module) ask(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	if !q.LoggedIn() {
		if !m.config.Load().Open && !m.invited(q) {
			return nil, closed()
		}
		return fields(), nil
	}
	answer := fields()
	answer.Registered = true
	answer.Fields[0].Value = q.From.Local()
	return answer, nil
}

func closed() error {
	return stanza.NotAllowed.Err("accounts on this server are made by its operator")
}

// submit makes an account, changes a password or removes an account.
func (m *Module) submit(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var got register.Query
	if _, err := q.Decode(&got); err != nil {
		return nil, err
	}
	switch {
	case q.LoggedIn() && !m.server.Serves(q.From.Domain()):
		return nil, stanza.NotAllowed.Err("accounts are for clients of this server")
	case q.LoggedIn():
		return m.change(q, &got)
	}
	invited := m.invited(q)
	switch {
	case !invited && !m.config.Load().Open:
		return nil, closed()
	case got.Remove:
		return nil, stanza.UnexpectedRequest.Err("log in first")
	}
	if err := fields().Validate(&got); err != nil {
		return nil, err
	}
	account, err := jid.New(got.Answer("username"), q.To.Domain(), "")
	if err != nil || account.IsDomain() {
		return nil, stanza.NotAcceptable.Err("the user name has characters that are not allowed")
	}
	n := server.NewAccount{JID: account, Password: got.Answer("password")}
	if invited { // a factory makes thousands behind one address: the invitation is what bounds them
		n.Commit = m.inviting.Commit(q, account)
	} else if !m.admit(q.Address, time.Now()) {
		m.limited.Inc()
		return nil, stanza.ResourceConstraint.Err("too many accounts were made from your address, try again in an hour")
	}
	switch err := m.server.Create(context.Background(), n); {
	case errors.Is(err, store.ErrExists):
		return nil, stanza.Conflict.Err("the user name is taken")
	case errors.Is(err, store.ErrNotFound):
		return nil, stanza.NotAllowed.Err("the token is not valid any more")
	case errors.Is(err, server.ErrPassword):
		return nil, stanza.NotAcceptable.Err("the password has something in it that is not allowed")
	case err != nil:
		return nil, err
	}
	return nil, nil
}

// change is for those who have an account (XEP-0077 §3.2, §3.3).
func (m *Module) change(q *server.Query, got *register.Query) (stanza.Payload, error) {
	account := q.From.Bare()
	if got.Remove {
		if len(got.Fields) > 0 {
			return nil, stanza.BadRequest.Err("remove stands alone")
		}
		var answered error
		err := m.server.DeleteAccount(context.Background(), account, func(t *server.Turn) {
			answered = q.Answer(t, nil) // ahead of the end of the session that asked
		})
		if err != nil {
			return nil, err
		}
		return nil, answered
	}
	if err := fields().Validate(got); err != nil {
		return nil, err
	}
	name, err := jid.New(got.Answer("username"), account.Domain(), "")
	if err != nil || name != account {
		return nil, stanza.NotAllowed.Err("you can change your own password only")
	}
	if err := m.server.SetPassword(context.Background(), account, got.Answer("password")); err != nil {
		return nil, err
	}
	return nil, nil
}

// admit counts one registration and reports whether its address may have it.
func (m *Module) admit(address string, now time.Time) bool {
	perHour := m.config.Load().PerHour
	if perHour <= 0 {
		return true
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	from, bits := a.Addr().Unmap(), 64
	if from.Is4() {
		bits = 32
	}
	p, _ := from.Prefix(bits)
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := now.Unix() / 3600; h != m.hour || len(m.made) > maxTracked {
		m.hour, m.made = h, make(map[netip.Prefix]int)
	}
	if m.made[p] >= perHour {
		return false
	}
	m.made[p]++
	return true
}

// maxTracked bounds the table of addresses.
const maxTracked = 100_000
