// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: Category is what kinds of value there are; Scope is a part of what a thing has; Grant
// is the part that somebody may have.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Category is a set of what kinds of value a field has, in the order of sensordata.Category. XEP-0323 §5.6
type Category uint16

// The categories.
const (
	Momentary        Category = 1 << iota // measured now
	Peak                                  // a maximum or minimum of a period
	Status                                // how something is
	Computed                              // instead of measured
	Identity                              // serial numbers, names, places
	HistoricalSecond                      // stored at a full second, and so on
	HistoricalMinute
	HistoricalHour
	HistoricalDay
	HistoricalWeek
	HistoricalMonth
	HistoricalQuarter
	HistoricalYear
	HistoricalOther // stored at any other time

	Historical = HistoricalSecond | HistoricalMinute | HistoricalHour | HistoricalDay | HistoricalWeek | HistoricalMonth |
		HistoricalQuarter | HistoricalYear | HistoricalOther
	All = Momentary | Peak | Status | Computed | Identity | Historical
)

// String names the categories of the set.
func (c Category) String() string { return strings.Join(c.words(), ", ") }

// words are the shortest list of names that says the set.
func (c Category) words() (words []string) {
	switch c & All {
	case 0:
		return nil
	case All:
		return []string{xep.all}
	}
	for i, w := range xep.categories {
		switch bit := Category(1 << i); {
		case c&Historical == Historical && bit&Historical != 0:
			if bit == HistoricalSecond {
				words = append(words, xep.historical)
			}
		case c&bit != 0:
			words = append(words, w)
		}
	}
	return words
}

// Scope is a part of what a thing has: some of its nodes, of them some fields or parameters, of these some
// categories. What is empty leaves nothing out: the zero Scope is all there is.
type Scope struct {
	Nodes      []Node
	Names      []string // of fields, or of parameters
	Categories Category // of fields
}

// Check tells what is wrong with a scope, as a *stanza.Error.
func (s *Scope) Check() error {
	switch {
	case len(s.Nodes) > MaxNodes:
		return stanza.PolicyViolation.Err(fmt.Sprintf("more than %d nodes are named", MaxNodes))
	case len(s.Names) > MaxNames:
		return stanza.PolicyViolation.Err(fmt.Sprintf("more than %d names are given", MaxNames))
	case s.Categories&^All != 0:
		return stanza.BadRequest.Err("there are no such categories")
	}
	for _, n := range s.Nodes {
		if err := n.Check(); err != nil {
			return err
		}
	}
	for _, name := range s.Names {
		switch {
		case name == "":
			return stanza.BadRequest.Err("a field or parameter has a name")
		case len(name) > MaxName:
			return stanza.PolicyViolation.Err(fmt.Sprintf("a name has more than %d bytes", MaxName))
		}
	}
	return nil
}

// Has reports whether a field or parameter of a node is in the scope; the zero Node is the thing itself. A
// field of several categories is there if one of them is, as with readouts; 0 asks whether it is with any.
func (s *Scope) Has(n Node, name string, c Category) bool {
	return (len(s.Nodes) == 0 || slices.ContainsFunc(s.Nodes, func(of Node) bool { return of.covers(n) })) &&
		(len(s.Names) == 0 || slices.Contains(s.Names, name)) &&
		(s.Categories == 0 || c == 0 || c&s.Categories != 0)
}

// covers reports whether a node that is named means another one, which is named as closely or closer.
func (n Node) covers(other Node) bool {
	return n.ID == other.ID && (n.Source == "" || n.Source == other.Source) && (n.Cache == "" || n.Cache == other.Cache)
}

// meet returns the node that both names mean, if there is one.
func (n Node) meet(other Node) (Node, bool) {
	source, ok1 := narrower(n.Source, other.Source)
	cache, ok2 := narrower(n.Cache, other.Cache)
	return Node{ID: n.ID, Source: source, Cache: cache}, n.ID == other.ID && ok1 && ok2
}

