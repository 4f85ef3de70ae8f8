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

// plain writes anew the children that say themselves that they are in NSClient, by a prefix or a
// declaration, without it: they are of the stanza's own namespace, whichever stream it is written into. What is
// forwarded within another child stays as it is (XEP-0297 §3.1).
func (s *Stanza) plain() {
	for i := range s.children {
		if c := &s.children[i]; string(c.Space) == NSClient && spells(s.raw[c.Start:c.End], c.Local) {
			s.rewrite()
			return
		}
	}
}

// spells reports whether an element's start tag has a prefix, or may declare the default namespace.
func spells(b, local []byte) bool {
	rest, ok := bytes.CutPrefix(b[1:], local)
	if !ok || rest[0] == ':' {
		return true
	}
	return rest[0] != '>' && rest[0] != '/' && bytes.Contains(b[:tagLen(b)], []byte("xmlns"))
}

func (s *Stanza) rewrite() {
	raw := slices.Clone(s.raw[:s.start])
	children := slices.Clone(s.children) // the parser's are not to be written to
	from := s.start
	for i := range children {
		c := &children[i]
		raw = append(raw, s.raw[from:c.Start]...)
		from = c.End
		start, b := len(raw), s.raw[c.Start:c.End]
		if string(c.Space) == NSClient && spells(b, c.Local) {
			raw = appendPlain(raw, b, c.Local)
		} else {
			raw = append(raw, b...)
		}
		c.Span = xmlstream.Span{Start: start, End: len(raw)}
	}
	s.raw, s.children = append(raw, s.raw[from:]...), children
}

// appendPlain appends b, an element in NSClient where that is the default namespace, without a prefix and
// without declaring that.
func appendPlain(dst, b, local []byte) []byte {
	tag, start := b[:tagLen(b)], len(dst)
	name := tag[1 : 1+bytes.IndexAny(tag[1:], " \t\r\n/>")]
	prefix, _, prefixed := bytes.Cut(name, []byte(":"))
	if !prefixed {
		prefix = nil
	}
	dst = append(append(dst, '<'), local...)
	rest, used := tag[1+len(name):], bytes.Contains(b[len(tag):], slices.Concat([]byte("<"), prefix, []byte(":")))
	for {
		i := bytes.IndexAny(rest, `'"`)
		if i < 0 {
			break
		}
		n := i + 1 + bytes.IndexByte(rest[i+1:], rest[i])
		attr, value := bytes.Trim(rest[:i], " \t\r\n="), rest[i+1:n]
		of, _, qualified := bytes.Cut(attr, []byte(":"))
		switch {
		case string(attr) == "xmlns" && string(value) != NSClient:
			return append(dst[:start], b...) // it needs its prefix
		case string(attr) == "xmlns", prefixed && !used && bytes.Equal(attr, slices.Concat([]byte("xmlns:"), prefix)):
		case prefixed && qualified && bytes.Equal(of, prefix):
			return append(dst[:start], b...) // and so does an attribute
		default:
			dst = append(dst, rest[:n+1]...)
		}
		rest = rest[n+1:]
	}
	dst = append(dst, rest...) // > or />
	if content := b[len(tag):]; len(content) > 0 {
		dst = append(dst, content[:bytes.LastIndex(content, []byte("</"))]...)
		dst = xmlstream.AppendEnd(dst, local)
	}
	return dst
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
		out = renameInTag(out, raw[:n], space)
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
func renameInTag(dst, tag, space []byte) []byte {
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
		if bytes.Equal(value, space) && (string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:"))) {
			value = []byte(NSClient)
		}
		dst = append(append(dst, value...), tag[i])
		tag = tag[i+1+n+1:]
	}
}
