// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: decree and revoke are the ways in which an owner's rules change; all of it runs on workers, and returns when
// what it has done is committed and holds. Rules of one thing are changed one after the other.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// work lets the rules of a thing be changed by one at a time.
func (m *Module) work(thing jid.JID) *sync.Mutex {
	return &m.changing[shard(thing)]
}

// decree makes r a rule of its owner's, and ends the question of that number, 0 for none. What was said before of the same subject,
// right and names is taken back. The rule it returns has its number; shadow is that of a rule that makes it void, or 0.
func (m *Module) decree(ctx context.Context, r store.Rule, question int64) (made store.Rule, shadow int64, err error) {
	mu := m.work(r.Thing.JID)
	mu.Lock()
	defer mu.Unlock()
	owner, _, err := m.things.Thing(ctx, r.Thing.JID, r.Thing.ThingNode)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && owner != r.Owner:
		return r, 0, stanza.ItemNotFound.Err("you have no such thing")
	case err != nil:
		return r, 0, err
	}
	if err := m.checkToken(ctx, &r); err != nil {
		return r, 0, err
	}
	rules, _, err := m.store.ThingRules(ctx, r.Thing.JID)
	if err != nil {
		return r, 0, err
	}
	c := m.config.Load()
	ops, shadow := settle(&r, rules, question)
	switch {
	case len(rules) >= c.Rules && !slices.ContainsFunc(rules, func(x store.Rule) bool { return x.Number == r.Number && x.Owner == r.Owner }):
		return r, 0, stanza.ResourceConstraint.Err(fmt.Sprintf("there are %d rules for this thing: revoke one first", len(rules)))
	case len(r.Names) > c.Names:
		return r, 0, stanza.PolicyViolation.Err(fmt.Sprintf("a rule may have %d names", c.Names))
	}
	if question != 0 {
		ops = append(ops, store.DropQuestion{Owner: r.Owner, Number: question})
	}
	if err := m.commit(ctx, &r, rules, ops); err != nil {
		return r, 0, err
	}
	if !r.Allow {
		m.recheck(ctx, &r)
	}
	if r.Number != 0 {
		return r, shadow, nil
	}
	if rules, _, err = m.store.ThingRules(ctx, r.Thing.JID); err != nil {
		return r, 0, err
	}
	for _, x := range rules {
		if x.Owner == r.Owner && sameRule(&x, &r) && x.Allow == r.Allow {
			r = x
		}
	}
	return r, shadow, nil
}

// settle is what makes r hold beside the rules that there are. It joins r with one that says the same of other names, and takes its
// names out of the one that says the opposite; where that one speaks of all names, it stays, and is the shadow. What is forbidden by
// name stays so where everything is allowed.
func settle(r *store.Rule, rules []store.Rule, question int64) (ops []store.Op, shadow int64) {
	r.Created = time.Now()
	r.Number = question
	for i := range rules {
		x := rules[i]
		if x.Owner != r.Owner || x.Thing != r.Thing || x.Subject != r.Subject {
			continue
		}
		switch {
		case x.Allow == r.Allow && x.Right == r.Right:
			r.Number = x.Number
			r.Names = union(x.Names, r.Names)
		case x.Allow == r.Allow:
		case !r.Right.Covers(x.Right): // x may speak of more than r does, and is not undone by that
			if r.Allow && x.Right.Covers(r.Right) && (len(x.Names) == 0 || slices.ContainsFunc(r.Names, func(name string) bool { return named(x.Names, name) })) {
				shadow = x.Number
			}
		case len(r.Names) == 0 && (!r.Allow || len(x.Names) == 0):
			ops = append(ops, store.DeleteRule{Owner: x.Owner, Number: x.Number})
		case len(r.Names) == 0: // but for what is forbidden by name
		case len(x.Names) == 0:
			if r.Allow {
				shadow = x.Number
			}
		default:
			x.Names = slices.DeleteFunc(slices.Clone(x.Names), func(name string) bool { return named(r.Names, name) })
			if len(x.Names) == 0 {
				ops = append(ops, store.DeleteRule{Owner: x.Owner, Number: x.Number})
			} else {
				ops = append(ops, store.SetRule{Rule: x})
			}
		}
	}
	return append(ops, store.SetRule{Rule: *r}), shadow
}

