// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: Scope is a part of what a thing has, and Meet what two of them share; Grant is the part
// that somebody may have; both say themselves to people.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// namesOf is the shortest list of names that says a set of categories.
func (w *words) namesOf(c Category) (list []string) {
	switch c & sensordata.All {
	case 0:
		return nil
	case sensordata.All:
		return []string{w.all}
	}
	whole := c&sensordata.Historical == sensordata.Historical
	for i, name := range w.categories {
		if bit := Category(1 << i); c&bit != 0 && !(whole && bit&sensordata.Historical != 0) {
			list = append(list, name)
		}
	}
	if whole {
		list = append(list, w.historical)
	}
	return list
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
	case s.Categories&^sensordata.All != 0:
		return stanza.BadRequest.Err("there are no such categories")
	}
	for _, n := range s.Nodes {
		switch {
		case n.ID == "":
			return stanza.BadRequest.Err("a node has an id")
		case len(n.ID) > MaxNode || len(n.Source) > MaxNode || len(n.Cache) > MaxNode:
			return stanza.PolicyViolation.Err(fmt.Sprintf("a part of a node's name has more than %d bytes", MaxNode))
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

// Has reports whether a field of these categories, or a parameter, of a node is in the scope; the zero Node is the
// thing itself. What counts is what counts for the Limit: a field that has no category is Momentary.
func (s *Scope) Has(n Node, name string, c Category) bool {
	l := s.Limit()
	return l.Allows(n, &sensordata.Field{Name: name, Categories: c})
}

// meetNodes returns the node that both names mean, if there is one.
func meetNodes(a, b Node) (Node, bool) {
	source, ok1 := narrower(a.Source, b.Source)
	cache, ok2 := narrower(a.Cache, b.Cache)
	return Node{ID: a.ID, Source: source, Cache: cache}, a.ID == b.ID && ok1 && ok2
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

// Meet returns what is in both scopes; ok is false when that is nothing. Of stored values it has the periods that
// both name.
func (s *Scope) Meet(other *Scope) (both Scope, ok bool) {
	if both.Nodes, ok = meet(s.Nodes, other.Nodes, meetNodes); !ok {
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
	case len(a)+len(b) == 0:
		return nil, true
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

// Limit is the scope as who answers a readout needs it: see sensordata.Reduce. For control, its nodes and names
// are those of a control.Limit.
func (s *Scope) Limit() sensordata.Limit {
	l := sensordata.Limit{Categories: s.Categories}
	if len(s.Nodes) > 0 {
		l.Nodes = s.Nodes
	}
	if len(s.Names) > 0 {
		l.Names = s.Names
	}
	return l
}

// Grant is what somebody may read, or control: nothing, or a scope. The zero Grant is nothing.
type Grant struct {
	Allowed bool
	Scope   Scope // of what is allowed; of no meaning if nothing is
}

// Everything returns the grant that leaves nothing out.
func Everything() Grant { return Grant{Allowed: true} }

// Allows reports whether a field of these categories may be read, or a parameter be set, of a node: see Has.
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
	if c := s.Categories & sensordata.All; c != 0 && c != sensordata.All {
		parts = append(parts, "("+strings.Join(xep.namesOf(c), ", ")+")")
	}
	if len(s.Nodes) > 0 {
		names := make([]string, len(s.Nodes))
		for i, n := range s.Nodes {
			names[i] = nodeText(n)
		}
		parts = append(parts, "of "+strings.Join(names, ", "))
	}
	return strings.Join(parts, " ")
}

// nodeText says a node for people: its ID, and before it, with slashes between, what else is said of it.
func nodeText(n Node) string {
	s := n.ID
	if n.Cache != "" {
		s = n.Cache + "/" + s
	}
	if n.Source != "" {
		s = n.Source + "/" + s
	}
	return s
}
