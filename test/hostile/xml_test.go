// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"strings"
	"testing"
)

// How to read this file: the rows of what is no XML, or too much of it: refused says what ends a session's stream,
// by the condition of RFC 6120 §4.9.3; then what comes in place of a stream's header.

func xmlAttacks() []attack {
	rows := []attack{
		refused("not well-formed: end tag", "not-well-formed", "<message><body>x</message></body>"),
		refused("not well-formed: attribute twice", "not-well-formed", "<message to='a' to='b'/>"),
		refused("not well-formed: attribute without quotes", "not-well-formed", "<message to=a/>"),
		refused("not well-formed: < in attribute", "not-well-formed", "<message to='<'/>"),
		refused("not well-formed: stray end tag", "not-well-formed", "</message>"),
		refused("prefix not declared", "not-well-formed", "<message><x:body/></message>"),
		refused("bytes that are not UTF-8", "not-well-formed", "<message><body>\xff\xfe\xc0\x80</body></message>"),
		refused("UTF-8 of a surrogate", "not-well-formed", "<message><body>\xed\xa0\x80</body></message>"),
		refused("UTF-8 longer than need be, in an attribute", "not-well-formed", "<message id='\xc0\xaf'/>"),
		refused("a character that XML forbids", "not-well-formed", "<message><body>\x00</body></message>"),
		refused("a reference to such a character", "not-well-formed", "<message><body>&#0;</body></message>"),
		refused("text between stanzas", "bad-format", "hello<message/>"),
		refused("a comment", "restricted-xml", "<message><!-- x --></message>"),
		refused("a processing instruction", "restricted-xml", "<?php x ?>"),
		refused("an entity of one's own", "restricted-xml", "<message><body>&lol;</body></message>"),
		refused("a document type within the stream", "restricted-xml", laughs),
		refused("a stanza that is too large", "policy-violation", "<message><body>"+strings.Repeat("x", 300_000)),
		refused("a tag that is too large", "policy-violation", "<message id='"+strings.Repeat("x", 300_000)),
		refused("white space that is too large", "policy-violation", "<message"+strings.Repeat(" ", 300_000)),
		refused("CDATA that is too large", "policy-violation", "<message><body><![CDATA["+strings.Repeat("]]", 150_000)),
		refused("elements nested too deeply", "policy-violation", "<message>"+strings.Repeat("<a>", 20_000)),
		refused("too many attributes", "policy-violation", "<message "+attributes(5000)+"/>"),
		refused("too many namespace declarations", "policy-violation", "<message "+declarations(5000)+"/>"),
		refused("too many declarations in force", "policy-violation", "<message>"+strings.Repeat("<a "+declarations(90)+">", 50)),
		refused("a flood of children", "policy-violation", "<message>"+strings.Repeat("<b/>", 60_000)+"</message>"),
		refused("a flood of grandchildren", "policy-violation", "<message>"+strings.Repeat("<b><c/></b>", 20_000)+"</message>"),
		refused("large when its namespaces are written out", "policy-violation",
			"<message xmlns:p='"+strings.Repeat("p", 30_000)+"'>"+strings.Repeat("<p:a/>", 4000)+"</message>"),
		refused("a stanza of another namespace", "unsupported-stanza-type", "<message xmlns='jabber:server' to='romeo@localhost'><body>x</body></message>"),
		refused("a stanza of components", "unsupported-stanza-type", "<presence xmlns='jabber:component:accept' from='sms.localhost' to='romeo@localhost'/>"),
		refused("an element nobody knows", "unsupported-stanza-type", "<bogus xmlns='urn:example'/>"),
	}
	for name, c := range map[string]struct{ condition, in string }{
		"nothing like XML":                   {"not-well-formed", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
		"a TLS hello where none belongs":     {"not-well-formed", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		"UTF-16":                             {"unsupported-encoding", "\xff\xfe<\x00s\x00t\x00r\x00"},
		"a document type":                    {"restricted-xml", "<?xml version='1.0'?>" + laughs + header},
		"a header of another stream":         {"invalid-namespace", strings.Replace(header, "http://etherx.jabber.org/streams", "urn:example", 1)},
		"a header of another content":        {"invalid-namespace", strings.Replace(header, "jabber:client", "jabber:server", 1)},
		"a header for a domain not ours":     {"host-unknown", strings.Replace(header, "to='localhost'", "to='example.org'", 1)},
		"a header for what is no domain":     {"improper-addressing", strings.Replace(header, "to='localhost'", "to='a@@b'", 1)},
		"a header without end":               {"policy-violation", strings.TrimSuffix(header, ">") + strings.Repeat(" ", 20_000)},
		"a stanza before TLS":                {"not-authorized", header + "<message to='romeo@localhost'><body>x</body></message>"},
		"an element of 20,000 bytes":         {"policy-violation", header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + strings.Repeat("A", 20_000)},
		"elements nested, before TLS":        {"policy-violation", header + strings.Repeat("<a xmlns='urn:example'>", 20)},
		"many elements in one, before TLS":   {"policy-violation", header + "<a xmlns='urn:example'>" + strings.Repeat("<b/>", 1000)},
		"session management before TLS":      {"unsupported-stanza-type", header + "<enable xmlns='urn:xmpp:sm:3'/>"},
		"a stream within the stream":         {"unsupported-stanza-type", header + header + "</stream:stream>"},
		"an error of a stream, then a flood": {"", header + "<stream:error/>" + strings.Repeat("x", 100_000)},
	} {
		counts := "c2s_stream_errors{" + c.condition + "} 1"
		if c.condition == "" {
			counts = ""
		}
		rows = append(rows, attack{name, func(t *testing.T, s *server) {
			p := dial(t, s.plain, "")
			p.send(c.in)
			if c.condition == "" {
				p.dropped()
			} else {
				p.ends(c.condition) // behind a header of the server's own: RFC 6120 §4.9.1.2
			}
		}, counts})
	}
	return rows
}

// refused is a row in which a session's stream ends with that condition, counted once; the account may log in again.
func refused(name, condition, in string) attack {
	return attack{name, func(t *testing.T, s *server) {
		p := s.session(t, "mallory")
		p.send(in)
		p.ends(condition)
		s.session(t, "mallory").close()
	}, "c2s_stream_errors{" + condition + "} 1"}
}

const laughs = "<!DOCTYPE lolz [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a")
		b.WriteString(strings.Repeat("b", i%97))
		b.WriteString(number(i))
		b.WriteString("='x'")
	}
	return b.String()
}

func declarations(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" xmlns:p" + number(i) + "='u'")
	}
	return b.String()
}

// number is i in letters.
func number(i int) string {
	s := ""
	for ; i > 0; i /= 26 {
		s += string(rune('a' + i%26))
	}
	return s + "z"
}
