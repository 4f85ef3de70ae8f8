// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var benchStanzas = []string{
	"message-chat", "presence-caps", "iq-disco-info-result", "message-pubsub-event", "message-cyrillic",
}

func BenchmarkParser(b *testing.B) {
	for _, name := range benchStanzas {
		data := readFile(b, "testdata/stanzas/"+name+".xml")
		b.Run(name, func(b *testing.B) {
			p := openParser(b, testLimits)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				p.Feed(data)
				if e, err := p.Next(); e != EventElement || err != nil {
					b.Fatal(e, err)
				}
				if e, err := p.Next(); e != EventNone || err != nil {
					b.Fatal(e, err)
				}
			}
		})
	}
}

// BenchmarkEncodingXML is what BenchmarkParser is measured against.
func BenchmarkEncodingXML(b *testing.B) {
	for _, name := range benchStanzas {
		data := readFile(b, "testdata/stanzas/"+name+".xml")
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				d := xml.NewDecoder(bytes.NewReader(data))
				for {
					if _, err := d.Token(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
