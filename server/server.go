// SPDX-License-Identifier: Apache-2.0

// Package server is the core: sessions, routing, hooks and the answering of requests. What a
// user of XMPP calls a feature is a module under module/.
//
// RFC 6120 §8 and §10, RFC 6121 §8; the counting of XEP-0198, whose elements module sm has
//
// How to read this package, following one message from socket to socket:
//
//	c2s (or another transport) reads an element      Session.Receive      session.go
//	its address is stamped, Sent hooks see it        Server.sent          route.go
//	it goes where its address says                   Turn.Route           route.go
//	Arriving hooks see it (module message delivers)  Server.arrive        route.go
//	it is queued for its receivers and followed      Turn.Deliver         delivery.go
//	it is kept in the window until acked             outbound.put         outbound.go
//	each receiver is written to once                 Turn.End             turn.go
//	the sender's ack passes it when it is kept       Receipt.Release      receipt.go
//
// Package trace tells whoever watches an account of all this; trace.go notes it.
//
// Requests to the server or to an account go through Server.dispatch (iq.go). hooks.go and
// module.go are what a module sees, user.go the table of accounts, place.go that of domains
// without accounts and the way in for components, desk.go answers requests to these, outbox.go
// sends one thing to many, ask.go asks. sweeper.go spools what clients do not ack in time.
//
// Invariants that other files name: Q1 in iq.go, R1 in receipt.go, U1 in user.go.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/internal/seldom"
	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is what a Server is made of besides its modules.
type Config struct {
	Domains []string // prepared domainparts; the first is the default one
	Limits  Limits
	Store   store.Store
	Log     *slog.Logger
	Metrics *metrics.Registry
}

// Server holds the sessions and routes between them. Make it with New, begin with Start.
type Server struct {
	domains   []string
	limits    atomic.Pointer[Limits] // replaced whole by SetLimits, never changed
	store     store.Store
	log       *slog.Logger
	metrics   serverMetrics
	users     users
	sessions  atomic.Int64
	lastRow   atomic.Int64
	stopping  atomic.Bool // stanzas are not taken any more; acks are
	sweeper   sweeper
	workers   workers
	tracers   trace.Tracers
	placing   sync.Mutex // held while places is changed
	places    atomic.Pointer[places]
	fanout    workers // slices of outboxes
	questions questions
	aftermath aftermath
	deriving  chan struct{} // holds one for each password whose keys are being made

	// Written by New alone.
	table                   table
	iqs                     iqs
	desks                   []*Desk
	elements                map[xmlstream.Name]ElementHandler
	features                []feature
	modules                 []Module
	userSlots, sessionSlots int
	turnSlots               int

	complaints seldom.Log
	running    sync.WaitGroup
	stop       context.CancelFunc
}

// maxWorkers is how many handlers wait for the store at one time; the store reads with few
// connections anyway.
const maxWorkers = 64

// New makes a server of modules, whose hooks run in the order given.
func New(c Config, modules []Module) (*Server, error) {
	s := &Server{
		domains: c.Domains, store: c.Store, log: c.Log,
		elements: make(map[xmlstream.Name]ElementHandler),
		iqs:      iqs{handlers: make(map[iqKey]*IQHandler)},
		modules:  modules,
		workers:  workers{make(chan struct{}, maxWorkers)},
		fanout:   workers{make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))},
		deriving: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	s.SetLimits(c.Limits)
	if len(s.domains) == 0 {
		return nil, errors.New("server: no domain to serve")
	}
	s.users.server = s
	s.places.Store(&places{})
	s.sweeper = sweeper{server: s, wake: make(chan struct{}, 1)}
	s.metrics.register(c.Metrics, s)
	last, err := s.store.LastSpoolID(context.Background())
	if err != nil {
		return nil, fmt.Errorf("server: last row of the spool: %w", err)
	}
	s.lastRow.Store(last)
	seen := make(map[string]bool)
	for _, m := range modules {
		name := m.Name()
		if seen[name] {
			return nil, fmt.Errorf("server: module %s is there twice", name)
		}
		seen[name] = true
		h := &Host{Hooks: new(Hooks), Server: s, Store: c.Store, Log: c.Log.With("module", name), Metrics: c.Metrics, name: name}
		if err := m.Init(h); err != nil {
			return nil, fmt.Errorf("server: module %s: %w", name, err)
		}
		s.table.join(name, h.Hooks)
		s.features = append(s.features, h.features...)
	}
	err = s.iqs.err
	for _, d := range s.desks {
		err = errors.Join(err, d.iqs.err)
	}
	for _, m := range modules {
		if o, ok := m.(Opener); ok && err == nil {
			err = o.Open(context.Background())
		}
	}
	return s, err
}

