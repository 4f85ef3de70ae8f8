// SPDX-License-Identifier: Apache-2.0

package sleep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/sleep"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{{File: "sleep", Want: &sleep.Sleep{Until: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}}})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "none", XML: "<sleep xmlns='urn:stonechat:sleep:0'/>", Into: &sleep.Sleep{}, Condition: stanza.BadRequest},
		{Name: "no time", XML: "<sleep xmlns='urn:stonechat:sleep:0' until='noon'/>", Into: &sleep.Sleep{}, Condition: stanza.BadRequest},
	})
}

func TestOf(t *testing.T) {
	declared := strings.NewReplacer("<presence", "<presence xmlns='jabber:client'", "<message", "<message xmlns='jabber:client'")
	const good = "<sleep xmlns='urn:stonechat:sleep:0' until='2026-05-01T12:00:00Z'/>"
	for xml, want := range map[string]bool{
		"<presence type='unavailable'>" + good + "</presence>":                                     true,
		"<presence type='unavailable'><status>bye</status>" + good + "</presence>":                 true,
		"<presence>" + good + "</presence>":                                                        false,
		"<message type='unavailable'>" + good + "</message>":                                       false,
		"<presence type='unavailable'/>":                                                           false,
		"<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='x'/></presence>": false,
	} {
		s, err := stanza.Parse([]byte(declared.Replace(xml)))
		if err != nil {
			t.Fatal(err)
		}
		if until, ok := sleep.Of(s); ok != want || ok && until.Hour() != 12 {
			t.Errorf("%s: %v, %v", xml, until, ok)
		}
	}
}

func FuzzSleep(f *testing.F) {
	f.Add([]byte("<sleep xmlns='urn:stonechat:sleep:0' until='2026-05-01T12:00:00Z'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(sleep.Sleep)) })
}
