// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"bytes"
	"strings"
)

// How to read this file, and tag.go after it.
//
// A scanner reads one token of a stream's top level: the XML declaration, the
// stream header's start tag, a whole first-level element, or the stream's end
// tag. It is handed the bytes from the token's `<` on, as many as there are,
// and runs until the token is complete or the bytes are at an end. Then it
// notes its step and how far it has looked, and goes on from there when it is
// run again with the same bytes and more. So no byte is searched twice for want
// of the next, and what comes out depends on the bytes alone, never on where
// they were cut.
//
//	text ──`<`──▶ markup ─┬─▶ tagName ─▶ tag ─▶ attrName ─▶ equals ─▶ openQuote ─▶ value
//	  ▲                   │               ▲│                                         │
//	  │                   │               │└─`>`─▶ opened ─▶ text                    │
//	  │                   │               └──────────────────────────────────────────┘
//	  │                   ├─▶ endName ─▶ endTag ─▶ closed ─▶ text
//	  └───────────────────┴─▶ cdata
//
// Each step is a method that takes the bytes and an offset and returns the
// offset to go on from, or a negative verdict. Nothing that outlives a run is a
// slice of the bytes, for they move when more arrive: all are offsets (see ref
// in namespace.go).

// step says where a run goes on.
type step uint8

const (
	inText step = iota
	atMarkup
	inTagName
	inTag
	inAttrName
	atEquals
	atQuote
	inValue
	inCDATA
	inEndName
	inEndTag
	inDeclaration
	complete
)

// maxElementBytes is what offsets of 32 bits can hold, decoded text included.
const maxElementBytes = 1 << 30

// The verdicts of a step.
const (
	needMore = -1 // the bytes are at an end
	failed   = -2 // scanner.err says why
)

// token is what a scanner has read when it is complete.
type token uint8

const (
	elementToken token = iota
	headerToken
	closeToken
	declarationToken
)

// expect is what the scanner may meet at the top level.
type expect struct {
	limits       Limits
	contentSpace string // the content namespace
	mayDeclare   bool   // an XML declaration may come
	wantHeader   bool   // a start tag is the stream header
	streamName   string // in the stream's end tag, "" if none may come
}

type scanner struct {
	expect
	token token
	err   *Error // its Offset counts from the token's start

	// Where to go on.
	step  step
	look  int   // no byte before needs to be searched again
	mark  int   // where the name, value or text being read begins
	colon int   // scanName's state
	seen  uint8 // likewise
	quote byte  // of the attribute value being read

	// The tag being read; its entry in open and the attribute's in attrs are
	// made when their names are known.
	tagStart int
	attrs    []attribute // the root's, then from attrBase on those of the tag being read
	attrBase int
	prefixed bool // one of the latter has a prefix

	scope // what is declared: namespace.go

	// The element so far.
	open     []tag
	elements int // met so far, itself included
	children []child
	content  Span
	hasText  bool

	result // the element for the caller: element.go
}

// qname is a name as it stands: prefix and colon if local > start, and local part.
type qname struct{ start, local, end int32 }

func (q qname) isPrefixed() bool { return q.local > q.start }

// attribute is an attribute or a namespace declaration.
type attribute struct {
	qname
	space       ref
	value, stop int32 // the value's offsets
	isDecoded   bool  // it stands for itself
	isNamespace bool  // xmlns or xmlns:…
}

// tag is an open element.
type tag struct {
	qname
	space    ref
	def      ref  // the default namespace within
	bound    int  // how many bindings stay when it is closed
	declares bool // it declares its default namespace itself
}

// child is a child of the root; its offsets are int32 because there may be many.
type child struct {
	qname
	space       ref
	begin, stop int32
}

// root is the element itself, which stays in the array when it is closed.
func (s *scanner) root() *tag { return &s.open[:1][0] }

// begin makes the scanner read a token.
func (s *scanner) begin(e expect) {
	s.expect, s.err = e, nil
	s.limits.ElementBytes = min(e.limits.ElementBytes, maxElementBytes)
	s.step, s.look = atMarkup, 0
	s.attrs, s.attrBase = s.attrs[:0], 0
	s.open, s.children, s.elements = s.open[:0], s.children[:0], 0
	s.content, s.hasText = Span{}, false
	s.scope.begin()
}

