// SPDX-License-Identifier: Apache-2.0

package sasl

// How to read it: the grammar of RFC 5802 §7, one function for each message,
// in the order in which they are sent. Below them the pieces they share. What
// is read here is only well-formed; what it means is for server.go and
// client.go.

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxMessage bounds a message after base64, in bytes. The longest name an
// address can have takes 3,069 escaped.
const maxMessage = 4096

// errExtension: an attribute m, which says that what follows must be
// understood. RFC 5802 §5.1 has a login end there.
var errExtension = errors.New("mandatory extension is not supported")

// clientFirst is a client-first-message. RFC 5802 §7.
type clientFirst struct {
	flag    byte   // 'n', 'y' or 'p'
	binding string // type of channel binding, with flag 'p'
	authzid string // unescaped; empty when absent
	name    string // unescaped
	nonce   string
	gs2     string // the header as sent, up to its second comma
	bare    string // the rest as sent
}

func parseClientFirst(data []byte) (clientFirst, error) {
	var m clientFirst
	s, err := text(data)
	if err != nil {
		return m, err
	}
	flag, rest, ok := strings.Cut(s, ",")
	switch {
	case !ok:
		return m, errors.New("GS2 header is not complete")
	case flag == "n" || flag == "y":
		m.flag = flag[0]
	case strings.HasPrefix(flag, "p="):
		m.flag, m.binding = 'p', flag[2:]
		if !isBindingType(m.binding) {
			return m, errors.New("type of channel binding is malformed")
		}
	default:
		return m, errors.New("channel binding flag is malformed")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return m, errors.New("GS2 header is not complete")
	}
	if authzid != "" {
		v, ok := strings.CutPrefix(authzid, "a=")
		if m.authzid, err = unescapeName(v); !ok || err != nil {
			return m, errors.New("authorization identity is malformed")
		}
	}
	m.gs2, m.bare = s[:len(s)-len(bare)], bare

	a := attributes{rest: bare}
	name := a.need('n')
	m.nonce = a.need('r')
	a.extensions("a")
	if a.err != nil {
		return m, a.err
	}
	if m.name, err = unescapeName(name); err != nil {
		return m, err
	}
	if !isNonce(m.nonce) {
		return m, errors.New("nonce is malformed")
	}
	return m, nil
}

// serverFirst is a server-first-message.
type serverFirst struct {
	nonce      string
	salt       []byte
	iterations int
	hash       string // attribute h of XEP-0474; empty when absent
}

func parseServerFirst(data []byte) (serverFirst, error) {
	var m serverFirst
	s, err := text(data)
	if err != nil {
		return m, err
	}
	a := attributes{rest: s}
	m.nonce = a.need('r')
	salt := a.need('s')
	count := a.need('i')
	m.hash = a.extensions("")
	if a.err != nil {
		return m, a.err
	}
	if !isNonce(m.nonce) {
		return m, errors.New("nonce is malformed")
	}
	if m.salt, err = decode(salt); err != nil {
		return m, fmt.Errorf("salt: %w", err)
	}
	if m.iterations, err = number(count); err != nil {
		return m, err
	}
	return m, nil
}

// clientFinal is a client-final-message.
type clientFinal struct {
	binding []byte // what attribute c says: GS2 header and binding data
	nonce   string
	proof   []byte
	signed  string // the message as sent, without the proof
}

func parseClientFinal(data []byte) (clientFinal, error) {
	var m clientFinal
	s, err := text(data)
	if err != nil {
		return m, err
	}
	i := strings.LastIndexByte(s, ',')
	if i < 0 || !strings.HasPrefix(s[i:], ",p=") {
		return m, errors.New("no proof at the end")
	}
	m.signed = s[:i]
	if m.proof, err = decode(s[i+len(",p="):]); err != nil {
		return m, fmt.Errorf("proof: %w", err)
	}
	a := attributes{rest: m.signed}
	binding := a.need('c')
	m.nonce = a.need('r')
	a.extensions("p")
	if a.err != nil {
		return m, a.err
	}
	if m.binding, err = decode(binding); err != nil {
		return m, fmt.Errorf("channel binding: %w", err)
	}
	if !isNonce(m.nonce) {
		return m, errors.New("nonce is malformed")
	}
	return m, nil
}

// serverFinal is a server-final-message: one of the two is set.
type serverFinal struct {
	verifier []byte
	failure  string // what attribute e says
}

