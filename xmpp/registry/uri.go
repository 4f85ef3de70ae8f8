// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: URI is what a code says; String, Link and Chat write it in three forms, ParseURI
// reads all of them.

import (
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// MaxURI is how many bytes a code may have. A QR code of the largest kind holds 2,953.
const MaxURI = 2048

const (
	prefixXEP  = "IoTDisco;" // XEP-0347 §3.9
	schemeLink = "iotdisco:"
	schemeXMPP = "xmpp:"
	wordClaim  = "claim " // before a code that is said to a registry
)

// URI is what the code on a thing says: what its owner claims it by or, where the key is missing, what it
// can be searched by. XEP-0347 §3.9
type URI struct {
	Registry jid.JID // where; the zero JID leaves that to who reads it. It stands under the name R
	Tags     Tags
}

// ParseURI reads a code in any of its forms: IoTDisco;SN:1;#V:1.2;KEY:2, the link iotdisco:SN=1;#V=1.2;KEY=2
// of later generations, and the xmpp: link of Chat, with either of them in it. The error is a *stanza.Error.
func ParseURI(s string) (URI, error) {
	s = strings.TrimSpace(s)
	if len(s) > MaxURI {
		return URI{}, stanza.PolicyViolation.Err(fmt.Sprintf("a code has more than %d bytes", MaxURI))
	}
	if rest, ok := cutFold(s, schemeXMPP); ok {
		return parseChat(rest)
	}
	return parseTags(s)
}

func parseTags(s string) (URI, error) {
	if rest, ok := cutFold(s, prefixXEP); ok {
		return parsePairs(rest, ':')
	}
	if rest, ok := cutFold(s, schemeLink); ok {
		text, err := percentDecode(rest)
		if err != nil {
			return URI{}, err
		}
		return parsePairs(text, '=')
	}
	return URI{}, stanza.BadRequest.Err("a code begins with IoTDisco; or iotdisco:")
}

// cutFold cuts a prefix in whatever case: some scanners shout.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// parsePairs reads tags that stand between semicolons. A backslash takes away the meaning of what follows.
func parsePairs(s string, separator byte) (URI, error) {
	var u URI
	for s != "" {
		var name, value string
		var err error
		if name, value, s, err = nextPair(s, separator); err != nil {
			return URI{}, err
		}
		if name == "" && value == "" {
			continue // two semicolons, or one at the end
		}
		if err := u.add(name, value); err != nil {
			return URI{}, err
		}
	}
	if len(u.Tags) == 0 {
		return URI{}, stanza.BadRequest.Err("a code has at least one tag")
	}
	return u, u.Tags.Check()
}

func nextPair(s string, separator byte) (name, value, rest string, err error) {
	at := strings.IndexByte(s, separator)
	if end := strings.IndexByte(s, ';'); end == 0 {
		return "", "", s[1:], nil
	} else if at <= 0 || end > 0 && end < at {
		return "", "", "", stanza.BadRequest.Err("a tag of a code has a name and a value")
	}
	name = s[:at]
	var b strings.Builder
	for i := at + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == ';':
			return name, b.String(), s[i+1:], nil
		case c == '\\' && i+1 == len(s):
			return "", "", "", stanza.BadRequest.Err("a code ends within an escape")
		case c == '\\':
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return name, b.String(), "", nil
}

// add takes one tag of a code.
func (u *URI) add(name, value string) error {
	if len(u.Tags) == MaxTags {
		return errTags()
	}
	name, numeric := strings.CutPrefix(name, "#")
	if FoldName(name) == R && !numeric {
		j, err := jid.Parse(value)
		if err != nil {
			return stanza.JIDMalformed.Err("the registry of a code is no address")
		}
		u.Registry = j
		return nil
	}
	tag := Str(name, value)
	if numeric {
		number, err := parseNumber(value)
		if err != nil {
			return err
		}
		tag = Num(name, number)
	}
	u.Tags = append(u.Tags, tag)
	return nil
}

// String is the code as XEP-0347 §3.9 has it. The registry comes last, under the name R.
func (u URI) String() string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(prefixXEP, ";"))
	for _, p := range u.pairs(':') {
		b.WriteString(";" + p)
	}
	return b.String()
}

