// SPDX-License-Identifier: Apache-2.0

package delay_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0203-3-offline", Want: &delay.Delay{
			From:   jid.MustParse("capulet.com"),
			Stamp:  time.Date(2002, 9, 10, 23, 8, 25, 0, time.UTC),
			Reason: "\n    Offline Storage\n  ",
		}},
		{File: "xep0203-3-presence", Want: &delay.Delay{
			From:  jid.MustParse("juliet@capulet.com/balcony"),
			Stamp: time.Date(2002, 9, 10, 23, 41, 7, 0, time.UTC),
		}},
		{File: "xep0203-3-room", Want: &delay.Delay{
			From:  jid.MustParse("coven@macbeth.shakespeare.lit"),
			Stamp: time.Date(2002, 9, 10, 23, 5, 37, 0, time.UTC),
		}},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "no stamp", Into: &delay.Delay{}, Condition: stanza.BadRequest,
			XML: "<delay xmlns='urn:xmpp:delay'/>"},
		{Name: "old stamp", Into: &delay.Delay{}, Condition: stanza.BadRequest,
			XML: "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/>"},
		{Name: "bad address", Into: &delay.Delay{}, Condition: stanza.JIDMalformed,
			XML: "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='@'/>"},
	})
}

func FuzzDelay(f *testing.F) {
	f.Add([]byte("<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'>Offline</delay>"))
	f.Add([]byte("<delay xmlns='urn:xmpp:delay' stamp='0000-01-01T00:00:00.5+14:00'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(delay.Delay)) })
}
