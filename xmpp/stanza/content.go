// SPDX-License-Identifier: Apache-2.0

package stanza

import (
	"bytes"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// inClient takes over the children of e, a stanza in another content namespace than NSClient, as if
// they were in that. Those that only inherit the namespace need no change of their bytes. If one
// spells it out, or gives it a prefix, the element is written anew, to be taken instead of e.
func (s *Stanza) inClient(e *xmlstream.Element) (again *xmlstream.Element, err error) {
	if bytes.Contains(e.Raw[e.Content.Start:e.Content.End], e.Space) {
		return parse(xmlstream.Stream, renameSpace([]byte(header), e.Raw, e.Space))
	}
	space := []byte(NSClient)
	s.children = slices.Clone(e.Children) // the parser's are not to be written to
	for i := range s.children {
		if c := &s.children[i]; bytes.Equal(c.Space, e.Space) {
			c.Space = space
		}
	}
	return nil, nil
}

// AppendInto is Append for a stream whose content namespace is space, which is not declared. A child in NSClient
// that spells this out, or has a prefix for it, says space instead: it belongs to the stanza. What is within it
// keeps its namespaces (XEP-0297 §4.2: what is forwarded stays in jabber:client).
func (s *Stanza) AppendInto(dst []byte, space string) []byte {
	if !slices.ContainsFunc(s.children, s.spelled) {
		return s.Append(dst, "")
	}
	c := *s
	c.raw, c.start, c.tail, c.cuts = nil, 0, nil, nil
	for i, child := range s.children {
		b := s.Bytes(i)
		switch {
		case slices.Contains(s.cuts, i):
		case s.spelled(child):
			n := tagLen(b)
			c.tail = append(renameInTag(c.tail, b[:n], []byte(NSClient), []byte(space)), b[n:]...)
		default:
			c.tail = append(c.tail, b...)
		}
	}
	return c.Append(dst, "")
}

// spelled reports whether the start tag of c, one of s's children, names NSClient, where it is in it.
func (s *Stanza) spelled(c xmlstream.Child) bool {
	if string(c.Space) != NSClient {
		return false
	}
	n := len(s.raw)
	b := s.tail
	if c.Start < n {
		b = s.raw[c.Start:c.End]
	} else {
		b = b[c.Start-n : c.End-n]
	}
	return bytes.Contains(b[:tagLen(b)], []byte(NSClient))
}

// header begins a stream in which NSClient need not be declared.
const header = "<stream:stream xmlns='" + NSClient + "' xmlns:stream='http://etherx.jabber.org/streams'>"

// renameSpace appends raw, a well-formed element, with NSClient declared wherever it declares space.
func renameSpace(out, raw, space []byte) []byte {
	const cdata, end = "<![CDATA[", "]]>"
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '<')
		if i < 0 {
			return append(out, raw...)
		}
		out, raw = append(out, raw[:i]...), raw[i:]
		if bytes.HasPrefix(raw, []byte(cdata)) {
			n := bytes.Index(raw, []byte(end)) + len(end)
			out, raw = append(out, raw[:n]...), raw[n:]
			continue
		}
		n := tagLen(raw)
		out = renameInTag(out, raw[:n], space, []byte(NSClient))
		raw = raw[n:]
	}
	return out
}

// tagLen is how long the tag is that b begins with.
func tagLen(b []byte) int {
	var quote byte
	for i, c := range b {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return len(b)
}

// renameInTag appends a tag. Only a declaration's value is changed, and only one that is written as
// it is: a peer that escapes letters of a namespace is not helped.
func renameInTag(dst, tag, from, to []byte) []byte {
	for {
		i := bytes.IndexAny(tag, `'"`)
		if i < 0 {
			return append(dst, tag...)
		}
		n := bytes.IndexByte(tag[i+1:], tag[i])
		if n < 0 {
			return append(dst, tag...)
		}
		name := bytes.TrimRight(tag[:i], " \t\r\n=")
		name = name[bytes.LastIndexAny(name, " \t\r\n")+1:]
		value := tag[i+1 : i+1+n]
		dst = append(dst, tag[:i+1]...)
		if bytes.Equal(value, from) && (string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:"))) {
			value = to
		}
		dst = append(append(dst, value...), tag[i])
		tag = tag[i+1+n+1:]
	}
}
