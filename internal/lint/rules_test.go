// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of this file show each rule breaking on a small made-up tree.

// expect wants exactly one finding for each part, in order, that contains it.
func expect(t *testing.T, what string, findings []Finding, parts ...string) {
	t.Helper()
	if len(findings) != len(parts) {
		t.Errorf("%s: %d findings, want %d: %v", what, len(findings), len(parts), findings)
		return
	}
	for i, part := range parts {
		if !strings.Contains(findings[i].String(), part) {
			t.Errorf("%s: finding %q does not contain %q", what, findings[i], part)
		}
	}
}

func TestCheckLayers(t *testing.T) {
	for _, c := range []struct {
		from, imports string
		isTest        bool
		want          string // part of the finding; "" for none
	}{
		{from: "xmpp/xmlstream", imports: "bytes"},
		{from: "xmpp/xmlstream", imports: "./xmpp/jid", want: "layer 0"},
		{from: "xmpp/stanza", imports: "./xmpp/jid"},
		{from: "xmpp/disco", imports: "./xmpp/stanza"},
		{from: "xmpp/disco", imports: "./xmpp/roster", want: "layer 1, words"},
		{from: "xmpp/stream", imports: "./xmpp/sasl"},
		{from: "xmpp/stream", imports: "./server", want: "imports server (layer 4, core)"},
		{from: "xmpp/stream", imports: "net", want: "no I/O"},
		{from: "xmpp/stream", imports: "net", isTest: true},
		{from: "thing", imports: "./client"},
		{from: "client", imports: "./thing", want: "layer 2"},
		{from: "client", imports: "./internal/drive"},
		{from: "thing", imports: "./store", want: "a device links the SDK"},
		{from: "store", imports: "./xmpp/jid"},
		{from: "store", imports: "./config", want: "layer 3"},
		{from: "store", imports: "database/sql", want: "SQL"},
		{from: "store/sqlite", imports: "database/sql"},
		{from: "store/sqlite", imports: "./store"},
		{from: "store/sqlite", imports: "./store/storetest", want: "tests only"},
		{from: "store/sqlite", imports: "./store/storetest", isTest: true},
		{from: "server", imports: "./store"},
		{from: "server", imports: "./store/sqlite", want: "interfaces only"},
		{from: "server", imports: "./store/sqlite", isTest: true},
		{from: "server/c2s", imports: "./server"},
		{from: "server", imports: "./server/c2s", want: "layer 4"},
		{from: "module/mam", imports: "./server"},
		{from: "module/mam", imports: "./module/roster", want: "parts never import each other"},
		{from: "module/mam", imports: "./module/roster", isTest: true, want: "its tests"},
		{from: "module/mam/page", imports: "./module/mam"},
		{from: "web", imports: "./rules", want: "never import each other"},
		{from: "cmd/stonechat", imports: "./module/mam"},
		{from: "server", imports: "./cmd/stonechat", want: "layer 4"},
		{from: "cmd/stonechat", imports: "./internal/xmpptest"},
		{from: "internal/gen/configdoc", imports: "./config"},
		{from: "internal/gen/configdoc", imports: "./server", want: "generators"},
		{from: "internal/gen/configdoc", imports: "./internal/gen"},
		{from: "client", imports: "./internal/gen", want: "tests only"},
		{from: "util", imports: "bytes", want: "not in the layer table"},
		{from: "web", imports: "C", want: "cgo"},
	} {
		p := Package{Path: c.from}
		if c.isTest {
			p.TestImports = []string{c.imports}
		} else {
			p.Imports = []string{c.imports}
		}
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		expect(t, c.from+" imports "+c.imports, CheckLayers([]Package{p}), want...)
	}
}

