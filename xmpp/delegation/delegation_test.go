// SPDX-License-Identifier: Apache-2.0

package delegation_test

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/delegation"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestDelegated(t *testing.T) {
	golden, err := os.ReadFile("testdata/xep0355-4.2-delegated.xml")
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.TrimSpace(golden)
	want := delegation.Delegation{Delegated: []delegation.Delegated{
		{Namespace: "urn:xmpp:mam:2", Attributes: []string{"node"}}, {Namespace: "http://jabber.org/protocol/pubsub"},
	}}
	var got delegation.Delegation
	if err := xmpptest.Decode(string(golden), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if written := string(want.AppendXML([]byte("<x/>"))); written != "<x/>"+string(golden) {
		t.Errorf("written %s", written)
	}
}

func TestForwarded(t *testing.T) {
	const xml = "<delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' type='get' id='1'><q xmlns='u:q'/></iq></forwarded></delegation>"
	var d delegation.Delegation
	if err := xmpptest.Decode(xml, &d); err != nil || d.Forwarded == nil {
		t.Fatalf("%+v, %v", d, err)
	}
	if got := string(d.AppendXML(nil)); got != xml {
		t.Errorf("written %s", got)
	}
}

// XEP-0355 §7.2.1, §7.2.2
func TestNode(t *testing.T) {
	for accounts, want := range map[bool]string{
		false: "urn:xmpp:delegation:2::http://jabber.org/protocol/pubsub",
		true:  "urn:xmpp:delegation:2:bare:http://jabber.org/protocol/pubsub",
	} {
		if got := delegation.Node("http://jabber.org/protocol/pubsub", accounts); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	const iq = "<forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client'/></forwarded>"
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "two", Into: new(delegation.Delegation), Condition: stanza.BadRequest,
			XML: "<delegation xmlns='urn:xmpp:delegation:2'>" + iq + iq + "</delegation>"},
		{Name: "nothing forwarded", Into: new(delegation.Delegation), Condition: stanza.BadRequest,
			XML: "<delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'/></delegation>"},
	})
}

func FuzzDelegation(f *testing.F) {
	f.Add([]byte("<delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='a'><attribute name='b'/></delegated></delegation>"))
	f.Add([]byte("<delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client'/></forwarded></delegation>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(delegation.Delegation)) })
}
