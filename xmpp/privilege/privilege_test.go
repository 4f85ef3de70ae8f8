// SPDX-License-Identifier: Apache-2.0

package privilege_test

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/privilege"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestPermissions(t *testing.T) {
	golden, err := os.ReadFile("testdata/xep0356-7.6-permissions.xml")
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.TrimSpace(golden)
	want := privilege.Privilege{Perms: []privilege.Perm{
		{Access: privilege.Roster, Type: privilege.Both, Push: true},
		{Access: privilege.Message, Type: privilege.None},
		{Access: privilege.IQ, Namespaces: []privilege.Namespace{{NS: "http://jabber.org/protocol/pubsub", Type: privilege.Set}}},
		{Access: privilege.Presence, Type: privilege.Contacts},
	}}
	var got privilege.Privilege
	if err := xmpptest.Decode(string(golden), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if written := string(want.AppendXML([]byte("<x/>"))); written != "<x/>"+string(golden) {
		t.Errorf("written %s", written)
	}
}

// Without the attribute push, changes are told to who may read.
func TestPush(t *testing.T) {
	for attributes, want := range map[string]bool{
		"type='both'": true, "type='get'": true, "type='set'": false, "type='none'": false, "": false,
		"type='both' push='false'": false, "type='get' push='1'": true, "type='set' push='true'": false,
	} {
		var p privilege.Privilege
		if err := xmpptest.Decode("<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' "+attributes+"/></privilege>", &p); err != nil || p.Perms[0].Push != want {
			t.Errorf("%s: %+v, %v", attributes, p, err)
		}
	}
}

func TestForwarded(t *testing.T) {
	for _, ns := range []string{privilege.NS, privilege.NSOld} {
		xml := "<privilege xmlns='" + ns + "'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b' to='c@d'><body>x</body></message></forwarded></privilege>"
		p := privilege.Privilege{Old: ns == privilege.NSOld}
		if err := xmpptest.Decode(xml, &p); err != nil || p.Forwarded == nil || p.XMLName().Space != ns {
			t.Fatalf("%+v, %v", p, err)
		}
		if got := string(p.AppendXML(nil)); got != xml {
			t.Errorf("written %s", got)
		}
	}
}

func TestRequest(t *testing.T) {
	const xml = "<privileged_iq xmlns='urn:xmpp:privilege:2'><iq xmlns='jabber:client' type='get' id='1'><q xmlns='u:q'/></iq></privileged_iq>"
	var q privilege.Request
	if err := xmpptest.Decode(xml, &q); err != nil {
		t.Fatal(err)
	}
	if got := string(q.AppendXML(nil)); got != xml {
		t.Errorf("written %s", got)
	}
}

func TestAllows(t *testing.T) {
	for typ, want := range map[privilege.Type][2]bool{
		privilege.None: {}, privilege.Get: {true, false}, privilege.Set: {false, true}, privilege.Both: {true, true}, "": {},
		privilege.Outgoing: {},
	} {
		if typ.Allows(stanza.Get) != want[0] || typ.Allows(stanza.Set) != want[1] || typ.Allows(stanza.Result) {
			t.Errorf("%q", typ)
		}
	}
}

func TestRefuse(t *testing.T) {
	const message = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>"
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "two messages", Into: new(privilege.Privilege), Condition: stanza.BadRequest,
			XML: "<privilege xmlns='urn:xmpp:privilege:2'>" + message + message + "</privilege>"},
		{Name: "no message", Into: new(privilege.Privilege), Condition: stanza.BadRequest,
			XML: "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'/></privilege>"},
		{Name: "no request", Into: new(privilege.Request), Condition: stanza.BadRequest,
			XML: "<privileged_iq xmlns='urn:xmpp:privilege:2'/>"},
		{Name: "namespace", Into: new(privilege.Request), Condition: stanza.Forbidden,
			XML: "<privileged_iq xmlns='urn:xmpp:privilege:2'><iq type='get' id='1'/></privileged_iq>"},
		{Name: "two requests", Into: new(privilege.Request), Condition: stanza.BadRequest,
			XML: "<privileged_iq xmlns='urn:xmpp:privilege:2'><iq xmlns='jabber:client'/><iq xmlns='jabber:client'/></privileged_iq>"},
	})
}

func FuzzPrivilege(f *testing.F) {
	f.Add([]byte("<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='get'/><perm access='iq'><namespace ns='a' type='b'/></perm></privilege>"))
	f.Add([]byte("<privilege xmlns='urn:xmpp:privilege:1'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></privilege>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(privilege.Privilege)) })
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("<privileged_iq xmlns='urn:xmpp:privilege:2' xmlns:c='jabber:client'><c:iq type='get' id='1'><q xmlns='u:q'/></c:iq></privileged_iq>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(privilege.Request)) })
}
