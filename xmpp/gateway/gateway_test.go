// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/gateway"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0100-6.3-request", Want: &gateway.Query{}},
		{File: "xep0100-6.3-prompt", Want: &gateway.Query{Description: "Whom would you like to contact?", Prompt: "Contact ID"}},
		{File: "xep0100-6.3-name", Want: &gateway.Query{Prompt: "Foo Bar"}},
		{File: "xep0100-6.3-address", Want: &gateway.Query{JID: "FooBar@aim.jabber.org"}},
	})
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='jabber:iq:gateway'/>"))
	f.Add([]byte("<query xmlns='jabber:iq:gateway'><desc>a&lt;</desc><prompt>1</prompt><jid/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(gateway.Query)) })
}
