// SPDX-License-Identifier: Apache-2.0

// Package consent lets the owner of a thing decide who may see it, read it and control it, down to single fields and parameters,
// and has the server hold everybody else to that: also for things that know nothing of it. What nobody has decided is refused, and
// the owner is asked, by a message that any client can answer.
//
// XEP-0324 (partial, 0.5.1): for things that ask: friendship, reading, control, by address and by token, and the cache; no access of users to services on the web (§3.6.2, §3.7)
//
// How to read this package: decide.go says what the rules say, and known.go has them at hand. guard.go stands between a thing and
// all others: requests.go, messages.go and subscribe.go say what it is that somebody wants, refuse.go keeps what was refused.
// question.go asks owners; change.go makes and ends rules, and has things forget what they remember; groups.go does what follows from
// whom an owner puts into his groups; readers.go decides about what things publish; shown.go says which tokens count that came with a request. People come in by verbs.go and commands.go, things by
// provision.go.
//
// Deviation: XEP-0324 has things ask, and others believe them. Here the server decides before a stanza is at the thing; that things ask
// as well lets them answer for what only they know, such as who says what in a room.
package consent

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Things is what this module needs to know of things. Module registry knows.
type Things interface {
	// Thing is who owns a thing, zero for nobody, and what he calls it; store.ErrNotFound where there is none. It may wait
	// for the store.
	Thing(ctx context.Context, thing jid.JID, node store.ThingNode) (owner jid.JID, label string, err error)
	// Known reports whether an account is, or has, things. It does not wait, and may, seldom, say so of one that has none.
	Known(account jid.JID) bool
	// OnOwner has f give what else is to be committed when a thing changes hands, or is nobody's any more.
	OnOwner(f func(thing jid.JID, node store.ThingNode, was, is jid.JID) []store.Op)
	// OnParting has f say who may not see an account any more once it is next's, zero for nobody's. f may wait.
	OnParting(f func(ctx context.Context, thing, next jid.JID) ([]jid.JID, error))
	// OnChange has f told when that, or what else Thing says, was committed, before anybody else is told. It must not wait.
	OnChange(f func(thing jid.JID))
}

// Service is where people and things come with what they want to know. Module registry is one.
type Service interface {
	// Handle, Verb and Lead add to what it answers, and the features that it says it has.
	Handle(h server.IQHandler, features ...string)
	Verb(chat.Verb)
	Lead(adhoc.Command)
	// Address is its address for the accounts of a domain, Voice the one from which it speaks to people; Speaks reports whether
	// it is one of them that speaks.
	Address(domain string) jid.JID
	Voice(domain string) jid.JID
	Speaks(from jid.JID) bool
}

// Roster is what this module needs of module roster: see there.
type Roster interface {
	Ready(u *server.User) bool
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
	Update(u *server.User, contact jid.JID, change func(*store.RosterItem) bool) (*store.Pending, error)
	Part(ctx context.Context, a, b jid.JID, ops ...store.Op) (*store.Pending, error)
	OnChange(f func(u *server.User, was, is store.RosterItem))
}

// Presence is what this module needs of module presence.
type Presence interface {
	// Entered reports whether the session that s is for has sent its presence to s's sender: it is in that room.
	Entered(u *server.User, s *stanza.Stanza) bool
	// Admit sets who admits requests of those who do not see an account's presence.
	Admit(f func(t *server.Turn, u *server.User, s *stanza.Stanza) bool)
}

// Caps is what this module needs of module caps: see there.
type Caps interface {
	Learn(t *server.Turn, c *caps.Caps, by, who jid.JID, tell func(t *server.Turn, features []string))
}

// Nodes ends what somebody may not have any more of what accounts publish. Module pubsub does.
type Nodes interface {
	Recheck(ctx context.Context, owner, contact jid.JID) error
	RecheckAll(ctx context.Context, owner jid.JID) error
}

