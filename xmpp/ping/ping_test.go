// SPDX-License-Identifier: Apache-2.0

package ping_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/ping"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0199-4.1-request", Want: &ping.Ping{}},
	})
}
