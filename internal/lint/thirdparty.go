// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"slices"
	"strings"
)

// confined says which folders may import a module from elsewhere. A module is
// met in one place, so that it can be judged, replaced or left out by looking
// at one folder.
type confined struct {
	module  string   // import path or its beginning
	folders []string // patterns of packages
	why     string
}

var thirdParty = []confined{
	{"golang.org/x/text", []string{"xmpp/jid", "xmpp/sasl", "xmpp/roster"}, "PRECIS profiles of addresses, passwords and group names"},
	{"golang.org/x/net/idna", []string{"xmpp/jid", "internal/tlsconfig"}, "domain names of addresses and certificates"},
	{"golang.org/x/net/publicsuffix", []string{"server/s2s"}, "whose a domain is: one owner's names share what there is for all"},
	{"golang.org/x/sys", []string{"internal/drive/..."}, "epoll"},
	{"github.com/goccy/go-yaml", []string{"config"}, "YAML is read in one place, strictly"},
	{"github.com/alecthomas/kong", []string{"cmd/..."}, "command lines"},
	{"golang.org/x/term", []string{"cmd/..."}, "a password that is typed is not shown"},
	{"modernc.org/sqlite", []string{"store/sqlite"}, "the embedded store, without cgo"},
	{"github.com/jackc/pgx", []string{"store/postgres"}, "the large store"},
	{"github.com/pressly/goose", []string{"store/postgres"}, "migrations of the large store"},
	{"github.com/nats-io", []string{"cluster/nats"}, "talk between nodes"},
	{"github.com/pion", []string{"call/..."}, "media"},
	{"github.com/coder/websocket", []string{"server/websocket"}, "RFC 7395"},
	{"github.com/miekg/dns", []string{"internal/dns/..."}, "messages of DNS: what net.Resolver does not tell (TTL, DNSSEC, TLSA)"},
	{"github.com/boombuler/barcode", []string{"internal/qr"}, "the modules of a QR code; what is drawn with them is ours"},
	{"github.com/prometheus/client_golang", []string{"internal/metrics"}, "parts count with internal/metrics and know nothing of Prometheus"},
}

// testOnly are modules that tests anywhere may import and nothing else.
var testOnly = []confined{
	{"github.com/google/go-cmp", nil, "differences of values"},
	{"github.com/makiuchi-d/gozxing", nil, "reads the QR codes that we draw"},
	{"github.com/rogpeppe/go-internal", nil, "scripts of commands (testscript)"},
	{"github.com/xdg-go/scram", nil, "an oracle for SCRAM"},
	{"go.uber.org/goleak", nil, "goroutines that outlive their owner"},
	{"pgregory.net/rapid", nil, "property tests"},
}

// CheckThirdParty reports imports of other people's modules outside the folder
// they are confined to, and modules that are in neither table.
func CheckThirdParty(packages []Package) []Finding {
	var findings []Finding
	for _, p := range packages {
		for _, i := range p.Imports {
			findings = append(findings, checkThirdParty(p.Path, i, inAside(p.Path))...)
		}
		for _, i := range p.TestImports {
			findings = append(findings, checkThirdParty(p.Path, i, true)...)
		}
	}
	return sorted(findings)
}

// inAside reports whether a package exists for tests alone.
func inAside(pkg string) bool {
	l, ok := levelOf(pkg)
	return ok && l.isAside || strings.HasPrefix(pkg, "test/")
}

func checkThirdParty(from, imported string, isTest bool) []Finding {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") || first == "." {
		return nil // the standard library's or ours
	}
	for _, c := range testOnly {
		if !under(c.module, imported) {
			continue
		}
		if isTest {
			return nil
		}
		return []Finding{{from, "imports " + imported, "for tests only: " + c.why}}
	}
	for _, c := range thirdParty {
		if !under(c.module, imported) {
			continue
		}
		if slices.ContainsFunc(c.folders, func(f string) bool { return matches(f, from) }) {
			return nil
		}
		return []Finding{{from, "imports " + imported,
			"confined to " + strings.Join(c.folders, ", ") + ": " + c.why}}
	}
	return []Finding{{from, "imports " + imported,
		"no row in internal/lint/thirdparty.go: a new dependency needs a folder of its own and a reason"}}
}

func under(module, imported string) bool {
	return imported == module || strings.HasPrefix(imported, module+"/")
}
