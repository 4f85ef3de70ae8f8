// SPDX-License-Identifier: Apache-2.0

// Package keytokens gives accounts names for their keys: whoever proves that he has the private key of an X.509 certificate is given
// a token, by which owners of things may allow him something, and which he shows with what he asks of a thing.
//
// A token is a name and no secret. It counts for the account that it was given to, and for whoever proves, when he shows it, that the
// holder of the key speaks for him: that one may have given it to another, who acts in its place.
//
// XEP-0324 (partial, 0.5.1): §3.1.3 at the service of things, for accounts of this server and RSA keys; none for users of services on the web (§3.6.2, §3.7)
//
// How to read this package: issue.go gives tokens, prove.go finds out for module consent whether one counts, shown.go lets challenges
// come to those who have shown one, verbs.go and commands.go list them and take them back.
package keytokens

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Service is where accounts come for tokens. Module registry is one.
type Service interface {
	Handle(h server.IQHandler, features ...string)
	Verb(chat.Verb)
	Lead(adhoc.Command)
}

// Config is the key modules.keytokens.
type Config struct {
	// PerAccount is how many tokens an account may have. One more is refused with resource-constraint.
	PerAccount int `yaml:"per_account" default:"10" live:"yes"`
	// Expire is after how long a token ends, unless its certificate does before. It is given anew, with the same text, when its
	// certificate is shown again.
	Expire config.Duration `yaml:"expire" default:"8760h" none:"no" live:"yes"`
	// Challenges that are not answered yet, of all accounts together; for each a request may wait in memory. Beyond, no token is given,
	// and none of another's counts. The addresses of one other domain have a quarter of them, and so have all guests of one of ours.
	Challenges int `yaml:"challenges" default:"1000" live:"yes"`
	// ChallengesPerAccount are those of them that one account, or address elsewhere, may have.
	ChallengesPerAccount int `yaml:"challenges_per_account" default:"10" live:"yes"`
	// Wait is how long whoever has shown another's token has for his proof. What he wants waits as long. If he does not prove it he is not
	// asked again, for the same thing, until as much time has passed; until then the token does not count.
	Wait config.Duration `yaml:"wait" default:"30s" none:"no" live:"yes"`
	// Proof is how long such a proof counts, for the same address at the same thing.
	Proof config.Duration `yaml:"proof" default:"1m" none:"no" live:"yes"`
	// Shown is how many addresses one session may send tokens to in a minute. What it sends to more is not proven, should one of them ask.
	Shown int `yaml:"shown" default:"100" live:"yes"`
	// Proofs that are remembered, and as many that failed. Beyond, whoever shows another's token is refused.
	Proofs int `yaml:"proofs" default:"10000" live:"yes"`
}

// offerTime is how long the challenge for a new token may be answered. XEP-0324 §3.1.3 wants a minute at least.
const offerTime = 2 * time.Minute

// Module is keytokens.
type Module struct {
	config  atomic.Pointer[Config]
	service Service
	server  *server.Server
	store   store.Store
	log     *slog.Logger

	shown  server.SessionSlot[shown]
	giving sync.Mutex // one token is given at a time: it is looked first whether there is one

	mu     sync.Mutex
	last   int32               // the number of the last offer
	offers map[int32]*offer    // that are not answered
	open   int                 // challenges: those of offers, and those of whoever has shown a token
	by     map[jid.JID]int     // of whom, bare
	crowds map[string]int      // of domains where anybody has any number of addresses
	proofs map[proof]time.Time // until when they count
	failed map[proof]time.Time // until when nobody is asked for them again

	metrics struct {
		given, removed, full metrics.Counter
		challenges           metrics.CounterVec
	}
}

