// SPDX-License-Identifier: Apache-2.0

package entitytime_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/entitytime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0202-3-request", Want: &entitytime.Time{}},
		{File: "xep0202-3-result", Want: &entitytime.Time{
			At: time.Date(2006, 12, 19, 11, 58, 35, 0, time.FixedZone("", -6*3600))}},
	})
	for _, body := range []string{
		"<tzo>Z</tzo>", "<utc>2006-12-19T17:58:35Z</utc>",
		"<tzo>-6:00</tzo><utc>2006-12-19T17:58:35Z</utc>", "<tzo>Z</tzo><utc>now</utc>",
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: body, Into: &entitytime.Time{}, Condition: stanza.BadRequest,
			XML: "<time xmlns='urn:xmpp:time'>" + body + "</time>"}})
	}
}

func FuzzTime(f *testing.F) {
	f.Add([]byte("<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>"))
	f.Add([]byte("<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>9999-12-31T23:59:59.999999Z</utc></time>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(entitytime.Time)) })
}
