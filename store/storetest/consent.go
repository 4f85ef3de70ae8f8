// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the topic, then a test for rules, questions and refusals each: what was written is read, also by another
// who opens the store, and goes with whom it belongs to.

var consent = topic{
	name: "consent",
	test: testConsent,
	give: func(user jid.JID) []store.Op {
		return []store.Op{
			store.SetRule{Rule: store.Rule{Owner: owner, Thing: store.ThingName{JID: user}, Right: store.RightRead, Subject: store.Subject{Kind: store.SubjectAll}}},
			store.AskQuestion{Question: store.Question{Owner: owner, Thing: store.ThingName{JID: user}, Caller: reader, Right: store.RightRead}},
			refused(store.ThingName{JID: user}, reader, dawn, 1),
		}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		rules, stale, err := s.ThingRules(ctx, user)
		questions, _, err2 := s.QuestionCount(ctx, user, reader)
		refusals, err3 := s.Refusals(ctx, user, 0, 0)
		n := len(rules) + questions + len(refusals)
		if stale != 0 {
			n++
		}
		return n, errors.Join(err, err2, err3)
	},
}

var (
	owner  = jid.MustParse("owner@montague.example")
	reader = jid.MustParse("reader@montague.example")
)

func refused(thing store.ThingName, caller jid.JID, at time.Time, count int) store.AddRefusal {
	r := store.Refusal{Thing: thing, Caller: caller, Right: store.RightRead, Way: "readout", Names: []string{"t"}, First: at, Last: at, Count: count}
	return store.AddRefusal{Refusal: r, Within: time.Minute, Keep: 3}
}

