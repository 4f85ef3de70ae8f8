// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Phase says what a hook on a stanza may do. Hooks run by phase, within a phase in the order of
// wire.go.
type Phase uint8

// The phases.
const (
	Guard   Phase = iota // may reject: limits, blocking, authorization
	Rewrite              // may change the stanza: archive ids, filters
	Handle               // may take charge of it, by returning Handled
	Observe              // sees all that was not rejected: carbons, rules, metrics
	phases
)

// String is the phase in words.
func (p Phase) String() string { return [phases]string{"guard", "rewrite", "handle", "observe"}[p] }

// Handled is what a hook of phase Handle returns to say that the stanza is taken care of. No
// further hook of that phase runs; those of Observe do. Of an earlier phase it takes s away: no hook sees it.
//
//lint:ignore ST1012 it is a verdict, as io.EOF is
var Handled = errors.New("server: handled")

// SentHook sees a stanza that a session of ours sent, before it is routed: Turn.Origin is that
// session. It must not wait for anything; s is borrowed. nil goes on, a *stanza.Error (or
// whatever stanza.AsError makes of another error) refuses the stanza.
type SentHook func(t *Turn, s *stanza.Stanza) error

// ArrivingHook sees a stanza addressed to an account of ours, at its bare or a full address,
// whether or not the account is online or exists (User.Exists). It must not wait: what needs
// the store goes through Turn.OffLoop. s is borrowed.
type ArrivingHook func(t *Turn, u *User, s *stanza.Stanza) error

// chain is one kind of stanza hook in all its phases. Those of stanzas that are sent are given no User.
type chain [phases][]owned

// owned is a hook and the name of the module that it belongs to.
type owned struct {
	f      ArrivingHook
	module string
}

// Hooks are the places where a module may attach itself. Each module fills its own; the server
// joins them, in the order of wire.go, into a table that does not change while it runs.
type Hooks struct {
	sent     chain
	arriving chain

	// Load runs on a worker, and may wait, when an account comes online and before its first
	// session is bound: what must be known for every stanza is attached to u now.
	Load func(ctx context.Context, u *User) error
	// Bound runs when se was bound, before its first stanza.
	Bound func(t *Turn, se *Session)
	// PresenceChanged runs after Session.SetPresence, on the goroutine that called it and
	// outside all locks.
	PresenceChanged func(t *Turn, se *Session, was Presence)
	// Ended runs when se is over for good, after its time to resume: it is in no table any
	// more, its last presence is was.
	Ended func(t *Turn, se *Session, was Presence)
	// Attached runs when a session waits to be resumed (on is false), and when it was. It only looks at it.
	Attached func(t *Turn, se *Session, on bool)
	// Features appends what a stream offers in its present state (RFC 6120 §4.3.2).
	Features func(dst []byte, st Stream) []byte
	// Stopping runs when the server is about to end, before its sessions: stanzas still reach them, and
	// what they send is not taken any more.
	Stopping func(t *Turn)
	// Drains is asked before s, which has waited in the spool, is sent to se: true says that its
	// client has it already, which ends the waiting; an error, that s is to wait on, for the next
	// session. It runs on a worker and must be quick.
	Drains func(se *Session, s *stanza.Stanza) (bool, error)
	// Behalf sees what is sent in the name of accounts (Turn.SendAs).
	Behalf BehalfHook
	// Host sees messages addressed to a domain of ours. Handled says that s is taken care of; what nobody
	// takes is refused. It must not wait; s is borrowed.
	Host func(t *Turn, s *stanza.Stanza) error
	// Requested sees requests to a domain or, at its bare address, an account of ours, before whoever
	// answers them here, and without knowing whether there is such an account. True says that it takes
	// charge of s: it is answered once, by what the hook routes or refuses. It must not wait; s is borrowed.
	Requested func(t *Turn, s *stanza.Stanza) bool
	// Joined runs when somebody is there at a place (Server.Joined).
	Joined func(t *Turn, place jid.JID)
	// Deleted runs when an account was deleted, after its sessions were ended. What Load has
	// attached to u is there still.
	Deleted func(t *Turn, u *User)
}

// OnSent attaches f to stanzas that sessions of ours send.
func (h *Hooks) OnSent(p Phase, f SentHook) {
	h.sent[p] = append(h.sent[p], owned{f: func(t *Turn, _ *User, s *stanza.Stanza) error { return f(t, s) }})
}

// OnArriving attaches f to stanzas addressed to accounts of ours.
func (h *Hooks) OnArriving(p Phase, f ArrivingHook) {
	h.arriving[p] = append(h.arriving[p], owned{f: f})
}

