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
	attrs := slices.Grow(s.elemAttrs[:0], s.attrBase)[:s.attrBase]
	n := 0
	for i := range attrs {
		a := &s.attrs[i]
		if a.isNamespace {
			continue
		}
		x := &attrs[n]
		x.Space, x.Local, x.Value = s.at(b, a.space), b[a.local:a.end], b[a.value:a.stop]
		if !a.isDecoded {
			at := len(s.side)
			s.side = appendDecoded(s.side, x.Value, true)
			x.Value = s.side[at:]
		}
		n++
	}
	attrs = attrs[:n]
	children := slices.Grow(s.elemChilds[:0], len(s.children))[:len(s.children)]
	for i := range children {
		c, x := &s.children[i], &children[i]
		x.Space, x.Local, x.Span = s.at(b, c.space), b[c.local:c.end], Span{int(c.begin), int(c.stop)}
	}
	s.elemAttrs, s.elemChilds = attrs, children
	e, root := &s.elem, s.root()
	e.Raw, e.Space, e.Local = b[:len(b):len(b)], s.at(b, root.space), b[root.local:root.end]
	e.Attrs, e.Children, e.Content = attrs, children, s.content
	e.HasText, e.Rewritten = s.hasText, false
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
	if s.isSmall() {
		s.buf, s.canonical = s.buf[:0], s.canonical[:0]
		scanners.Put(s)
	}
}

// isSmall reports whether the scanner is worth keeping: what it holds is some
// 4 KB in the beginning and at most some 64 KB.
func (s *scanner) isSmall() bool {
	texts := cap(s.buf) + cap(s.canonical) + cap(s.side)
	entries := cap(s.attrs) + cap(s.elemAttrs) + cap(s.open) + cap(s.bound) + cap(s.children) + cap(s.elemChilds)
	return texts <= 32<<10 && entries <= 512
}
