// SPDX-License-Identifier: Apache-2.0

package stanzaid_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
)

func TestCodec(t *testing.T) {
	const id = "de305d54-75b4-431b-adb2-eb6b9e546013"
	origin := stanzaid.Origin(id)
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0359-3.1-stanza-id", Want: &stanzaid.ID{By: jid.MustParse("room@muc.example.com"), ID: id}},
		{File: "xep0359-3.2-origin-id", Want: &origin},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "no id", XML: "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b'/>", Into: &stanzaid.ID{}, Condition: stanza.BadRequest},
		{Name: "no address", XML: "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>", Into: &stanzaid.ID{}, Condition: stanza.JIDMalformed},
		{Name: "origin without id", XML: "<origin-id xmlns='urn:xmpp:sid:0'/>", Into: new(stanzaid.Origin), Condition: stanza.BadRequest},
	})
}

// TestCut: whatever somebody writes in our name is gone, in whatever form of the address; what others have written stays.
func TestCut(t *testing.T) {
	s, err := stanza.Parse([]byte(`<message xmlns='jabber:client'><body>x</body>
		<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit' id='forged'/>
		<stanza-id xmlns='urn:xmpp:sid:0' by='JULIET@Capulet.lit' id='again'/>
		<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit'/>
		<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.lit' id='room'/>
		<stanza-id xmlns='urn:xmpp:sid:0' by='@@' id='odd'/>
		<origin-id xmlns='urn:xmpp:sid:0' id='mine'/></message>`))
	if err != nil {
		t.Fatal(err)
	}
	juliet := jid.MustParse("juliet@capulet.lit")
	if got := stanzaid.Of(s, juliet); got != "forged" {
		t.Errorf("before: %q", got)
	}
	stanzaid.Cut(s, juliet)
	if got := stanzaid.Of(s, juliet); got != "" {
		t.Errorf("after: %q", got)
	}
	if got := stanzaid.Of(s, jid.MustParse("room@muc.lit")); got != "room" {
		t.Errorf("of the room: %q", got)
	}
	if xml := string(s.Append(nil, "")); strings.Contains(strings.ToLower(xml), "juliet") || !strings.Contains(xml, "mine") || !strings.Contains(xml, "odd") {
		t.Errorf("it is %s", xml)
	}
}

func FuzzID(f *testing.F) {
	f.Add([]byte("<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a@b'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(stanzaid.ID)) })
}
