// SPDX-License-Identifier: Apache-2.0

package concentrator

// How to read this file: Tree has the nodes, Answer finds the one of its methods that answers; view is the tree
// as one that asks may see it.

import (
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Tree is the nodes of a concentrator that are few enough to be listed, from which it answers whoever looks
// around. Its data sources are a flat list. A Tree that is not changed is safe for concurrent use.
type Tree struct {
	Sources []DataSource
	Nodes   []Info // each with its source; whether one has children is found out
	// Classes are the types that a type is derived from, the nearest first.
	Classes map[string][]string
	// Also are the capabilities that the program answers itself: commands, and subscriptions.
	Also []Capability
}

// Answer answers a request; ok is false for what the program has to answer, which says so in Also. Of a
// capability that nobody has the answer is NotImplemented. see says whether whoever asks may know of a node:
// those that he may not are not there for him; nil shows all.
func (t *Tree) Answer(q *Request, see func(*Info) bool) (a *Response, ok bool) {
	if slices.Contains(t.Also, q.Capability) {
		return nil, false
	}
	v := t.view(see)
	answer := map[Capability]func(*Request) *Response{
		GetCapabilities: v.capabilities, GetAllDataSources: v.sources, GetRootDataSources: v.sources,
		GetChildDataSources: v.childSources, ContainsNode: v.contains, ContainsNodes: v.contains,
		GetNode: v.node, GetNodes: v.several, GetAllNodes: v.all, GetNodeInheritance: v.inheritance,
		GetRootNodes: v.roots, GetChildNodes: v.children, GetAncestors: v.ancestors,
	}[q.Capability]
	if answer == nil {
		return q.Answer(NotImplemented), true
	}
	a = answer(q)
	if len(a.Nodes) > MaxInfos {
		return q.Answer(OtherError), true
	}
	for i := range a.Nodes {
		a.Nodes[i].Node.Source = "" // the request has it
		if !q.Parameters {
			a.Nodes[i].Parameters = nil
		}
		if !q.Messages {
			a.Nodes[i].Messages = nil
		}
	}
	return a, true
}

// view is the part of a tree that somebody may see.
type view struct {
	tree    *Tree
	nodes   []Info
	parents []int             // of each node, its parent's place; -1 for a root
	places  map[[2]string]int // by source and ID, the place of the first
}

func (t *Tree) view(see func(*Info) bool) *view {
	v := &view{tree: t, places: map[[2]string]int{}}
	for i := range t.Nodes {
		if see != nil && !see(&t.Nodes[i]) {
			continue
		}
		n := t.Nodes[i]
		n.HasChildren = false
		key := [2]string{n.Node.Source, n.Node.ID}
		if _, ok := v.places[key]; !ok {
			v.places[key] = len(v.nodes)
		}
		v.nodes = append(v.nodes, n)
	}
	v.parents = make([]int, len(v.nodes))
	for i := range v.nodes {
		n := &v.nodes[i]
		v.parents[i] = -1
		if _, ok := v.places[[2]string{n.Node.Source, n.Parent.ID}]; ok && !n.Parent.IsZero() {
			v.parents[i] = v.find(Node{ID: n.Parent.ID, Source: n.Node.Source, Cache: n.Parent.Cache})
		}
		if v.parents[i] < 0 {
			n.Parent = Node{} // who may not see it is not told that there is one
		} else {
			v.nodes[v.parents[i]].HasChildren = true
		}
	}
	return v
}

// find returns the place of a node, or -1.
func (v *view) find(n Node) int {
	if i, ok := v.places[[2]string{n.Source, n.ID}]; ok && v.nodes[i].Node.Is(n) {
		return i
	}
	if _, ok := v.places[[2]string{n.Source, n.ID}]; !ok && n.Source != "" {
		return -1
	}
	return slices.IndexFunc(v.nodes, func(i Info) bool { return i.Node.Is(n) }) // of any source, or the second of an ID
}

func (v *view) hasSource(id string) bool {
	return slices.ContainsFunc(v.tree.Sources, func(s DataSource) bool { return s.ID == id })
}

// list answers with the nodes of a source that fit.
func (v *view) list(q *Request, source string, fits func(place int) bool) *Response {
	if !v.hasSource(source) {
		return q.Answer(NotFound)
	}
	a := q.Answer(OK)
	for i := range v.nodes {
		if v.nodes[i].Node.Source == source && fits(i) {
			a.Nodes = append(a.Nodes, v.nodes[i])
		}
	}
	return a
}

func (v *view) capabilities(q *Request) *Response {
	a := q.Answer(OK)
	a.Capabilities = append([]Capability{
		GetCapabilities, GetAllDataSources, GetRootDataSources, GetChildDataSources, ContainsNode, ContainsNodes, GetNode, GetNodes,
		GetAllNodes, GetNodeInheritance, GetRootNodes, GetChildNodes, GetAncestors,
	}, v.tree.Also...)
	return a
}

func (v *view) sources(q *Request) *Response {
	a := q.Answer(OK)
	a.Sources = slices.Clone(v.tree.Sources)
	return a
}

func (v *view) childSources(q *Request) *Response {
	if !v.hasSource(q.Source) {
		return q.Answer(NotFound)
	}
	return q.Answer(OK)
}

func (v *view) contains(q *Request) *Response {
	a := q.Answer(OK)
	for _, n := range q.Nodes {
		a.Contains = append(a.Contains, v.find(n) >= 0)
	}
	return a
}

func (v *view) node(q *Request) *Response {
	a := v.several(q)
	if len(a.Nodes) > 1 {
		a.Nodes = a.Nodes[:1]
	}
	return a
}

func (v *view) several(q *Request) *Response {
	a := q.Answer(OK)
	for _, n := range q.Nodes {
		i := v.find(n)
		if i < 0 {
			return q.Answer(NotFound)
		}
		a.Nodes = append(a.Nodes, v.nodes[i])
	}
	if len(a.Nodes) == 0 {
		return q.Answer(NotFound)
	}
	return a
}

func (v *view) all(q *Request) *Response {
	return v.list(q, q.Source, func(i int) bool {
		of := v.nodes[i].Type
		return !slices.ContainsFunc(q.DerivedFrom, func(class string) bool {
			return of != class && !slices.Contains(v.tree.Classes[of], class)
		})
	})
}

func (v *view) inheritance(q *Request) *Response {
	a := v.node(q)
	if a.Result == OK {
		a.Classes = slices.Clone(v.tree.Classes[a.Nodes[0].Type])
		a.Nodes = nil
	}
	return a
}

func (v *view) roots(q *Request) *Response {
	return v.list(q, q.Source, func(i int) bool { return v.parents[i] < 0 })
}

func (v *view) children(q *Request) *Response {
	parent := v.find(q.first())
	if parent < 0 {
		return q.Answer(NotFound)
	}
	a := v.list(q, v.nodes[parent].Node.Source, func(i int) bool { return v.parents[i] == parent })
	slices.SortStableFunc(a.Nodes, func(x, y Info) int {
		for _, by := range q.Sort {
			c := compareParameters(x.parameter(by.Parameter), y.parameter(by.Parameter))
			if by.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return a
}

// ancestors answers with a node, its parent, and so on.
func (v *view) ancestors(q *Request) *Response {
	i := v.find(q.first())
	if i < 0 {
		return q.Answer(NotFound)
	}
	a := q.Answer(OK)
	for ; i >= 0; i = v.parents[i] {
		if len(a.Nodes) == len(v.nodes) {
			return q.Answer(OtherError) // one is its own ancestor
		}
		a.Nodes = append(a.Nodes, v.nodes[i])
	}
	return a
}

// first is the node of a request for one; a request that was read has it.
func (q *Request) first() Node {
	if len(q.Nodes) == 0 {
		return Node{}
	}
	return q.Nodes[0]
}

// parameter returns the parameter of that name or ID, or nil.
func (i *Info) parameter(name string) *Parameter {
	at := slices.IndexFunc(i.Parameters, func(p Parameter) bool { return p.ID == name || p.Name == name })
	if at < 0 {
		return nil
	}
	return &i.Parameters[at]
}

// compareParameters puts values in the order of their type, and what has none at the end.
func compareParameters(x, y *Parameter) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	if of, ok := xsd.ParseType("xs:" + string(x.Type)); ok && x.Type == y.Type {
		if c, ok := of.Compare(x.Value, y.Value); ok {
			return c
		}
	}
	return strings.Compare(x.Value, y.Value)
}
