// SPDX-License-Identifier: Apache-2.0

package private_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/private"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func name(space, local string) xmlstream.Name { return xmlstream.Name{Space: space, Local: local} }

func TestCodec(t *testing.T) {
	for xml, want := range map[string]string{
		"<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus></query>": "",
		"<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>":                                          "",
		"<query xmlns='jabber:iq:private'><a xmlns='u:a'/><b xmlns='u:a'/><a xmlns='u:a'>2</a></query>":                    "",
		"<query xmlns='jabber:iq:private'/>": "",
		"<p:query xmlns:p='jabber:iq:private' xmlns:o='u:o'><o:a o:b='c'><o:d/></o:a></p:query>": "<query xmlns='jabber:iq:private'>" +
			"<o:a xmlns:o='u:o' o:b='c'><o:d/></o:a></query>",
	} {
		if want == "" {
			want = xml
		}
		var q private.Query
		if err := xmpptest.Decode(xml, &q); err != nil {
			t.Errorf("%s: %v", xml, err)
		} else if got := string(q.AppendXML([]byte("<x/>"))); got != "<x/>"+want {
			t.Errorf("%s is written %s", xml, got)
		}
	}
	get := private.Get(name("u:<'&>", "x"))
	var again private.Query
	if err := xmpptest.Decode(string(get.AppendXML(nil)), &again); err != nil || len(again.Elements) != 1 || again.Elements[0].Name != name("u:<'&>", "x") {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestRefuse(t *testing.T) {
	const query = "<query xmlns='jabber:iq:private'>"
	for about, content := range map[string]string{
		"the query's namespace": "<a/>",
		"no namespace":          "<a xmlns=''/>",
		"that of clients":       "<a xmlns='jabber:client'/>",
		"the second":            "<a xmlns='u:a'/><b/>",
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{
			{Name: about, Into: new(private.Query), Condition: stanza.NotAcceptable, XML: query + content + "</query>"},
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='jabber:iq:private'><a xmlns='u:a' xmlns:p='u:p' p:b='1'><p:c/>&lt;</a></query>"))
	f.Add([]byte("<query xmlns='jabber:iq:private'><a/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(private.Query)) })
}
