// SPDX-License-Identifier: Apache-2.0

// Package jid holds XMPP addresses: for servers, clients and things that parse,
// compare and route by them many times a second.
//
// Every JID that is not the zero value is prepared: two addresses are the same
// address if and only if the values are equal with ==. An address in canonical
// ASCII, which almost all are, is parsed without allocation.
//
// RFC 7622 (complete), XEP-0106 (complete, 1.1.1): JID Escaping
package jid

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// MaxPart is the greatest length of a localpart, domainpart or resourcepart in
// octets of UTF-8 after preparation. RFC 7622 §3.2 to §3.4
const MaxPart = 1023

// Errors of preparation say which part was refused; they are wrapped with the
// reason. To a peer all three are the stanza error jid-malformed.
var (
	ErrLocalpart    = errors.New("bad localpart")
	ErrDomainpart   = errors.New("bad domainpart")
	ErrResourcepart = errors.New("bad resourcepart")
)

// JID is a prepared XMPP address: [localpart@]domainpart[/resourcepart].
//
// It is a small value (24 bytes) to copy, compare with == and use as a map key,
// and safe for concurrent use. The zero value is no address at all. A JID made
// from a substring of a larger string keeps that string alive, and so do the
// parts taken from a JID.
type JID struct {
	s             string
	local, domain uint16 // lengths in octets; the rest follows from the separators
}

// New joins and prepares three parts. Only the domainpart must not be empty: an
// empty localpart or resourcepart is an address without one.
func New(local, domain, resource string) (JID, error) {
	var raw [256]byte
	dst := raw[:0]
	if local != "" {
		var err error
		if dst, err = appendLocal(dst, local); err != nil {
			return JID{}, err
		}
		dst = append(dst, '@')
	}
	return finish(dst, domain, resource)
}

// finish appends the domainpart and the resourcepart to a prepared localpart
// with its separator (or to nothing) and makes the address.
func finish(dst []byte, domain, resource string) (JID, error) {
	j := JID{}
	start := len(dst)
	if start > 0 {
		j.local = uint16(start - 1)
	}
	dst, err := appendDomain(dst, domain)
	if err != nil {
		return JID{}, err
	}
	j.domain = uint16(len(dst) - start)
	if resource != "" {
		if dst, err = appendResource(append(dst, '/'), resource); err != nil {
			return JID{}, err
		}
	}
	j.s = string(dst)
	return j, nil
}

// Local returns the localpart, in its escaped form (see Unescape), or "".
func (j JID) Local() string { return j.s[:j.local] }

// Domain returns the domainpart: U-labels in lower case, an IPv4 address, or an
// IPv6 address in brackets.
func (j JID) Domain() string {
	start := j.domainStart()
	return j.s[start : start+int(j.domain)]
}

// ASCIIDomain returns the domainpart as DNS and TLS want it: A-labels, and an IPv6
// address without its brackets. RFC 5890 §2.3.2.1
func (j JID) ASCIIDomain() string {
	domain := j.Domain()
	if strings.HasPrefix(domain, "[") {
		return strings.Trim(domain, "[]")
	}
	ascii, err := idna.Punycode.ToASCII(domain)
	if err != nil {
		return domain // never: preparation has encoded each label once
	}
	return ascii
}

// Resource returns the resourcepart or "".
func (j JID) Resource() string {
	if bare := j.bareLen(); bare < len(j.s) {
		return j.s[bare+1:]
	}
	return ""
}

// String returns the whole canonical address. It does not allocate.
func (j JID) String() string { return j.s }

// Bare returns the address without its resourcepart. It does not allocate.
func (j JID) Bare() JID {
	j.s = j.s[:j.bareLen()]
	return j
}

// Host returns the address of the domain alone. It does not allocate.
func (j JID) Host() JID {
	return JID{s: j.Domain(), domain: j.domain}
}

// WithResource returns the bare address with the resourcepart given, prepared;
// "" gives the bare address. It fails on the zero value, which has no domain.
func (j JID) WithResource(resource string) (JID, error) {
	bare := j.s[:j.bareLen()]
	if bare == "" {
		return JID{}, fmt.Errorf("jid: %w: empty", ErrDomainpart)
	}
	if resource == "" {
		return j.Bare(), nil
	}
	if canonical(resource, notResource) {
		return JID{s: bare + "/" + resource, local: j.local, domain: j.domain}, nil
	}
	dst := make([]byte, 0, len(bare)+1+len(resource))
	dst = append(append(dst, bare...), '/')
	dst, err := appendResource(dst, resource)
	if err != nil {
		return JID{}, err
	}
	return JID{s: string(dst), local: j.local, domain: j.domain}, nil
}

// Clone returns j on a string of its own, for keeping it longer than what it was
// parsed from.
func (j JID) Clone() JID {
	j.s = strings.Clone(j.s)
	return j
}

// IsZero reports whether j is no address.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare reports whether j is an address without a resourcepart.
func (j JID) IsBare() bool { return j.s != "" && j.bareLen() == len(j.s) }

// IsFull reports whether j has a resourcepart.
func (j JID) IsFull() bool { return j.bareLen() < len(j.s) }

// IsDomain reports whether j is an address without a localpart: of a server, a
// component, or with a resourcepart of a part of one.
func (j JID) IsDomain() bool { return j.s != "" && j.local == 0 }

// MarshalText returns the canonical address; the zero value gives no bytes.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText parses an address; no bytes give the zero value.
func (j *JID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*j = JID{}
		return nil
	}
	parsed, err := ParseBytes(text)
	if err != nil {
		return err
	}
	*j = parsed
	return nil
}

func (j JID) domainStart() int {
	if j.local == 0 {
		return 0
	}
	return int(j.local) + 1
}

func (j JID) bareLen() int { return j.domainStart() + int(j.domain) }