func TestCheckThirdParty(t *testing.T) {
	packages := []Package{
		{Path: "call", Imports: []string{"github.com/pion/webrtc/v4", "net"}},
		{Path: "config", Imports: []string{"github.com/goccy/go-yaml/ast"}},
		{Path: "server", Imports: []string{"./store", "github.com/pion/webrtc/v4"}},
		{Path: "store", Imports: []string{"github.com/google/go-cmp/cmp"}, TestImports: []string{"pgregory.net/rapid"}},
		{Path: "store/storetest", Imports: []string{"github.com/google/go-cmp/cmp"}},
		{Path: "web", TestImports: []string{"example.org/new"}},
	}
	expect(t, "third party", CheckThirdParty(packages), "confined to call", "for tests only", "no row")
}

func TestDocument(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.go"), []byte(`// Package a speaks for tests.
//
// RFC 6120 §4 and §6, RFC 7622
// XEP-0198 (complete but for resumption, 1.6): with words of XEP-0068, XEP-0203
//
// In prose XEP-0001 and RFC 1 are no claims.
package a

const (
	NS        = "urn:example"
	NSEvent   = NS + "#event"
	FeatureIt = "it"
	other     = "other"
)
`))
	documented, findings, err := Document([]Package{
		{Path: "xmpp/a", Name: "a", Dir: dir, GoFiles: []string{"a.go"}},
		{Path: "xmpp/b", Name: "b", Dir: dir, GoFiles: []string{"a.go"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "docs", findings, "XEP-0203 without status", "XEP-0203 without status", "does not begin")
	d := documented[0]
	if whole, ok := d.RFCs["6120"]; whole || !ok || !d.RFCs["7622"] || len(d.RFCs) != 2 {
		t.Errorf("RFCs %v", d.RFCs)
	}
	if len(d.XEPs) != 1 || d.XEPs[0] != (Claim{"0198", "partial", "1.6"}) {
		t.Errorf("XEPs %v", d.XEPs)
	}
	if len(d.Namespaces) != 3 || d.Namespaces["urn:example#event"] != "NSEvent" || d.Namespaces["it"] != "FeatureIt" {
		t.Errorf("namespaces %v", d.Namespaces)
	}
}

func TestCheckDoap(t *testing.T) {
	doap, err := ParseDoap([]byte(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://usefulinc.com/ns/doap#" xmlns:xmpp="https://linkmauve.fr/ns/xmpp-doap#"><Project>
<implements rdf:resource="https://www.rfc-editor.org/info/rfc6120"/>
<implements rdf:resource="https://www.rfc-editor.org/info/rfc6121"/>
<implements><xmpp:SupportedXep><xmpp:xep rdf:resource="https://xmpp.org/extensions/xep-0030.html"/>
<xmpp:status>complete</xmpp:status><xmpp:version>2.5</xmpp:version></xmpp:SupportedXep></implements>
<implements><xmpp:SupportedXep><xmpp:xep rdf:resource="https://xmpp.org/extensions/xep-0199.html"/>
<xmpp:status>complete</xmpp:status><xmpp:version>2.0.1</xmpp:version></xmpp:SupportedXep></implements>
</Project></rdf:RDF>`))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "doap", CheckDoap(doap, []Documented{
		{RFCs: map[string]bool{"6120": false, "7622": true}, XEPs: []Claim{{"0030", "complete", "2.5"}}},
		{XEPs: []Claim{{"0030", "partial", "2.5"}, {"0092", "complete", "1.1"}}},
		{XEPs: []Claim{{"0092", "complete", "1.2"}}},
	}),
		"XEP-0092: is claimed in several versions", "claims RFC 6121", "claims XEP-0199",
		"lacks RFC 7622", "lacks XEP-0092", "says XEP-0030 (complete, 2.5)")
}

