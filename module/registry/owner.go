// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: whatever way somebody asked for it (a request, words, a command), what is done is done here. All of
// it runs on workers, waits for the store, and returns when what it has done is committed.

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// tagKey is the tag that thing and owner share, and nobody else sees. XEP-0347 §5.8
const tagKey = "KEY"

// errNotYours is what everybody is told who asks for a thing that is not his, or not there.
func errNotYours() error { return stanza.ItemNotFound.Err("") }

// digest is what is kept of the tags by which a thing is claimed, KEY among them: it does not tell them.
func digest(tags []store.ThingTag) []byte {
	sorted := slices.SortedFunc(slices.Values(tags), func(a, b store.ThingTag) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, t := range sorted {
		v := "s" + t.Str
		if t.Numeric {
			v = "n" + strconv.FormatFloat(t.Num, 'g', -1, 64)
		}
		fmt.Fprintf(h, "%d:%s%d:%s", len(t.Name), t.Name, len(v), v)
	}
	return h.Sum(nil)
}

// called is what people call a thing.
func called(x *store.Thing) string {
	if x.Label != "" {
		return x.Label
	}
	for _, t := range x.Tags {
		if t.Name == "NAME" && !t.Numeric && t.Str != "" {
			return t.Str
		}
	}
	if x.ID != "" {
		return x.ID
	}
	return x.JID.Local()
}

// Adopt registers a thing as it is said to be, whatever it says of itself later, in one commit with ops, which come first and may
// make its account: with an owner, it is that owner's from the start. It fails with store.ErrExists where somebody owns it. It
// may wait.
func (m *Module) Adopt(ctx context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error) {
	m.Learn(x.JID)
	x.Registered = time.Now()
	if !x.Owner.IsZero() {
		x.Claimed, x.Notice = x.Registered, store.NoticeClaimed
	}
	for i := range x.Tags {
		x.Tags[i].Given = true
	}
	ops = append(ops[:len(ops):len(ops)], store.RegisterThing{Thing: x})
	return m.pass(ctx, &x, jid.JID{}, x.Owner, ops...)
}

// pass commits ops by which a thing passes from one owner to another, zero for none, with what belongs to that.
func (m *Module) pass(ctx context.Context, x *store.Thing, old, next jid.JID, ops ...store.Op) (*store.Pending, error) {
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
	if !next.IsZero() && next != x.JID {
		relations = append(relations, Relation{Thing: x.JID, Other: next, Friends: true, Name: called(x)})
	}
	if old != next {
		for _, f := range m.owners {
			ops = append(ops, f(x.JID, x.ThingNode, old, next)...)
		}
	}
	return m.contacts.Relate(ctx, relations, ops...)
}

// ownsMore reports whether somebody owns another thing of x's account, whose friend he stays.
func (m *Module) ownsMore(ctx context.Context, x *store.Thing, owner jid.JID) (bool, error) {
	n, err := m.store.CountThings(ctx, store.ThingFilter{Account: x.JID, Owner: owner})
	return n > 1, err
}

// claim makes who the owner of the thing that has exactly these tags. All failures are alike to who asks.
func (m *Module) claim(ctx context.Context, who jid.JID, domain string, tags []store.ThingTag, public bool) (x store.Thing, err error) {
	if u, release, ok := m.server.Lookup(who); ok {
		guest := u.Guest()
		release()
		if guest {
			return x, stanza.Forbidden.Err("a guest owns nothing")
		}
	}
	most := m.config.Load().ClaimsPerHour
	if m.failed.count(who, time.Now()) >= most {
		return x, m.limited("claims_per_hour", stanza.PolicyViolation.Err("too many claims have failed"))
	}
	x, err = m.tryClaim(ctx, who, domain, digest(tags), public)
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
	return x, err
}

func (m *Module) tryClaim(ctx context.Context, who jid.JID, domain string, key []byte, public bool) (store.Thing, error) {
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
	case x.JID.Domain() != domain || x.JID == who:
		return x, store.ErrNotFound
	case x.Owner == who && slices.Equal(x.Key, key):
		return x, nil // the answer to the first claim was lost
	case !x.Owner.IsZero() && !offered:
		return x, store.ErrNotFound
	}
	n, err := m.store.CountThings(ctx, store.ThingFilter{Owner: who})
	if err != nil {
		return x, err
	}
	if n >= m.config.Load().ThingsPerOwner {
		return x, m.limited("things_per_owner", stanza.ResourceConstraint.Err("you own as many things as one may"))
	}
	old := x.Owner
	p, err := m.pass(ctx, &x, old, who, store.ClaimThing{Name: x.ThingName, Digest: key, Owner: who, Public: public, At: time.Now()})
	if err != nil {
		return x, err
	}
	if err := p.Wait(ctx); err != nil {
		return x, err
	}
	return m.store.Thing(ctx, x.ThingName)
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
	return notYours(p.Wait(ctx))
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
		Digest: digest([]store.ThingTag{{Name: tagKey, Str: key}}),
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
	return notYours(m.store.Commit(store.SetThing{Thing: x}).Wait(ctx))
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

// mostFailures are how many addresses are counted; beyond, all count as one.
const mostFailures = 100_000

func (f *failures) key(who jid.JID, now time.Time) jid.JID {
	if f.of == nil || now.Sub(f.hour) >= time.Hour {
		f.of, f.hour = make(map[jid.JID]int), now
	}
	if _, counted := f.of[who]; !counted && len(f.of) >= mostFailures {
		return jid.JID{}
	}
	return who
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
