// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/sha256"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// digest is what is kept of the tags by which a thing is claimed, KEY among them: it does not tell them.
func digest(tags registry.Tags) []byte {
	h := sha256.Sum256(tags.Canonical())
	return h[:]
}

// stored are tags as they are kept, without KEY.
func stored(tags registry.Tags, given bool) (all []store.ThingTag) {
	for _, t := range tags.Public() {
		all = append(all, store.ThingTag{Name: t.Name, Str: t.Text, Num: t.Number, Numeric: t.Numeric, Given: given})
	}
	return all
}

// told are tags as they are told.
func told(kept []store.ThingTag) (tags registry.Tags) {
	for _, t := range kept {
		if t.Numeric {
			tags = append(tags, registry.Num(t.Name, t.Num))
		} else {
			tags = append(tags, registry.Str(t.Name, t.Str))
		}
	}
	return tags
}

// update changes those of x's tags that are named; a string that is empty removes one. XEP-0347 §3.13
func (m *Module) update(x *store.Thing, with registry.Tags, given bool) error {
	next := told(x.Tags).Updated(with.Public())
	if len(next) > m.config.Load().Tags {
		return m.limited("tags", stanza.PolicyViolation.Err("a thing has too many tags"))
	}
	gives := make(map[string]bool, len(next))
	for _, t := range x.Tags {
		gives[t.Name] = t.Given
	}
	for _, t := range with {
		gives[t.Name] = given
	}
	x.Tags = stored(next, false)
	for i := range x.Tags {
		x.Tags[i].Given = gives[x.Tags[i].Name]
	}
	return nil
}

// terms are the operators of a search as the store knows them. Regular expressions it does not know: of these it is told
// that there is such a tag, and more is true.
func terms(operators []registry.Operator) (all []store.ThingTerm, more bool) {
	for _, o := range operators {
		t := store.ThingTerm{Tag: o.Name}
		end := func(b registry.Bound) *store.ThingBound {
			return &store.ThingBound{Str: b.Text, Num: b.Number, Excluded: b.Excluded}
		}
		value := registry.Bound{Text: o.Text, Number: o.Number}
		beyond := registry.Bound{Text: o.Text, Number: o.Number, Excluded: true}
		switch o.Op {
		case registry.NumEq, registry.NumNEq, registry.NumGt, registry.NumGtEq, registry.NumLt, registry.NumLtEq, registry.NumRange, registry.NumNRange:
			t.Numeric = true
		}
		switch o.Op {
		case registry.StrEq, registry.NumEq:
			t.Min, t.Max = end(value), end(value)
		case registry.StrNEq, registry.NumNEq:
			t.Outside, t.Min, t.Max = true, end(value), end(value)
		case registry.StrGt, registry.NumGt:
			t.Min = end(beyond)
		case registry.StrGtEq, registry.NumGtEq:
			t.Min = end(value)
		case registry.StrLt, registry.NumLt:
			t.Max = end(beyond)
		case registry.StrLtEq, registry.NumLtEq:
			t.Max = end(value)
		case registry.StrRange, registry.NumRange, registry.StrNRange, registry.NumNRange:
			t.Outside = o.Op == registry.StrNRange || o.Op == registry.NumNRange
			t.Min, t.Max = end(o.Min), end(o.Max)
		case registry.StrMask:
			t.Mask, t.Wildcard = o.Text, o.Wildcard
		case registry.StrRegEx:
			more = true
		}
		all = append(all, t)
	}
	return all, more
}