func TestFeatures(t *testing.T) {
	doap := Doap{RFCs: []string{"6121"}, XEPs: []Claim{{XEP: "0030"}, {XEP: "0198"}, {XEP: "0199"}, {XEP: "0368"}}}
	packages := []Documented{
		{XEPs: []Claim{{XEP: "0030"}}, Namespaces: map[string]string{"urn:disco#info": "NSInfo"}},
		{XEPs: []Claim{{XEP: "0198"}}, Namespaces: map[string]string{"urn:sm": "NS"}},
		{XEPs: []Claim{{XEP: "0199"}}, Namespaces: map[string]string{"urn:ping": "NS"}},
		{XEPs: []Claim{{XEP: "0313"}}, Namespaces: map[string]string{"urn:mam": "NS"}},
		{XEPs: []Claim{{XEP: "0368"}}},
		{RFCs: map[string]bool{"6121": false}, Namespaces: map[string]string{"urn:roster": "NS"}},
	}
	expect(t, "all shown", checkFeatures(doap, packages, []string{"urn:disco#info", "urn:ping", "urn:roster#x"}))
	expect(t, "false claims", checkFeatures(doap, packages, []string{"urn:disco#info", "urn:mam", "urn:new"}),
		"advertises urn:mam", "advertises urn:new", "shows nothing of XEP-0199")
}

func TestCheckSource(t *testing.T) {
	const licence = "// " + spdx + "\n"
	long := strings.Repeat("// line\n", 250)
	files := []File{
		{Path: "a/good.go", Data: []byte(licence + "\npackage a\n")},
		{Path: "a/bare.go", Data: []byte("package a\n")},
		{Path: "a/closed.go", Data: []byte(licence + "\npackage a\n\nvar x = 1\n" + long)},
		{Path: "a/documented.go", Data: []byte(licence + "\npackage a\n\n// x is\n// one.\nvar x = 1\n" + long)},
		{Path: "a/opened.go", Data: []byte(licence + "\npackage a\n\n// How to read this file:\n// from above.\n\nimport \"fmt\"\n" + long)},
		{Path: "a/endless.go", Data: []byte(licence + "\n// Package a is long.\n// Very.\npackage a\n" + long + long)},
		{Path: "a/excepted.go", Data: []byte(licence + "\n// Package a is long.\n// Very.\npackage a\n" + long + long)},
		{Path: "a/testdata/x.sh", Data: []byte("no licence\n")},
		{Path: "run", Data: []byte("#!/bin/sh\n# " + spdx + "\n")},
	}
	expect(t, "source", checkSource(files, map[string]string{"a/excepted.go": "a table", "a/short.go": "was long"}),
		"a/bare.go: has no line", "a/closed.go", "a/endless.go: has 505 lines", "a/short.go: needs its row")
}

func TestCheckNames(t *testing.T) {
	machine := "/wor" + "k/main"
	files := []File{
		{Path: "a.go", Data: []byte("// see " + machine + "\n// https://example.org/x and http://127.0.0.1:80/\n")},
		{Path: "b.md", Data: []byte("[x](https:" + "//mirror.net/y)\nhome/wor" + "k/x and frame/wor" + "k/ are words\n")},
	}
	expect(t, "names", CheckNames(files), "a.go:1: names /wor"+"k/", "b.md:1: names the host mirror.net")
}

func TestCheckShape(t *testing.T) {
	source := `package util
import "context"
type good struct { n int }
type kept struct { ctx context.Context }
type bad struct { ctx context.Context }
func first(ctx context.Context, a, b, c, d, e int) {}
func late(a int, ctx context.Context) {}
func many(a, b, c, d int, e, f, g string) {}
type role interface { Do(a int, ctx context.Context) }
`
	kept := map[string]string{"a.kept": "because", "a.gone": "because"}
	files := []File{{Path: "a/a.go", Data: []byte(source)}, {Path: "a/a_test.go", Data: []byte(source)}}
	expect(t, "shape", checkShape(files, kept), "a.gone: needs its row", "a/a.go:1: is of a package called util", "a/a.go:5: bad keeps a context",
		"a/a.go:7: has a context that is not the first", "a/a.go:8: has 7 parameters", "a/a.go:9: has a context")
}

