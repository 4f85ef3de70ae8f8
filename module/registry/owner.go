// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: whatever way somebody asked for it (a request, words, a command), what is done is done here. All of
// it runs on workers, waits for the store, and returns when what it has done is committed.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// errNotYours is what everybody is told who asks for a thing that is not his, or not there.
func errNotYours() error { return stanza.ItemNotFound.Err("") }

// called is what people call a thing.
func called(x *store.Thing) string {
	if x.Label != "" {
		return plain(x.Label)
	}
	for _, t := range x.Tags {
		if t.Name == "NAME" && !t.Numeric && t.Str != "" {
			return plain(t.Str)
		}
	}
	if x.ID != "" {
		return x.ID
	}
	return x.JID.Local()
}

// plain is what a thing, or somebody, has chosen, as it may stand in a line that others read: it begins no other.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return ' '
		}
		return r
	}, s)
}

// register is a thing that says what it is. owner is whose it is already, then nothing is changed.
func (m *Module) register(ctx context.Context, name store.ThingName, ask *registry.Register) (owner jid.JID, private bool, err error) {
	c := m.config.Load()
	switch key := ask.Tags.Value(registry.KEY); {
	case len(ask.Tags) > c.Tags:
		return owner, false, m.limited("tags", stanza.PolicyViolation.Err("a thing has too many tags"))
	case !ask.SelfOwned && utf8.RuneCountInString(key) < c.KeyLength:
		return owner, false, m.limited("key_length", stanza.NotAcceptable.Err(fmt.Sprintf("the KEY must have at least %d characters", c.KeyLength)))
	}
	defer m.work(name.JID)()
	was, err := m.store.Thing(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		n, err := m.store.CountThings(ctx, store.ThingFilter{Account: name.JID})
		if err != nil {
			return owner, false, err
		}
		if n >= c.ThingsPerAccount {
			return owner, false, m.limited("things_per_account", stanza.ResourceConstraint.Err("the account has registered as many things as it may"))
		}
	case err != nil:
		return owner, false, err
	case !was.Owner.IsZero():
		return was.Owner, !was.Public, nil
	}
	x := store.Thing{ThingName: name, Registered: time.Now(), Tags: stored(ask.Tags, false), Key: digest(ask.Tags)}
	if ask.SelfOwned {
		x.Owner, x.Claimed, x.Public, x.Key = name.JID, x.Registered, true, nil
	}
	m.Learn(name.JID)
	p, err := m.pass(ctx, &x, jid.JID{}, x.Owner, store.RegisterThing{Thing: x})
	if err != nil {
		return owner, false, err
	}
	return owner, false, p.Wait(ctx)
}

