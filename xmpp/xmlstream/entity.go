// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"strings"
	"unicode/utf8"
)

// unknownEntity is what reference returns for `&name;` where name is none of the
// five that RFC 6120 §11.1 allows.
const unknownEntity = -1

// maxReference bounds what stands between `&` and `;`. Only leading zeros make
// a reference long; this many are enough, and bytes that no Parser has seen
// cannot make decoding quadratic.
const maxReference = 64

// reference reads the entity or character reference at the start of s, which
// begins with `&`. It returns the character and how many bytes the reference
// has, 0 if it is malformed. XML 1.0 §4.1.
func reference[T string | []byte](s T) (r rune, n int) {
	for n = 1; ; n++ {
		if n == len(s) || n > maxReference {
			return 0, 0
		}
		if s[n] == ';' {
			break
		}
	}
	name := s[1:n]
	n++
	if len(name) > 1 && name[0] == '#' {
		if r = numericReference(name[1:]); !isChar(r) {
			return 0, 0
		}
		return r, n
	}
	switch string(name) {
	case "lt":
		return '<', n
	case "gt":
		return '>', n
	case "amp":
		return '&', n
	case "apos":
		return '\'', n
	case "quot":
		return '"', n
	}
	if !isNCName([]byte(string(name))) {
		return 0, 0
	}
	return unknownEntity, n
}

// numericReference reads digits, or x and hexadecimal digits; -1 if they are
// none or make more than the greatest character.
func numericReference[T string | []byte](digits T) rune {
	base, i := rune(10), 0
	if digits[0] == 'x' {
		base, i = 16, 1
	}
	if i == len(digits) {
		return -1
	}
	var r rune
	for ; i < len(digits); i++ {
		d := rune(digits[i])
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case base == 16 && 'a' <= d|0x20 && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return -1
		}
		if r = r*base + d; r > utf8.MaxRune {
			return -1
		}
	}
	return r
}

// isDecoded reports whether s, valid character data or an attribute value,
// stands for itself. In values white space is replaced, so attr is stricter.
func isDecoded(s string, attr bool) bool {
	if attr {
		return !strings.ContainsAny(s, "&\r\n\t")
	}
	return strings.IndexByte(s, '&') < 0 && strings.IndexByte(s, '\r') < 0
}

// appendDecoded appends what s, valid character data or an attribute value,
// stands for: references replaced, line ends and in values white space
// normalised. XML 1.0 §2.11, §3.3.3.
func appendDecoded[T string | []byte](dst []byte, s T, attr bool) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '&':
			r, n := reference(s[i:])
			if n == 0 { // only in what no Parser has seen
				r, n = utf8.RuneError, 1
			}
			dst = utf8.AppendRune(dst, r)
			i += n
		case c == '\r':
			if i++; i < len(s) && s[i] == '\n' {
				i++
			}
			if attr {
				dst = append(dst, ' ')
			} else {
				dst = append(dst, '\n')
			}
		case attr && (c == '\n' || c == '\t'):
			dst = append(dst, ' ')
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}
