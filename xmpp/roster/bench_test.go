// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
)

// A roster of 100 contacts, as it is sent at every login.
func BenchmarkRoster(b *testing.B) {
	q := &roster.Query{Ver: "17", Versioned: true}
	for i := range 100 {
		q.Items = append(q.Items, roster.Item{
			JID: jid.MustParse(fmt.Sprintf("contact%d@example.org", i)), Name: "Contact", Groups: []string{"Friends"},
			Subscription: roster.Both,
		})
	}
	xml := string(q.AppendXML(nil))
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, len(xml))
		for b.Loop() {
			dst = q.AppendXML(dst[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := xmpptest.Decode(xml, new(roster.Query)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