func narrower(a, b string) (string, bool) {
	switch {
	case a == "" || a == b:
		return b, true
	case b == "":
		return a, true
	}
	return "", false
}

// Meet returns what is in both scopes; ok is false when that is nothing.
func (s *Scope) Meet(other *Scope) (both Scope, ok bool) {
	if both.Nodes, ok = meet(s.Nodes, other.Nodes, Node.meet); !ok {
		return Scope{}, false
	}
	same := func(a, b string) (string, bool) { return a, a == b }
	if both.Names, ok = meet(s.Names, other.Names, same); !ok {
		return Scope{}, false
	}
	switch a, b := s.Categories, other.Categories; {
	case a == 0:
		both.Categories = b
	case b == 0:
		both.Categories = a
	case a&b == 0:
		return Scope{}, false
	default:
		both.Categories = a & b
	}
	return both, true
}

// meet returns what is in both lists, of which an empty one leaves nothing out, in the order of the first.
func meet[T comparable](a, b []T, one func(x, y T) (T, bool)) (both []T, ok bool) {
	switch {
	case len(a) == 0:
		return slices.Clone(b), true
	case len(b) == 0:
		return slices.Clone(a), true
	}
	seen := make(map[T]bool, len(a))
	for _, x := range a {
		for _, y := range b {
			if z, ok := one(x, y); ok && !seen[z] {
				seen[z] = true
				both = append(both, z)
			}
		}
	}
	return both, len(both) > 0
}

// Grant is what somebody may read, or control: nothing, or a scope. The zero Grant is nothing.
type Grant struct {
	Allowed bool
	Scope   Scope // of what is allowed; of no meaning if nothing is
}

// Everything returns the grant that leaves nothing out.
func Everything() Grant { return Grant{Allowed: true} }

// Allows reports whether a field, of these categories, or a parameter of a node may be read or set. Where the
// categories are not known, or a parameter is asked for, 0 stands for them.
func (g *Grant) Allows(n Node, name string, c Category) bool {
	return g.Allowed && g.Scope.Has(n, name, c)
}

// Intersect returns what both grants allow.
func (g *Grant) Intersect(other *Grant) Grant {
	if !g.Allowed || !other.Allowed {
		return Grant{}
	}
	return g.Limit(&other.Scope)
}

// Limit returns what the grant allows of a scope: the answer of a server to what it is asked, and what a thing
// makes of that answer. XEP-0324 §3.3.2, §3.4.2
func (g *Grant) Limit(to *Scope) Grant {
	if !g.Allowed {
		return Grant{}
	}
	both, ok := g.Scope.Meet(to)
	if !ok {
		return Grant{}
	}
	return Grant{Allowed: true, Scope: both}
}

// String says the grant in a line, for people: nothing, everything, or its names, categories and nodes.
func (g *Grant) String() string {
	if !g.Allowed {
		return "nothing"
	}
	return g.Scope.String()
}

// String says the scope in a line, for people.
func (s *Scope) String() string {
	var parts []string
	if len(s.Names) > 0 {
		parts = append(parts, strings.Join(s.Names, ", "))
	} else {
		parts = append(parts, "everything")
	}
	if c := s.Categories & All; c != 0 && c != All {
		parts = append(parts, "("+c.String()+")")
	}
	if len(s.Nodes) > 0 {
		names := make([]string, len(s.Nodes))
		for i, n := range s.Nodes {
			names[i] = n.String()
		}
		parts = append(parts, "of "+strings.Join(names, ", "))
	}
	return strings.Join(parts, " ")
}

// String says the node for people: its ID, and before it, with slashes between, what else is said of it.
func (n Node) String() string {
	s := n.ID
	if n.Cache != "" {
		s = n.Cache + "/" + s
	}
	if n.Source != "" {
		s = n.Source + "/" + s
	}
	return s
}
