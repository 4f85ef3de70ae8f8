// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// Generator is one //go:generate line. Generators live in internal/gen and have
// one flag in common: with -check they write nothing, and fail when the file
// they would write differs from the one that is there.
type Generator struct {
	Where string   // file:line
	Dir   string   // where it runs
	Args  []string // of go, "run" first
}

// Generators finds the //go:generate lines, and reports those that a test
// cannot check and generated files that come from nowhere.
func Generators(files []File) ([]Generator, []Finding) {
	var generators []Generator
	var findings []Finding
	folders := map[string]bool{}
	for _, f := range files {
		if !f.isGo() || f.isTestdata() {
			continue
		}
		n := 0
		for line := range bytes.Lines(f.Data) {
			n++
			rest, ok := strings.CutPrefix(string(line), "//go:generate ")
			if !ok {
				continue
			}
			where := fmt.Sprintf("%s:%d", f.Path, n)
			args := strings.Fields(rest)
			if len(args) < 3 || args[0] != "go" || args[1] != "run" || !strings.Contains(args[2], "/internal/gen/") {
				findings = append(findings, Finding{where, "generates with " + strings.TrimSpace(rest),
					"generators are `go run …/internal/gen/NAME`, because those know -check"})
				continue
			}
			folders[path.Dir(f.Path)] = true
			generators = append(generators, Generator{where, path.Dir(f.Path), args[1:]})
		}
	}
	for _, f := range files {
		if f.isGo() && f.isGenerated() && !folders[path.Dir(f.Path)] {
			findings = append(findings, Finding{f.Path, "is generated, but no //go:generate of its folder says how", ""})
		}
	}
	return generators, sorted(findings)
}