func testConsent(t *testing.T, e Engine) {
	meter := store.ThingName{JID: user("meter")}
	node := store.ThingName{JID: user("meter"), ThingNode: store.ThingNode{ID: "n", Source: "s", Cache: "c"}}
	rule := func(of jid.JID, thing store.ThingName, s store.Subject, names ...string) store.Rule {
		return store.Rule{Owner: of, Thing: thing, Subject: s, Right: store.RightControl, Allow: true, Names: names, Created: dawn}
	}
	all := store.Subject{Kind: store.SubjectAll}
	caller := func(j jid.JID) store.Subject { return store.Subject{Name: j.String()} }

	t.Run("rules", func(t *testing.T) {
		s := e.open(t, "meter", "lamp", "juliet")
		want := func(s store.Store, thing jid.JID, want ...store.Rule) (stale int64) {
			t.Helper()
			got, stale, err := s.ThingRules(t.Context(), thing)
			if err != nil || !slices.EqualFunc(got, want, func(a, b store.Rule) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("rules of %s: %v\n%+v\nwant\n%+v", thing, err, got, want)
			}
			return stale
		}
		if stale := want(s, user("meter")); stale != 0 {
			t.Errorf("stale %d without a rule", stale)
		}
		a, b := rule(owner, meter, caller(user("juliet")), "on", "лампа"), rule(owner, node, all)
		c := rule(user("juliet"), store.ThingName{JID: user("lamp")}, store.Subject{Kind: store.SubjectDomain, Name: "x.example"})
		commit(t, s, store.SetRule{Rule: a}, store.SetRule{Rule: b}, store.SetRule{Rule: c})
		a.Number, b.Number, c.Number = 1, 2, 1
		first := want(s, user("meter"), a, b)
		want(s, user("lamp"), c)
		a.Allow, a.Names = false, nil
		commit(t, s, store.SetRule{Rule: a})
		second := want(s, user("meter"), a, b)
		if first == 0 || second <= first {
			t.Errorf("stale: %d, then %d", first, second)
		}
		commit(t, s, store.ClearStale{Thing: user("meter"), Stale: first})
		if now := want(s, user("meter"), a, b); now != second {
			t.Errorf("stale %d when only %d of %d was forgotten", now, first, second)
		}
		commit(t, s, store.ClearStale{Thing: user("meter"), Stale: second})
		s = e.reopen(t, s)
		if now := want(s, user("meter"), a, b); now != 0 {
			t.Errorf("stale %d when all was forgotten", now)
		}
		commit(t, s, store.Outdate{Thing: user("meter")})
		third := want(s, user("meter"), a, b)
		if third <= second {
			t.Errorf("stale %d after something else has changed, %d before", third, second)
		}
		second = third
		page := must[[]store.Rule](t)(s.OwnerRules(t.Context(), owner, 1, 9))
		if len(page) != 1 || page[0].Number != 2 {
			t.Errorf("page of rules: %+v", page)
		}
		commit(t, s, store.DeleteRule{Owner: owner, Number: 2})
		if now := want(s, user("meter"), a); now <= second {
			t.Errorf("stale %d after a rule was removed, %d before", now, second)
		}
		if err := outcome(t, s.Commit(store.DeleteRule{Owner: owner, Number: 2})); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a rule that there is not: %v", err)
		}
		commit(t, s, store.SetRule{Rule: rule(owner, meter, all)}) // numbers are not used again
		if page := must[[]store.Rule](t)(s.OwnerRules(t.Context(), owner, 1, 9)); len(page) != 1 || page[0].Number != 3 {
			t.Errorf("rules after a removal: %+v", page)
		}

		// Who is gone has no rights, and has decided nothing.
		commit(t, s, store.DeleteAccount{User: user("juliet")}, create("juliet"))
		if rules, _, _ := s.ThingRules(t.Context(), user("meter")); len(rules) != 1 || rules[0].Number != 3 {
			t.Errorf("rules for a deleted account: %+v", rules)
		}
		if stale := want(s, user("lamp")); stale == 0 {
			t.Error("a thing is not told that its owner's rules are gone")
		}
	})
	t.Run("questions", func(t *testing.T) {
		s := e.open(t, "meter", "juliet")
		q := store.Question{Owner: owner, Thing: node, Caller: reader, Right: store.RightRead, Names: []string{"t"}, Asked: dawn}
		commit(t, s, store.AskQuestion{Question: q})
		q.Number = 1
		want := func(want store.Question) {
			t.Helper()
			for what, read := range map[string]func() (store.Question, error){
				"number": func() (store.Question, error) { return s.Question(t.Context(), owner, want.Number) },
				"about": func() (store.Question, error) {
					return s.QuestionAbout(t.Context(), want.Thing, want.Caller, want.Right)
				},
			} {
				if got, err := read(); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("by %s: %v\n%+v\nwant\n%+v", what, err, got, want)
				}
			}
		}
		want(q)
		q.Names, q.Asked, q.Subscribe = []string{"t", "u"}, dawn.Add(time.Hour), true
		commit(t, s, store.AskQuestion{Question: q})
		want(q)
		other := q
		other.Caller, other.Number = user("juliet"), 2
		commit(t, s, store.AskQuestion{Question: other})
		want(other)
		if list := must[[]store.Question](t)(s.Questions(t.Context(), owner, 1, 0)); len(list) != 1 || list[0].Number != 2 {
			t.Errorf("questions: %+v", list)
		}
		count := func(thing, caller int) {
			t.Helper()
			a, b, err := s.QuestionCount(t.Context(), user("meter"), reader)
			if a != thing || b != caller || err != nil {
				t.Errorf("%d of the thing, %d of the caller, %v, want %d, %d", a, b, err, thing, caller)
			}
		}
		count(2, 1)
		next := other
		next.Owner = user("juliet") // the thing is another's now: that of the last owner is gone
		commit(t, s, store.AskQuestion{Question: next})
		count(2, 1)
		if _, err := s.Question(t.Context(), owner, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a question to the last owner: %v", err)
		}
		// The answer and the question's end are one.
		answer := store.SetRule{Rule: rule(owner, node, caller(reader))}
		answer.Rule.Number = 1
		if err := outcome(t, s.Commit(answer, store.DropQuestion{Owner: owner, Number: 7})); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an answer to no question: %v", err)
		}
		if rules, _, _ := s.ThingRules(t.Context(), user("meter")); len(rules) != 0 {
			t.Errorf("half an answer: %+v", rules)
		}
		commit(t, s, store.DropQuestion{Owner: owner, Number: 1}, answer)
		count(1, 0)
		commit(t, s, store.ExpireConsent{Before: dawn.Add(time.Hour), Limit: 5})
		count(1, 0)
		commit(t, s, store.ExpireConsent{Before: dawn.Add(2 * time.Hour), Limit: 5})
		count(0, 0)
	})
	t.Run("an owner is forgotten", func(t *testing.T) {
		s := e.open(t, "meter")
		for _, n := range []store.ThingName{meter, node} {
			for _, of := range []jid.JID{owner, reader} {
				commit(t, s, store.SetRule{Rule: rule(of, n, all)},
					store.AskQuestion{Question: store.Question{Owner: of, Thing: n, Caller: user("x"), Right: store.Right(1 + len(of.Local())%2)}})
			}
		}
		left := func(want string) {
			t.Helper()
			rules, _, err := s.ThingRules(t.Context(), user("meter"))
			got := ""
			for _, r := range rules {
				got += fmt.Sprintf("%s:%s ", r.Owner.Local(), r.Thing.ID)
			}
			if err != nil || got != want {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
		left("owner: owner:n reader: reader:n ")
		commit(t, s, store.ForgetConsent{Thing: node, Owner: owner})
		left("owner: reader: reader:n ")
		commit(t, s, store.ForgetConsent{Thing: meter, Owner: reader})
		left("owner: ")
		if list := must[[]store.Question](t)(s.Questions(t.Context(), reader, 0, 0)); len(list) != 0 {
			t.Errorf("questions to who is forgotten: %+v", list)
		}
	})
	t.Run("refusals", func(t *testing.T) {
		s := e.open(t, "meter")
		want := func(want string) {
			t.Helper()
			got := ""
			for _, r := range must[[]store.Refusal](t)(s.Refusals(t.Context(), user("meter"), 0, 0)) {
				got += fmt.Sprintf("%s%s*%d@%d-%d ", r.Caller.Local(), r.Thing.ID, r.Count, r.First.Sub(dawn)/time.Second, r.Last.Sub(dawn)/time.Second)
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		at := func(s int) time.Time { return dawn.Add(time.Duration(s) * time.Second) }
		commit(t, s, refused(meter, reader, at(0), 1), refused(meter, reader, at(60), 2))
		want("reader*3@0-60 ")
		commit(t, s, refused(node, reader, at(61), 1), refused(meter, owner, at(62), 1))
		want("owner*1@62-62 readern*1@61-61 reader*3@0-60 ")
		commit(t, s, refused(meter, reader, at(121), 1)) // more than a minute: a row of its own, and the oldest goes
		want("reader*1@121-121 owner*1@62-62 readern*1@61-61 ")
		list := must[[]store.Refusal](t)(s.Refusals(t.Context(), user("meter"), 0, 1))
		if more := must[[]store.Refusal](t)(s.Refusals(t.Context(), user("meter"), list[0].Row, 1)); len(more) != 1 || more[0].Caller != owner ||
			more[0].Way != "readout" || !slices.Equal(more[0].Names, []string{"t"}) || more[0].Right != store.RightRead {
			t.Errorf("second page: %+v", more)
		}
		commit(t, s, store.ExpireConsent{Before: at(62), Limit: 1})
		want("reader*1@121-121 owner*1@62-62 ")
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t)
		many := make([]string, store.MaxConsentNames+1)
		for i := range many {
			many[i] = "n"
		}
		ask := func(change func(*store.Question)) store.Op {
			q := store.Question{Owner: owner, Thing: meter, Caller: reader, Right: store.RightRead}
			change(&q)
			return store.AskQuestion{Question: q}
		}
		set := func(change func(*store.Rule)) store.Op {
			r := rule(owner, meter, all)
			change(&r)
			return store.SetRule{Rule: r}
		}
		refuse := func(change func(*store.AddRefusal)) store.Op {
			r := refused(meter, reader, dawn, 1)
			change(&r)
			return r
		}
		for i, test := range []struct {
			op   store.Op
			want error
		}{
			{set(func(*store.Rule) {}), store.ErrNotFound},
			{ask(func(*store.Question) {}), store.ErrNotFound},
			{refuse(func(*store.AddRefusal) {}), store.ErrNotFound},
			{store.ForgetConsent{Thing: meter, Owner: owner}, nil},
			{store.ClearStale{Thing: user("meter")}, store.ErrNotFound},
			{store.Outdate{Thing: user("meter")}, store.ErrNotFound},
			{store.DropQuestion{Owner: owner, Number: 1}, store.ErrNotFound},
			{set(func(r *store.Rule) { r.Right = store.AnyRight }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Right = 9 }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Owner = jid.JID{} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Thing.JID = jid.MustParse("capulet.example") }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Subject = store.Subject{Kind: 4} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Subject = store.Subject{} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Subject.Name = "x" }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Names = []string{""} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Names = []string{"a\x00b"} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Names = []string{strings.Repeat("x", store.MaxConsentName+1)} }), store.ErrInvalid},
			{set(func(r *store.Rule) { r.Names = many }), store.ErrTooLarge},
			{set(func(r *store.Rule) { r.Number = -1 }), store.ErrInvalid},
			{ask(func(q *store.Question) { q.Caller = jid.MustParse("a@b/c") }), store.ErrInvalid},
			{ask(func(q *store.Question) { q.Owner = jid.JID{} }), store.ErrInvalid},
			{ask(func(q *store.Question) { q.Right = 0 }), store.ErrInvalid},
			{refuse(func(r *store.AddRefusal) { r.Keep = 0 }), store.ErrInvalid},
			{refuse(func(r *store.AddRefusal) { r.Refusal.Way = "" }), store.ErrInvalid},
			{refuse(func(r *store.AddRefusal) { r.Refusal.Count = 0 }), store.ErrInvalid},
			{refuse(func(r *store.AddRefusal) { r.Refusal.Caller = jid.JID{} }), store.ErrInvalid},
			{store.DeleteRule{}, store.ErrInvalid},
			{store.DropQuestion{}, store.ErrInvalid},
			{store.ForgetConsent{Thing: meter}, store.ErrInvalid},
			{store.ForgetConsent{Owner: owner}, store.ErrInvalid},
			{store.ClearStale{}, store.ErrInvalid},
			{store.Outdate{}, store.ErrInvalid},
			{store.ExpireConsent{}, store.ErrInvalid},
		} {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
			}
		}
		if _, _, err := s.ThingRules(t.Context(), jid.JID{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("rules of nothing: %v", err)
		}
		if _, err := s.Refusals(t.Context(), jid.JID{}, 0, 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("refusals of nothing: %v", err)
		}
	})
}
