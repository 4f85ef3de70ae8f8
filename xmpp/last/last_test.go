// SPDX-License-Identifier: Apache-2.0

package last_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/last"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0012-3-request", Want: &last.Query{}},
		{File: "xep0012-3-response", Want: &last.Query{Known: true, Ago: 903 * time.Second, Status: "Heading Home"}},
		{File: "xep0012-5-uptime", Want: &last.Query{Known: true, Ago: 123456 * time.Second}},
	})
	for _, seconds := range []string{"", "x", "-1", "1.5", "18446744073709551616"} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: seconds, Into: &last.Query{}, Condition: stanza.BadRequest,
			XML: "<query xmlns='jabber:iq:last' seconds='" + seconds + "'/>"}})
	}
}

// What is longer than a clock of ours can say is a very long time, and what is negative is none.
func TestBounds(t *testing.T) {
	var q last.Query
	if err := xmpptest.Decode("<query xmlns='jabber:iq:last' seconds='18446744073709551615'/>", &q); err != nil || q.Ago <= 0 {
		t.Errorf("%v, %v", q.Ago, err)
	}
	q = last.Query{Known: true, Ago: -time.Hour}
	if got := string(q.AppendXML(nil)); got != "<query xmlns='jabber:iq:last' seconds='0'/>" {
		t.Error(got)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(last.Query)) })
}
