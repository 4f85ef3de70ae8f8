// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"bytes"
	"strings"
)

// declaration reads an XML declaration up to its end.
func (s *scanner) declaration(b []byte, i int) int {
	n := bytes.Index(b[i:], []byte("?>"))
	if n < 0 {
		return s.more(inDeclaration, max(i, len(b)-1))
	}
	i += n
	if condition, text := checkDeclaration(string(b[s.mark:i])); condition != "" {
		return s.fail(condition, text, s.mark)
	}
	s.token, s.step = declarationToken, complete
	return i + len("?>")
}

// checkDeclaration checks what stands between `<?xml` and `?>`: the version, and
// then perhaps encoding and standalone. XML 1.0 §2.8, RFC 6120 §11.5 and §11.6.
func checkDeclaration(s string) (condition, text string) {
	const malformed = "malformed XML declaration"
	name, value, rest, ok := cutAttr(s)
	if !ok || name != "version" {
		return NotWellFormed, malformed
	}
	if value != "1.0" {
		return NotWellFormed, "XML version is not 1.0"
	}
	if name, value, after, ok := cutAttr(rest); ok && name == "encoding" {
		if !strings.EqualFold(value, "UTF-8") {
			return UnsupportedEncoding, "encoding is not UTF-8"
		}
		rest = after
	}
	if name, value, after, ok := cutAttr(rest); ok && name == "standalone" && (value == "yes" || value == "no") {
		rest = after
	}
	if trimSpace(rest) != "" {
		return NotWellFormed, malformed
	}
	return "", ""
}

// opensStream is where the stream header ends.
func (s *scanner) opensStream(b []byte, i int, empty bool) int {
	root := s.root()
	switch isStream := string(s.at(b, root.space)) == streamNamespace; {
	case string(b[root.local:root.end]) != "stream":
		return s.fail(BadFormat, "not a stream header", s.tagStart)
	case !isStream && !root.isPrefixed():
		return s.fail(BadNamespacePrefix, "stream header without the stream namespace", s.tagStart)
	case !isStream:
		return s.fail(InvalidNamespace, "stream header without the stream namespace", s.tagStart)
	case empty:
		return s.fail(BadFormat, "empty stream", s.tagStart)
	}
	s.token, s.step = headerToken, complete
	return i
}

// A client's stream has this name and declares this, mostly: all such streams share these texts.
const (
	usualName  = "stream:stream"
	usualScope = "\x00jabber:client\x00stream\x00" + streamNamespace + "\x00"
)

// newHeader returns what the header in b says, what it declares, in the form of
// scope.enter, and its name.
func (s *scanner) newHeader(b []byte) (h *Header, declared, name string) {
	h = new(Header)
	var text []byte
	var ends [5]int
	fields := [...]*string{&h.To, &h.From, &h.ID, &h.Version, &h.Lang}
	for i, local := range [...]string{"to", "from", "id", "version", "lang"} {
		from := ref{}
		if local == "lang" {
			from = xmlRef
		}
		for _, a := range s.attrs[:s.attrBase] {
			if a.space == from && string(b[a.local:a.end]) == local {
				text = appendDecoded(text, b[a.value:a.stop], true)
			}
		}
		ends[i] = len(text)
	}
	all, start := string(text), 0 // the fields share one string
	for i, end := range ends {
		*fields[i], start = all[start:end], end
	}

	var scope []byte
	add := func(prefix, space []byte) {
		scope = append(append(scope, prefix...), 0)
		scope = append(append(scope, space...), 0)
	}
	add(nil, s.at(b, s.root().def))
	for _, x := range s.bound {
		add(s.at(b, x.prefix), s.at(b, x.space))
	}
	declared = usualScope
	if string(scope) != usualScope {
		declared = string(scope)
	}
	name = usualName
	if own := b[s.root().start:s.root().end]; string(own) != usualName {
		name = string(own)
	}
	h.Default, _, _ = strings.Cut(declared[1:], "\x00")
	return h, declared, name
}
