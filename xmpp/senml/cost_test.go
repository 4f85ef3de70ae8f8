// SPDX-License-Identifier: Apache-2.0

package senml_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// dear is a pack that takes the most arithmetic for its size.
func dear() []byte {
	const record = `{"v":1.7e308,"s":-1.7e308,"t":1.23456789e-390,"ut":1.23456789e-390}`
	return []byte(`[{"bn":"` + strings.Repeat("a", senml.MaxName) + `","bv":1.23456789e-390,"bs":1.23456789e-390,"v":1.7e308},` +
		strings.Repeat(record+",", senml.MaxRecords-2) + record + "]")
}

// What the most expensive pack costs is bounded: a few numbers' worth for each record.
func TestDear(t *testing.T) {
	data := dear()
	p, err := senml.ParseJSON(data)
	if err != nil || len(p) != senml.MaxRecords || p[1].Value.String() != "1.7e308" || p[1].Time != senml.Now {
		t.Fatalf("%d records, %v", len(p), err)
	}
	allocated := testing.AllocsPerRun(1, func() { _, _ = senml.ParseJSON(data) })
	if most := 120.0 * senml.MaxRecords; allocated > most {
		t.Errorf("%.0f allocations, more than %.0f", allocated, most)
	}
	if written := p.AppendJSON(nil); len(written) > len(data) {
		t.Errorf("%d bytes became %d", len(data), len(written))
	}
}

func BenchmarkParseJSON(b *testing.B) {
	plain := []byte(`[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":1700000000.25,"bu":"V","n":"a","v":230.1},` +
		strings.Repeat(`{"n":"b","v":229.95,"t":-1},`, 98) + `{"n":"c","v":230.05,"t":-2}]`)
	for name, data := range map[string][]byte{"plain": plain, "dear": dear()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := senml.ParseJSON(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	p, err := senml.ParseJSON(dear())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.AppendJSON(nil)
	}
}
