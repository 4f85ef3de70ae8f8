// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"slices"
)

// Change is one key that differs between two configurations.
type Change struct {
	Key  string // "limits.sessions", "modules.sm"
	Live bool   // a running server can follow; false also for all keys of modules, of which only they know
}

// Changed lists the keys that differ, in the order of [Config]; of modules their names alone.
func Changed(a, b *Config) []Change {
	return changed(nil, reflect.ValueOf(*a), reflect.ValueOf(*b), "")
}

func changed(list []Change, a, b reflect.Value, path string) []Change {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		key := join(path, f.Tag.Get("yaml"))
		switch was := a.Field(i).Interface().(type) {
		case Modules:
			for _, name := range was.changed(b.Field(i).Interface().(Modules)) {
				list = append(list, Change{Key: join(key, name)})
			}
		default:
			if f.Type.Kind() == reflect.Struct {
				list = changed(list, a.Field(i), b.Field(i), key)
			} else if !reflect.DeepEqual(was, b.Field(i).Interface()) {
				list = append(list, Change{key, f.Tag.Get("live") == "yes"})
			}
		}
	}
	return list
}

// changed lists the modules whose keys are written in another way.
func (m Modules) changed(next Modules) (names []string) {
	for _, name := range m.names(next) {
		if m.text(name) != next.text(name) {
			names = append(names, name)
		}
	}
	return names
}

// names are those in either file, sorted.
func (m Modules) names(next Modules) (names []string) {
	for _, nodes := range []Modules{m, next} {
		for name := range nodes.nodes {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// text is what the file says of a module; "" for nothing.
func (m Modules) text(name string) string {
	if n := m.nodes[name]; n != nil {
		return n.String()
	}
	return ""
}
