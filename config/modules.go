// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Modules holds the keys below `modules` until each module reads its own.
type Modules struct {
	file  string
	nodes map[string]ast.Node // nil for a key without a value
	lines map[string]int
}

// take keeps the nodes of the file.
func (m *Modules) take(d *decoder, n ast.Node, path string) {
	m.file = d.file
	m.nodes, m.lines = map[string]ast.Node{}, map[string]int{}
	for name, node := range d.pairs(n, path) {
		m.nodes[name] = node
		m.lines[name] = d.lines[join(path, name)]
	}
}

// Check reports names in the file that are not among those of the modules that
// the program is made of, as an [Errors].
func (m Modules) Check(names ...string) error {
	d := &decoder{file: m.file}
	known := map[string]int{}
	for _, name := range names {
		known[name] = 0
	}
	for name := range m.nodes {
		if _, ok := known[name]; !ok {
			hint := nearest(name, known)
			if hint == "" && len(names) > 0 {
				hint = "; there are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			}
			d.fail(m.lines[name], "modules."+name, "there is no such module%s", hint)
		}
	}
	if len(d.errs) > 0 {
		return d.errs
	}
	return nil
}

// Off reports whether the file turns a module off: `name: false`.
func (m Modules) Off(name string) bool {
	b, ok := m.nodes[name].(*ast.BoolNode)
	return ok && !b.Value
}

// Decode puts the keys of a module into its configuration, a pointer to a
// struct: first the defaults of its tags into the fields that are empty, then
// what the file says. The fields' tags are those of [Config]; an unknown key or
// a bad value is an [Errors] with its line. A module that the file does not
// name gets its defaults.
func (m Modules) Decode(name string, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: module %s: %T is not a pointer to a struct", name, into)
	}
	path := "modules." + name
	d := &decoder{file: m.file, lines: map[string]int{path: m.lines[name]}}
	node := m.nodes[name]
	if _, onOff := node.(*ast.BoolNode); onOff {
		node = nil
	}
	d.fill(into, node, path)
	if len(d.errs) > 0 {
		return d.errs
	}
	return nil
}
