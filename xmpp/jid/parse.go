// SPDX-License-Identifier: Apache-2.0

package jid

// Parsing has two ways. scan recognises an address of ASCII that is canonical
// but for the case of letters, in one pass and without allocation; it refuses
// nothing, it only gives up. Then prepare does the whole work of RFC 7622 and
// is the only place that knows why an address is bad; it too leaves a part that is
// canonical ASCII alone.

import (
	"fmt"
	"strings"
)

// maxRaw bounds what is prepared at all. Preparation never shrinks a part to a
// quarter: full-width letters shrink by three, NFC by less.
const maxRaw = 4 * MaxPart

// What an octet may not be; several accumulate by OR over a part.
const (
	notLocal    uint8 = 1 << iota // outside a localpart, even in lower case
	notDomain                     // outside an LDH label, even in lower case
	notResource                   // outside an ASCII resourcepart
	upper                         // a capital letter: not canonical in localpart and domainpart
	separator                     // '@' or '/'
)

// octets says of each octet which of the above holds. RFC 7622 §3.3.1, RFC 8264 §9.11
var octets = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < ' ' || c > '~':
			t[c] = notLocal | notDomain | notResource
		case c >= 'A' && c <= 'Z':
			t[c] = upper
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.':
		case c == '@' || c == '/':
			t[c] = notLocal | notDomain | separator
		case strings.ContainsRune(` "&':<>`, rune(c)):
			t[c] = notLocal | notDomain
		default:
			t[c] = notDomain
		}
	}
	return t
}()

// Parse prepares an address. When s is canonical ASCII it is kept as it is and
// nothing is allocated; capital letters in an ASCII address cost one allocation.
//
// The error wraps ErrLocalpart, ErrDomainpart or ErrResourcepart.
func Parse(s string) (JID, error) {
	j, capitals, ok := scan(s)
	switch {
	case !ok:
		return prepare(s)
	case capitals:
		j.s = lower(s, j.bareLen())
	default:
		j.s = s
	}
	return j, nil
}

// ParseBytes prepares an address from bytes, which it copies. It allocates once
// when they are ASCII.
//
// The error wraps ErrLocalpart, ErrDomainpart or ErrResourcepart.
func ParseBytes(b []byte) (JID, error) {
	j, capitals, ok := scan(b)
	switch {
	case !ok:
		return prepare(string(b[:min(len(b), 3*maxRaw+3)]))
	case capitals:
		j.s = lower(b, j.bareLen())
	default:
		j.s = string(b)
	}
	return j, nil
}

// MustParse is Parse for tests and constants: it panics when s is not an address.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// scan finds the parts of an address that is ASCII and canonical but for capital
// letters in its bare part. It leaves j.s empty. What is not ok may still be an
// address.
func scan[T string | []byte](s T) (j JID, capitals, ok bool) {
	seen, end := segment(s, 0)
	start := 0
	if end < len(s) && s[end] == '@' {
		if seen&notLocal != 0 || end == 0 || end > MaxPart {
			return JID{}, false, false
		}
		j.local = uint16(end)
		start = end + 1
		var domain uint8
		domain, end = segment(s, start)
		if end < len(s) && s[end] == '@' {
			return JID{}, false, false
		}
		if domain&notDomain != 0 {
			return JID{}, false, false
		}
		seen |= domain
	} else if seen&notDomain != 0 {
		return JID{}, false, false
	}
	if end-start > MaxPart || !ldhLabels(s[start:end]) {
		return JID{}, false, false
	}
	j.domain = uint16(end - start)
	if end < len(s) && !canonical(s[end+1:], notResource) {
		return JID{}, false, false
	}
	return j, seen&upper != 0, true
}

// segment goes from start to the next separator or the end.
func segment[T string | []byte](s T, start int) (seen uint8, end int) {
	for i := start; i < len(s); i++ {
		k := octets[s[i]]
		if k&separator != 0 {
			return seen, i
		}
		seen |= k
	}
	return seen, len(s)
}

// canonical reports whether preparation leaves a part as it is, decided by ASCII
// alone; not says what its octets may not be.
func canonical[T string | []byte](s T, not uint8) bool {
	if len(s) == 0 || len(s) > MaxPart {
		return false
	}
	var seen uint8
	for i := 0; i < len(s); i++ {
		seen |= octets[s[i]]
	}
	return seen&not == 0
}

// ldhLabels reports whether d, which holds only letters, digits, hyphens and
// dots, is a list of NR-LDH labels. RFC 5890 §2.3.2.2
func ldhLabels[T string | []byte](d T) bool {
	start := 0
	for i := 0; i < len(d); i++ {
		if d[i] == '.' {
			if !ldhLabel(d[start:i]) {
				return false
			}
			start = i + 1
		}
	}
	return ldhLabel(d[start:])
}

func ldhLabel[T string | []byte](l T) bool {
	n := len(l)
	return n > 0 && n <= maxLabel && l[0] != '-' && l[n-1] != '-' &&
		(n < 4 || l[2] != '-' || l[3] != '-')
}

// lower copies s with its first n octets in lower case.
func lower[T string | []byte](s T, n int) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if i < n && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// prepare splits an address by RFC 7622 §3.1 to §3.4, before any mapping, so that
// a full-width ＠ or ／ never becomes a separator, and prepares each part.
func prepare(s string) (JID, error) {
	rest, resource, slash := strings.Cut(s, "/")
	if slash && resource == "" {
		return JID{}, fmt.Errorf("jid: %w: empty", ErrResourcepart)
	}
	local, domain, at := strings.Cut(rest, "@")
	if !at {
		return New("", local, resource)
	}
	if local == "" {
		return JID{}, fmt.Errorf("jid: %w: empty", ErrLocalpart)
	}
	return New(local, domain, resource)
}
