// SPDX-License-Identifier: Apache-2.0

package retract_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	const reason, occupant = "This message contains inappropriate content for this forum", "dd72603deec90a38ba552f7c68cbcc61bca202cd"
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0424-3-retract", Want: &retract.Retract{ID: "wrong-recipient-1"}},
		{File: "xep0424-4-tombstone", Want: &retract.Retracted{ID: "retract-message-1", Stamp: time.Date(2019, 9, 20, 23, 9, 32, 0, time.UTC)}},
		{File: "xep0425-3-request", Want: &retract.Moderate{ID: "stanza-id-1", Retract: true, Reason: reason}},
		{File: "xep0425-3.1-moderated", Want: &retract.Retract{ID: "stanza-id-1", Reason: reason,
			Moderated: &retract.Moderated{By: jid.MustParse("room@muc.example.com/macbeth"), Occupant: occupant}}},
		{File: "xep0425-4-tombstone", Want: &retract.Retracted{Stamp: time.Date(2019, 9, 20, 23, 19, 12, 0, time.UTC), Reason: reason,
			Moderated: &retract.Moderated{By: jid.MustParse("witch@shakespeare.example"), Occupant: occupant}}},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "nothing", XML: "<retract xmlns='urn:xmpp:message-retract:1'/>", Into: &retract.Retract{}, Condition: stanza.BadRequest},
		{Name: "no time", XML: "<retracted xmlns='urn:xmpp:message-retract:1' stamp='now'/>", Into: &retract.Retracted{}, Condition: stanza.BadRequest},
		{Name: "moderate nothing", XML: "<moderate xmlns='urn:xmpp:message-moderate:1'/>", Into: &retract.Moderate{}, Condition: stanza.BadRequest},
		{Name: "no moderator", XML: "<moderated xmlns='urn:xmpp:message-moderate:1' by='@'/>", Into: &retract.Moderated{}, Condition: stanza.JIDMalformed},
		{Name: "by no moderator", XML: "<retract xmlns='urn:xmpp:message-retract:1' id='1'><moderated xmlns='urn:xmpp:message-moderate:1' by='@'/></retract>",
			Into: &retract.Retract{}, Condition: stanza.JIDMalformed},
	})
}

func FuzzRetract(f *testing.F) {
	f.Add([]byte("<retract xmlns='urn:xmpp:message-retract:1' id='1'><moderated xmlns='urn:xmpp:message-moderate:1' by='a@b'/><reason>x</reason></retract>"))
	f.Add([]byte("<retracted xmlns='urn:xmpp:message-retract:1' stamp='2019-09-20T23:19:12Z'/>"))
	f.Add([]byte("<moderate xmlns='urn:xmpp:message-moderate:1' id='1'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(retract.Retract))
		xmpptest.RoundTrip(t, input, new(retract.Retracted))
		xmpptest.RoundTrip(t, input, new(retract.Moderate))
	})
}