// unregister is a thing that leaves. Whoever owned it does so no more.
func (m *Module) unregister(ctx context.Context, name store.ThingName) error {
	defer m.work(name.JID)()
	x, err := m.store.Thing(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := m.pass(ctx, &x, x.Owner, jid.JID{}, store.DeleteThing{Name: name})
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Adopt registers a thing as it is said to be, tags that are Given whatever it says of itself later, in one commit with ops, which come first and may
// make its account: with an owner, it is that owner's from the start. It fails with store.ErrExists where somebody owns it. It
// may wait.
func (m *Module) Adopt(ctx context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error) {
	m.Learn(x.JID)
	x.Registered = time.Now()
	if !x.Owner.IsZero() {
		x.Claimed, x.Notice = x.Registered, store.NoticeClaimed
	}
	ops = append(ops[:len(ops):len(ops)], store.RegisterThing{Thing: x})
	p, err := m.pass(ctx, &x, jid.JID{}, x.Owner, ops...)
	if err == nil && !x.Owner.IsZero() {
		p.OnDone(func(err error) {
			if err == nil {
				m.news.add(x.JID)
			}
		})
	}
	return p, err
}

// pass commits ops by which a thing passes from one owner to another, zero for none, with what belongs to that.
func (m *Module) pass(ctx context.Context, x *store.Thing, old, next jid.JID, ops ...store.Op) (*store.Pending, error) {
	m.news.passed(x.ThingName)
	var relations []Relation
	if !old.IsZero() && old != x.JID {
		others, err := m.ownsMore(ctx, x, old)
		if err != nil {
			return nil, err
		}
		if !others {
			relations = append(relations, Relation{Thing: x.JID, Other: old})
		}
	}
	if old != next {
		leave, err := m.parting(ctx, x, next)
		if err != nil {
			return nil, err
		}
		for _, contact := range leave {
			if contact != old {
				relations = append(relations, Relation{Thing: x.JID, Other: contact})
			}
		}
	}
	var met []Relation
	if !next.IsZero() && next != x.JID {
		relations = append(relations, Relation{Thing: x.JID, Other: next, Friends: true, Name: called(x)})
		var err error
		if met, err = m.introduced(ctx, x, next); err != nil {
			return nil, err
		}
		relations = append(relations, met...)
	}
	if old != next {
		for _, f := range m.owners {
			ops = append(ops, f(x.JID, x.ThingNode, old, next)...)
		}
	}
	p, err := m.contacts.Relate(ctx, relations, ops...)
	if err != nil {
		return nil, err
	}
	for _, r := range met {
		p.OnDone(func(err error) {
			if err == nil {
				t := m.server.NewTurn()
				m.appear(t, r.Thing, r.Other)
				t.End()
			}
		})
	}
	return m.telling(x.JID, p), nil
}

// ownsMore reports whether somebody owns another thing of x's account, whose friend he stays.
func (m *Module) ownsMore(ctx context.Context, x *store.Thing, owner jid.JID) (bool, error) {
	n, err := m.store.CountThings(ctx, store.ThingFilter{Account: x.JID, Owner: owner})
	return n > 1, err
}

// guest reports whether somebody has no account.
func (m *Module) guest(who jid.JID) bool {
	u, release, ok := m.server.Lookup(who)
	if !ok {
		return false
	}
	defer release()
	return u.Guest()
}

// claim makes who the owner of the thing that has exactly these tags. All failures are alike to who asks.
func (m *Module) claim(ctx context.Context, who jid.JID, domain string, mine *registry.Mine) (x store.Thing, err error) {
	if m.guest(who) || who.IsDomain() {
		return x, stanza.Forbidden.Err("who has no account owns nothing")
	}
	most := m.config.Load().ClaimsPerHour
	if m.failed.count(who, time.Now()) >= most {
		return x, m.limited("claims_per_hour", stanza.PolicyViolation.Err("too many claims have failed"))
	}
	x, err = m.tryClaim(ctx, who, domain, mine)
	switch {
	case err == nil:
		m.metrics.claims.WithLabelValues("claimed").Inc()
	case errors.Is(err, store.ErrNotFound):
		m.metrics.claims.WithLabelValues("refused").Inc()
		m.failed.add(who, time.Now())
		err = errNotYours()
	default:
		m.metrics.claims.WithLabelValues("failed").Inc()
	}
	if err == nil {
		m.news.add(x.JID)
	}
	return x, err
}

func (m *Module) tryClaim(ctx context.Context, who jid.JID, domain string, mine *registry.Mine) (store.Thing, error) {
	key := digest(mine.Tags)
	x, err := m.store.ThingByKey(ctx, key)
	if err != nil {
		return x, err
	}
	defer m.work(x.JID)()
	if x, err = m.store.Thing(ctx, x.ThingName); err != nil { // as it is now
		return x, err
	}
	offered := slices.Equal(x.Offer, key) && x.OfferTo == who
	switch {
	case x.JID.Domain() != domain || x.JID == who || !mine.Node.IsZero() && store.ThingNode(mine.Node) != x.ThingNode:
		return x, store.ErrNotFound
	case x.Owner == who && slices.Equal(x.Key, key):
		return x, nil // the answer to the first claim was lost
	case !x.Owner.IsZero() && !offered:
		return x, store.ErrNotFound
	}
	most := m.config.Load().ThingsPerOwner
	n, err := m.store.CountThings(ctx, store.ThingFilter{Owner: who})
	if err != nil {
		return x, err
	}
	if n >= most {
		return x, m.ownsMost()
	}
	p, err := m.pass(ctx, &x, x.Owner, who, store.ClaimThing{Name: x.ThingName, Digest: key, Owner: who, Public: !mine.Private, At: time.Now(), Most: most})
	if err != nil {
		return x, err
	}
	switch err := p.Wait(ctx); {
	case errors.Is(err, store.ErrOwnsMost): // by another of his claims, which was under way
		return x, m.ownsMost()
	case err != nil:
		return x, err
	}
	return m.store.Thing(ctx, x.ThingName)
}

// ownsMost is what somebody is told who owns as many things as he may.
func (m *Module) ownsMost() error {
	return m.limited("things_per_owner", stanza.ResourceConstraint.Err("you own as many things as one may"))
}

// mine reads a thing of who's.
func (m *Module) mine(ctx context.Context, who jid.JID, name store.ThingName) (store.Thing, error) {
	x, err := m.store.Thing(ctx, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && x.Owner != who {
		return x, errNotYours()
	}
	return x, err
}

// disown makes a thing of who's nobody's.
func (m *Module) disown(ctx context.Context, who jid.JID, name store.ThingName) error {
	defer m.work(name.JID)()
	x, err := m.mine(ctx, who, name)
	if err != nil {
		return err
	}
	p, err := m.pass(ctx, &x, who, jid.JID{}, store.DisownThing{Name: name, Owner: who})
	if err != nil {
		return err
	}
	if err := p.Wait(ctx); err != nil {
		return notYours(err)
	}
	m.news.add(name.JID)
	return nil
}

// give offers a thing of who's to somebody, and returns the key with which he alone can claim it.
func (m *Module) give(ctx context.Context, who jid.JID, name store.ThingName, to jid.JID) (key string, err error) {
	defer m.work(name.JID)()
	if _, err = m.mine(ctx, who, name); err != nil {
		return "", err
	}
	key = rand.Text()
	offer := store.OfferThing{
		Name: name, Owner: who, To: to, Until: time.Now().Add(m.config.Load().GiveExpire),
		Digest: digest(registry.Tags{registry.Str(registry.KEY, key)}),
	}
	return key, notYours(m.store.Commit(offer).Wait(ctx))
}

// change changes what is said of a thing of who's.
func (m *Module) change(ctx context.Context, who jid.JID, name store.ThingName, f func(x *store.Thing) error) error {
	defer m.work(name.JID)()
	x, err := m.mine(ctx, who, name)
	if err != nil {
		return err
	}
	if err := f(&x); err != nil {
		return err
	}
	return notYours(m.telling(name.JID, m.store.Commit(store.SetThing{Thing: x})).Wait(ctx))
}

// Disown is an operator's: it makes a thing nobody's, whoever owned it. It fails with store.ErrNotFound where nobody did. It may
// wait.
func (m *Module) Disown(ctx context.Context, name store.ThingName) error {
	x, err := m.store.Thing(ctx, name)
	if err != nil {
		return err
	}
	if x.Owner.IsZero() {
		return store.ErrNotFound
	}
	return m.disown(ctx, x.Owner, name)
}

// Edit is an operator's: it changes what is said of a thing, whoever owns it (Label, Groups, Tags, Public, Removed). It fails with
// store.ErrNotFound where there is none, or with what f returned. It may wait.
func (m *Module) Edit(ctx context.Context, name store.ThingName, f func(x *store.Thing) error) error {
	defer m.work(name.JID)()
	x, err := m.store.Thing(ctx, name)
	if err != nil {
		return err
	}
	if err := f(&x); err != nil {
		return err
	}
	return m.store.Commit(store.SetThing{Thing: x}).Wait(ctx)
}

// notYours is what is said of a commit that found another owner.
func notYours(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNotYours()
	}
	return err
}

// failures counts the claims of each that failed in this hour.
type failures struct {
	mu   sync.Mutex
	hour time.Time
	of   map[jid.JID]int
}

// mostFailures are how many addresses are counted. Beyond, those of one domain count as one, so that who has many addresses keeps
// nobody elsewhere from claiming; and of so many domains all.
const mostFailures = 100_000

func (f *failures) key(who jid.JID, now time.Time) jid.JID {
	if f.of == nil || now.Sub(f.hour) >= time.Hour {
		f.of, f.hour = make(map[jid.JID]int), now
	}
	if _, counted := f.of[who]; counted || len(f.of) < mostFailures {
		return who
	}
	if _, counted := f.of[who.Host()]; counted || len(f.of) < 2*mostFailures {
		return who.Host()
	}
	return jid.JID{}
}

func (f *failures) count(who jid.JID, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[f.key(who, now)]
}

func (f *failures) add(who jid.JID, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[f.key(who, now).Clone()]++
}
