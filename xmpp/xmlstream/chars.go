// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// What a byte may be. Bytes of multi-byte characters count as name characters
// here and are looked at again, as characters, when the name is complete.
const (
	nameStart = 1 << iota
	nameChar
	wide // part of a character outside ASCII
	white
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch b := byte(c); {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', b == '_':
			t[c] = nameStart | nameChar
		case '0' <= b && b <= '9', b == '-', b == '.':
			t[c] = nameChar
		case b >= utf8.RuneSelf:
			t[c] = nameStart | nameChar | wide
		case b == ' ', b == '\t', b == '\n', b == '\r':
			t[c] = white
		}
	}
	return t
}()

func isSpace(c byte) bool { return class[c]&white != 0 }

// skipSpace returns the offset of the first byte from i on that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// scanName reads name characters and colons from i on. It returns where they
// end, the offset of the first colon (colon, if that is not 0) or -1 if there
// are several, and which classes of bytes occurred.
func scanName(b []byte, i, colon int, seen uint8) (int, int, uint8) {
	for i < len(b) {
		k := class[b[i]]
		if k&nameChar == 0 {
			if b[i] != ':' {
				break
			}
			if colon != 0 {
				colon = -1
			} else {
				colon = i
			}
		}
		seen |= k
		i++
	}
	return i, colon, seen
}

// isNCName reports whether b, which scanName has passed, is a name without colon.
func isNCName(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	r, n := utf8.DecodeRune(b)
	for start := true; ; start = false {
		if r >= utf8.RuneSelf && (r == utf8.RuneError && n == 1 || !isNameRune(r, start)) {
			return false
		}
		if start && r < utf8.RuneSelf && class[byte(r)]&nameStart == 0 {
			return false
		}
		if b = b[n:]; len(b) == 0 {
			return true
		}
		r, n = utf8.DecodeRune(b)
	}
}

// nameRunes are the characters outside ASCII that may begin a name; moreNameRunes
// those that may only follow. XML 1.0 (fifth edition) §2.3, productions 4 and 4a.
var (
	nameRunes = [...][2]rune{
		{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x2FF}, {0x370, 0x37D}, {0x37F, 0x1FFF},
		{0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF}, {0x3001, 0xD7FF},
		{0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
	}
	moreNameRunes = [...][2]rune{{0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040}}
)

func isNameRune(r rune, start bool) bool {
	for _, x := range nameRunes {
		if x[0] <= r && r <= x[1] {
			return true
		}
	}
	if start {
		return false
	}
	for _, x := range moreNameRunes {
		if x[0] <= r && r <= x[1] {
			return true
		}
	}
	return false
}

// isChar reports whether r is a character that XML allows. XML 1.0 §2.2.
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// For looking at bytes eight at a time.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// plainEnd returns the offset, from i on, of the first byte that is delimiter,
// other, `&` or anything but printable ASCII; len(b) if there is none. Most text
// and nearly all attribute values end where it stops: they need no other check.
func plainEnd(b []byte, i int, delimiter, other byte) int {
	delimiters, others := uint64(delimiter)*ones, uint64(other)*ones
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		// A byte's top bit is set by what is not ASCII, and by taking more from
		// it than it has. The latter falsifies the bytes behind it, not before.
		odd := x | (x - ' '*ones) | ((x ^ '&'*ones) - ones) | ((x ^ delimiters) - ones) | ((x ^ others) - ones)
		if odd &= tops; odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c >= utf8.RuneSelf || c < ' ' || c == '&' || c == delimiter || c == other {
			break
		}
	}
	return i
}

// badChar returns the offset of the first byte in b that is not UTF-8, or begins
// a character that XML forbids, or -1.
func badChar(b []byte) int {
	if isText(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !isChar(r) {
			return i
		}
		i += n
	}
	return -1
}

// isText is badChar for the case that all is well, and fast.
func isText(b []byte) bool {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if x := binary.LittleEndian.Uint64(b[i:]); (x-' '*ones)&^x&tops != 0 {
			break
		}
	}
	for _, c := range b[i:] {
		if c < ' ' && !isSpace(c) {
			return false
		}
	}
	if !utf8.Valid(b) {
		return false
	}
	// U+FFFE and U+FFFF are all that is left.
	return bytes.IndexByte(b, 0xEF) < 0 || !bytes.Contains(b, []byte("\uFFFE")) && !bytes.Contains(b, []byte("\uFFFF"))
}