// table is the joined hooks of all modules.
type table struct {
	sent     chain
	arriving chain
	load     []func(context.Context, *User) error
	bound    []func(*Turn, *Session)
	presence []func(*Turn, *Session, Presence)
	ended    []func(*Turn, *Session, Presence)
	attached []func(*Turn, *Session, bool)
	features []func([]byte, Stream) []byte
	stopping []func(*Turn)
	drains   []func(*Session, *stanza.Stanza) (bool, error)
	deleted  []func(*Turn, *User)

	behalf    []BehalfHook
	host      []func(*Turn, *stanza.Stanza) error
	requested []func(*Turn, *stanza.Stanza) bool
	joined    []func(*Turn, jid.JID)
}

// join adds the hooks of a module, those that it has.
func (t *table) join(module string, h *Hooks) {
	for p := range phases {
		for _, x := range h.sent[p] {
			t.sent[p] = append(t.sent[p], owned{x.f, module})
		}
		for _, x := range h.arriving[p] {
			t.arriving[p] = append(t.arriving[p], owned{x.f, module})
		}
	}
	add(&t.load, h.Load, h.Load != nil)
	add(&t.bound, h.Bound, h.Bound != nil)
	add(&t.presence, h.PresenceChanged, h.PresenceChanged != nil)
	add(&t.ended, h.Ended, h.Ended != nil)
	add(&t.attached, h.Attached, h.Attached != nil)
	add(&t.features, h.Features, h.Features != nil)
	add(&t.stopping, h.Stopping, h.Stopping != nil)
	add(&t.drains, h.Drains, h.Drains != nil)
	add(&t.deleted, h.Deleted, h.Deleted != nil)
	add(&t.behalf, h.Behalf, h.Behalf != nil)
	add(&t.host, h.Host, h.Host != nil)
	add(&t.requested, h.Requested, h.Requested != nil)
	add(&t.joined, h.Joined, h.Joined != nil)
}

func add[F any](hooks *[]F, f F, has bool) {
	if has {
		*hooks = append(*hooks, f)
	}
}

// run runs a chain for a stanza; u is whom it arrives for. handled says that a hook took charge of it.
func (c *chain) run(turn *Turn, u *User, s *stanza.Stanza) (handled bool, err error) {
	for p := range phases {
		for i := range c[p] {
			err := c[p][i].run(turn, p, u, s)
			switch {
			case err == nil || p == Observe:
			case err == Handled && p < Handle: //nolint:errorlint // a verdict is never wrapped
				return true, nil
			case err == Handled: //nolint:errorlint // likewise
				handled = true
			default:
				return handled, err
			}
			if handled && p == Handle {
				break
			}
		}
	}
	return handled, nil
}

// observe runs the hooks of phase Observe alone.
func (c *chain) observe(turn *Turn, u *User, s *stanza.Stanza) {
	for i := range c[Observe] {
		_ = c[Observe][i].run(turn, Observe, u, s) // it only looks
	}
}

func (h *owned) run(turn *Turn, p Phase, u *User, s *stanza.Stanza) error {
	err := h.f(turn, u, s)
	if turn.way != nil {
		turn.noteHook(p, h.module, s, err)
	}
	if err != nil && p == Observe {
		turn.server.log.Error("hook failed", "phase", "observe", "module", h.module, "err", err)
	}
	return err
}

// Stream is a connection that carries, or will carry, a session: TCP, WebSocket and so on make
// them. Its methods may be called from any goroutine.
type Stream interface {
	// Queue copies whole elements behind what is queued; Flush sends them; Queued is how many
	// bytes have not left, those included that never will. See drive.Conn.
	Queue(elements []byte)
	Flush()
	Queued() int
	Reader
	// End sends a stream error, or nothing where e is nil, closes the stream and then the
	// connection. What is queued is sent first.
	End(e *stream.Error)
	// Abort drops the connection without closing the stream. Nothing leaves after it.
	Abort()
	// State, Account and Secure tell how far it has come: the account is zero before login.
	State() stream.State
	Account() jid.JID
	Secure() bool
	// Address is the peer's, for logs and limits.
	Address() string
	// Notes are what modules note of a peer before its login, each under a key of its own; nil after it.
	Notes() *sync.Map
	// Adopt makes an authenticated stream without session the connection of se, which is
	// being resumed (XEP-0198 §5), and reports whether it lives: if not, Session.Lost will not
	// be called for it.
	Adopt(se *Session) bool
}
