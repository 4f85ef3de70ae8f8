// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: standing is what there is to know of a thing when somebody wants something of it; decide says what he
// may. It waits for nothing.

import (
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Verdict is what the rules say.
type Verdict uint8

// The verdicts.
const (
	None    Verdict = iota // a rule forbids it, or there is nobody who could allow it
	Unknown                // no rule says anything: no, and the owner is asked
	Some                   // some of the names
	All                    // all that was wanted
)

// Decision is what somebody may of what he wants.
type Decision struct {
	Verdict Verdict
	Names   []string // of Some: the names
	Except  []string // of All, where everything was wanted: but for these names
	Unknown []string // of Some and Unknown: the names that no rule speaks of
}

// standing is what somebody is to a thing at one moment.
type standing struct {
	caller jid.JID // bare
	groups []membership
	owners owners
	rules  []store.Rule // of the account and all behind it; not to be changed
	tokens []string     // that he has shown, and may use
	person bool         // it is no thing after all
	met    bool         // in a room where it is: that it is there is no secret, and who says so may be put out of that room
}

// membership is a group of an owner's roster.
type membership struct {
	owner jid.JID
	group string
}

// owned is a thing's owner, and what he calls it.
type owned struct {
	owner jid.JID // zero: nobody's
	label string
}

// owners of an account (the zero node) and of the nodes behind it that are asked for.
type owners map[store.ThingNode]owned

// of is the owner of a node, which is the account's where the node is not registered for itself.
func (o owners) of(n store.ThingNode) owned {
	if x, ok := o[n]; ok {
		return x
	}
	return o[store.ThingNode{}]
}

// decide says what of the names may be done with a node (zero: all there is behind the address, and itself); no names: everything. The most specific subject wins; among rules
// of one subject a refusal does.
func (s *standing) decide(n store.ThingNode, right store.Right, names []string) Decision {
	owner := s.owners.of(n).owner
	switch {
	case owner.IsZero():
		return Decision{}
	case owner == s.caller:
		return Decision{Verdict: All}
	}
	if len(names) == 0 {
		return s.everything(owner, n, right)
	}
	d := Decision{}
	refused := false
	for _, name := range names {
		switch s.one(owner, n, right, name) {
		case All:
			d.Names = append(d.Names, name)
		case Unknown:
			d.Unknown = append(d.Unknown, name)
		default:
			refused = true
		}
	}
	switch {
	case len(d.Names) == len(names):
		return Decision{Verdict: All}
	case len(d.Names) > 0:
		d.Verdict = Some
	case len(d.Unknown) > 0:
		d.Verdict = Unknown
	case refused:
		d.Verdict = None
	}
	return d
}

// everything decides where no names were given: those that rules speak of are looked at one by one.
func (s *standing) everything(owner jid.JID, n store.ThingNode, right store.Right) Decision {
	var yes, no []string
	for i := range s.rules {
		r := &s.rules[i]
		if !s.about(r, owner, n) || !r.Right.Covers(right) && !right.Covers(r.Right) {
			continue
		}
		for _, name := range r.Names {
			if named(yes, name) || named(no, name) {
				continue
			}
			if s.one(owner, n, right, name) == All {
				yes = append(yes, name)
			} else {
				no = append(no, name)
			}
		}
	}
	switch rest := s.one(owner, n, right, ""); {
	case rest == All:
		return Decision{Verdict: All, Except: no}
	case len(yes) > 0:
		return Decision{Verdict: Some, Names: yes}
	default:
		return Decision{Verdict: rest}
	}
}

// specific are the kinds of subjects, the most specific first. What is forbidden to an address is so with any token.
var specific = [...]store.SubjectKind{store.SubjectCaller, store.SubjectToken, store.SubjectGroup, store.SubjectDomain, store.SubjectAll}

// one decides about one name; "" stands for any that no rule speaks of.
func (s *standing) one(owner jid.JID, n store.ThingNode, right store.Right, name string) Verdict {
	if right == store.RightUse {
		return min(s.one(owner, n, store.RightRead, name), s.one(owner, n, store.RightControl, name))
	}
	for _, kind := range specific {
		allowed := false
		for i := range s.rules {
			r := &s.rules[i]
			if r.Subject.Kind != kind || !r.Right.Covers(right) || !s.about(r, owner, n) || !s.is(r) {
				continue
			}
			if len(r.Names) > 0 && (name == "" || !named(r.Names, name)) {
				continue
			}
			if !r.Allow {
				return None
			}
			allowed = true
		}
		if allowed {
			return All
		}
	}
	return Unknown
}

// named reports whether a name is among others. How it is written, large or small, is no difference: to some things it is none, and
// people write as their telephones do.
func named(list []string, name string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, name) })
}

// about reports whether a rule is the owner's and speaks of the node. One that forbids speaks of all that may be meant.
func (s *standing) about(r *store.Rule, owner jid.JID, n store.ThingNode) bool {
	of := r.Thing.ThingNode
	switch {
	case r.Owner != owner:
		return false
	case of == (store.ThingNode{}), of == n:
		return true
	}
	return !r.Allow && n.ID == of.ID && (n.Source == "" || n.Source == of.Source) && (n.Cache == "" || n.Cache == of.Cache)
}

// is reports whether the caller is one of those whom a rule is for.
func (s *standing) is(r *store.Rule) bool {
	switch x := &r.Subject; x.Kind {
	case store.SubjectCaller:
		return x.Name == s.caller.String()
	case store.SubjectGroup:
		return slices.Contains(s.groups, membership{r.Owner, x.Name})
	case store.SubjectDomain:
		return x.Name == s.caller.Domain()
	case store.SubjectToken:
		return slices.Contains(s.tokens, x.Name)
	default:
		return true
	}
}

// any reports whether the caller has any right to anything of the account or behind it.
func (s *standing) any() bool {
	for _, o := range s.owners {
		if !o.owner.IsZero() && o.owner == s.caller {
			return true
		}
	}
	for right := store.RightFriend; right <= store.RightControl; right++ {
		if s.some(right) {
			return true
		}
	}
	return false
}

// some reports whether the caller has that right to anything.
func (s *standing) some(right store.Right) bool {
	for i := range s.rules {
		r := &s.rules[i]
		if r.Allow && r.Right.Covers(right) && s.is(r) && s.decide(r.Thing.ThingNode, right, r.Names).Verdict >= Some {
			return true
		}
	}
	return false
}

// split reports whether something behind the account is forbidden to the caller that he could have by asking for all of it.
func (s *standing) split(right store.Right) bool {
	for i := range s.rules {
		r := &s.rules[i]
		if n := r.Thing.ThingNode; n != (store.ThingNode{}) && !r.Allow && r.Right.Covers(right) && s.is(r) && s.decide(n, right, r.Names).Verdict != All {
			return true
		}
	}
	return false
}

// nodes are those behind the account to which the caller has that right, of what rules speak of.
func (s *standing) nodes(right store.Right) (list []store.ThingNode) {
	for i := range s.rules {
		r := &s.rules[i]
		n := r.Thing.ThingNode
		if n == (store.ThingNode{}) || slices.Contains(list, n) || !r.Right.Covers(right) || !r.Allow || !s.is(r) {
			continue
		}
		if s.decide(n, right, r.Names).Verdict >= Some {
			list = append(list, n)
		}
	}
	return list
}
