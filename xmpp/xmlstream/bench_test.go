// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var benchStanzas = []string{
	"message-chat", "presence-caps", "iq-disco-info-result", "message-pubsub-event", "message-cyrillic",
}

// BenchmarkParser reads one stanza per operation. Its metric x-std says how many
// times as long encoding/xml takes for its tokens, in the same run.
func BenchmarkParser(b *testing.B) {
	for _, name := range benchStanzas {
		stanza := readFile(b, "testdata/stanzas/"+name+".xml")
		b.Run(name, func(b *testing.B) {
			p := openParser(b, testLimits)
			std := encodingXML(b, stanza)
			b.SetBytes(int64(len(stanza)))
			b.ReportAllocs()
			for b.Loop() {
				readStanza(b, p, stanza)
			}
			b.ReportMetric(float64(std)/float64(b.Elapsed())*float64(b.N), "x-std")
		})
	}
}

func readStanza(b *testing.B, p *Parser, piece []byte) {
	p.Feed(piece)
	if e, err := p.Next(); e != EventElement || err != nil {
		b.Fatal(e, err)
	}
	if e, err := p.Next(); e != EventNone || err != nil {
		b.Fatal(e, err)
	}
}

// encodingXML returns how long encoding/xml takes for one stanza, at best.
func encodingXML(b *testing.B, stanza []byte) time.Duration {
	best := time.Hour
	for range 10 {
		const n = 100
		d := xml.NewDecoder(bytes.NewReader(bytes.Repeat(stanza, n)))
		start := time.Now()
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
		best = min(best, time.Since(start)/n)
	}
	return best
}

// BenchmarkParserBatch reads 40 stanzas from one read of a socket.
func BenchmarkParserBatch(b *testing.B) {
	stanza := readFile(b, "testdata/stanzas/message-chat.xml")
	batch := bytes.Repeat(stanza, 40)
	p := openParser(b, testLimits)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(batch)
		for {
			if e, err := p.Next(); err != nil {
				b.Fatal(err)
			} else if e == EventNone {
				break
			}
		}
	}
}

// BenchmarkParserCut reads stanzas that come in two pieces each.
func BenchmarkParserCut(b *testing.B) {
	stanza := readFile(b, "testdata/stanzas/message-chat.xml")
	p := openParser(b, testLimits)
	b.SetBytes(int64(len(stanza)))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(stanza[:200])
		if e, err := p.Next(); e != EventNone || err != nil {
			b.Fatal(e, err)
		}
		readStanza(b, p, stanza[200:])
	}
}

// BenchmarkParserRewritten reads a stanza that leans on its header.
func BenchmarkParserRewritten(b *testing.B) {
	stanza := readFile(b, "testdata/stanzas/message-leans-on-root.xml")
	p := openParser(b, testLimits)
	b.ReportAllocs()
	for b.Loop() {
		readStanza(b, p, stanza)
	}
}

func BenchmarkReader(b *testing.B) {
	stanza := readFile(b, "testdata/stanzas/rfc6121-roster-result.xml")
	b.SetBytes(int64(len(stanza)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(stanza, "jabber:client")
		for range r.Children() {
			var q roster
			if err := q.decode(r); err != nil || len(q.items) != 3 {
				b.Fatal(q, err)
			}
		}
	}
}

func BenchmarkAppendEscaped(b *testing.B) {
	dst := make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEscaped(dst[:0], "Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike & so on.")
	}
}
