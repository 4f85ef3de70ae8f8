// SPDX-License-Identifier: Apache-2.0

package stanza

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// What a component or a server sends is read as a client's would be, however it writes the
// content namespace.
func TestContentNamespaces(t *testing.T) {
	for _, space := range []string{NSServer, NSComponent} {
		for _, c := range []struct{ name, sent, want string }{
			{"inherited", "<message to='a@b'><body>hi</body></message>", "<message to='a@b'><body>hi</body></message>"},
			{"spelled out", "<message to='a@b'><body xmlns='{}'>hi</body></message>", "<message to='a@b'><body>hi</body></message>"},
			{"in double quotes", `<message xmlns="{}" to="a@b"><body xmlns = "{}">hi</body></message>`, `<message to='a@b'><body>hi</body></message>`},
			{"by a prefix of the child", "<message to='a@b'><c:body xmlns:c='{}'>hi</c:body></message>", "<message to='a@b'><body>hi</body></message>"},
			{"by a prefix of the stanza", "<c:message xmlns:c='{}' to='a@b'><c:body>hi</c:body></c:message>", ""},
			{"spelled out, beside text", "<message to='a@b'><body xmlns='{}'>xmlns='{}' &lt;a xmlns='{}'></body></message>",
				"<message to='a@b'><body>xmlns='{}' &lt;a xmlns='{}'></body></message>"},
			{"spelled out, beside CDATA", "<message to='a@b'><body xmlns='{}'><![CDATA[<a xmlns='{}'>]]></body></message>",
				"<message to='a@b'><body><![CDATA[<a xmlns='{}'>]]></body></message>"},
			{"spelled out, beside another attribute", "<message to='a@b'><body xmlns='{}' a=\"xmlns='{}'\" b='{}'/></message>",
				"<message to='a@b'><body a=\"xmlns='{}'\" b='{}'/></message>"},
			{"a client's", "<message to='a@b'><body xmlns='jabber:client'>hi</body></message>", "<message to='a@b'><body>hi</body></message>"},
			{"within what is forwarded", "<message to='a@b'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='{}'><body>hi</body></message></forwarded></message>",
				"<message to='a@b'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>hi</body></message></forwarded></message>"},
			{"within something else", "<message to='a@b'><x xmlns='u:x'><body/></x></message>", "<message to='a@b'><x xmlns='u:x'><body/></x></message>"},
		} {
			s := received(t, space, in(space, c.sent))
			child, _, _ := s.Child(0)
			if want := in(space, c.want); c.want != "" && string(s.Append(nil, "")) != want {
				t.Errorf("%s, %s:\n%s\nwant\n%s", space, c.name, s.Append(nil, ""), want)
			}
			if string(child) == space {
				t.Errorf("%s, %s: the child's namespace is %s", space, c.name, child)
			}
			if again, err := Parse(s.Append(nil, NSClient)); err != nil {
				t.Errorf("%s, %s: %v", space, c.name, err)
			} else if (BodyOf(s) == "") != (BodyOf(again) == "") {
				t.Errorf("%s, %s: the body is %q, then %q", space, c.name, BodyOf(s), BodyOf(again))
			}
		}
	}
}

// in puts a namespace where a pattern has {}.
func in(space, pattern string) string {
	var out []byte
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '{' {
			out = append(out, space...)
			i++
			continue
		}
		out = append(out, pattern[i])
	}
	return string(out)
}

// received is a stanza from a stream of that content namespace.
func received(t *testing.T, space, sent string) *Stanza {
	t.Helper()
	p := xmlstream.NewParser(xmlstream.Stream, space, xmlstream.Limits{ElementBytes: 1 << 16, Depth: 20, Attributes: 20, Children: 1 << 16})
	p.Feed([]byte("<stream:stream xmlns='" + space + "' xmlns:stream='http://etherx.jabber.org/streams'>" + sent))
	for _, want := range []xmlstream.Event{xmlstream.EventOpen, xmlstream.EventElement} {
		if got, err := p.Next(); got != want {
			t.Fatalf("%s: %v, %v", sent, got, err)
		}
	}
	s := new(Stanza)
	if err := s.FromElement(p.Element(), new(jid.Cache)); err != nil {
		t.Fatalf("%s: %v", sent, err)
	}
	return s
}

func TestContentNamespaceForeign(t *testing.T) {
	s := new(Stanza)
	e := &xmlstream.Element{Local: []byte("message"), Space: []byte("jabber:component:connect")}
	if err := s.FromElement(e, new(jid.Cache)); err != ErrNotStanza { //nolint:errorlint // it is never wrapped
		t.Error(err)
	}
}
