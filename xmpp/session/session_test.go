// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/session"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "rfc3921-3-request", Want: &session.Session{}},
		{File: "draft-cridland-xmpp-session-01-3-feature", Want: &session.Session{Optional: true}},
	})
}

func FuzzSession(f *testing.F) {
	f.Add([]byte("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(session.Session)) })
}
