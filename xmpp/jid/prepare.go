// SPDX-License-Identifier: Apache-2.0

package jid

// Preparation of single parts, for what the ASCII scan gives up on. Each part is
// mapped until it stays as it is, so that an address taken from the wire,
// stored and read again is the same address; what still changes after a few
// turns is refused.

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

const (
	maxLabel = 63 // octets of a label in its ASCII form, RFC 1034 §3.1
	maxTurns = 4  // applications of a profile until its result must be stable
)

var (
	errEmpty    = errors.New("empty")
	errLong     = errors.New("too long")
	errUTF8     = errors.New("not UTF-8")
	errChar     = errors.New("disallowed character")
	errUnstable = errors.New("does not settle")
	errBidi     = errors.New("mixed directions")
	errLabel    = errors.New("bad label")
	errAddress  = errors.New("bad IPv6 address")
)

// userName is UsernameCaseMapped without its Bidi Rule, which x/text applies to
// every string; RFC 8265 §3.3.2 applies it only to strings with right-to-left
// characters, and `_jürgen` has none.
var userName = precis.NewIdentifier(precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC))

// uLabel maps nothing: IDNA has mapped already, but lets symbols through that
// RFC 5892 disallows. The PRECIS IdentifierClass draws the same line.
var uLabel = precis.NewIdentifier(precis.Norm(norm.NFC))

// dots makes full stops of what IDNA would map to them. UTS #46 §2.3
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// appendLocal prepares a localpart. RFC 7622 §3.3
func appendLocal(dst []byte, s string) ([]byte, error) {
	if canonical(s, notLocal|upper) {
		return append(dst, s...), nil
	}
	out, err := prepareLocal(s)
	if err != nil {
		return nil, fmt.Errorf("jid: %w: %w", ErrLocalpart, err)
	}
	return append(dst, out...), nil
}

func prepareLocal(s string) ([]byte, error) {
	out, err := settle(userName, s)
	if err != nil {
		return nil, err
	}
	if bidirule.Direction(out) != bidi.LeftToRight && !bidirule.Valid(out) {
		return nil, errBidi
	}
	// RFC 7622 §3.3.1: the profile knows nothing of these, and width mapping
	// may have made one.
	if bytes.ContainsAny(out, `"&'/:<>@`) {
		return nil, errChar
	}
	return out, nil
}

// appendResource prepares a resourcepart. RFC 7622 §3.4
func appendResource(dst []byte, s string) ([]byte, error) {
	if canonical(s, notResource) {
		return append(dst, s...), nil
	}
	out, err := settle(precis.OpaqueString, s)
	if err != nil {
		return nil, fmt.Errorf("jid: %w: %w", ErrResourcepart, err)
	}
	return append(dst, out...), nil
}

// PrepareResource prepares a resourcepart alone: nicknames in rooms and names of
// roster groups are compared in that form. The error wraps ErrResourcepart.
func PrepareResource(s string) (string, error) {
	if canonical(s, notResource) {
		return s, nil
	}
	out, err := appendResource(nil, s)
	return string(out), err
}

// settle applies a profile until the result is stable, between 1 and MaxPart octets.
func settle(p *precis.Profile, s string) ([]byte, error) {
	if len(s) > maxRaw {
		return nil, errLong
	}
	if !utf8.ValidString(s) { // normalisation would replace the bad octets
		return nil, errUTF8
	}
	in := []byte(s)
	for range maxTurns {
		// Append lowers ASCII in place: it is given a copy to spoil.
		out, err := p.Append(nil, bytes.Clone(in))
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(in, out):
			in = out
		case len(out) == 0:
			return nil, errEmpty
		case len(out) > MaxPart:
			return nil, errLong
		default:
			return out, nil
		}
	}
	return nil, errUnstable
}

// appendDomain prepares a domainpart. RFC 7622 §3.2
func appendDomain(dst []byte, s string) ([]byte, error) {
	if canonical(s, notDomain|upper) && ldhLabels(s) {
		return append(dst, s...), nil
	}
	out, err := prepareDomain(s)
	if err != nil {
		return nil, fmt.Errorf("jid: %w: %w", ErrDomainpart, err)
	}
	return append(dst, out...), nil
}

func prepareDomain(s string) (string, error) {
	switch {
	case s == "":
		return "", errEmpty
	case len(s) > maxRaw:
		return "", errLong
	case !utf8.ValidString(s):
		return "", errUTF8
	case s[0] == '[':
		return prepareIPv6(s)
	}
	// RFC 7622 §3.2: the dot of the root is stripped before all else.
	in := strings.TrimSuffix(dots.Replace(s), ".")
	for range maxTurns {
		out, err := idna.Lookup.ToUnicode(in)
		if err != nil {
			return "", err
		}
		if out != in {
			in = out
			continue
		}
		if len(out) > MaxPart {
			return "", errLong
		}
		return out, checkLabels(out)
	}
	return "", errUnstable
}

// checkLabels accepts a list of U-labels and NR-LDH labels, none empty and none
// too long for the DNS.
func checkLabels(domain string) error {
	for label := range strings.SplitSeq(domain, ".") {
		wide := false
		for i := range len(label) {
			c := label[i]
			if c >= utf8.RuneSelf {
				wide = true
			} else if octets[c]&(notDomain|upper) != 0 {
				return errChar
			}
		}
		if wide {
			same, err := uLabel.Append(nil, []byte(label))
			if err != nil {
				return err
			}
			ascii, err := idna.Punycode.ToASCII(label)
			if err != nil || string(same) != label {
				return errLabel
			}
			if len(ascii) > maxLabel {
				return errLong
			}
		} else if !ldhLabel(label) {
			return errLabel
		}
	}
	return nil
}

// prepareIPv6 brings an address in brackets into the one form of RFC 5952, which
// alone can be compared. Zones mean something on one machine only.
func prepareIPv6(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", errAddress
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", errAddress
	}
	return "[" + a.String() + "]", nil
}
