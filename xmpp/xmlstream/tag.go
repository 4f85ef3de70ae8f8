// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"bytes"
	"slices"
)

// The steps of a scanner through a start tag. Entries of open, attrs and children
// are written field by field: a struct that has just been written cannot be
// copied without stalling the processor, which cost a fifth of all time.

// tagName reads the element's name.
func (s *scanner) tagName(b []byte, i int) int {
	end, colon, seen := scanName(b, i, s.colon, s.seen)
	if end == len(b) {
		s.colon, s.seen = colon, seen
		return s.more(inTagName, end)
	}
	def := s.outerDef
	if n := len(s.open); n > 0 {
		def = s.open[n-1].def
	}
	s.attrs, s.prefixed = s.attrs[:s.attrBase], false
	s.open = append(s.open, tag{})
	t := &s.open[len(s.open)-1]
	t.def, t.bound = def, len(s.bound)
	if !t.setName(b, s.mark, end, colon, seen) {
		return s.fail(NotWellFormed, "malformed name", s.mark)
	}
	return s.tag(b, end)
}

// tag reads on behind the name or an attribute: to the next one, or to the end.
func (s *scanner) tag(b []byte, i int) int {
	for i >= 0 {
		i = skipSpace(b, i)
		if i == len(b) {
			return s.more(inTag, i)
		}
		switch c := b[i]; {
		case c == '>':
			return s.opened(b, i+1, false)
		case c == '/' && i+1 == len(b):
			return s.more(inTag, i)
		case c == '/' && b[i+1] == '>':
			return s.opened(b, i+2, true)
		case class[c]&nameStart == 0:
			return s.fail(NotWellFormed, "malformed start tag", i)
		case !isSpace(b[i-1]):
			return s.fail(NotWellFormed, "no white space before attribute", i)
		case len(s.attrs)-s.attrBase >= s.limits.Attributes:
			return s.fail(PolicyViolation, "too many attributes", i)
		}
		s.mark, s.colon, s.seen = i, 0, 0
		i = s.attrName(b, i)
	}
	return i
}

// attrName reads an attribute's name.
func (s *scanner) attrName(b []byte, i int) int {
	end, colon, seen := scanName(b, i, s.colon, s.seen)
	if end == len(b) {
		s.colon, s.seen = colon, seen
		return s.more(inAttrName, end)
	}
	s.attrs = append(s.attrs, attribute{})
	if !s.attrs[len(s.attrs)-1].setName(b, s.mark, end, colon, seen) {
		return s.fail(NotWellFormed, "malformed name", s.mark)
	}
	if end+1 < len(b) && b[end] == '=' && (b[end+1] == '\'' || b[end+1] == '"') { // as nearly always
		s.quote, s.mark = b[end+1], end+2
		return s.value(b, end+2)
	}
	return s.equals(b, end)
}

// equals reads the `=` of an attribute.
func (s *scanner) equals(b []byte, i int) int {
	i = skipSpace(b, i)
	if i == len(b) {
		return s.more(atEquals, i)
	}
	if b[i] != '=' {
		return s.fail(NotWellFormed, "attribute without value", i)
	}
	return s.openQuote(b, i+1)
}

// openQuote reads the quote that opens an attribute's value.
func (s *scanner) openQuote(b []byte, i int) int {
	i = skipSpace(b, i)
	if i == len(b) {
		return s.more(atQuote, i)
	}
	if b[i] != '\'' && b[i] != '"' {
		return s.fail(NotWellFormed, "attribute value without quotes", i)
	}
	s.quote, s.mark = b[i], i+1
	return s.value(b, i+1)
}

// value reads an attribute's value and the quote that closes it.
func (s *scanner) value(b []byte, i int) int {
	isPlain := false
	if i == s.mark {
		if end := plainEnd(b, i, s.quote, '<'); end < len(b) && b[end] == s.quote {
			i, isPlain = end, true
		}
	}
	if !isPlain {
		n := bytes.IndexByte(b[i:], s.quote)
		if n < 0 {
			return s.more(inValue, len(b))
		}
		i += n
		if !s.checkValue(b[s.mark:i]) {
			return failed
		}
	}
	a := &s.attrs[len(s.attrs)-1]
	a.value, a.stop = int32(s.mark), int32(i)
	a.isDecoded = isPlain || !bytes.ContainsAny(b[s.mark:i], "&\t\r\n")
	switch {
	case isXMLNS(b, a):
		a.isNamespace, a.space = true, xmlnsRef
		if !s.declare(b, a) {
			return failed
		}
	case a.isPrefixed():
		s.prefixed = true
	}
	s.step = inTag
	return i + 1
}

