// SPDX-License-Identifier: Apache-2.0

package jid_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"ascii", "juliet@capulet.example/balcony"},
		{"domain", "capulet.example"},
		{"capitals", "Juliet@Capulet.Example/Balcony"},
		{"resource", "juliet@capulet.example/bälcony"},
		{"local", "jüliet@capulet.example"},
		{"idn", "juliet@cäpulet.example"},
		{"bad", "juliet@capulet..example"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink, _ = jid.Parse(c.in)
			}
		})
	}
}

func BenchmarkParseBytes(b *testing.B) {
	in := []byte("juliet@capulet.example/balcony")
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = jid.ParseBytes(in)
	}
}

func BenchmarkCache(b *testing.B) {
	in := [][]byte{[]byte("juliet@capulet.example/balcony"), []byte("romeo@montague.example/orchard")}
	var c jid.Cache
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		sink, _ = c.Parse(in[i&1])
	}
}