// run reads on in b, the token's bytes so far. It returns the offset behind the
// complete token, or a verdict.
func (s *scanner) run(b []byte) int {
	atLimit := len(b) >= s.limits.ElementBytes
	if atLimit {
		b = b[:s.limits.ElementBytes]
	}
	i := s.look
	for i >= 0 {
		switch s.step {
		case inText:
			i = s.text(b, i)
		case atMarkup:
			i = s.markup(b, i)
		case inTagName:
			i = s.tagName(b, i)
		case inTag:
			i = s.tag(b, i)
		case inAttrName:
			i = s.attrName(b, i)
		case atEquals:
			i = s.equals(b, i)
		case atQuote:
			i = s.openQuote(b, i)
		case inValue:
			i = s.value(b, i)
		case inCDATA:
			i = s.cdata(b, i)
		case inEndName:
			i = s.endName(b, i)
		case inEndTag:
			i = s.endTag(b, i)
		case inDeclaration:
			i = s.declaration(b, i)
		case complete:
			return i
		}
	}
	if i == needMore && atLimit {
		return s.fail(PolicyViolation, "element too large", len(b))
	}
	return i
}

// more notes where to go on.
func (s *scanner) more(at step, look int) int {
	s.step, s.look = at, look
	return needMore
}

func (s *scanner) fail(condition, text string, i int) int {
	s.err = &Error{Condition: condition, Text: text, Offset: int64(i)}
	return failed
}

// text reads character data up to the next `<`.
func (s *scanner) text(b []byte, i int) int {
	isPlain := false
	if i == s.mark {
		if end := plainEnd(b, i, '<', ']'); end < len(b) && b[end] == '<' {
			i, isPlain = end, true
		}
	}
	if !isPlain {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			return s.more(inText, len(b))
		}
		i += n
		if !s.checkText(b[s.mark:i]) {
			return failed
		}
	}
	if i > s.mark {
		s.noteText(b[s.mark:i])
	}
	return s.markup(b, i)
}

// noteText notes whether t, character data, makes the element have text.
func (s *scanner) noteText(t []byte) {
	if len(s.open) == 1 && !s.hasText {
		s.hasText = skipSpace(t, 0) < len(t)
	}
}

// checkText checks character data that is not plain.
func (s *scanner) checkText(t []byte) bool {
	if n := bytes.Index(t, []byte("]]>")); n >= 0 {
		s.fail(NotWellFormed, "]]> in character data", s.mark+n)
		return false
	}
	return s.checkChars(t) && s.checkReferences(t)
}

func (s *scanner) checkChars(t []byte) bool {
	if n := badChar(t); n >= 0 {
		s.fail(NotWellFormed, "invalid character or not UTF-8", s.mark+n)
		return false
	}
	return true
}

func (s *scanner) checkReferences(t []byte) bool {
	for i := 0; ; {
		n := bytes.IndexByte(t[i:], '&')
		if n < 0 {
			return true
		}
		i += n
		r, n := reference(t[i:])
		switch {
		case n == 0:
			s.fail(NotWellFormed, "malformed reference", s.mark+i)
			return false
		case r == unknownEntity:
			s.fail(RestrictedXML, "reference to an entity that is not predefined", s.mark+i)
			return false
		}
		i += n
	}
}

// markup tells by what follows `<` what it begins.
func (s *scanner) markup(b []byte, i int) int {
	if i+1 == len(b) {
		return s.more(atMarkup, i)
	}
	s.tagStart, s.mark = i, i+1
	switch c := b[i+1]; {
	case class[c]&nameStart != 0:
		switch {
		case len(s.open) >= s.limits.Depth:
			return s.fail(PolicyViolation, "elements nested too deeply", i)
		case s.elements > s.limits.Children:
			return s.fail(PolicyViolation, "too many elements", i)
		}
		s.elements++
		s.colon, s.seen = 0, 0
		return s.tagName(b, i+1)
	case c == '/' && (len(s.open) > 0 || s.streamName != ""):
		s.mark = i + 2
		return s.endName(b, i+2)
	case c == '/':
		return s.fail(NotWellFormed, "end tag without start tag", i)
	case c == '!':
		return s.exclamation(b, i)
	case c == '?':
		return s.question(b, i)
	}
	return s.fail(NotWellFormed, "malformed markup", i+1)
}

