// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// How to read this file.
//
// A Reader walks over one element's bytes with an offset and a stack of the
// elements that are open there; the last of them is the current one. enter
// pushes an element when its start tag is read. An element whose end tag is
// read is done, but stays on the stack, so that its name and attributes can
// still be asked for, until its parent goes on (leave). Attributes are searched
// in the start tag when they are asked for.

// ErrMalformed is the Reader's error when its bytes are no complete element.
var ErrMalformed = errors.New("malformed element")

// Reader decodes one complete element that a [Parser] has passed or that we
// wrote ourselves; it checks no more than it needs to stay in bounds. It is the
// way into payload structs:
//
//	for n := range r.Children() {
//		switch n {
//		case xmlstream.Name{Space: NS, Local: "item"}:
//			q.Items = append(q.Items, Item{JID: r.Attr("jid"), Name: r.Attr("name")})
//		}
//	}
//	return r.Err()
//
// Errors are sticky: after one, every method returns its zero value and Children
// ends. Strings it returns share one copy of the bytes, and keep it alive. Not
// safe for concurrent use.
type Reader struct {
	raw   string
	pos   int
	err   error
	open  []frame
	bound []prefix
	added int // bytes of declarations that Raw has written

	openSpace  [6]frame
	boundSpace [8]prefix
}

// frame is an element on the Reader's stack.
type frame struct {
	name  Name
	tag   int  // offset of its start tag
	attrs int  // offset behind the name in it
	bound int  // declarations before are not its own
	done  bool // its end tag is read, or it has none
	empty bool // it has none
}

// prefix is a namespace prefix, "" for the default namespace, and what it stands for.
type prefix struct{ name, space string }

// NewReader returns a Reader that stands on the start tag of the root of raw.
// space is the default namespace around raw. raw is copied.
func NewReader[T string | []byte](raw T, space string) *Reader {
	r := newReader(string(raw), space)
	r.enter()
	return r
}

// newReader returns a Reader that has not read the root's start tag.
func newReader(raw, space string) *Reader {
	r := &Reader{raw: raw}
	r.open = r.openSpace[:0]
	r.bound = append(r.boundSpace[:0], prefix{"xml", xmlNamespace}, prefix{"", space})
	return r
}

// top returns the current element.
func (r *Reader) top() *frame {
	if r.err != nil {
		return &frame{done: true}
	}
	return &r.open[len(r.open)-1]
}

// Name returns the name of the current element.
func (r *Reader) Name() Name { return r.top().name }

// Is reports whether the current element has this name.
func (r *Reader) Is(space, local string) bool { return r.Name() == Name{space, local} }

// Attr returns an attribute without namespace, "" if absent.
func (r *Reader) Attr(local string) string {
	value, _ := r.LookupAttr(local)
	return value
}

// LookupAttr is Attr that tells absent from empty.
func (r *Reader) LookupAttr(local string) (string, bool) {
	if local == "xmlns" {
		return "", false
	}
	f := r.top()
	for name, value := range r.attrs(f) {
		if name == local {
			return decoded(value, true), true
		}
	}
	return "", false
}

// Attrs yields the attributes without namespace, for vocabularies in which what
// is unknown must be seen.
func (r *Reader) Attrs() iter.Seq2[string, string] {
	return func(yield func(local, value string) bool) {
		for name, value := range r.attrs(r.top()) {
			if name != "xmlns" && !strings.Contains(name, ":") && !yield(name, decoded(value, true)) {
				return
			}
		}
	}
}

// AttrNS returns an attribute with a namespace, "" if absent.
func (r *Reader) AttrNS(space, local string) string {
	if space == "" {
		return r.Attr(local)
	}
	for name, value := range r.attrs(r.top()) {
		p, l, ok := strings.Cut(name, ":")
		if !ok || l != local || p == "xmlns" {
			continue
		}
		if i := r.lookup(p); i >= 0 && r.bound[i].space == space {
			return decoded(value, true)
		}
	}
	return ""
}

// Lang returns the xml:lang in force at the current element, "" if none is within raw.
func (r *Reader) Lang() string {
	for i := len(r.open) - 1; i >= 0 && r.err == nil; i-- {
		for name, value := range r.attrs(&r.open[i]) {
			if name == "xml:lang" {
				return decoded(value, true)
			}
		}
	}
	return ""
}

// Children yields the name of each child element of the current one while the
// Reader stands on the child. What the body leaves of the child is skipped.
// Within the body Children may be called again, for the child's children.
func (r *Reader) Children() iter.Seq[Name] {
	return func(yield func(Name) bool) {
		for depth := len(r.open); r.child(); {
			goOn := yield(r.Name())
			r.leave(depth)
			if !goOn {
				return
			}
		}
	}
}

// child goes to the next child of the current element.
func (r *Reader) child() bool {
	for {
		switch what, _ := r.next(); what {
		case startTag:
			return true
		case endTag:
			return false
		}
	}
}

// Text consumes the current element and returns its character data, without
// that of its child elements.
func (r *Reader) Text() string {
	var one string  // as is usual
	var more []byte // what follows it
	for depth := len(r.open); ; {
		what, t := r.next()
		switch what {
		case charData:
			t = decoded(t, false)
		case cdataSection:
			t = lineEnds(t)
		case startTag:
			r.leave(depth)
			continue
		case endTag:
			if r.err != nil {
				return ""
			}
			return one + string(more)
		}
		if one == "" {
			one = t
		} else {
			more = append(more, t...)
		}
	}
}

// Skip consumes the current element.
func (r *Reader) Skip() {
	for depth := len(r.open); r.descend(depth); {
	}
}

