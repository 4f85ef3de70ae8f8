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
