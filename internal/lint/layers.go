// SPDX-License-Identifier: Apache-2.0

package lint

// Reading order: the tables are the rule (layers, aside, neighbours,
// testNeighbours, shut), CheckLayers and allowed apply it.

import (
	"fmt"
	"strings"
)

// layer is one row of the layer table. A package belongs to the first row one
// of whose patterns it matches; it may import packages of lower layers.
type layer struct {
	number   int
	name     string
	packages []string
	why      string // printed when the rule is broken
}

// programs is the top layer: nothing imports it.
const programs = 6

// layers is the law of the tree: arrows point down only.
var layers = []layer{
	{0, "bytes", []string{"xmpp/jid", "xmpp/xmlstream"},
		"addresses and bytes of XML stand alone, so that anyone can use them"},
	{1, "words", []string{"xmpp/*", "internal/attr"},
		"the protocol is shared by clients, things and servers: it knows none of them and does no I/O"},
	{2, "talk", []string{"internal/drive/...", "internal/tlsconfig", "internal/link", "internal/locate", "internal/dane", "internal/dns", "internal/fifo", "internal/spool", "internal/seldom", "internal/bucket", "internal/trace", "internal/qr", "internal/bench/...", "client/...", "thing/...", "component/..."},
		"a device links the SDK: never the server, the store or a database"},
	{3, "contracts", []string{"store", "cluster", "config", "internal/metrics"},
		"contracts are what engines and the core agree on; they import neither"},
	{4, "core", []string{"server/..."},
		"the core knows interfaces only: engines, modules and gateways are handed over in cmd/stonechat/wire.go"},
	{5, "parts", []string{"module/...", "gateway/...", "rules/...", "call/...", "web/...", "store/*", "cluster/*"},
		"parts never import each other: what they share is a small interface declared where it is used and handed over in wire.go"},
	{programs, "programs", []string{"cmd/...", "test/..."}, "nothing imports a program"},
}

// aside are packages outside the layers: what developers use. They may import
// packages up to a layer; only tests and programs of their own kind import them.
var aside = []struct {
	pattern string
	upTo    int
	why     string
}{
	{"internal/lint", 3, "house rules look at the tree from outside"},
	{"internal/gen/...", 3, "generators run before what they generate compiles"},
	{"internal/xmpptest", 2, "a test helper for protocol packages and the core"},
	{"internal/testserver", 2, "the other side of a client's connection, for the tests of clients"},
	{"internal/dns/dnstest", 2, "DNS by script, for the tests of who asks it"},
	{"internal/componenttest", 2, "the suite that a component passes wherever it is attached"},
	{"internal/servertest", 5, "the server around a module, on a real store, for the tests of modules"},
	{"store/storetest", 3, "the suite that every store passes knows none of them"},
	{"cluster/clustertest", 3, "the suite that every cluster passes knows none of them"},
}

// neighbours are the imports allowed within one layer.
var neighbours = []struct{ from, to, why string }{
	{"xmpp/*", "xmpp/stanza", "the envelope and the Payload interface that all words share"},
	{"xmpp/*", "xmpp/form", "data forms are part of many payloads"},
	{"xmpp/*", "xmpp/rsm", "paging is part of many payloads"},
	{"xmpp/*", "xmpp/delay", "time stamps are part of many payloads"},
	{"xmpp/*", "xmpp/datetime", "time stamps are written in one way"},
	{"xmpp/*", "xmpp/forward", "forwarded stanzas are part of many payloads"},
	{"xmpp/*", "internal/attr", "what a payload's attributes may be is checked in one way"},
	{"internal/attr", "xmpp/stanza", "what is wrong is a stanza error"},
	{"internal/attr", "xmpp/xsd", "values are those of XML Schema's types"},
	{"xmpp/senml", "xmpp/jsonmsg", "a pack in JSON is the payload of a message"},
	{"xmpp/*", "xmpp/xsd", "values of XML Schema's types are part of many payloads"},
	{"xmpp/sensordata", "xmpp/senml", "measurements are said in both ways"},
	{"xmpp/control", "xmpp/senml", "numbers keep their digits in one way"},
	{"xmpp/control", "xmpp/sensordata", "nodes and tokens are the same in both"},
	{"xmpp/provisioning", "xmpp/sensordata", "nodes, tokens and categories are the same in both"},
	{"xmpp/registry", "xmpp/sensordata", "nodes are the same in both"},
	{"xmpp/concentrator", "xmpp/sensordata", "nodes and tokens are the same in both"},
	{"xmpp/caps", "xmpp/disco", "what is hashed is an answer of service discovery"},
	{"xmpp/stream", "xmpp/sasl", "a stream negotiates its login"},
	{"client/...", "internal/drive/...", "the client's bytes go through a driver"},
	{"client/...", "internal/link", "what a client and a component have in common"},
	{"component/...", "internal/link", "what a client and a component have in common"},
	{"client/...", "internal/locate", "clients and servers find others in one way"},
	{"internal/dane", "internal/tlsconfig", "the names of a certificate are read in one place"},
	{"internal/dns", "internal/dane", "TLSA records are what certificates are checked by"},
	{"component/...", "internal/drive/...", "the component's bytes go through a driver"},
	{"client/*", "client", "what some clients do beside all that every one does"},
	{"thing/...", "client/...", "a thing is a client with habits"},
	{"internal/bench/...", "client/...", "the owners of things that are measured are clients of the SDK"},
	{"internal/bench/...", "thing/...", "the things that are measured are those of the SDK"},
	{"thing/...", "internal/qr", "a thing shows what its owner claims it by"},
	{"server/*", "server", "sessions come in through the core's door"},
	{"server/*", "server/httpd", "what comes over HTTP begins as a request"},
	{"test/...", "test/...", "the black-box tests share what starts and drives a server"},
}

