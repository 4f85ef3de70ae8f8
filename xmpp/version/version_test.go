// SPDX-License-Identifier: Apache-2.0

package version_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/version"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0092-3-request", Want: &version.Query{}},
		{File: "xep0092-3-result", Want: &version.Query{Name: "Exodus", Version: "0.7.0.4", OS: "Windows-XP 5.01.2600"}},
	})
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='jabber:iq:version'/>"))
	f.Add([]byte("<query xmlns='jabber:iq:version'><name>a&lt;</name><version>1</version><os/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(version.Query)) })
}