func parseServerFinal(data []byte) (serverFinal, error) {
	var m serverFinal
	s, err := text(data)
	if err != nil {
		return m, err
	}
	a := attributes{rest: s}
	if strings.HasPrefix(s, "e=") {
		m.failure = a.need('e')
		a.extensions("v")
		return m, a.err
	}
	verifier := a.need('v')
	a.extensions("e")
	if a.err != nil {
		return m, a.err
	}
	if m.verifier, err = decode(verifier); err != nil {
		return m, fmt.Errorf("verifier: %w", err)
	}
	return m, nil
}

// plainMessage is the one message of PLAIN. RFC 4616 §2.
type plainMessage struct{ authzid, name, password string }

func parsePlain(data []byte) (plainMessage, error) {
	if len(data) > maxMessage {
		return plainMessage{}, errors.New("message is too long")
	}
	if !utf8.Valid(data) {
		return plainMessage{}, errors.New("message is not UTF-8")
	}
	parts := strings.Split(string(data), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return plainMessage{}, errors.New("message is not [authzid] NUL authcid NUL passwd")
	}
	return plainMessage{parts[0], parts[1], parts[2]}, nil
}

// text checks what holds for a message as a whole.
func text(data []byte) (string, error) {
	if len(data) > maxMessage {
		return "", errors.New("message is too long")
	}
	s := string(data)
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", errors.New("message is not UTF-8 without NUL")
	}
	return s, nil
}

// attributes reads a list of attributes in order. After an error it returns
// nothing more.
type attributes struct {
	rest string
	done bool   // the end was read
	seen uint64 // the letters read so far, as bits from 'A'
	err  error
}

// need reads the next attribute, which must have that name.
func (a *attributes) need(name byte) string {
	got, value := a.next()
	if a.err != nil {
		return ""
	}
	if got == 'm' {
		a.err = errExtension
	} else if got != name {
		a.err = fmt.Errorf("attribute %c is missing", name)
	}
	return value
}

// extensions reads what follows and ignores it, as RFC 5802 §5.1 demands of
// optional attributes, save h, whose value it returns. An attribute that came
// before, or has its place elsewhere (reserved), is an error: no two readers
// shall disagree on a message.
func (a *attributes) extensions(reserved string) (hash string) {
	for i := range len(reserved) {
		a.seen |= 1 << (reserved[i] - 'A')
	}
	for a.err == nil && !a.done {
		name, value := a.next()
		switch {
		case a.err != nil:
		case name == 'm':
			a.err = errExtension
		case name == 'h':
			hash = value
		}
	}
	return hash
}

func (a *attributes) next() (name byte, value string) {
	if a.err != nil || a.done {
		if a.err == nil {
			a.err = errors.New("message ends early")
		}
		return 0, ""
	}
	attribute, rest, more := strings.Cut(a.rest, ",")
	a.rest, a.done = rest, !more
	if len(attribute) < 3 || !isAlpha(attribute[0]) || attribute[1] != '=' {
		a.err = errors.New("attribute is malformed")
		return 0, ""
	}
	bit := uint64(1) << (attribute[0] - 'A')
	if a.seen&bit != 0 {
		a.err = fmt.Errorf("attribute %c is out of place", attribute[0])
		return 0, ""
	}
	a.seen |= bit
	return attribute[0], attribute[2:]
}

// escapeName writes a name as saslname.
func escapeName(s string) string {
	if !strings.ContainsAny(s, "=,") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "=", "=3D"), ",", "=2C")
}

// unescapeName reads a saslname. A '=' that is neither =2C nor =3D is an
// error. RFC 5802 §5.1.
func unescapeName(s string) (string, error) {
	if s == "" {
		return "", errors.New("name is empty")
	}
	if strings.IndexByte(s, '=') < 0 {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			b = append(b, s[i])
			continue
		}
		switch {
		case strings.HasPrefix(s[i:], "=2C"):
			b = append(b, ',')
		case strings.HasPrefix(s[i:], "=3D"):
			b = append(b, '=')
		default:
			return "", errors.New("name is not escaped as it should")
		}
		i += 2
	}
	return string(b), nil
}

// decode reads base64 as RFC 5802 §7 has it: padded, without line breaks
// (which the standard decoder would skip), never empty.
func decode(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("not base64")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64")
	}
	return b, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// number reads a posit-number up to MaxIterations.
func number(s string) (int, error) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i == 0 && s[i] == '0' {
			return 0, errors.New("iteration count is not a number")
		}
		if n = n*10 + int(s[i]-'0'); n > MaxIterations {
			return 0, fmt.Errorf("iteration count is over %d", MaxIterations)
		}
	}
	return n, nil
}

// isNonce: printable ASCII without the comma, at least one character.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7E || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// isBindingType: cb-name = 1*(ALPHA / DIGIT / "." / "-").
func isBindingType(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlpha(c) && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

func isAlpha(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
