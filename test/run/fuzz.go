// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// fuzz runs every fuzz target of the module for a while: short in `make check`,
// long in `make test`, or as long as -fuzztime says (`make fuzz`).
func fuzz(short, long time.Duration) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		each := long
		if r.level == check {
			each = short
		}
		if r.fuzzTime > 0 {
			each = r.fuzzTime
		}
		targets, err := fuzzTargets(ctx)
		if err != nil {
			return err
		}
		for _, t := range targets {
			start := time.Now()
			err := fuzzOne(ctx, t, each)
			if err != nil {
				r.failed++
				fmt.Printf("FAIL  %s %s: %v\n", t.pkg, t.name, err)
				continue
			}
			r.passed++
			fmt.Printf("ok    %s %s %.1fs\n", t.pkg, t.name, time.Since(start).Seconds())
		}
		if r.failed > 0 {
			return fmt.Errorf("%d of %d targets", r.failed, len(targets))
		}
		return nil
	}
}

type fuzzTarget struct{ pkg, name string }

// fuzzTargets finds the functions called Fuzz… in the module's tests.
func fuzzTargets(ctx context.Context) ([]fuzzTarget, error) {
	// A package's line is its import path, its folder and its test files.
	c := prepare(ctx, "go", "list", "-f",
		"{{.ImportPath}}|{{.Dir}}|{{range .TestGoFiles}}{{.}} {{end}}{{range .XTestGoFiles}}{{.}} {{end}}", "./...")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var targets []fuzzTarget
	for line := range strings.Lines(string(out)) {
		pkg, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		dir, files, _ := strings.Cut(rest, "|")
		for _, file := range strings.Fields(files) {
			source, err := os.ReadFile(dir + string(os.PathSeparator) + file)
			if err != nil {
				return nil, err
			}
			for l := range bytes.Lines(source) {
				name, ok := bytes.CutPrefix(l, []byte("func Fuzz"))
				if !ok {
					continue
				}
				name, _, _ = bytes.Cut(name, []byte("("))
				targets = append(targets, fuzzTarget{pkg, "Fuzz" + string(name)})
			}
		}
	}
	return targets, nil
}

// fuzzOne runs one target. The fuzzer sometimes reports the end of its own time
// as a failure ("context deadline exceeded") without having found an input;
// such a run is repeated once.
func fuzzOne(ctx context.Context, t fuzzTarget, each time.Duration) error {
	for again := true; ; again = false {
		c := prepare(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(),
			"-fuzzminimizetime="+min(each, time.Minute).String(), t.pkg)
		out, err := c.CombinedOutput()
		if err == nil {
			return nil
		}
		spurious := bytes.Contains(out, []byte("context deadline exceeded")) && !bytes.Contains(out, []byte("Failing input"))
		if !spurious || !again {
			os.Stdout.Write(out)
			return err
		}
	}
}