// Link is the code as later generations of the grammar have it: a link, which a phone may open.
func (u URI) Link() string {
	return schemeLink + percentEncode(strings.Join(u.pairs('='), ";"), "#:@/=;\\")
}

// Chat is the code as a link that every XMPP client on a phone opens: a message to the registry with the
// words of a claim in it, for a person to send. It is "" without a registry, or without a key. XEP-0147 §8
func (u URI) Chat() string {
	if _, ok := u.Claim(); !ok || u.Registry == (jid.JID{}) {
		return ""
	}
	words := wordClaim + URI{Tags: u.Tags}.String()
	return schemeXMPP + percentEncode(u.Registry.String(), "@/") + "?message;body=" + percentEncode(words, "")
}

func (u URI) pairs(separator byte) []string {
	escape := strings.NewReplacer(`\`, `\\`, ";", `\;`)
	var pairs []string
	for _, t := range u.Tags {
		name := t.Name
		if t.Numeric {
			name = "#" + name
		}
		pairs = append(pairs, name+string(separator)+escape.Replace(t.Value()))
	}
	if u.Registry != (jid.JID{}) {
		pairs = append(pairs, R+string(separator)+escape.Replace(u.Registry.String()))
	}
	return pairs
}

// parseChat reads what follows xmpp: in a link whose message has a code as its body.
func parseChat(s string) (URI, error) {
	address, query, _ := strings.Cut(s, "?")
	text, err := percentDecode(strings.TrimPrefix(address, "//"))
	if err != nil {
		return URI{}, err
	}
	registry, err := jid.Parse(text)
	if err != nil {
		return URI{}, stanza.JIDMalformed.Err("the registry of a code is no address")
	}
	action, parameters, _ := strings.Cut(query, ";")
	if action != "message" {
		return URI{}, stanza.BadRequest.Err("a link to a registry is one to send a message")
	}
	for p := range strings.SplitSeq(parameters, ";") {
		body, ok := strings.CutPrefix(p, "body=")
		if !ok {
			continue
		}
		if body, err = percentDecode(body); err != nil {
			return URI{}, err
		}
		body = strings.TrimSpace(body)
		if code, ok := cutFold(body, wordClaim); ok {
			body = strings.TrimSpace(code)
		}
		u, err := parseTags(body)
		if err == nil && u.Registry == (jid.JID{}) {
			u.Registry = registry
		}
		return u, err
	}
	return URI{}, stanza.BadRequest.Err("a link to a registry has no code in it")
}

// Claim returns the payload that claims what the code says; ok is false for a code without a key, by which
// things are searched alone.
func (u URI) Claim() (claim *Mine, ok bool) {
	key, ok := u.Tags.Get(KEY)
	if !ok || key.Value() == "" {
		return nil, false
	}
	return &Mine{Tags: u.Tags}, true
}

// Search returns the payload that searches for what the code says, its key left out.
func (u URI) Search() *Search {
	s := &Search{}
	for _, t := range u.Tags.Public() {
		o := Operator{Op: StrEq, Name: t.Name, Text: t.Text}
		if t.Numeric {
			o = Operator{Op: NumEq, Name: t.Name, Number: t.Number}
		}
		s.Operators = append(s.Operators, o)
	}
	return s
}

// percentEncode writes what is neither unreserved nor one of keep as RFC 3986 §2.1 says.
func percentEncode(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// percentDecode reads a link's percent signs; one that begins no number stands for itself, as it does in codes
// made without RFC 3986.
func percentDecode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := unhex(s[i+1]), unhex(s[i+2]); high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	if text := b.String(); validText(text) {
		return text, nil
	}
	return "", stanza.BadRequest.Err("a code has characters that cannot be said")
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
