// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Every row is input that a parser refuses, where it notices, and the condition.
// `§` stands before the byte that the error's offset points to.
var malformedElements = []struct{ name, in, condition string }{
	// RFC 6120 §11.1
	{"comment", "§<!-- x -->", RestrictedXML},
	{"comment in element", "<a>§<!-- x --></a>", RestrictedXML},
	{"document type", "§<!DOCTYPE x>", RestrictedXML},
	{"document type in element", "<a>§<!DOCTYPE x []></a>", RestrictedXML},
	{"processing instruction", "§<?php x?>", RestrictedXML},
	{"processing instruction in element", "<a>§<?x?></a>", RestrictedXML},
	{"XML declaration in stream", "§<?xml version='1.0'?>", RestrictedXML},
	{"entity", "<a>§&nbsp;</a>", RestrictedXML},
	{"entity in value", "<a b='x §&foo; y'/>", RestrictedXML},
	{"entity, case", "<a>§&AMP;</a>", RestrictedXML},
	// References
	{"ampersand", "<a>x §& y</a>", NotWellFormed},
	{"ampersand at end", "<a>§&</a>", NotWellFormed},
	{"no semicolon", "<a>§&amp</a>", NotWellFormed},
	{"empty reference", "<a>§&;</a>", NotWellFormed},
	{"empty number", "<a>§&#;</a>", NotWellFormed},
	{"empty hexadecimal number", "<a>§&#x;</a>", NotWellFormed},
	{"capital X", "<a>§&#X41;</a>", NotWellFormed},
	{"not a number", "<a>§&#12a;</a>", NotWellFormed},
	{"reference to NUL", "<a>§&#0;</a>", NotWellFormed},
	{"reference to a control", "<a b='§&#x1F;'/>", NotWellFormed},
	{"reference to a surrogate", "<a>§&#xD800;</a>", NotWellFormed},
	{"reference to a noncharacter", "<a>§&#xFFFE;</a>", NotWellFormed},
	{"reference beyond Unicode", "<a>§&#x110000;</a>", NotWellFormed},
	{"reference overflowing", "<a>§&#99999999999999999999;</a>", NotWellFormed},
	{"reference to space name", "<a>§& lt;</a>", NotWellFormed},
	// Characters
	{"NUL", "<a>x§\x00</a>", NotWellFormed},
	{"control in text", "<a>§\x08</a>", NotWellFormed},
	{"control in value", "<a b='§\x1B'/>", NotWellFormed},
	{"control in CDATA", "<a><![CDATA[§\x01]]></a>", NotWellFormed},
	{"U+FFFE", "<a>§\uFFFE</a>", NotWellFormed},
	{"U+FFFF in value", "<a b='§\uFFFF'/>", NotWellFormed},
	{"stray continuation", "<a>x§\x80</a>", NotWellFormed},
	{"character cut off", "<a>é§\xC3</a>", NotWellFormed},
	{"overlong", "<a>§\xC0\xAF</a>", NotWellFormed},
	{"surrogate in UTF-8", "<a>§\xED\xA0\x80</a>", NotWellFormed},
	{"beyond Unicode", "<a>§\xF4\x90\x80\x80</a>", NotWellFormed},
	{"Latin-1 in value", "<a b='Gr§\xFC\xDFe'/>", NotWellFormed},
	{"bad UTF-8 in CDATA", "<a><![CDATA[§\xFF]]></a>", NotWellFormed},
	{"]]> in text", "<a>x§]]></a>", NotWellFormed},
	{"]]> in long text", "<a>0123456789 ]] §]]> 0123456789</a>", NotWellFormed},
	// Names
	{"no name", "<§ a/>", NotWellFormed},
	{"name begins with a digit", "<§1a/>", NotWellFormed},
	{"name begins with a hyphen", "<§-a/>", NotWellFormed},
	{"name begins with a colon", "<§:a/>", NotWellFormed},
	{"name ends with a colon", "<§a:/>", NotWellFormed},
	{"two colons", "<§stream:a:b/>", NotWellFormed},
	{"local part begins with a digit", "<§stream:1/>", NotWellFormed},
	{"local part begins with U+00B7", "<§stream:·/>", NotWellFormed},
	{"name with a multiplication sign", "<§a×b/>", NotWellFormed},
	{"name begins with a combining mark", "<§\u0301a/>", NotWellFormed},
	{"name with bad UTF-8", "<§a\xFF/>", NotWellFormed},
	{"name with a slash", "<a§/b/>", NotWellFormed},
	{"attribute name begins with a digit", "<a §1='x'/>", NotWellFormed},
	{"attribute name ends with a colon", "<a §b:='x'/>", NotWellFormed},
	{"attribute name with an arrow", "<a §b→='x'/>", NotWellFormed},
	// Tags
	{"angle in tag", "<a §<b/>", NotWellFormed},
	{"no white space between attributes", "<a b='1'§c='2'/>", NotWellFormed},
	{"no white space before attribute", "<a§'b'/>", NotWellFormed},
	{"attribute without value", "<a b§/>", NotWellFormed},
	{"attribute without value, more follow", "<a b §c='1'/>", NotWellFormed},
	{"attribute without quotes", "<a b=§1/>", NotWellFormed},
	{"angle in value", "<a b='1 §< 2'/>", NotWellFormed},
	{"slash alone", "<a §/ >", NotWellFormed},
	{"other end tag", "<a></§b>", NotWellFormed},
	{"end tag in capitals", "<a></§A>", NotWellFormed},
	{"end tag longer", "<a></§ab>", NotWellFormed},
	{"end tag with other prefix", "<a xmlns:x='X' xmlns:y='X'><x:a></§y:a></a>", NotWellFormed},
	{"end tag with attribute", "<a></a §b='1'>", NotWellFormed},
	{"end tag with space", "<a></§ a>", NotWellFormed},
	{"elements overlap", "<a><b></§a></b>", NotWellFormed},
	{"markup cut short", "<a>§<!x></a>", NotWellFormed},
	{"CDATA in lower case", "<a>§<![cdata[]]></a>", NotWellFormed},
	{"CDATA between elements", "§<![CDATA[x]]>", NotWellFormed},
	// Attributes
	{"duplicate attribute", "§<a b='1' b='2'/>", NotWellFormed},
	{"duplicate by namespace", "§<a xmlns:x='X' xmlns:y='X' x:b='1' y:b='2'/>", NotWellFormed},
	{"duplicate by decoded namespace", "§<a xmlns:x='X&amp;' xmlns:y='X&#38;' x:b='1' y:b='2'/>", NotWellFormed},
	{"duplicate by namespace of stream", "<a>§<b xmlns:s='http://etherx.jabber.org/streams' s:x='' stream:x=''/></a>", NotWellFormed},
	{"duplicate language", "§<a xml:lang='en' xml:lang='de'/>", NotWellFormed},
	{"duplicate among many", "§<a a1='' a2='' a3='' a4='' a5='' a6='' a7='' a8='' a9='' b1='' b2='' b3='' a5='' b4=''/>", NotWellFormed},
	{"duplicate default namespace", "§<a xmlns='x' xmlns='x'/>", NotWellFormed},
	{"duplicate declaration", "§<a xmlns:x='x' xmlns:x='y'/>", NotWellFormed},
	// Namespaces
	{"undeclared prefix", "§<x:a/>", NotWellFormed},
	{"undeclared prefix of child", "<message>§<foo:body>What is this foo?</foo:body></message>", NotWellFormed},
	{"undeclared prefix of attribute", "§<a x:b='1'/>", NotWellFormed},
	{"prefix declared by a sibling", "<a><b xmlns:x='X'/>§<x:c/></a>", NotWellFormed},
	{"prefix declared by a child", "§<x:a><b xmlns:x='X'/></x:a>", NotWellFormed},
	{"prefix declared empty", "<a §xmlns:x=''/>", NotWellFormed},
	{"prefix undeclared again", "<a xmlns:x='X'><b §xmlns:x=''/></a>", NotWellFormed},
	{"xml declared otherwise", "<a §xmlns:xml='X'/>", NotWellFormed},
	{"another prefix for xml", "<a §xmlns:x='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
	{"xml as default namespace", "<a §xmlns='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
	{"xmlns declared", "<a §xmlns:xmlns='X'/>", NotWellFormed},
	{"xmlns declared as it is", "<a §xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"another prefix for xmlns", "<a §xmlns:x='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"xmlns as default namespace", "<a §xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"xml as prefix of the element", "§<xml:a/>", BadNamespacePrefix},
	{"xmlns as prefix of an element", "§<xmlns:a/>", NotWellFormed},
	{"declaration without prefix", "<a §xmlns:='x'/>", NotWellFormed},
	// Between elements
	{"text between elements", "<a/> §x<a/>", BadFormat},
	{"reference between elements", "§&#32;", BadFormat},
	{"bad end of stream", "</§stream>", NotWellFormed},
	{"end of stream with other prefix", "</§s:stream>", NotWellFormed},
	{"end of stream in element", "<a></§stream:stream>", NotWellFormed},
}

var malformedStreams = []struct{ name, in, condition string }{
	{"HTTP", "§GET / HTTP/1.1\r\n", NotWellFormed},
	{"TLS", "§\x16\x03\x01", NotWellFormed},
	{"UTF-16", "§\xFE\xFF\x00<", UnsupportedEncoding},
	{"UTF-16, little endian", "§\xFF\xFE<\x00", UnsupportedEncoding},
	{"half a byte order mark", "\xEF\xBB§<", NotWellFormed},
	{"two byte order marks", "\uFEFF§\uFEFF", NotWellFormed},
	{"byte order mark after space", " §\uFEFF", NotWellFormed},
	{"declaration after space", " §<?xml version='1.0'?>", RestrictedXML},
	{"two declarations", "<?xml version='1.0'?>§<?xml version='1.0'?>", RestrictedXML},
	{"other instruction", "§<?xml-stylesheet x?>", RestrictedXML},
	{"declaration in capitals", "§<?XML version='1.0'?>", RestrictedXML},
	{"empty declaration", "<?xml§ ?>", NotWellFormed},
	{"declaration without version", "<?xml§ encoding='UTF-8'?>", NotWellFormed},
	{"version 1.1", "<?xml§ version='1.1'?>", NotWellFormed},
	{"version 2.0", "<?xml§ version='2.0' encoding='UTF-8'?>", NotWellFormed},
	{"Latin-1", "<?xml§ version='1.0' encoding='ISO-8859-1'?>", UnsupportedEncoding},
	{"declared UTF-16", "<?xml§ version='1.0' encoding='utf-16'?>", UnsupportedEncoding},
	{"declaration without space", "<?xml§ version='1.0'encoding='UTF-8'?>", NotWellFormed},
	{"declaration in wrong order", "<?xml§ version='1.0' standalone='yes' encoding='UTF-8'?>", NotWellFormed},
	{"standalone maybe", "<?xml§ version='1.0' standalone='maybe'?>", NotWellFormed},
	{"declaration with more", "<?xml§ version='1.0' x='y'?>", NotWellFormed},
	{"comment before", "§<!-- --><stream:stream>", RestrictedXML},
	{"document type before", "§<!DOCTYPE stream>", RestrictedXML},
	{"end tag before", "§</stream:stream>", NotWellFormed},
	{"stanza before", "§<message xmlns='jabber:client'/>", BadFormat},
	{"undeclared stream prefix", "§<stream:stream xmlns='jabber:client'>", NotWellFormed},
	{"no stream namespace", "§<stream xmlns='jabber:client'>", BadNamespacePrefix},
	{"no namespace", "§<stream>", BadNamespacePrefix},
	{"other stream namespace", "§<stream:stream xmlns:stream='http://etherx.jabber.org/stream'>", InvalidNamespace},
	{"other name", "§<stream:features xmlns:stream='http://etherx.jabber.org/streams'>", BadFormat},
	{"empty stream", "§<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", BadFormat},
	{"header with duplicate", "§<stream:stream to='a' to='b' xmlns:stream='http://etherx.jabber.org/streams'>", NotWellFormed},
	{"header with reserved prefix", "<stream:stream §xmlns:xmlns='x' xmlns:stream='http://etherx.jabber.org/streams'>", NotWellFormed},
	{"bad UTF-8 in header", "<stream:stream to='§\xFF' xmlns:stream='http://etherx.jabber.org/streams'>", NotWellFormed},
}

func TestMalformed(t *testing.T) {
	if n := len(malformedElements) + len(malformedStreams); n < 60 {
		t.Errorf("%d rows only", n)
	}
	for _, row := range malformedElements {
		t.Run(row.name, func(t *testing.T) { checkMalformed(t, streamHeader+row.in, row.condition) })
	}
	for _, row := range malformedStreams {
		t.Run(row.name, func(t *testing.T) { checkMalformed(t, row.in, row.condition) })
	}
}

func checkMalformed(t *testing.T, in, condition string) {
	offset := strings.Index(in, "§")
	doc := []byte(strings.Replace(in, "§", "", 1))
	want := record(NewParser(Stream, "jabber:client", testLimits), doc)
	if got, begin := want[len(want)-1], fmt.Sprintf("error %s at %d: ", condition, offset); !strings.HasPrefix(got, begin) {
		t.Fatalf("got %s, want %s", got, begin)
	}
	for i := range doc {
		if got := record(NewParser(Stream, "jabber:client", testLimits), cut(doc, i)...); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: got %q, want %q", i, got, want)
		}
	}
	if got := record(NewParser(Stream, "jabber:client", testLimits), single(doc)...); !slices.Equal(got, want) {
		t.Fatalf("cut everywhere: got %q, want %q", got, want)
	}
}

// What looks odd and is right.
func TestWellFormed(t *testing.T) {
	for _, in := range []string{
		"<a b=\"'\" c='\"'/>",
		"<a b='>' c='/>'/>",
		"<a b='1'\t\r\n c = '2' />",
		"<a b=']]>'>]] > ]]&gt; ></a>",
		"<a><![CDATA[]]]]><![CDATA[>]]></a>",
		"<a><![CDATA[ <b> & ]] ]> ]]]></a>",
		"<a>&#x0000000000000000000041;&#65;&#x10FFFF;</a>",
		"<a>\x7F\u0080\uFFFD\U0010FFFF\U0001FFFE</a>",
		"<a><xml:a/></a>",
		"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:b=''/>",
		"<a xmlns:xmlfoo='x'><xmlfoo:b/></a>",
		"<a xmlns=''/>",
		"<a xmlns='x'><b xmlns=''><c/></b></a>",
		"<a xmlns:x='X' x:b='1' b='2'/>",
		"<a xmlns='X' xmlns:x='X' x:b='1' b='2'/>",
		"<a xmlns:x='X'><b xmlns:x='Y' xmlns:y='X' x:c='' y:c=''/></a>",
		"<a xmlns:x='X'><x:b xmlns:x='Y'/><x:c/></a>",
		"<a.b-c_d é='1' 名='2' _='3'/>",
		"<a a1='' a2='' a3='' a4='' a5='' a6='' a7='' a8='' a9='' b1='' b2='' b3='' b4='' xml:a5=''/>",
	} {
		p := openParser(t, testLimits)
		p.Feed([]byte(in))
		if event, err := p.Next(); event != EventElement || err != nil {
			t.Errorf("%s: %v %v", in, event, err)
			continue
		}
		doc, err := parseOracle(streamHeader + in + "</stream:stream>")
		if err != nil {
			t.Fatal(in, err)
		}
		checkElement(t, p.Element(), doc.kids[0])
	}
}