func TestCheckSyntax(t *testing.T) {
	source := `package a
import ("errors"; "regexp"; "sync"; "net/http")
var ErrX = errors.New("x")
var re = regexp.MustCompile("x")
var table = map[string]int{"a": 1}
var written = map[string]int{}
var counter int
var excepted int
var mu sync.Mutex
var once = sync.Mutex{}
var pool = sync.Pool{New: func() any { return nil }}
var client = http.NewClient()
var pointer = &http.Client{}
var built = build()
var _ error = ErrX
//go:embed x
var page []byte
func build() [4]bool { var b [4]bool; b[1] = true; return b }
func f(table map[string]int) { table["own"] = 1; written["x"]++; use(&pool) }
func init() {}
`
	tests := `package a
import ("time"; "testing"; "testing/synctest")
func TestA(t *testing.T) { time.Sleep(1) }
func TestC(t *testing.T) { inBubble(t, func(t *testing.T) { time.Sleep(1) }) }
func inBubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }
func TestB(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }
`
	expect(t, "syntax", checkSyntax([]File{{Path: "a/a.go", Data: []byte(source)}, {Path: "a/a_test.go", Data: []byte(tests)}},
		map[string]string{"a.excepted": "it is needed", "a.gone": "it was needed"}, nil),
		"a.gone: needs its row", "variable once", "variable client", "variable pointer", "writes the global variable written",
		"init function", "variable counter", "variable mu", "a/a_test.go:3: calls time.Sleep")
}

func TestCheckModules(t *testing.T) {
	root := t.TempDir()
	module := func(name, source string) Package {
		dir := filepath.Join(root, "module", name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "m.go"), []byte(source))
		return Package{Path: "module/" + name, Name: name, Dir: dir, GoFiles: []string{"m.go"}}
	}
	packages := []Package{
		module("ping", "package ping\nconst Name = \"ping\"\ntype M struct{}\nfunc (M) Name() string { return Name }\n"),
		module("pong", "package pong\ntype M struct{}\nfunc (M) Name() string { return \"ping\" }\n"),
		{Path: "cmd/stonechat", Imports: []string{"./module/ping"}},
	}
	write(t, filepath.Join(root, "module", "ping", "README.md"), []byte("# Pings\n"))
	findings, err := CheckModules(root, packages)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "modules", findings, "README.md: its title", "is in no program", "Name does not return \"pong\"")
}

func TestCheckLinks(t *testing.T) {
	expect(t, "links", CheckLinks([]File{
		{Path: "README.md", Data: []byte("[a](docs/a.md#x) [b](docs) [c](gone.md) [d](https://example.org)\n")},
		{Path: "docs/a.md", Data: []byte("[r](../README.md) [g](README.md)\n```text\n[x](y)\n```\n")},
	}), "README.md:1: links to gone.md", "docs/a.md:1: links to docs/README.md")
}

func TestFindExamples(t *testing.T) {
	text := "x\n```yaml config\na: 1\n```\n  ```sh\n  make\n  ```\n```\nplain\n```\n```go run\n"
	examples, findings := Examples([]File{{Path: "README.md", Data: []byte(text)}})
	if len(examples) != 3 || examples[0].Text != "a: 1\n" || examples[1].Text != "make\n" {
		t.Errorf("%+v", examples)
	}
	expect(t, "examples", findings, "never closed", `marked "sh "`)
}

func TestGenerators(t *testing.T) {
	generators, findings := Generators([]File{
		{Path: "a/a.go", Data: []byte("//go:generate go run ../internal/gen/codec -o zcodec.go\n//go:generate stringer x\npackage a\n")},
		{Path: "a/zcodec.go", Data: []byte("// Code generated by codec; DO NOT EDIT.\npackage a\n")},
		{Path: "b/zb.go", Data: []byte("// Code generated by nobody; DO NOT EDIT.\npackage b\n")},
	})
	if len(generators) != 1 || generators[0].Dir != "a" || generators[0].Args[0] != "run" {
		t.Errorf("%+v", generators)
	}
	expect(t, "generators", findings, "stringer", "b/zb.go: is generated")
}
