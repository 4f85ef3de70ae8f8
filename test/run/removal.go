// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// removal proves what a module costs: in a copy of the tree it deletes the
// folder of each module and its lines in wire.go, one module at a time, and
// what is left, tests included, must still compile.
func removal(modules ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		for _, name := range modules {
			if err := removeModule(ctx, name); err != nil {
				r.failed++
				fmt.Printf("FAIL  without %s: %v\n", name, err)
				continue
			}
			r.passed++
			fmt.Printf("ok    without %s\n", name)
		}
		if r.failed > 0 {
			return fmt.Errorf("%d of %d modules cannot be removed", r.failed, len(modules))
		}
		return nil
	}
}

func removeModule(ctx context.Context, name string) error {
	dir, err := os.MkdirTemp("", "stonechat-without-"+name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(dir); err != nil {
		return err
	}
	folder := filepath.Join(dir, "module", name)
	if _, err := os.Stat(folder); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	wire := filepath.Join(dir, "cmd", "stonechat", "wire.go")
	text, err := os.ReadFile(wire)
	if err != nil {
		return err
	}
	left := withoutModule(string(text), name)
	if left == string(text) {
		return fmt.Errorf("wire.go does not name it")
	}
	if err := os.WriteFile(wire, []byte(left), 0o600); err != nil {
		return err
	}
	c := prepare(ctx, "go", "vet", "./...")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go vet: %w\n%s", err, out)
	}
	return nil
}

// withoutModule drops the import of a module and the lines that make it.
func withoutModule(wire, name string) string {
	quoted := regexp.QuoteMeta(name)
	its := regexp.MustCompile(`/module/` + quoted + `"$|\b` + quoted + `\.New\(`)
	var left strings.Builder
	for line := range strings.Lines(wire) {
		if !its.MatchString(strings.TrimRight(line, "\n")) {
			left.WriteString(line)
		}
	}
	return left.String()
}

// copyTree copies the Go module without what git ignores.
func copyTree(dir string) error {
	return filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "bin" || name == "data" || name == "demo-data" || name == ".cache" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, name), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), data, 0o600)
	})
}
