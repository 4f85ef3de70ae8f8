// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"errors"
	"slices"
	"strings"
)

// An element is made self-contained by adding to its start tag the declarations
// that it, or what is in it, needs from outside. All else stays as it stands, so
// that prefixes within values keep their meaning as far as that can be known.

// anywhere is given for the default namespace around an element when that is
// not known: no namespace equals it.
const anywhere = "\x00"

var errAmplified = errors.New("xmlstream: too many repeated namespace declarations")

// Raw consumes the current element and returns it as bytes that mean the same
// wherever they are put: the namespaces it needs are declared in its start tag.
//
// What all calls on one Reader may add in declarations is bounded by four times
// the length of its bytes, and 4 KB.
func (r *Reader) Raw() string {
	if f := r.top(); f.done && !f.empty {
		return ""
	}
	raw := r.appendSelfContained(nil, anywhere)
	if r.err != nil {
		return ""
	}
	return string(raw)
}

// appendSelfContained consumes the current element and appends it so that it
// means the same where space is the default namespace.
func (r *Reader) appendSelfContained(dst []byte, space string) []byte {
	depth := len(r.open)
	f := *r.top()
	var needed []int
	for ok := true; ok; ok = r.descend(depth) {
		needed = r.need(needed, f.bound, space)
	}
	if r.err != nil {
		return dst
	}
	dst = append(dst, r.raw[f.tag:f.attrs]...)
	dst = r.appendDeclarations(dst, needed)
	return append(dst, r.raw[f.attrs:r.pos]...)
}

// need adds to needed the declarations before outside that the names in the
// current element's start tag refer to. The default namespace is not needed if
// it is space.
func (r *Reader) need(needed []int, outside int, space string) []int {
	f := r.top()
	p, _ := cutPrefix(r.raw[f.tag+1 : f.attrs])
	if i := r.lookup(p); p != "" || r.bound[i].space != space {
		needed = addOutside(needed, i, outside)
	}
	return r.needAttrs(needed, outside)
}

// needAttrs is need for the attributes alone.
func (r *Reader) needAttrs(needed []int, outside int) []int {
	for name := range r.attrs(r.top()) {
		if p, _ := cutPrefix(name); p != "" && p != "xmlns" {
			needed = addOutside(needed, r.lookup(p), outside)
		}
	}
	return needed
}

// addOutside adds i to needed if that is a declaration before outside; the
// first, of the prefix xml, need not be made.
func addOutside(needed []int, i, outside int) []int {
	if i > 0 && i < outside && !slices.Contains(needed, i) {
		needed = append(needed, i)
	}
	return needed
}

func (r *Reader) appendDeclarations(dst []byte, needed []int) []byte {
	before := len(dst)
	for _, i := range needed {
		dst = append(dst, " xmlns"...)
		if p := r.bound[i].name; p != "" {
			dst = append(append(dst, ':'), p...)
		}
		dst = appendQuoted(dst, r.bound[i].space)
	}
	if r.added += len(dst) - before; r.added > 4*len(r.raw)+4096 {
		r.Fail(errAmplified)
	}
	return dst
}

// rewrite makes the canonical form of the element in b, whose start tag or whose
// children need something from outside.
func (s *scanner) rewrite(b []byte) bool {
	e, r := &s.elem, s.readerOf(b)
	isEmpty := s.content.Start == len(b)
	dst := s.appendRootTag(s.canonical[:0], r)
	if isEmpty {
		dst = append(dst, "/>"...)
		e.Content = Span{len(dst), len(dst)}
	} else {
		dst = append(dst, '>')
		e.Content.Start = len(dst)
		i, done := 0, s.content.Start
		for range r.Children() {
			dst = append(dst, b[done:r.top().tag]...)
			e.Children[i].Start = len(dst)
			dst = r.appendSelfContained(dst, string(e.Space))
			e.Children[i].End = len(dst)
			i, done = i+1, r.pos
			if len(dst) > s.limits.ElementBytes {
				break
			}
		}
		dst = append(dst, b[done:s.content.End]...)
		e.Content.End = len(dst)
		dst = AppendEnd(dst, e.Local)
	}
	s.canonical = dst
	if len(dst) > s.limits.ElementBytes || r.err != nil {
		s.fail(PolicyViolation, "element too large with the namespaces it needs", len(b))
		return false
	}
	e.Raw, e.Rewritten = dst[:len(dst):len(dst)], true
	return true
}

// readerOf returns a Reader of the element in b, as it stands in its stream.
func (s *scanner) readerOf(b []byte) *Reader {
	r := newReader(string(b), string(s.at(b, s.outerDef)))
	for _, x := range s.bound[:s.outer] {
		r.bound = append(r.bound, prefix{string(s.at(b, x.prefix)), string(s.at(b, x.space))})
	}
	r.enter()
	return r
}

// appendRootTag appends the root's start tag without its end: without a prefix,
// with all declarations it has and those of the header that its attributes need.
func (s *scanner) appendRootTag(dst []byte, r *Reader) []byte {
	e := &s.elem
	dst = append(append(dst, '<'), e.Local...)
	if string(e.Space) != s.contentSpace {
		dst = appendQuoted(append(dst, " xmlns"...), string(e.Space))
	}
	for name, value := range r.attrs(r.top()) {
		if name == "xmlns" {
			continue
		}
		quote := byte('\'')
		if strings.IndexByte(value, quote) >= 0 {
			quote = '"'
		}
		dst = append(append(append(dst, ' '), name...), '=', quote)
		dst = append(append(dst, value...), quote)
	}
	return r.appendDeclarations(dst, r.needAttrs(nil, r.top().bound))
}