// sameRule reports whether two rules differ in names and in what they say of them alone.
func sameRule(a, b *store.Rule) bool {
	return a.Thing == b.Thing && a.Subject == b.Subject && a.Right == b.Right
}

// revoke ends a rule of the owner's.
func (m *Module) revoke(ctx context.Context, owner jid.JID, number int64) (store.Rule, error) {
	page, err := m.store.OwnerRules(ctx, owner, number-1, 1)
	if err != nil {
		return store.Rule{}, err
	}
	if len(page) == 0 || page[0].Number != number {
		return store.Rule{}, stanza.ItemNotFound.Err(fmt.Sprintf("there is no rule %d", number))
	}
	r := page[0]
	mu := m.work(r.Thing.JID)
	mu.Lock()
	defer mu.Unlock()
	rules, _, err := m.store.ThingRules(ctx, r.Thing.JID)
	if err != nil {
		return r, err
	}
	err = m.commit(ctx, &r, rules, []store.Op{store.DeleteRule{Owner: owner, Number: number}})
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = stanza.ItemNotFound.Err(fmt.Sprintf("there is no rule %d", number))
	case err == nil && r.Allow:
		m.recheck(ctx, &r)
	}
	return r, err
}

// commit makes a change of rules hold: it is committed with the end of the subscription that it may end, then it is what counts here,
// then whoever has to know is told.
func (m *Module) commit(ctx context.Context, r *store.Rule, rules []store.Rule, ops []store.Op) error {
	thing := r.Thing.JID
	lost := m.losers(r, rules, ops)
	parted := lost
	var p *store.Pending
	if len(lost) > 0 {
		var err error
		if p, err = m.roster.Part(ctx, thing, lost[0], ops...); err != nil {
			return err
		}
		lost = lost[1:]
	} else {
		p = m.store.Commit(ops...)
	}
	done := make(chan error, 1) // behind forget, which Wait is not. K1
	p.OnDone(func(err error) {
		m.known.forget(thing)
		done <- err
	})
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, contact := range lost {
		if p, err := m.roster.Part(ctx, thing, contact); err != nil {
			m.log.Error("a subscription was not ended", "jid", thing.String(), "err", err)
		} else if err := p.Wait(ctx); err != nil {
			return err
		}
	}
	m.part(thing, parted)
	m.asking.refresh(thing)
	return nil
}

// part tells a thing that asks for itself whose friend it is no more (XEP-0324 §3.2.3).
func (m *Module) part(thing jid.JID, from []jid.JID) {
	if len(from) == 0 || !m.spoke.is(thing) {
		return
	}
	t := m.server.NewTurn()
	defer t.End()
	for _, contact := range from {
		s := stanza.New(stanza.Message, stanza.Normal, thing, &provisioning.Unfriend{JID: contact})
		s.From = m.service.Address(thing.Domain())
		t.Route(s)
	}
}

