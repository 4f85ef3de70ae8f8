// SPDX-License-Identifier: Apache-2.0

package preauth_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/preauth"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{{File: "xep0445-4-preauth", Want: &preauth.Preauth{Token: "TOKEN"}}})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "none", XML: "<preauth xmlns='urn:xmpp:pars:0'/>", Into: &preauth.Preauth{}, Condition: stanza.BadRequest},
		{Name: "long", XML: "<preauth xmlns='urn:xmpp:pars:0' token='" + strings.Repeat("x", 257) + "'/>", Into: &preauth.Preauth{}, Condition: stanza.BadRequest},
	})
}

func TestURI(t *testing.T) {
	for _, c := range []struct{ at, token, uri string }{
		{"example.com", "TOKEN", "xmpp:example.com?register;preauth=TOKEN"},
		{"juliet@example.com", "TOKEN", "xmpp:juliet@example.com?register;preauth=TOKEN"},
		{"a?b@example.com", "a;b c%", "xmpp:a%3Fb@example.com?register;preauth=a%3Bb%20c%25"},
	} {
		if got := preauth.URI(jid.MustParse(c.at), c.token); got != c.uri {
			t.Errorf("%s, want %s", got, c.uri)
		}
		if at, token, ok := preauth.ParseURI(c.uri); !ok || at.String() != c.at || token != c.token {
			t.Errorf("%s: %s, %q, %v", c.uri, at, token, ok)
		}
	}
	for _, bad := range []string{
		"", "xmpp:", "xmpp:example.com", "xmpp:example.com?register", "xmpp:example.com?register;preauth=",
		"xmpp:example.com?roster;preauth=x", "xmpp:example.com?register;preauth=%", "xmpp:%?register;preauth=x",
		"xmpp:a@b/c?register;preauth=x", "xmpp:@?register;preauth=x", "mailto:example.com?register;preauth=x",
		"xmpp:example.com?register;preauth=" + strings.Repeat("x", 257),
	} {
		if at, token, ok := preauth.ParseURI(bad); ok {
			t.Errorf("%s: %s, %q", bad, at, token)
		}
	}
}

func FuzzPreauth(f *testing.F) {
	f.Add([]byte("<preauth xmlns='urn:xmpp:pars:0' token='x'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(preauth.Preauth)) })
}
