// SPDX-License-Identifier: Apache-2.0

package sensordata

import (
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Wants reports whether the request asks for a field that was measured then: by its name, its categories and, for historical
// values, its time. It does not look at nodes, see WantsNode. Readers ask it of what a thing has answered, and things of what
// they might. XEP-0323 §3 and §5.6
func (q *Request) Wants(f *Field, at xsd.DateTime) bool {
	if len(q.Names) > 0 && !slices.Contains(q.Names, f.Name) {
		return false
	}
	return q.WantsCategory(f.Categories, at)
}

// WantsCategory is Wants without the name. Whoever asks for no category asks for all; a field that has none is Momentary.
func (q *Request) WantsCategory(c Category, at xsd.DateTime) bool {
	asked := q.Categories & All
	if asked == 0 {
		asked = All
	}
	if c &= All; c == 0 {
		c = Momentary
	}
	if c&asked&^Historical != 0 {
		return true
	}
	if c&Historical == 0 || asked&Historical == 0 {
		return false
	}
	if asked&HistoricalOther == 0 && periods(c)&asked == 0 {
		return false
	}
	return (q.From.IsZero() || at.Compare(q.From) >= 0) && (q.To.IsZero() || at.Compare(q.To) <= 0)
}

// periods adds to the periods of stored values the shorter ones that they are values of, too. XEP-0323 §5.6
func periods(c Category) Category {
	c &= Historical
	for _, p := range [...]struct{ of, also Category }{
		{HistoricalYear, HistoricalQuarter}, {HistoricalQuarter, HistoricalMonth}, {HistoricalMonth, HistoricalDay},
		{HistoricalWeek, HistoricalDay}, {HistoricalDay, HistoricalHour}, {HistoricalHour, HistoricalMinute},
		{HistoricalMinute, HistoricalSecond},
	} {
		if c&p.of != 0 {
			c |= p.also
		}
	}
	return c
}

// WantsNode reports whether the request asks for a node, as one that it names or because it names none. Nodes below one that is
// named are wanted, too; which these are only a concentrator knows. XEP-0323 §5.8
func (q *Request) WantsNode(n Node) bool {
	return len(q.Nodes) == 0 || slices.ContainsFunc(q.Nodes, n.Is)
}

// Limit is how much of a thing somebody may read. The zero Limit is all of it: of each part nil is everything, and a slice
// without members nothing.
type Limit struct {
	Nodes      []Node
	Names      []string // of fields
	Categories Category // 0 is all
}

// Allows reports whether a field of a node is within the limit. All its categories must be: who may read how something is, may not
// therefore read how it was. Of stored values one of the periods that they are of is enough.
func (l *Limit) Allows(n Node, f *Field) bool {
	return (l.Nodes == nil || slices.ContainsFunc(l.Nodes, n.Is)) && (l.Names == nil || slices.Contains(l.Names, f.Name)) &&
		l.allows(f.Categories&All)
}

func (l *Limit) allows(c Category) bool {
	if l.Categories == 0 {
		return true
	}
	if c == 0 {
		c = Momentary
	}
	return c&^Historical&^l.Categories == 0 && (c&Historical == 0 || periods(c)&l.Categories != 0)
}

// Reduce makes of the request one that asks for no more than the limit has: what both have, or what the limit has where the
// request leaves it open. ok is false if nothing is left. The request stays as it is, and shares nothing with the other.
//
// Whoever keeps others to a limit hands on what Reduce has made, and not what came: that may have asked for more than is understood
// here. Things may answer more than they are asked for: see Fields.Keep.
//
// No request can ask for the thing itself and leave out its nodes: in a limit of nodes the zero Node adds nothing.
func (q *Request) Reduce(l Limit) (reduced *Request, ok bool) {
	out := *q
	out.Nodes, out.Names = slices.Clone(q.Nodes), slices.Clone(q.Names)
	if l.Nodes != nil {
		out.Nodes = slices.DeleteFunc(CommonNodes(q.Nodes, l.Nodes), Node.IsZero)
		if len(out.Nodes) == 0 {
			return nil, false
		}
	}
	if l.Names != nil {
		out.Names = common(q.Names, l.Names)
		if len(out.Names) == 0 {
			return nil, false
		}
	}
	if l.Categories != 0 {
		if out.Categories &= All; out.Categories == 0 {
			out.Categories = All
		}
		if out.Categories &= l.Categories; out.Categories == 0 {
			return nil, false
		}
	}
	return &out, true
}

// common is what both have, in the order of asked, or all that is allowed if nothing is asked for.
func common(asked, allowed []string) []string {
	if len(asked) == 0 {
		return slices.Clone(allowed)
	}
	return slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !slices.Contains(allowed, s) })
}

// CommonNodes is what both lists of nodes have, or all that is allowed if none is asked for; of two that name the same, the one
// is taken that leaves less open.
func CommonNodes(asked, allowed []Node) []Node {
	if len(asked) == 0 {
		return slices.Clone(allowed)
	}
	var out []Node
	for _, n := range asked {
		if slices.ContainsFunc(allowed, n.Is) {
			out = append(out, n)
			continue
		}
		for _, a := range allowed {
			if a.Is(n) {
				out = append(out, a)
			}
		}
	}
	return out
}

// Keep drops the fields for which keep is false, and timestamps and nodes that are empty then. It changes the Fields that it is
// called on; it reports how many fields are left.
func (f *Fields) Keep(keep func(Node, xsd.DateTime, *Field) bool) (left int) {
	nodes := f.Nodes[:0]
	for _, n := range f.Nodes {
		timestamps := n.Timestamps[:0]
		for _, t := range n.Timestamps {
			t.Fields = slices.DeleteFunc(t.Fields, func(field Field) bool { return !keep(n.Node, t.At, &field) })
			if left += len(t.Fields); len(t.Fields) > 0 {
				timestamps = append(timestamps, t)
			}
		}
		clear(n.Timestamps[len(timestamps):])
		if n.Timestamps = timestamps; len(timestamps) > 0 {
			nodes = append(nodes, n)
		}
	}
	clear(f.Nodes[len(nodes):])
	f.Nodes = nodes
	return left
}
