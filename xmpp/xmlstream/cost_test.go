// SPDX-License-Identifier: Apache-2.0

//go:build !race

// The race detector makes all of this cost otherwise.

package xmlstream_test

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// A whole element costs no allocation, nor does one that comes in two pieces.
func TestAllocations(t *testing.T) {
	for name, stanza := range golden(t, "stanzas") {
		p := openParser(t, testLimits)
		half := len(stanza) / 2
		rewritten := false
		parse := func(pieces ...[]byte) func() {
			return func() {
				for _, piece := range pieces {
					p.Feed(piece)
					for {
						event, err := p.Next()
						if err != nil {
							t.Fatal(err)
						}
						if event == EventNone {
							break
						}
						rewritten = p.Element().Rewritten
					}
				}
			}
		}
		whole := testing.AllocsPerRun(100, parse(stanza))
		halves := testing.AllocsPerRun(100, parse(stanza[:half], stanza[half:]))
		if (whole != 0 || halves != 0) && !rewritten {
			t.Errorf("%s: %v allocations whole, %v in halves", name, whole, halves)
		}
	}
}

// A parser that waits for the next element holds next to nothing.
func TestIdleMemory(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 144 {
		t.Errorf("a Parser has %d bytes", size)
	}
	const header = `<?xml version='1.0'?><stream:stream from='juliet@capulet.example' to='capulet.example' version='1.0'` +
		` xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`
	pieces := [][]byte{
		[]byte(header), readFile(t, "testdata/stanzas/message-chat.xml"),
		[]byte("<message><body>" + strings.Repeat("0123456789", 10000)), []byte("</body></message>"),
	}
	const n = 2000
	parsers := make([]*Parser, n)
	before := heap()
	for i := range parsers {
		p := NewParser(Stream, "jabber:client", testLimits)
		if events := record(p, pieces...); len(events) != 3 {
			t.Fatal(events)
		}
		parsers[i] = p
	}
	each := (heap() - before) / n
	t.Logf("a Parser has %d bytes, an idle one holds %d on the heap", unsafe.Sizeof(Parser{}), each)
	if each > 160 { // itself: a header like nearly all is shared
		t.Errorf("an idle parser holds %d bytes", each)
	}
	runtime.KeepAlive(parsers)
}

func heap() int {
	runtime.GC()
	runtime.GC() // the pool's victims go with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// However the input is cut, its cost grows as its length.
func TestLinear(t *testing.T) {
	const small, large = 1 << 14, 1 << 18
	repeat := func(n int, s string) string { return strings.Repeat(s, n/len(s)) }
	inputs := map[string]func(n int) string{
		"text":              func(n int) string { return "<a>" + repeat(n, "x") + "</a>" },
		"text, brackets":    func(n int) string { return "<a>" + repeat(n, "]] >") + "</a>" },
		"text, references":  func(n int) string { return "<a>" + repeat(n, "&amp;") + "</a>" },
		"text, wide":        func(n int) string { return "<a>" + repeat(n, "ﷺ") + "</a>" },
		"white space":       func(n int) string { return repeat(n, " \n") + "<a/>" },
		"CDATA":             func(n int) string { return "<a><![CDATA[" + repeat(n, "]]x") + "]]></a>" },
		"CDATA, many":       func(n int) string { return "<a>" + repeat(n, "<![CDATA[]]>") + "</a>" },
		"value":             func(n int) string { return "<a b='" + repeat(n, "x") + "'/>" },
		"value, references": func(n int) string { return "<a b='" + repeat(n, "&#9;") + "'/>" },
		"value, greater":    func(n int) string { return "<a b='" + repeat(n, ">") + "'/>" },
		"name":              func(n int) string { return "<" + repeat(n, "x") + "/>" },
		"name, wide":        func(n int) string { return "<" + repeat(n, "é") + "/>" },
		"attribute name":    func(n int) string { return "<a " + repeat(n, "x") + "='1'/>" },
		"space in tag":      func(n int) string { return "<a" + repeat(n, " ") + "/>" },
		"space at equals":   func(n int) string { return "<a b" + repeat(n/2, " ") + "=" + repeat(n/2, " ") + "''/>" },
		"space in end tag":  func(n int) string { return "<a></a" + repeat(n, " ") + ">" },
		"end tag":           func(n int) string { return "<" + repeat(n/2, "x") + "></" + repeat(n/2, "x") + ">" },
		"children":          func(n int) string { return "<a>" + repeat(n, "<b/>") + "</a>" },
		"attributes":        func(n int) string { return "<a>" + repeat(n, "<b a='' b='' c='' d='' e='' f=''/>") + "</a>" },
		"namespaces":        func(n int) string { return "<a>" + repeat(n, "<x:b xmlns:x='X' xmlns='b'/>") + "</a>" },
		"depth":             func(n int) string { return repeat(n/7*3, "<b>") + repeat(n/7*4, "</b>") },
		"rewriting":         func(n int) string { return "<a xmlns:p='P'>" + repeat(n, "<p:b/>") + "</a>" },
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			cost := func(in string, step int) time.Duration {
				best := time.Hour
				for range 5 {
					p := openParser(t, Limits{ElementBytes: 4 * large, Depth: large, Attributes: 100, Children: large})
					b := []byte(in)
					start := time.Now()
					for i := 0; i < len(b); i += step {
						p.Feed(b[i:min(len(b), i+step)])
						for event := EventElement; event != EventNone; {
							var err error
							if event, err = p.Next(); err != nil {
								t.Fatal(err)
							}
						}
					}
					best = min(best, time.Since(start))
				}
				return best
			}
			for _, step := range []int{1, 100, 2 * large} {
				// 16 times as long: 256 times the cost were it quadratic, however often it is
				// tried. A busy machine makes one try or another look like that.
				var a, b time.Duration
				for range 10 {
					a, b = cost(input(small), step), cost(input(large), step)
					if b <= 128*max(a, 100*time.Microsecond) {
						break
					}
				}
				if b > 128*max(a, 100*time.Microsecond) {
					t.Errorf("%d bytes at a time: %v for %d bytes, %v for %d", step, a, small, b, large)
				}
			}
		})
	}
}
