// SPDX-License-Identifier: Apache-2.0

package jsonmsg_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	object := jsonmsg.JSON(`{"text": "a < b & \"c\"", "n": [1, 2.5, null, true]}`)
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0335-3-json", Want: &object},
		{File: "xep0432-2.2-payload", Want: &jsonmsg.Payload{
			Datatype: "urn:example:foo", JSON: jsonmsg.JSON(`{"annoying-teenager-level": 11}`)}},
	})
	for name, xml := range map[string]string{
		"no JSON":     "<json xmlns='urn:xmpp:json:0'>{</json>",
		"no text":     "<json xmlns='urn:xmpp:json:0'/>",
		"two texts":   "<json xmlns='urn:xmpp:json:0'>1 2</json>",
		"no datatype": "<payload xmlns='urn:xmpp:json-msg:0'><json xmlns='urn:xmpp:json:0'>1</json></payload>",
		"no json":     "<payload xmlns='urn:xmpp:json-msg:0' datatype='urn:x'/>",
		"bad json":    "<payload xmlns='urn:xmpp:json-msg:0' datatype='urn:x'><json xmlns='urn:xmpp:json:0'>x</json></payload>",
	} {
		var into stanza.Payload = new(jsonmsg.JSON)
		if xml[1] == 'p' {
			into = new(jsonmsg.Payload)
		}
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: name, XML: xml, Into: into, Condition: stanza.BadRequest}})
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte("<payload xmlns='urn:xmpp:json-msg:0' datatype='urn:x'><json xmlns='urn:xmpp:json:0'>{&quot;a&quot;:[1,null]}</json></payload>"))
	f.Add([]byte("<json xmlns='urn:xmpp:json:0'>&quot;\\u0000&quot;</json>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(jsonmsg.JSON))
		xmpptest.RoundTrip(t, input, new(jsonmsg.Payload))
	})
}
