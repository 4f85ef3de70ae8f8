// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// Example is one fenced block of a document. The word after its language says
// what a test does with it:
//
//	```yaml config   a whole configuration file: loaded, strictly
//	```go build      a whole program: compiled
//	```sh run        commands: run by bash -e, with stonechat on the PATH, in a
//	                 temporary folder that the blocks of one document share
//	```sh server     the same beside a server for example.org, whose accounts juliet, romeo
//	                 and thermometer have the password … and whose configuration is
//	                 stonechat.yaml; how to reach it is in the environment
//	```LANG proxy    a reverse proxy's configuration: test/interop runs the proxy with it
//	```LANG show     only shown, because it cannot run in a test
type Example struct {
	Where string // file:line of the fence
	File  string
	Lang  string
	Act   string
	Text  string
}

// acts are what can be done with a language; those not listed are never run.
var acts = map[string][]string{
	"yaml": {"config", "show"},
	"go":   {"build", "show"},
	"sh":   {"run", "server", "show"},

	"nginx": {"proxy"}, "caddy": {"proxy"}, "haproxy": {"proxy"},
}

// Examples finds the fenced blocks of the documents (*.md) and reports those
// that do not say what a test is to do with them.
func Examples(files []File) ([]Example, []Finding) {
	var examples []Example
	var findings []Finding
	for _, f := range files {
		if path.Ext(f.Path) != ".md" || f.isTestdata() {
			continue
		}
		var open *Example
		indent, n := 0, 0
		for line := range bytes.Lines(f.Data) {
			n++
			text := strings.TrimRight(string(line), "\r\n")
			info, fence := strings.CutPrefix(strings.TrimLeft(text, " "), "```")
			switch {
			case fence && open == nil:
				indent = len(text) - len(strings.TrimLeft(text, " "))
				lang, act, _ := strings.Cut(strings.TrimSpace(info), " ")
				open = &Example{Where: fmt.Sprintf("%s:%d", f.Path, n), File: f.Path, Lang: lang, Act: act}
			case fence:
				if finding, ok := judge(*open); !ok {
					findings = append(findings, finding)
				}
				examples = append(examples, *open)
				open = nil
			case open != nil:
				open.Text += strings.TrimPrefix(text, strings.Repeat(" ", indent)) + "\n"
			}
		}
		if open != nil {
			findings = append(findings, Finding{open.Where, "has a fence that is never closed", ""})
		}
	}
	return examples, sorted(findings)
}

func judge(e Example) (Finding, bool) {
	allowed, known := acts[e.Lang]
	if !known {
		if e.Lang == "" || e.Lang == "xml" || e.Lang == "text" || e.Lang == "json" {
			return Finding{}, e.Act == ""
		}
		return Finding{e.Where, "has an example in " + e.Lang, "languages are listed in internal/lint/examples.go"}, false
	}
	for _, a := range allowed {
		if e.Act == a {
			return Finding{}, true
		}
	}
	return Finding{e.Where, fmt.Sprintf("has an example marked %q", e.Lang+" "+e.Act),
		"say what a test does with it: " + e.Lang + " " + strings.Join(allowed, ", or "+e.Lang+" ")}, false
}
