// SPDX-License-Identifier: Apache-2.0

package caps

import "container/list"

// memory is what is known of hashes; what was not needed for the longest time is forgotten first. It
// is filled by verified answers alone: whoever makes up hashes can push others out, who are asked
// again, and tell nobody anything false.
type memory struct {
	byName map[name]*list.Element // of *known
	order  list.List              // the one needed last in front
	bytes  int
}

// name is what announces the same capabilities, whatever program's name stands beside it: the hash
// covers the answer, not the name.
type name struct{ hash, ver string }

type known struct {
	name     name
	features []string
	bytes    int
}

// get returns what is known, nil and false for nothing.
func (m *memory) get(n name) ([]string, bool) {
	e := m.byName[n]
	if e == nil {
		return nil, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*known).features, true
}

// put remembers within a bound; 0 is none.
func (m *memory) put(n name, features []string, most int) {
	if e := m.byName[n]; e != nil {
		m.remove(e)
	}
	k := &known{n, features, 256 + len(n.hash) + len(n.ver)}
	for _, f := range features {
		k.bytes += 16 + len(f)
	}
	if m.byName == nil {
		m.byName = make(map[name]*list.Element)
	}
	m.byName[n] = m.order.PushFront(k)
	m.bytes += k.bytes
	for most > 0 && m.bytes > most && m.order.Len() > 0 {
		m.remove(m.order.Back())
	}
}

func (m *memory) remove(e *list.Element) {
	k := e.Value.(*known)
	m.order.Remove(e)
	delete(m.byName, k.name)
	m.bytes -= k.bytes
}