// checkValue checks a value that is not plain.
func (s *scanner) checkValue(v []byte) bool {
	if n := bytes.IndexByte(v, '<'); n >= 0 {
		s.fail(NotWellFormed, "< in attribute value", s.mark+n)
		return false
	}
	return s.checkChars(v) && s.checkReferences(v)
}

// opened is where a start tag ends: all its declarations are known.
func (s *scanner) opened(b []byte, i int, empty bool) int {
	depth := len(s.open) - 1
	t := &s.open[depth]
	ok := true
	if t.space = t.def; t.isPrefixed() {
		t.space, ok = s.lookup(b, &t.qname)
	}
	attrs := s.attrs[s.attrBase:]
	if s.prefixed && ok {
		ok = s.resolve(b, attrs)
	}
	if !ok {
		return s.fail(NotWellFormed, "undeclared or reserved namespace prefix", s.tagStart)
	}
	if len(attrs) > 1 && s.hasDuplicate(b, attrs) {
		return s.fail(NotWellFormed, "duplicate attribute", s.tagStart)
	}
	switch depth {
	case 0:
		s.attrBase, s.content = len(s.attrs), Span{i, i}
		s.rootOpened(b)
		switch {
		case s.wantHeader:
			return s.opensStream(b, i, empty)
		case t.space == xmlRef:
			// Deviation: XML does not forbid it, but it has no canonical form.
			return s.fail(BadNamespacePrefix, "element in the namespace of xml:", s.tagStart)
		}
	case 1:
		s.children = append(s.children, child{})
		c := &s.children[len(s.children)-1]
		c.start, c.local, c.end = t.start, t.local, t.end
		c.space, c.begin = t.space, int32(s.tagStart)
	}
	if empty {
		s.open, s.bound = s.open[:depth], s.bound[:t.bound]
		return s.left(depth, i)
	}
	return s.goOn(i)
}

// resolve finds the namespaces of attributes with a prefix.
func (s *scanner) resolve(b []byte, attrs []attribute) (ok bool) {
	for i := range attrs {
		if a := &attrs[i]; a.isPrefixed() && !a.isNamespace {
			if a.space, ok = s.lookup(b, &a.qname); !ok {
				return false
			}
		}
	}
	return true
}

// hasDuplicate reports whether two attributes have the same expanded name.
func (s *scanner) hasDuplicate(b []byte, attrs []attribute) bool {
	if len(attrs) > 12 {
		return s.hasDuplicateSorted(b, attrs)
	}
	for i := range attrs {
		x := &attrs[i]
		for j := range i {
			y := &attrs[j]
			if x.end-x.local == y.end-y.local && b[x.local] == b[y.local] && s.compareNames(b, x, y) == 0 {
				return true
			}
		}
	}
	return false
}

// hasDuplicateSorted is hasDuplicate for many attributes: n log n.
func (s *scanner) hasDuplicateSorted(b []byte, attrs []attribute) bool {
	n := len(s.attrs)
	all := append(s.attrs, attrs...)
	s.attrs = all[:n]
	sorted := all[n:]
	slices.SortFunc(sorted, func(x, y attribute) int { return s.compareNames(b, &x, &y) })
	for i := 1; i < len(sorted); i++ {
		if s.compareNames(b, &sorted[i-1], &sorted[i]) == 0 {
			return true
		}
	}
	return false
}

func (s *scanner) compareNames(b []byte, x, y *attribute) int {
	if c := bytes.Compare(b[x.local:x.end], b[y.local:y.end]); c != 0 || x.space == y.space {
		return c
	}
	return bytes.Compare(s.at(b, x.space), s.at(b, y.space))
}

// setName takes the name that scanName found, and checks it; there is a byte
// behind it.
func (q *qname) setName(b []byte, start, end, colon int, seen uint8) bool {
	local := start
	if colon != 0 {
		local = colon + 1
	}
	q.start, q.local, q.end = int32(start), int32(local), int32(end)
	switch {
	case colon < 0:
		return false
	case seen&wide != 0:
		return isNCName(b[local:end]) && (colon == 0 || isNCName(b[start:colon]))
	}
	return class[b[start]]&class[b[local]]&nameStart != 0
}