// Start begins the server's own work and that of its modules. It ends with Stop.
func (s *Server) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.running.Go(func() { s.sweeper.run(ctx) })
	for _, m := range s.modules {
		if r, ok := m.(Runner); ok {
			s.running.Go(func() {
				if err := r.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
					s.log.Error("module stopped", "module", m.Name(), "err", err)
				}
			})
		}
	}
}

// Stop asks all clients for their last acks, ends every session with system-shutdown, waits until
// what they had not acked is in the store or ctx ends, and ends the server's own work. Nothing may
// be accepted any more before.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	t := s.NewTurn()
	for _, f := range s.table.stopping {
		f(t)
	}
	t.End()
	s.lastAcks(ctx)
	s.users.each(func(u *User) {
		for _, se := range u.Sessions(nil) {
			t := s.NewTurn()
			se.End(t, &stream.Error{Condition: "system-shutdown"})
			t.End()
		}
	})
	err := s.store.Commit().Wait(ctx)
	if s.stop != nil {
		s.stop()
		s.running.Wait()
	}
	return err
}

// lastAckTime is how long clients have for their last ack.
const lastAckTime = time.Second

// lastAcks asks for acks and tells them, and waits until all is acked and safe, or for a moment: what a client has had and not
// acked comes again when it is back, and what it was not told is safe it sends again.
func (s *Server) lastAcks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastAckTime)
	defer cancel()
	for {
		waits := false
		s.users.each(func(u *User) {
			t := s.NewTurn()
			for _, se := range u.Sessions(nil) {
				waits = se.out.askLast(t) || waits
				waits = se.in.unsafe() > 0 || waits
				if se.in.news() {
					se.out.owe(t)
				}
			}
			t.End()
			u.mu.Lock()
			waits = waits || u.drainer != nil // which sends a page still
			u.mu.Unlock()
		})
		if !waits {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lastAckTime / 100):
		}
	}
}

// Serves reports whether domain, prepared, is one of ours.
func (s *Server) Serves(domain string) bool { return slices.Contains(s.domains, domain) }

// Hosts reports whether domain, prepared, is ours: served, or that of a place.
func (s *Server) Hosts(domain string) bool {
	return s.Serves(domain) || domain != Elsewhere && (*s.places.Load())[domain] != nil
}

// Domains are the served ones; the first is the default.
func (s *Server) Domains() []string { return s.domains }

// Features are what disco#info of a place lists, sorted.
func (s *Server) Features(at Where) []string {
	var ns []string
	for _, f := range s.features {
		if f.at&at != 0 {
			ns = append(ns, f.ns)
		}
	}
	slices.Sort(ns)
	return slices.Compact(ns)
}

// Lookup returns the account if it is in use now, and what to call when done with it.
func (s *Server) Lookup(account jid.JID) (u *User, release func(), ok bool) {
	if u := s.users.get(account.Bare()); u != nil {
		return u, func() { s.users.release(u) }, true
	}
	return nil, nil, false
}

// Hold is Lookup for any account, which is put in use; User.Exists need not be known.
func (s *Server) Hold(account jid.JID) (u *User, release func()) {
	u = s.users.acquire(account.Bare())
	return u, func() { s.users.release(u) }
}