// exclamation tells a CDATA section from what RFC 6120 §11.1 forbids.
func (s *scanner) exclamation(b []byte, i int) int {
	const start = "<![CDATA["
	switch head := b[i:min(len(b), i+len(start))]; {
	case len(head) > 2 && head[2] == '-':
		return s.fail(RestrictedXML, "comment", i)
	case len(head) > 2 && head[2] == 'D':
		return s.fail(RestrictedXML, "document type declaration", i)
	case !strings.HasPrefix(start, string(head)):
		return s.fail(NotWellFormed, "malformed markup", i)
	case len(head) < len(start):
		return s.more(atMarkup, i)
	case len(s.open) == 0:
		return s.fail(NotWellFormed, "character data outside an element", i)
	}
	s.mark = i + len(start)
	return s.cdata(b, s.mark)
}

// cdata reads a CDATA section up to its end.
func (s *scanner) cdata(b []byte, i int) int {
	n := bytes.Index(b[i:], []byte("]]>"))
	if n < 0 {
		return s.more(inCDATA, max(i, len(b)-2))
	}
	t := b[s.mark : i+n]
	if !s.checkChars(t) {
		return failed
	}
	s.noteText(t)
	return s.goOn(i + n + 3)
}

// question lets the XML declaration pass where it may stand.
func (s *scanner) question(b []byte, i int) int {
	const start = "<?xml"
	if !s.mayDeclare {
		return s.fail(RestrictedXML, "processing instruction", i)
	}
	switch head := b[i:min(len(b), i+len(start)+1)]; {
	case len(head) <= len(start):
		if !strings.HasPrefix(start, string(head)) {
			return s.fail(RestrictedXML, "processing instruction", i)
		}
		return s.more(atMarkup, i)
	case string(head[:len(start)]) != start || !isSpace(head[len(start)]):
		return s.fail(RestrictedXML, "processing instruction", i)
	}
	s.mark = i + len(start)
	return s.declaration(b, s.mark)
}

// endName reads the name in an end tag.
func (s *scanner) endName(b []byte, i int) int {
	want := s.openName(b)
	if n := s.mark + len(want); n < len(b) && b[n] == '>' && string(b[s.mark:n]) == string(want) {
		return s.closed(n + 1)
	}
	end, _, _ := scanName(b, i, 0, 0)
	if end == len(b) {
		return s.more(inEndName, end)
	}
	if string(b[s.mark:end]) != string(want) {
		return s.fail(NotWellFormed, "end tag does not match start tag", s.mark)
	}
	return s.endTag(b, end)
}

// openName returns the name the next end tag must have.
func (s *scanner) openName(b []byte) []byte {
	if n := len(s.open); n > 0 {
		return b[s.open[n-1].start:s.open[n-1].end]
	}
	return []byte(s.streamName)
}

// endTag reads the end tag behind its name.
func (s *scanner) endTag(b []byte, i int) int {
	i = skipSpace(b, i)
	if i == len(b) {
		return s.more(inEndTag, i)
	}
	if b[i] != '>' {
		return s.fail(NotWellFormed, "malformed end tag", i)
	}
	return s.closed(i + 1)
}

// closed is where an end tag ends.
func (s *scanner) closed(i int) int {
	n := len(s.open) - 1
	if n < 0 {
		s.token, s.step = closeToken, complete
		return i
	}
	s.bound = s.bound[:s.open[n].bound]
	s.open = s.open[:n]
	if n == 0 {
		s.content.End = s.tagStart
	}
	return s.left(n, i)
}

// left is where an element at depth n ends, the root's being 0.
func (s *scanner) left(n, i int) int {
	switch n {
	case 0:
		s.token, s.step = elementToken, complete
		return i
	case 1:
		s.children[len(s.children)-1].stop = int32(i)
	}
	return s.goOn(i)
}

// goOn makes content follow.
func (s *scanner) goOn(i int) int {
	s.step, s.mark = inText, i
	return i
}