// losers are contacts of the thing that will not see its presence any more once ops are done.
func (m *Module) losers(r *store.Rule, rules []store.Rule, ops []store.Op) (list []jid.JID) {
	if r.Right != store.RightFriend || r.Thing.ThingNode != (store.ThingNode{}) {
		return nil
	}
	next := after(rules, ops)
	contacts, err := m.contacts(r.Thing.JID)
	if err != nil {
		m.log.Error("a thing's contacts were not read, and keep their subscriptions", "jid", r.Thing.JID.String(), "err", err)
		return nil
	}
	for _, contact := range contacts {
		st := standing{caller: contact, owners: owners{{}: {owner: r.Owner}}, rules: next}
		if r.Subject.Kind == store.SubjectGroup || slices.ContainsFunc(next, func(x store.Rule) bool { return x.Subject.Kind == store.SubjectGroup }) {
			groups, err := m.groups(context.Background(), r.Owner, contact)
			if err != nil {
				continue
			}
			for _, g := range groups {
				st.groups = append(st.groups, membership{r.Owner, g})
			}
		}
		if st.is(r) && st.decide(store.ThingNode{}, store.RightFriend, nil).Verdict != All {
			list = append(list, contact)
		}
	}
	return list
}

// after is what rules will be.
func after(rules []store.Rule, ops []store.Op) []store.Rule {
	next := slices.Clone(rules)
	for _, op := range ops {
		switch op := op.(type) {
		case store.DeleteRule:
			next = slices.DeleteFunc(next, func(x store.Rule) bool { return x.Owner == op.Owner && x.Number == op.Number })
		case store.SetRule:
			next = slices.DeleteFunc(next, func(x store.Rule) bool {
				return op.Rule.Number != 0 && x.Owner == op.Rule.Owner && x.Number == op.Rule.Number
			})
			next = append(next, op.Rule)
		}
	}
	return next
}

// contacts are who sees a thing's presence.
func (m *Module) contacts(thing jid.JID) (list []jid.JID, err error) {
	all, err := m.store.Roster(context.Background(), thing)
	for _, it := range all.Items {
		if it.Subscription&store.SubscriptionFrom != 0 || it.Approved {
			list = append(list, it.Contact)
		}
	}
	return list, err
}

// strangers are who sees a thing and will not any more once it is next's: whom its last owner has let see it. At most store.MaxCallOps/4 go
// with the change itself; what is beyond goes before it.
func (m *Module) strangers(ctx context.Context, thing, next jid.JID) ([]jid.JID, error) {
	list, err := m.contacts(thing)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	stay, err := m.behind(ctx, thing)
	if err != nil {
		return nil, err
	}
	stay[next], stay[thing] = true, true
	list = slices.DeleteFunc(list, func(j jid.JID) bool { return stay[j] })
	for len(list) > store.MaxCallOps/4 {
		p, err := m.roster.Part(ctx, thing, list[0])
		if err == nil {
			err = p.Wait(ctx)
		}
		if err != nil {
			return nil, err
		}
		list = list[1:]
	}
	return list, nil
}

// behind are the owners of what is behind an account.
func (m *Module) behind(ctx context.Context, thing jid.JID) (map[jid.JID]bool, error) {
	all := make(map[jid.JID]bool)
	for f := (store.ThingFilter{Account: thing}); ; {
		page, err := m.store.ListThings(ctx, f)
		if err != nil || len(page) == 0 {
			return all, err
		}
		for i := range page {
			f.After = page[i].Row
			if page[i].ThingNode != (store.ThingNode{}) {
				all[page[i].Owner] = true
			}
		}
	}
}

// recheck ends subscriptions to what the thing publishes, where a rule was what let them be, or is against them now. Some of what it
// publishes is for who has any right.
func (m *Module) recheck(ctx context.Context, r *store.Rule) {
	if m.nodes == nil || r.Subject.Kind == store.SubjectToken { // nobody shows one to read what is published
		return
	}
	var err error
	if r.Subject.Kind != store.SubjectCaller {
		err = m.nodes.RecheckAll(ctx, r.Thing.JID)
	} else if caller, bad := jid.Parse(r.Subject.Name); bad == nil {
		err = m.nodes.Recheck(ctx, r.Thing.JID, caller)
	}
	if err != nil {
		m.log.Error("subscriptions not ended", "jid", r.Thing.JID.String(), "err", err)
	}
}

// refresh has a thing forget what it remembers, if that does not hold any more.
func (m *Module) refresh(_ *server.Turn, thing jid.JID) { m.asking.refresh(thing) }