// Err returns the first error, of the input or from Fail.
func (r *Reader) Err() error { return r.err }

// Fail makes err the Reader's error unless it has one. It is how DecodeXML
// refuses a value and need not look at an error in between.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *Reader) malformed() {
	r.Fail(fmt.Errorf("xmlstream: reading at offset %d: %w", r.pos, ErrMalformed))
}

// What next finds.
type what uint8

const (
	startTag what = iota // the Reader stands on it
	endTag               // the current element is done
	charData
	cdataSection
)

// next reads on within the current element; text is that of character data, as it stands.
func (r *Reader) next() (what what, text string) {
	f := r.top()
	if f.done {
		return endTag, ""
	}
	rest := r.raw[r.pos:]
	n := strings.IndexByte(rest, '<')
	switch {
	case n < 0 || n+1 == len(rest):
		r.malformed()
		return endTag, ""
	case n > 0:
		r.pos += n
		return charData, rest[:n]
	case rest[1] == '/':
		n = strings.IndexByte(rest, '>')
		r.pos += n + 1
		f.done = true
		if n < 0 {
			r.malformed()
		}
		return endTag, ""
	case rest[1] == '!':
		text, _, ok := strings.Cut(rest, "]]>")
		text, isCDATA := strings.CutPrefix(text, "<![CDATA[")
		if !ok || !isCDATA {
			r.malformed()
			return endTag, ""
		}
		r.pos += len("<![CDATA[") + len(text) + len("]]>")
		return cdataSection, text
	}
	r.enter()
	return startTag, ""
}

// enter reads the start tag at the offset and makes its element the current one.
func (r *Reader) enter() {
	f := frame{tag: r.pos, bound: len(r.bound)}
	if r.pos >= len(r.raw) || r.raw[r.pos] != '<' {
		r.malformed()
		return
	}
	i := r.pos + 1
	for i < len(r.raw) && !isSpace(r.raw[i]) && r.raw[i] != '/' && r.raw[i] != '>' {
		i++
	}
	name := r.raw[r.pos+1 : i]
	f.attrs = i
	rest := r.raw[i:]
	for {
		attr, value, after, ok := cutAttr(rest)
		if !ok {
			break
		}
		rest = after
		if attr == "xmlns" {
			r.bound = append(r.bound, prefix{"", decoded(value, true)})
		} else if p, ok := strings.CutPrefix(attr, "xmlns:"); ok {
			r.bound = append(r.bound, prefix{p, decoded(value, true)})
		}
	}
	rest = trimSpace(rest)
	rest, f.empty = strings.CutPrefix(rest, "/")
	f.done = f.empty
	rest, ok := strings.CutPrefix(rest, ">")
	p, local := cutPrefix(name)
	space := r.lookup(p)
	if !ok || space < 0 || local == "" {
		r.malformed()
		return
	}
	f.name = Name{r.bound[space].space, local}
	r.pos = len(r.raw) - len(rest)
	r.open = append(r.open, f)
}

// lookup returns the index of the declaration in force, -1 if none is.
func (r *Reader) lookup(p string) int {
	for i := len(r.bound) - 1; i >= 0; i-- {
		if r.bound[i].name == p {
			return i
		}
	}
	return -1
}

// cutPrefix splits a name as it stands.
func cutPrefix(name string) (p, local string) {
	if p, local, ok := strings.Cut(name, ":"); ok {
		return p, local
	}
	return "", name
}

// attrs yields names and values, as they stand, of f's attributes and declarations.
func (r *Reader) attrs(f *frame) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		rest := r.raw[f.attrs:]
		for {
			name, value, after, ok := cutAttr(rest)
			if !ok || !yield(name, value) {
				return
			}
			rest = after
		}
	}
}

// descend goes to the next element within the one at depth, whatever its depth,
// and returns false when that is done.
func (r *Reader) descend(depth int) bool {
	for {
		switch what, _ := r.next(); what {
		case startTag:
			return r.err == nil
		case endTag:
			if r.err != nil || len(r.open) <= depth {
				return false
			}
			r.pop()
		}
	}
}

// leave goes to the end of the element at depth+1, and makes its parent the current one.
func (r *Reader) leave(depth int) {
	for r.descend(depth + 1) {
	}
	if len(r.open) > depth {
		r.pop()
	}
}

func (r *Reader) pop() {
	n := len(r.open) - 1
	r.bound = r.bound[:r.open[n].bound]
	r.open = r.open[:n]
}

// cutAttr cuts the attribute that s begins with, white space before it. The
// value is as it stands.
func cutAttr(s string) (name, value, rest string, ok bool) {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	start := i
	for i < len(s) && (class[s[i]]&nameChar != 0 || s[i] == ':') {
		i++
	}
	name = s[start:i]
	rest = trimSpace(s[i:])
	if start == 0 || name == "" || rest == "" || rest[0] != '=' {
		return "", "", s, false
	}
	rest = trimSpace(rest[1:])
	if rest == "" || rest[0] != '\'' && rest[0] != '"' {
		return "", "", s, false
	}
	n := strings.IndexByte(rest[1:], rest[0])
	if n < 0 {
		return "", "", s, false
	}
	return name, rest[1 : n+1], rest[n+2:], true
}

// trimSpace returns s without white space before it.
func trimSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// decoded returns what s, character data or an attribute's value, stands for.
func decoded(s string, attr bool) string {
	if isDecoded(s, attr) {
		return s
	}
	return string(appendDecoded(make([]byte, 0, len(s)), s, attr))
}

// lineEnds normalises those of a CDATA section.
func lineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
