// SPDX-License-Identifier: Apache-2.0

package mds_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mds"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0490-3.1-displayed", Want: &mds.Displayed{ID: "0f710f2b-52ed-4d52-b928-784dad74a52b", By: jid.MustParse("juliet@capulet.lit")}},
	})
	const displayed = "<displayed xmlns='urn:xmpp:mds:displayed:0'>"
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "no id", Into: new(mds.Displayed), Condition: stanza.BadRequest, XML: displayed + "</displayed>"},
		{Name: "of nobody", Into: new(mds.Displayed), Condition: stanza.JIDMalformed, XML: displayed + "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/></displayed>"},
		{Name: "empty", Into: new(mds.Displayed), Condition: stanza.BadRequest, XML: displayed + "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id=''/></displayed>"},
		{Name: "no stanza's", Into: new(mds.Displayed), Condition: stanza.BadRequest, XML: displayed + "<origin-id xmlns='urn:xmpp:sid:0' id='1'/></displayed>"},
	})
}

func FuzzDisplayed(f *testing.F) {
	f.Add([]byte("<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='1'/></displayed>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(mds.Displayed)) })
}
