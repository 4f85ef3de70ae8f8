// SPDX-License-Identifier: Apache-2.0

package bind_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/bind"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "rfc6120-7.6.1-request", Want: &bind.Bind{}},
		{File: "rfc6120-7.6.1-result", Want: &bind.Bind{
			JID: jid.MustParse("juliet@im.example.com/4db06f06-1ea4-11dc-aca3-000bcd821bfb")}},
		{File: "rfc6120-7.7.1-request", Want: &bind.Bind{Resource: "balcony"}},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "bad address", Into: &bind.Bind{}, Condition: stanza.JIDMalformed,
			XML: "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>@</jid></bind>"},
		{Name: "bare address", Into: &bind.Bind{}, Condition: stanza.BadRequest,
			XML: "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@b</jid></bind>"},
	})
}

func FuzzBind(f *testing.F) {
	f.Add([]byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind>"))
	f.Add([]byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid> juliet@im.example.com/4db0 </jid></bind>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(bind.Bind)) })
}
