// SPDX-License-Identifier: Apache-2.0

// Package lint holds the house rules of this repository as Go tests, for
// everyone who changes it: `go test ./internal/lint` says what is broken, where,
// and why the rule exists.
//
// Each rule is a function from the tree to findings; tree_test.go runs them all
// on the real tree, the other tests run them on small made-up ones. A rule that
// needs an exception has a table of them in its file, each with its reason; a
// row that no longer excepts anything is itself a finding.
//
//	layers.go      who may import whom (the layer table), and the standard library's shut doors
//	thirdparty.go  which folder may use which third-party module
//	docs.go        every package documented; "XEP-0199 (complete, 2.0.1)" lines
//	doap.go        doap.xml against those lines, and against a running server's disco answer
//	source.go      SPDX line, length and opening of files, paths and hosts that must not be named
//	syntax.go      no init, no written globals, no time.Sleep in tests
//	modules.go     a module has one name everywhere
//	links.go       links between documents
//	examples.go    fenced examples of README.md and docs/ are loaded, built or run
//	generated.go   generated files are what their generators write
package lint

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Module is the import path of this module.
const Module = "github.com/stonechat-im/stonechat"

// Finding is one place where the tree breaks a rule.
type Finding struct {
	Where  string // file, file:line or package, relative to the root
	What   string // what is wrong there
	Reason string // why the rule exists, or how to obey it
}

func (f Finding) String() string {
	s := f.Where + ": " + f.What
	if f.Reason != "" {
		s += "\n\t" + f.Reason
	}
	return s
}

// Root returns the repository's root: the nearest folder upwards with go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("lint: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("lint: no go.mod above %s", dir)
		}
		dir = parent
	}
}

// sorted returns findings in a steady order without repeats.
func sorted(findings []Finding) []Finding {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(findings)
}
