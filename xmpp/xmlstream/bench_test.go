// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const streamHeader = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>`

var benchLimits = Limits{ElementBytes: 1 << 18, Depth: 100, Attributes: 100}

var benchStanzas = []string{
	"message-chat", "presence-caps", "iq-disco-info-result", "message-pubsub-event", "message-cyrillic",
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openParser returns a parser that has read a stream header.
func openParser(t testing.TB) *Parser {
	p := NewParser(Stream, "jabber:client", benchLimits)
	p.Feed([]byte(streamHeader))
	if e, err := p.Next(); e != EventOpen || err != nil {
		t.Fatal(e, err)
	}
	if e, err := p.Next(); e != EventNone || err != nil {
		t.Fatal(e, err)
	}
	return p
}

func BenchmarkParser(b *testing.B) {
	for _, name := range benchStanzas {
		data := readFile(b, "testdata/stanzas/"+name+".xml")
		b.Run(name, func(b *testing.B) {
			p := openParser(b)
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
