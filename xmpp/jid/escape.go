// SPDX-License-Identifier: Apache-2.0

package jid

import "strings"

// escapable lists the characters that XEP-0106 §4.1 replaces, the escaping character last.
const escapable = ` "&'/:<>@\`

// Escape turns what a person or another system uses as a name into a localpart
// without disallowed characters: d'artagnan becomes d\27artagnan. Spaces at
// either end are cut, as an escaped localpart must not begin or end with \20.
// The result still has to be prepared, by New.
//
// XEP-0106 §4.1, §5.2
func Escape(s string) string {
	s = strings.Trim(s, " ")
	if !strings.ContainsAny(s, escapable) {
		return s
	}
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		escape := strings.IndexByte(escapable, c) >= 0
		if c == '\\' {
			// Only where it would be read as an escape: c:\net stays c\3a\net.
			_, escape = escaped(s[i:])
		}
		if escape {
			b.WriteByte('\\')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Unescape turns a localpart into the form to show to a person or to hand to
// another system. Sequences that are not escapes stay as they are, and so does
// \20 at either end, where it is none.
//
// XEP-0106 §4.2, §5.1
func Unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c, ok := escaped(s[i:])
		if !ok || c == ' ' && (i == 0 || i+3 == len(s)) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String()
}

// escaped returns the character whose escape sequence s begins with.
func escaped(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '\\' {
		return 0, false
	}
	switch s[1:3] {
	case "20":
		return ' ', true
	case "22":
		return '"', true
	case "26":
		return '&', true
	case "27":
		return '\'', true
	case "2f":
		return '/', true
	case "3a":
		return ':', true
	case "3c":
		return '<', true
	case "3e":
		return '>', true
	case "40":
		return '@', true
	case "5c":
		return '\\', true
	}
	return 0, false
}