// Config is the key modules.consent.
type Config struct {
	// Rules that may be made about one thing. One more is refused with resource-constraint.
	Rules int `yaml:"rules" default:"200" live:"yes"`
	// Names of fields or parameters that one rule, or one question, may have. More are refused with policy-violation.
	Names int `yaml:"names" default:"50" live:"yes"`
	// QuestionsPerThing that wait for the owner's answer. About what else is wanted of the thing nobody is asked until one of them
	// is answered, or is old.
	QuestionsPerThing int `yaml:"questions_per_thing" default:"50" live:"yes"`
	// QuestionsPerCaller that wait about one address, at all things together.
	QuestionsPerCaller int `yaml:"questions_per_caller" default:"20" live:"yes"`
	// AskAgain is after how long an owner is asked again about what has not been answered, if it is wanted still.
	AskAgain config.Duration `yaml:"ask_again" default:"24h" none:"no" live:"yes"`
	// RefusalsPerThing that are remembered, the latest of them.
	RefusalsPerThing int `yaml:"refusals_per_thing" default:"500" live:"yes"`
	// Remember is for how long refusals are remembered, and questions wait for an answer.
	Remember config.Duration `yaml:"remember" default:"2160h" none:"no" live:"yes"`
	// Tokens of one request that count, the first of those that rules name.
	Tokens int `yaml:"tokens" default:"4" live:"yes"`
	// Pending refusals and questions that wait to be written. What is beyond is counted, and not written.
	Pending int `yaml:"pending" default:"10000" live:"yes"`
	// CachedThings of which rules are held in memory.
	CachedThings int `yaml:"cached_things" default:"100000" live:"yes"`
	// ReadWithin is how long it may take to read the rules of a thing that are not in memory. What is wanted of it then is refused, with
	// internal-server-error.
	ReadWithin config.Duration `yaml:"read_within" default:"3s" none:"no" live:"yes"`
	// Wait is how long a thing has to say that it has forgotten what it remembers.
	Wait config.Duration `yaml:"wait" default:"30s" none:"no" live:"yes"`
}

// Module is consent.
type Module struct {
	config   atomic.Pointer[Config]
	things   Things
	service  Service
	roster   Roster
	presence Presence
	caps     Caps
	nodes    Nodes  // nil: accounts publish nothing
	tokens   Tokens // nil: there are none
	server   *server.Server
	store    store.Store
	log      *slog.Logger

	known    known
	stalled  [64]atomic.Int64                // by thing: until when nothing is read, because the store has not answered
	passed   server.TurnSlot[stanza.Stanza]  // the stanza that was decided about already
	proven   server.TurnSlot[stanza.Stanza]  // the stanza whose sender was asked for a proof already
	admitted server.TurnSlot[stanza.Stanza]  // the request that the guard has let through just now
	speaks   server.SessionSlot[atomic.Bool] // whether a session of a thing asks for itself
	spoke    speakers                        // things that are not here, and asked for themselves when they were
	changing [64]sync.Mutex                  // by thing: its rules are changed one after the other
	refusals refusals
	asking   asking
	left     left

	metrics struct {
		refused                               map[string]metrics.Counter // by way
		reduced, failed, lost, asked, unasked metrics.Counter
	}
}

// New makes the module.
func New(c Config, t Things, s Service, r Roster, p Presence) *Module {
	m := &Module{things: t, service: s, roster: r, presence: p}
	m.config.Store(&c)
	return m
}

// Learning sets, before the server starts, who finds out what things announce.
func (m *Module) Learning(c Caps) { m.caps = c }

// Publishing sets, before Init, where things publish.
func (m *Module) Publishing(n Nodes) { m.nodes = n }

