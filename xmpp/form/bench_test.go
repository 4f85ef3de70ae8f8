// SPDX-License-Identifier: Apache-2.0

package form_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

func BenchmarkForm(b *testing.B) {
	f := bot()
	xml := string(f.AppendXML(nil))
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, len(xml))
		for b.Loop() {
			dst = f.AppendXML(dst[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := xmpptest.Decode(xml, new(form.Form)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