// clear asks a thing to forget what it remembers of decisions (XEP-0324 §3.5); it is asked again when it comes back, until it has
// answered. A thing that does not understand has nothing to forget.
func (m *Module) clear(ctx context.Context, thing jid.JID) {
	u, release, ok := m.server.Lookup(thing)
	if !ok {
		return
	}
	defer release()
	for _, se := range u.Sessions(nil) {
		if m.speaks.Of(se) == nil { // it was here before it was a thing
			t := m.server.NewTurn()
			m.learn(t, se)
			t.End()
		}
	}
	if _, err := m.recall(ctx, thing, nil, thing); err != nil {
		m.log.Error("a thing was not told that rules have changed", "jid", thing.String(), "err", err)
		return
	}
	stale := m.known.stale(thing)
	if stale == 0 {
		return
	}
	var asked []*server.Session
	for _, se := range u.Sessions(nil) {
		if m.asksItself(se) {
			asked = append(asked, se)
		}
	}
	left := &count{n: len(asked)}
	for _, se := range asked {
		iq := stanza.New(stanza.IQ, stanza.Set, se.JID, new(provisioning.ClearCache))
		iq.From = m.service.Address(thing.Domain())
		t := m.server.NewTurn()
		m.server.Ask(t, iq, time.Duration(m.config.Load().Wait), func(_ *server.Turn, answer *stanza.Stanza) {
			if answer == nil || !left.down() {
				return
			}
			m.store.Commit(store.ClearStale{Thing: thing, Stale: stale}).OnDone(func(error) { m.known.forget(thing) })
		})
		t.End()
	}
}

// count counts down.
type count struct {
	mu sync.Mutex
	n  int
}

// down reports whether it was the last.
func (c *count) down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	return c.n == 0
}

// answer answers question number of the owner: names and subject as he says, those asked for where he says none.
func (m *Module) answer(ctx context.Context, owner jid.JID, number int64, allow bool, names []string, subject *store.Subject) (store.Rule, int64, error) {
	q, err := m.store.Question(ctx, owner, number)
	if errors.Is(err, store.ErrNotFound) {
		return store.Rule{}, 0, stanza.ItemNotFound.Err(fmt.Sprintf("there is no question %d", number))
	}
	if err != nil {
		return store.Rule{}, 0, err
	}
	r := store.Rule{Owner: owner, Thing: q.Thing, Right: q.Right, Allow: allow, Names: q.Names}
	r.Subject = store.Subject{Kind: store.SubjectCaller, Name: q.Caller.String()}
	if len(names) > 0 && q.Right != store.RightFriend {
		r.Names = names
	}
	if subject != nil {
		r.Subject = *subject
	}
	made, shadow, err := m.decree(ctx, r, number)
	if errors.Is(err, store.ErrNotFound) { // answered by somebody else meanwhile
		err = stanza.ItemNotFound.Err(fmt.Sprintf("there is no question %d", number))
	}
	if err != nil {
		return r, 0, err
	}
	m.asking.answered(&q)
	if allow && q.Right == store.RightFriend {
		m.welcome(&q)
	}
	return made, shadow, nil
}

// welcome lets who has asked to be a friend come: his request as if he had sent it now, or, where the thing has asked for him, by a
// recommendation to the thing (XEP-0324 §3.2.4).
func (m *Module) welcome(q *store.Question) {
	t := m.server.NewTurn()
	defer t.End()
	if q.Subscribe {
		s := stanza.New(stanza.Presence, stanza.Subscribe, q.Thing.JID)
		s.From = q.Caller
		t.Route(s)
		return
	}
	s := stanza.New(stanza.Message, stanza.Normal, q.Thing.JID, &provisioning.Friend{JID: q.Caller})
	s.From = m.service.Address(q.Thing.JID.Domain())
	t.Route(s)
}
