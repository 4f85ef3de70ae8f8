// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// maxLines is the length of a file that one can still hold in mind;
// openingFrom is the length from which a file says first how to read it.
const (
	maxLines    = 500
	openingFrom = 200
	coreLines   = 5000 // server/*.go without subfolders and tests
)

const spdx = "SPDX-License-Identifier: Apache-2.0"

// longFiles may be longer than maxLines, each for its reason.
var longFiles = map[string]string{}

// withoutLicence are files that bear no SPDX line: their formats have no
// comments, or they are read as documents.
var withoutLicence = []string{
	"LICENSE", "*.md", "go.mod", "go.sum", "*/go.mod", "*/go.sum", ".gitignore", "*.json", "*.svg", "*.png", "*.txt",
}

// CheckSource reports files without an SPDX line, files that are too long and
// long files that do not say how to read them.
func CheckSource(files []File) []Finding { return checkSource(files, longFiles) }

func checkSource(files []File, longFiles map[string]string) []Finding {
	var findings []Finding
	core := 0
	long := map[string]bool{}
	for _, f := range files {
		if f.isTestdata() {
			continue
		}
		if needsLicence(f.Path) && !startsWithLicence(f.Data) {
			findings = append(findings, Finding{f.Path, "has no line " + spdx,
				"it is the first line, or follows the line that must be first (#!, <?xml)"})
		}
		if f.isGo() && path.Dir(f.Path) == "server" && !f.isTest() {
			core += f.lines()
		}
		if !isSource(f.Path) || f.isGenerated() {
			continue
		}
		if n := f.lines(); n > maxLines {
			long[f.Path] = true
			if longFiles[f.Path] == "" {
				findings = append(findings, Finding{f.Path, fmt.Sprintf("has %d lines", n),
					fmt.Sprintf("more than %d need a row with the reason in internal/lint/source.go", maxLines)})
			}
		}
		if f.isGo() && !f.isTest() && f.lines() > openingFrom && !opens(f) {
			findings = append(findings, Finding{f.Path, fmt.Sprintf("has %d lines and does not open with how to read it", f.lines()),
				"a comment of two lines or more before its first declaration"})
		}
	}
	for name := range longFiles {
		if !long[name] {
			findings = append(findings, Finding{name, "needs its row in longFiles no more", "internal/lint/source.go"})
		}
	}
	if core > coreLines {
		findings = append(findings, Finding{"server", fmt.Sprintf("has %d lines", core),
			fmt.Sprintf("the core is read in an evening: at most %d; more belongs in modules or subfolders", coreLines)})
	}
	return sorted(findings)
}

func needsLicence(name string) bool {
	for _, pattern := range withoutLicence {
		if ok, _ := path.Match(pattern, name); ok {
			return false
		}
		if ok, _ := path.Match(pattern, path.Base(name)); ok {
			return false
		}
	}
	return true
}

// startsWithLicence looks at the first three lines.
func startsWithLicence(data []byte) bool {
	head := data
	for i, n := 0, 0; i < len(data); i++ {
		if data[i] == '\n' {
			if n++; n == 3 {
				head = data[:i]
				break
			}
		}
	}
	return bytes.Contains(head, []byte(spdx))
}

// isSource reports whether a file is program text that people read whole.
func isSource(name string) bool {
	switch path.Ext(name) {
	case ".go", ".js", ".ts", ".css", ".html", ".sql", ".sh", ".py", "":
		return path.Base(name) != "LICENSE"
	}
	return false
}

// opens reports whether a Go file has a comment of at least two lines, beside
// its licence, before its first declaration that is no import. The comment of
// that declaration will do: a file may open with its main type.
func opens(f File) bool {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, f.Path, f.Data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return true // the compiler says it better
	}
	end := parsed.FileEnd
	for _, d := range parsed.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			continue
		}
		end = d.Pos()
		break
	}
	for _, c := range parsed.Comments {
		text := strings.TrimSpace(c.Text())
		if c.Pos() < end && !strings.Contains(text, spdx) && strings.Count(text, "\n") >= 1 {
			return true
		}
	}
	return false
}

// elsewhere are folders of one machine; a tree that names one works only there.
// They are spelled in two parts so that this file does not name them.
var elsewhere = regexp.MustCompile(`(^|[^\w./-])(/wor` + `k/|/tm` + `p/(design|bash_jobs)|/roo` + `t/|/hom` + `e/[a-z]+/)`)

// hosts are the only ones that URLs in the tree may name: namespaces,
// specifications, licences, this project, and names that are nobody's.
var hosts = regexp.MustCompile(`^(` + strings.Join([]string{
	`(etherx\.)?jabber\.org`, `xmpp\.org`, `linkmauve\.fr`, // protocol namespaces and specifications
	`www\.w3\.org`, `usefulinc\.com`, `xmlns\.com`, `docs\.oasis-open\.org`, `spdx\.org`, // other namespaces
	`www\.rfc-editor\.org`, `www\.iana\.org`, `www\.apache\.org`, `keepachangelog\.com`, `semver\.org`,
	`stonechat\.im`, `github\.com`, `go\.dev`, `pkg\.go\.dev`,
	`localhost`, `127\.\d+\.\d+\.\d+`, `\[::1?\]`,
	`([\w-]+\.)*(example|test|invalid|localhost)`, `([\w-]+\.)*example\.(org|com|net)`,
	`[A-Z]+`, `%s`, `\$.*`, // placeholders in texts
}, "|") + `)$`)

var url = regexp.MustCompile(`\bhttps?://([^/\s:"'<>` + "`" + `)\]\\]+|\[[0-9a-f:]*\])`)

// CheckNames reports folders of a machine and hosts that the tree must not name.
func CheckNames(files []File) []Finding {
	var findings []Finding
	for _, f := range files {
		if f.isTestdata() || path.Base(f.Path) == "go.sum" || f.Path == "LICENSE" {
			continue
		}
		n := 0
		for line := range bytes.Lines(f.Data) {
			n++
			where := fmt.Sprintf("%s:%d", f.Path, n)
			if m := elsewhere.FindSubmatch(line); m != nil {
				findings = append(findings, Finding{where, "names " + string(m[2]), "a folder of one machine; use a temporary or a relative one"})
			}
			if f.isTest() {
				continue // tests quote the examples of specifications
			}
			for _, m := range url.FindAllSubmatch(line, -1) {
				if !hosts.Match(m[1]) {
					findings = append(findings, Finding{where, "names the host " + string(m[1]),
						"allowed hosts are in internal/lint/source.go; in examples use example.org"})
				}
			}
		}
	}
	return sorted(findings)
}
