// SPDX-License-Identifier: Apache-2.0

package xmlstream

import "unicode/utf8"

// AppendEscaped appends s so that it can stand as character data and within
// either quotes. Line ends and tabs stay as they are, so within quotes they
// would be read as spaces: AppendAttr keeps them. What XML cannot carry becomes
// U+FFFD.
func AppendEscaped[T string | []byte](dst []byte, s T) []byte {
	return appendEscaped(dst, s, asText|asQuoted)
}

// AppendAttr appends ` name='value'`, and nothing when value is empty.
func AppendAttr[T string | []byte](dst []byte, name string, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendQuoted(append(append(dst, ' '), name...), value)
}

// AppendRequired is AppendAttr for an attribute that is there even when value is empty.
func AppendRequired[T string | []byte](dst []byte, name string, value T) []byte {
	return appendQuoted(append(append(dst, ' '), name...), value)
}

// AppendStart appends <local xmlns='space' without the end of the tag, for attributes to follow.
func AppendStart(dst []byte, local, space string) []byte {
	return AppendRequired(append(append(dst, '<'), local...), "xmlns", space)
}

// AppendEnd appends </local>.
func AppendEnd[T ~string | ~[]byte](dst []byte, local T) []byte {
	return append(append(append(dst, "</"...), local...), '>')
}

// AppendText appends <local>text</local>.
func AppendText(dst []byte, local, text string) []byte {
	dst = append(append(append(dst, '<'), local...), '>')
	return AppendEnd(appendEscaped(dst, text, asText), local)
}

// appendQuoted appends ='value'.
func appendQuoted[T string | []byte](dst []byte, value T) []byte {
	dst = append(dst, "='"...)
	dst = appendEscaped(dst, value, asAttr)
	return append(dst, '\'')
}

// Where escaped text is to stand.
const (
	asText   = 1 << iota
	asQuoted // within either quotes
	asAttr   // within apostrophes, and to be read back as it was
)

// escapes says where a byte cannot stand as it is. Bytes outside ASCII are
// looked at as characters.
var escapes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < ' ' && c != '\n' && c != '\t', c >= utf8.RuneSelf, c == '&', c == '<':
			t[c] = asText | asQuoted | asAttr
		case c == '>':
			t[c] = asText
		case c == '\n', c == '\t':
			t[c] = asAttr
		case c == '"':
			t[c] = asQuoted
		case c == '\'':
			t[c] = asQuoted | asAttr
		}
	}
	return t
}()

func appendEscaped[T string | []byte](dst []byte, s T, where uint8) []byte {
	done := 0
	for i := 0; i < len(s); {
		if escapes[s[i]]&where == 0 {
			i++
			continue
		}
		text, n := escape(s[i:])
		if text != "" {
			dst = append(append(dst, s[done:i]...), text...)
			done = i + n
		}
		i += n
	}
	return append(dst, s[done:]...)
}

// escape returns what is to be written for the first n bytes of s, "" if that is
// themselves.
func escape[T string | []byte](s T) (text string, n int) {
	switch c := s[0]; {
	case c == '&':
		return "&amp;", 1
	case c == '<':
		return "&lt;", 1
	case c == '>':
		return "&gt;", 1
	case c == '\'':
		return "&apos;", 1
	case c == '"':
		return "&quot;", 1
	case c == '\r':
		return "&#13;", 1
	case c == '\n':
		return "&#10;", 1
	case c == '\t':
		return "&#9;", 1
	case c >= utf8.RuneSelf:
		r, n := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
		if isChar(r) && (r != utf8.RuneError || n > 1) {
			return "", n
		}
		return "\uFFFD", n
	}
	return "\uFFFD", 1
}