// Name implements server.Module.
func (*Module) Name() string { return "consent" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.known.init()
	m.refusals.init()
	m.asking.init()
	m.left.init()
	m.proven = server.NewTurnSlot[stanza.Stanza](h)
	m.passed, m.admitted = server.NewTurnSlot[stanza.Stanza](h), server.NewTurnSlot[stanza.Stanza](h)
	m.speaks = server.NewSessionSlot[atomic.Bool](h)
	m.count(h)

	h.OnArriving(server.Guard, m.guard)
	h.Load = func(ctx context.Context, u *server.User) error {
		if !m.things.Known(u.JID) {
			return nil
		}
		_, err := m.recall(ctx, u.JID, nil, u.JID) // at hand when the first stanza comes
		return err
	}
	h.PresenceChanged = m.appeared
	h.Drains = m.drains
	h.Deleted = func(_ *server.Turn, u *server.User) {
		for _, thing := range m.known.forgetAccount(u.JID) {
			m.asking.refresh(thing) // it may remember what he might
		}
		m.spoke.set(u.JID, false, 0)
	}
	m.presence.Admit(func(t *server.Turn, u *server.User, s *stanza.Stanza) bool {
		return m.admitted.Of(t) == s && m.things.Known(u.JID) || m.tokens != nil && m.tokens.Admits(t, u, s)
	})
	m.things.OnOwner(func(thing jid.JID, node store.ThingNode, was, _ jid.JID) []store.Op {
		if was.IsZero() {
			return nil
		}
		if m.nodes != nil {
			m.left.leaves(thing)
		}
		return []store.Op{store.ForgetConsent{Thing: store.ThingName{JID: thing, ThingNode: node}, Owner: was}}
	})
	m.things.OnParting(m.strangers)
	m.things.OnChange(func(thing jid.JID) {
		m.known.forget(thing)
		m.left.changed(thing)
		if _, release, here := m.server.Lookup(thing); here { // it may have become a thing just now
			release()
			m.asking.refresh(thing)
		}
	})
	m.roster.OnChange(m.regrouped)
	m.answerThings()
	m.addVerbs()
	m.addCommands()
	return nil
}

func (m *Module) count(h *server.Host) {
	x := &m.metrics
	refused := h.Metrics.CounterVec("stonechat_consent_refused_total", "What was refused because a thing's owner has not allowed it, by the way that was tried.", "way")
	x.refused = make(map[string]metrics.Counter)
	for _, way := range ways {
		x.refused[way] = refused.WithLabelValues(way)
	}
	x.reduced = h.Metrics.Counter("stonechat_consent_reduced_total", "Requests to things that were reduced to what their owners allow.")
	x.failed = h.Metrics.Counter("stonechat_consent_failed_total", "Requests to things that were refused because the rules could not be read.")
	x.lost = h.Metrics.Counter("stonechat_consent_not_written_total", "Refusals that were not written down, because too much waited (modules.consent.pending) or the store failed.")
	x.asked = h.Metrics.Counter("stonechat_consent_asked_total", "Questions sent to owners of things.")
	x.unasked = h.Metrics.Counter("stonechat_consent_not_asked_total", "Questions that no owner was asked for a bound of modules.consent: questions_per_thing, questions_per_caller, pending, names.")
	h.Metrics.GaugeFunc("stonechat_consent_things_loaded", "Things of which rules are held in memory (modules.consent.cached_things).", func() float64 { return float64(m.known.len()) })
}

// Run implements server.Runner: it writes what was refused, asks owners, ends what they have left, and forgets what is old.
func (m *Module) Run(ctx context.Context) error {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	var reviewed jid.JID
	review := make(chan struct{}, 1)
	awake(review)
	for {
		select {
		case <-ctx.Done():
			ctx := context.WithoutCancel(ctx)
			m.writeRefusals(ctx)
			_, _, moved := m.asking.take()
			m.regroupAll(ctx, moved)
			return context.Canceled
		case <-review: // a slice at a time, between all else
			var err error
			if reviewed, err = m.review(ctx, reviewed); err != nil && ctx.Err() == nil {
				m.log.Error("it was not looked at who sees things by groups that he has left", "err", err)
			} else if !reviewed.IsZero() {
				awake(review)
			}
		case <-m.refusals.wake:
			m.writeRefusals(ctx)
		case <-m.asking.wake:
			m.askAll(ctx)
		case <-m.left.wake:
			m.unfollow(ctx)
		case <-expire.C:
			awake(m.asking.wake) // for what has failed
			before := time.Now().Add(-time.Duration(m.config.Load().Remember))
			if err := m.store.Commit(store.ExpireConsent{Before: before, Limit: expireSlice}).Wait(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("old refusals and questions not removed", "err", err)
			}
		}
	}
}

const (
	expireEvery = time.Minute
	expireSlice = 500
)