// testNeighbours are further imports that only tests may have.
var testNeighbours = []struct{ from, to, why string }{
	{"server/...", "store/sqlite", "tests of the core run on a real store"},
	{"module/...", "store/sqlite", "tests of modules run on a real store"},
	{"xmpp/provisioning", "xmpp/control", "commands are reduced by what is granted"},
	{"gateway/...", "store/sqlite", "tests of gateways run on a real store"},
}

// shut are packages of the standard library closed to some folders, tests excepted.
var shut = []struct {
	from []string
	std  string
	why  string
}{
	{[]string{"..."}, "C", "stonechat builds without cgo"},
	{[]string{"..."}, "log", "logs go through log/slog"},
	{[]string{"xmpp/..."}, "net", "the protocol does no I/O; a driver moves its bytes"},
	{[]string{"xmpp/..."}, "net/http", "the protocol does no I/O; a driver moves its bytes"},
	{[]string{"xmpp/..."}, "os", "the protocol does no I/O; a driver moves its bytes"},
	{[]string{"xmpp/...", "client/...", "thing/...", "component/...", "server/...", "module/...", "gateway/..."}, "encoding/xml",
		"encoding/xml has no limits and accepts what RFC 6120 forbids; use xmpp/xmlstream"},
	{[]string{"xmpp/...", "internal/drive/...", "client/...", "thing/...", "component/...", "store", "server/...", "module/..."}, "database/sql",
		"SQL lives in store/sqlite and store/postgres only"},
}

// CheckLayers reports imports that the layer table does not allow, and packages
// that it does not know.
func CheckLayers(packages []Package) []Finding {
	var findings []Finding
	for _, p := range packages {
		if _, ok := levelOf(p.Path); !ok {
			findings = append(findings, Finding{p.Path, "is not in the layer table",
				"the layers are in internal/lint/layers.go and ARCHITECTURE.md; a new top folder is a decision"})
			continue
		}
		for _, i := range p.Imports {
			findings = append(findings, checkImport(p.Path, i, false)...)
		}
		for _, i := range p.TestImports {
			findings = append(findings, checkImport(p.Path, i, true)...)
		}
	}
	return sorted(findings)
}

// level is a package's place: its layer, or the highest layer that a package
// aside may import (upTo).
type level struct {
	number  int
	name    string
	why     string
	isAside bool
}

func levelOf(pkg string) (level, bool) {
	for _, a := range aside {
		if matches(a.pattern, pkg) {
			return level{a.upTo + 1, "aside", a.why, true}, true
		}
	}
	for _, l := range layers {
		for _, pattern := range l.packages {
			if matches(pattern, pkg) {
				return level{l.number, l.name, l.why, false}, true
			}
		}
	}
	return level{}, false
}

func checkImport(from, imported string, isTest bool) []Finding {
	to, ours := strings.CutPrefix(imported, "./")
	if !ours {
		return checkStd(from, imported, isTest)
	}
	lf, _ := levelOf(from)
	lt, ok := levelOf(to)
	if !ok || allowed(from, to, lf, lt, isTest) {
		return nil // an unknown package is reported once, as itself
	}
	what := fmt.Sprintf("imports %s (layer %d, %s)", to, lt.number, lt.name)
	why := fmt.Sprintf("layer %d, %s: %s", lf.number, lf.name, lf.why)
	if lf.isAside {
		why = lf.why
	}
	if lt.isAside {
		what, why = "imports "+to, "it is for tests only: "+lt.why
	}
	if isTest {
		what = "its tests: " + what
	}
	return []Finding{{from, what, why}}
}

func allowed(from, to string, lf, lt level, isTest bool) bool {
	switch {
	case from == to: // an external test imports its package
		return true
	case lt.isAside:
		return isTest || lf.number == programs || lf.isAside && part(from) == part(to)
	case lt.number < lf.number:
		return true
	case lf.number == lt.number && part(from) == part(to):
		return true // a part may have subfolders of its own
	}
	for _, n := range neighbours {
		if matches(n.from, from) && matches(n.to, to) {
			return true
		}
	}
	if isTest {
		for _, n := range testNeighbours {
			if matches(n.from, from) && matches(n.to, to) {
				return true
			}
		}
	}
	return false
}

// part names what a package is part of within its layer: module/mam/internal
// is part of module/mam, web/assets of web.
func part(pkg string) string {
	top, rest, _ := strings.Cut(pkg, "/")
	switch top {
	case "module", "gateway", "store", "cluster", "xmpp", "internal", "server", "test", "cmd":
		next, _, _ := strings.Cut(rest, "/")
		return top + "/" + next
	}
	return top + "/"
}

func checkStd(from, imported string, isTest bool) []Finding {
	if isTest {
		return nil
	}
	var findings []Finding
	for _, s := range shut {
		if s.std != imported {
			continue
		}
		for _, pattern := range s.from {
			if pattern == "..." || matches(pattern, from) {
				findings = append(findings, Finding{from, "imports " + imported, s.why})
			}
		}
	}
	return findings
}
