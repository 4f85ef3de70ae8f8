// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"log/slog"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Module is one capability of the server: a folder under module/ and a line in wire.go.
type Module interface {
	// Name is the folder's name, and the key in configuration, logs and metrics.
	Name() string
	// Init attaches hooks, handlers and features. It does no I/O and starts nothing.
	Init(*Host) error
}

// Opener is a Module that must know something of the store before anything is handled. New calls
// Open, which may wait, when all modules have attached themselves.
type Opener interface {
	Open(ctx context.Context) error
}

// Runner is a Module with work of its own. Run is called once the server is up and returns when
// ctx ends.
type Runner interface {
	Run(ctx context.Context) error
}

// Reloader is a Module whose configuration can change while it runs: Reload takes that of next, a
// module of the same kind that was made of the new one and is never started. It may be called from
// any goroutine, and must not wait.
type Reloader interface {
	Reload(next Module)
}

// Host is the server as one module sees it. Everything on it is for Init only, except Server,
// Store and Log.
type Host struct {
	*Hooks
	Server  *Server
	Store   store.Store
	Log     *slog.Logger // with module=NAME
	Metrics *metrics.Registry

	name     string
	features []feature
}

type feature struct {
	at Where
	ns string
}

// Where is what an IQ without full address is addressed to.
type Where uint8

// The places where the server itself answers IQs.
const (
	AtHost    Where = 1 << iota // a domain we serve
	AtAccount                   // an account of ours, or no address at all: the sender's account
)

// Feature makes disco#info of those places list ns (XEP-0030).
func (h *Host) Feature(at Where, ns string) { h.features = append(h.features, feature{at, ns}) }

// IQ registers who answers one request. Two handlers of one request are a mistake that New reports.
func (h *Host) IQ(r IQHandler) {
	r.module = h.name
	h.Server.iqs.add(r)
}

// Element registers who handles an element that is no stanza, by its qualified name: stream
// management, client state. do runs on the stream's driver and must not wait. se is nil on a
// stream that has no session yet. A returned *stream.Error ends the stream.
func (h *Host) Element(name xmlstream.Name, do ElementHandler) {
	h.Server.elements[name] = do
}

// ElementHandler is what Host.Element registers; e is borrowed.
type ElementHandler func(t *Turn, st Stream, se *Session, e *xmlstream.Element) error

// IQHandler answers one kind of request.
type IQHandler struct {
	At   Where
	Type stanza.Type // Get or Set
	Name xmlstream.Name
	// Others admits requests to an account from anybody but the account itself. Without it
	// they are answered service-unavailable, as if nobody lived there (RFC 6121 §8.5.1.3 and 13.4).
	Others bool
	// Admit, unless nil, admits requests by others without Others, by returning nil; its error refuses
	// one. It must not wait, nor tell whether there is such an account.
	Admit func(s *stanza.Stanza) error
	// Blocking says that Do may wait for the store: it runs on a worker while the session that
	// asked pauses.
	Blocking bool
	// Before also answers requests from streams that have not logged in (XEP-0077 only).
	BeforeLogin bool
	// Do returns the payload of the answer (nil: empty), a *stanza.Error, or what Query.After
	// returned. q is borrowed unless Blocking.
	Do func(t *Turn, q *Query) (stanza.Payload, error)
	// Quick is asked before a worker is, where a Desk has a Blocking handler: it answers as Do does, without waiting
	// for anything, q borrowed; or returns ErrWaits, having done nothing, for Do to answer.
	Quick func(t *Turn, q *Query) (stanza.Payload, error)

	module string // that registered it
}

// UserSlot gives a module one value per online account, SessionSlot one per session. The value
// is the module's to guard. Slots are made in Init.
type (
	UserSlot[T any]    struct{ i int }
	SessionSlot[T any] struct{ i int }
)

// admit asks whether somebody else may ask an account.
func (h *IQHandler) admit(s *stanza.Stanza) error {
	if h.Admit == nil {
		return stanza.ServiceUnavailable.Err("")
	}
	return h.Admit(s)
}

// NewUserSlot makes a slot.
func NewUserSlot[T any](h *Host) UserSlot[T] {
	h.Server.userSlots++
	return UserSlot[T]{h.Server.userSlots - 1}
}

// NewSessionSlot makes a slot.
func NewSessionSlot[T any](h *Host) SessionSlot[T] {
	h.Server.sessionSlots++
	return SessionSlot[T]{h.Server.sessionSlots - 1}
}

// Of returns the module's value for u, nil where none was set.
func (s UserSlot[T]) Of(u *User) *T {
	v, _ := u.slots[s.i].Load().(*T)
	return v
}

// Set sets it.
func (s UserSlot[T]) Set(u *User, v *T) { u.slots[s.i].Store(v) }

// SetOnce sets it unless one is set, and returns the one that is.
func (s SessionSlot[T]) SetOnce(se *Session, v *T) *T {
	if se.slots[s.i].CompareAndSwap(nil, v) {
		return v
	}
	return s.Of(se)
}

// SetOnce sets it unless one is set, and returns the one that is.
func (s UserSlot[T]) SetOnce(u *User, v *T) *T {
	if u.slots[s.i].CompareAndSwap(nil, v) {
		return v
	}
	return s.Of(u)
}

// Of returns the module's value for se, nil where none was set.
func (s SessionSlot[T]) Of(se *Session) *T {
	v, _ := se.slots[s.i].Load().(*T)
	return v
}

// Set sets it.
func (s SessionSlot[T]) Set(se *Session, v *T) { se.slots[s.i].Store(v) }
