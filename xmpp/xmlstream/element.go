// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"slices"
	"sync"
)

// result is the element as its user sees it, and the buffers behind it.
type result struct {
	elem       Element
	elemAttrs  []Attr
	elemChilds []Child
	buf        []byte // the element's bytes, if it did not come in one piece
	canonical  []byte // the element's bytes, if they had to be rewritten
}

// finish makes the Element of the complete token in b.
func (s *scanner) finish(b []byte) bool {
	attrs := slices.Grow(s.elemAttrs[:0], s.attrBase)
	for _, a := range s.attrs[:s.attrBase] {
		if a.isNamespace {
			continue
		}
		value := b[a.value:a.stop]
		if !a.isDecoded {
			n := len(s.side)
			s.side = appendDecoded(s.side, value, true)
			value = s.side[n:]
		}
		attrs = append(attrs, Attr{s.at(b, a.space), b[a.local:a.end], value})
	}
	children := slices.Grow(s.elemChilds[:0], len(s.children))
	for _, c := range s.children {
		children = append(children, Child{s.at(b, c.space), b[c.local:c.end], Span{int(c.begin), int(c.stop)}})
	}
	s.elemAttrs, s.elemChilds = attrs, children
	s.elem = Element{
		Raw: b[:len(b):len(b)], Space: s.at(b, s.root.space), Local: b[s.root.local:s.root.end],
		Attrs: attrs, Children: children, Content: s.content, HasText: s.hasText,
	}
	return !s.leans || s.rewrite(b)
}

// scanners are shared by all parsers: one has a scanner only while it is inside
// a token or its user looks at an element.
var scanners = sync.Pool{New: func() any {
	return &scanner{
		scope: scope{bound: make([]binding, 0, 8), side: make([]byte, 0, 256)},
		attrs: make([]attribute, 0, 16), open: make([]tag, 0, 8), children: make([]child, 0, 8),
		result: result{elemAttrs: make([]Attr, 0, 8), elemChilds: make([]Child, 0, 8)},
	}
}}

// takeScanner returns a scanner for elements within what declared says.
func takeScanner(declared string) *scanner {
	s := scanners.Get().(*scanner)
	s.scope.enter(declared)
	return s
}

// giveBack returns the scanner to the others, unless an element has made it large.
func (s *scanner) giveBack() {
	const most = 32 << 10
	small := cap(s.buf)+cap(s.canonical)+cap(s.side) <= most &&
		cap(s.attrs)+cap(s.elemAttrs)+cap(s.open)+cap(s.bound) <= most/64 &&
		cap(s.children)+cap(s.elemChilds) <= most/64
	if small {
		s.elem, s.err = Element{}, nil
		clear(s.elemAttrs) // they must not keep a reader's buffer alive
		clear(s.elemChilds)
		s.buf, s.canonical = s.buf[:0], s.canonical[:0]
		scanners.Put(s)
	}
}