// Bind makes a session on st, which is logged in as the account of wanted: with the resource that the client asked
// for, bare where the server chooses (RFC 6120 §7). A session of the same resource ends with
// conflict (§7.7.2.2). It may wait for the store; the stream must be paused. The error is a
// *stanza.Error.
func (s *Server) Bind(ctx context.Context, t *Turn, st Stream, wanted jid.JID, lang string) (*Session, error) {
	u := s.users.acquire(wanted.Bare())
	return s.bind(ctx, t, st, u, wanted, lang)
}

// bind makes a session of u, which the caller has acquired and gives away. wanted is the session's address, in the same memory,
// where it has a resource.
func (s *Server) bind(ctx context.Context, t *Turn, st Stream, u *User, wanted jid.JID, lang string) (se *Session, err error) {
	defer func() {
		if err != nil {
			s.users.release(u)
		}
	}()
	if wanted.IsBare() {
		if wanted, err = wanted.WithResource(newID()); err != nil {
			return nil, stanza.BadRequest.Err("the address is not valid")
		}
	}
	if s.stopping.Load() {
		return nil, stanza.ResourceConstraint.Err("the server is stopping")
	}
	if s.sessions.Load() >= int64(s.limits.Load().Sessions) {
		return nil, stanza.ResourceConstraint.Err("the server has no room for another session")
	}
	if err := u.load(ctx); err != nil {
		s.complain("account not loaded", "jid", u.JID.String(), "err", err)
		return nil, stanza.InternalServerError.Err("")
	}
	if !u.Exists() {
		return nil, stanza.NotAuthorized.Err("the account is gone")
	}
	se = &Session{JID: wanted, User: u, server: s, lang: lang, slots: make([]atomic.Value, s.sessionSlots)}
	se.out.se, se.out.stream = se, st
	for {
		u.mu.Lock()
		old := u.session(wanted.Resource())
		if old == nil {
			break
		}
		u.mu.Unlock()
		old.End(t, &stream.Error{Condition: "conflict", Text: "the resource was bound again"})
	}
	if u.deleted.Load() {
		u.mu.Unlock()
		return nil, stanza.NotAuthorized.Err("the account is gone")
	}
	if len(u.sessions) >= s.limits.Load().SessionsPerAccount {
		u.mu.Unlock()
		return nil, stanza.ResourceConstraint.Err("the account has too many sessions")
	}
	u.sessions = append(u.sessions, se)
	s.sessions.Add(1)
	u.mu.Unlock()
	for _, f := range s.table.bound {
		f(t, se)
	}
	return se, nil
}

// StreamFeatures appends what modules offer on st in its present state.
func (s *Server) StreamFeatures(dst []byte, st Stream) []byte {
	for _, f := range s.table.features {
		dst = f(dst, st)
	}
	return dst
}

// element gives an element that is no stanza to the module that registered its name.
func (s *Server) element(t *Turn, st Stream, se *Session, e *xmlstream.Element) error {
	do := s.elements[xmlstream.Name{Space: string(e.Space), Local: string(e.Local)}]
	if do == nil {
		return &stream.Error{Condition: "unsupported-stanza-type"} // RFC 6120 §4.9.3.24
	}
	return do(t, st, se, e)
}

// Unbound handles an element on a stream that is logged in and has no session yet. It reports
// whether the stream may be read on at once; the error ends the stream.
func (s *Server) Unbound(t *Turn, st Stream, e *xmlstream.Element) (more bool, err error) {
	t.Origin, t.stream, t.receipt, t.way = nil, st, Receipt{}, nil
	err = s.element(t, st, nil, e)
	more, t.suspended = !t.suspended, false
	return more, err
}

// complain logs msg, at most once a second for each msg.
func (s *Server) complain(msg string, args ...any) { s.complaints.Error(s.log, msg, args...) }