// New makes the module.
func New(c Config, s Service) *Module {
	m := &Module{
		service: s, last: rand.Int32N(1 << 30), // an answer to what another server has asked is none of ours
		offers: make(map[int32]*offer), by: make(map[jid.JID]int), crowds: make(map[string]int),
		proofs: make(map[proof]time.Time), failed: make(map[proof]time.Time),
	}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "keytokens" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	x := &m.metrics
	x.given = h.Metrics.Counter("stonechat_keytokens_given_total", "Tokens given for keys, anew or again.")
	x.removed = h.Metrics.Counter("stonechat_keytokens_removed_total", "Tokens that their accounts have taken back.")
	x.full = h.Metrics.Counter("stonechat_keytokens_refused_total",
		"What was refused for a bound of modules.keytokens: per_account, challenges, challenges_per_account, proofs, shown.")
	x.challenges = h.Metrics.CounterVec("stonechat_keytokens_challenges_total",
		"Challenges to prove a key, by how they ended: proven, wrong, refused, silent (modules.keytokens.wait).", "result")
	h.Metrics.GaugeFunc("stonechat_keytokens_challenges_open", "Challenges that are not answered (modules.keytokens.challenges).", func() float64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return float64(m.open)
	})
	m.shown = server.NewSessionSlot[shown](h)
	h.OnSent(server.Observe, m.sent)
	h.Deleted = func(_ *server.Turn, u *server.User) { m.forget(u.JID) }
	m.answer()
	m.addVerbs()
	m.addCommands()
	return nil
}

// Run implements server.Runner: it forgets what is over.
func (m *Module) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			m.sweep(now)
			err := m.store.Commit(store.ExpireKeyTokens{Before: now, Limit: 500}).Wait(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
				m.log.Error("tokens that have expired not removed", "err", err)
			}
		}
	}
}

// sweep forgets offers that nobody has answered, and proofs that do not count any more.
func (m *Module) sweep(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for seq, o := range m.offers {
		if !now.Before(o.until) {
			delete(m.offers, seq)
			m.answered(o.by)
			m.metrics.challenges.WithLabelValues("silent").Inc()
		}
	}
	past(m.proofs, now)
	past(m.failed, now)
}

// past forgets those of which the time is over.
func past(list map[proof]time.Time, now time.Time) {
	maps.DeleteFunc(list, func(_ proof, until time.Time) bool { return !now.Before(until) })
}

// forget forgets what an account that is gone has proven: another of its name has not.
func (m *Module) forget(account jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, list := range []map[proof]time.Time{m.proofs, m.failed} {
		maps.DeleteFunc(list, func(p proof, _ time.Time) bool { return p.who == account || p.thing == account })
	}
	for seq, o := range m.offers {
		if o.from.Bare() == account {
			delete(m.offers, seq)
			m.answered(o.by)
		}
	}
}

// asker is by whom a challenge is counted.
type asker struct {
	who   jid.JID // bare
	crowd string  // the domain whose addresses count together, too; "" for none
}

// asker is by whom those of an address are counted. Of other domains, and of guests, anybody may have any number of addresses.
func (m *Module) asker(who jid.JID) asker {
	a := asker{who: who.Bare().Clone()}
	if m.guest(who) || !m.server.Hosts(who.Domain()) {
		a.crowd = a.who.Domain()
	}
	return a
}

// guest reports whether an address is that of somebody without an account.
func (m *Module) guest(who jid.JID) bool {
	u, release, ok := m.server.Lookup(who)
	if !ok {
		return false
	}
	defer release()
	return u.Guest()
}

// challenging counts a challenge, if there may be one more. The caller holds mu.
func (m *Module) challenging(by asker) bool {
	c := m.config.Load()
	if m.open >= c.Challenges || m.by[by.who] >= c.ChallengesPerAccount || by.crowd != "" && m.crowds[by.crowd] >= max(c.Challenges/4, 1) {
		m.metrics.full.Inc()
		return false
	}
	m.open++
	m.by[by.who]++
	if by.crowd != "" {
		m.crowds[by.crowd]++
	}
	return true
}

// answered is challenging undone.
func (m *Module) answered(by asker) {
	m.open--
	if m.by[by.who]--; m.by[by.who] <= 0 {
		delete(m.by, by.who)
	}
	if by.crowd == "" {
		return
	}
	if m.crowds[by.crowd]--; m.crowds[by.crowd] <= 0 {
		delete(m.crowds, by.crowd)
	}
}
