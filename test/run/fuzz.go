// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fuzz runs every fuzz target of the module for a while: short in `make check`,
// long in the others, or as long as -fuzztime says (`make fuzz`). A package is built once for all its targets.
func fuzz(short, long time.Duration) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		each := long
		if r.level == check {
			each = short
		}
		if r.fuzzTime > 0 {
			each = r.fuzzTime
		}
		packages, err := fuzzPackages(ctx)
		if err != nil {
			return err
		}
		cache, err := prepare(ctx, "go", "env", "GOCACHE").Output()
		if err != nil {
			return fmt.Errorf("go env: %w", err)
		}
		box, err := os.MkdirTemp("", "stonechat-fuzz")
		if err != nil {
			return err
		}
		defer os.RemoveAll(box)
		for _, p := range packages {
			start := time.Now()
			binary := filepath.Join(box, filepath.Base(p.path)+".test")
			if out, err := prepare(ctx, "go", "test", "-c", "-fuzz=.", "-o", binary, p.path).CombinedOutput(); err != nil {
				r.failed += len(p.targets)
				fmt.Printf("FAIL  %s: %v\n%s", p.path, err, out)
				continue
			}
			fmt.Printf("built %s %.1fs\n", p.path, time.Since(start).Seconds())
			for _, target := range p.targets {
				start := time.Now()
				if err := p.fuzz(ctx, binary, strings.TrimSpace(string(cache)), target, each); err != nil {
					r.failed++
					fmt.Printf("FAIL  %s %s: %v\n", p.path, target, err)
					continue
				}
				r.passed++
				fmt.Printf("ok    %s %s %.1fs\n", p.path, target, time.Since(start).Seconds())
			}
			if err := os.Remove(binary); err != nil {
				return err
			}
		}
		if r.failed > 0 {
			return fmt.Errorf("%d of %d targets", r.failed, r.passed+r.failed)
		}
		return nil
	}
}

// fuzzPackage is a package with fuzz targets.
type fuzzPackage struct {
	path, dir string
	targets   []string
}

// fuzzPackages finds the functions called Fuzz… in the module's tests.
func fuzzPackages(ctx context.Context) ([]fuzzPackage, error) {
	// A package's line is its import path, its folder and its test files.
	c := prepare(ctx, "go", "list", "-f",
		"{{.ImportPath}}|{{.Dir}}|{{range .TestGoFiles}}{{.}} {{end}}{{range .XTestGoFiles}}{{.}} {{end}}", "./...")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []fuzzPackage
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		dir, files, _ := strings.Cut(rest, "|")
		p := fuzzPackage{path: path, dir: dir}
		for _, file := range strings.Fields(files) {
			source, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return nil, err
			}
			for l := range bytes.Lines(source) {
				name, ok := bytes.CutPrefix(l, []byte("func Fuzz"))
				if !ok {
					continue
				}
				name, _, _ = bytes.Cut(name, []byte("("))
				p.targets = append(p.targets, "Fuzz"+string(name))
			}
		}
		if len(p.targets) > 0 {
			packages = append(packages, p)
		}
	}
	return packages, nil
}

// fuzz runs one target as `go test` does, which would link the package again for each. The fuzzer
// sometimes reports the end of its own time as a failure ("context deadline exceeded") without
// having found an input; such a run is repeated, twice at most.
func (p *fuzzPackage) fuzz(ctx context.Context, binary, cache, target string, each time.Duration) error {
	for again := 2; ; again-- {
		c := prepare(ctx, binary, "-test.run=^$", "-test.fuzz=^"+target+"$", "-test.fuzztime="+each.String(), "-test.paniconexit0",
			"-test.fuzzminimizetime="+min(each, time.Minute).String(), "-test.fuzzcachedir="+filepath.Join(cache, "fuzz", filepath.FromSlash(p.path)))
		c.Dir = p.dir
		out, err := c.CombinedOutput()
		if err == nil {
			return nil
		}
		spurious := bytes.Contains(out, []byte("context deadline exceeded")) && !bytes.Contains(out, []byte("Failing input"))
		if !spurious || again == 0 {
			os.Stdout.Write(out)
			return err
		}
	}
}
