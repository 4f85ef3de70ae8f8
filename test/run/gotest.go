// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// command runs a program in the repository's root; its exit status is the verdict.
func command(name string, args ...string) func(context.Context, *report) error {
	return func(ctx context.Context, _ *report) error {
		c := prepare(ctx, name, args...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		return c.Run()
	}
}

// prepare makes a command that is asked to stop, then killed, when ctx ends.
func prepare(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			return c.Process.Kill()
		}
		return nil
	}
	c.WaitDelay = 20 * time.Second
	return c
}

// goTest runs `go test` with args (packages and flags) and counts the tests.
// With -v among them the output of tests that pass is shown too.
func goTest(args ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error { return runGoTest(ctx, r, args) }
}

// goTestAs is goTest for another kind of machine, whose programs this one runs too.
func goTestAs(goarch string, args ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		return runGoTest(ctx, r, args, "GOARCH="+goarch, "CGO_ENABLED=0")
	}
}

// unitTests runs the tests of all packages but those of the folder test/,
// which have stages of their own, and the house rules.
func unitTests(flags ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		packages, err := goList(ctx, "{{.ImportPath}}", "./...")
		if err != nil {
			return err
		}
		args := slices.Clone(flags)
		if r.ci {
			args = append(args, "-count=1")
		}
		for _, p := range packages {
			if strings.HasSuffix(p, "/internal/lint") || strings.Contains(p, "/test/") && !strings.HasSuffix(p, "/test/run") {
				continue
			}
			args = append(args, p)
		}
		return runGoTest(ctx, r, args)
	}
}

// runGoTest prints a line for each package, the output of what failed, and the
// reasons of what was skipped. Environment is set beside ours.
func runGoTest(ctx context.Context, r *report, args []string, environment ...string) error {
	full := []string{"test", "-json"}
	if deadline, ok := ctx.Deadline(); ok {
		full = append(full, "-timeout="+time.Until(deadline).Round(time.Second).String())
	}
	c := prepare(ctx, "go", append(full, args...)...)
	c.Env = append(os.Environ(), environment...)
	if slices.Contains(args, "-race") {
		// A program with the race detector sleeps for a second before it exits, for races that come just then.
		// Tests have waited for what matters to them before, and start hundreds of programs.
		c.Env = append(c.Env, "GORACE=atexit_sleep_ms=10")
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	readErr := countTests(out, os.Stdout, r, slices.Contains(args, "-v"))
	err = errors.Join(readErr, c.Wait())
	if err != nil {
		io.Copy(os.Stdout, &stderr)
	}
	return err
}

// testEvent is one line of `go test -json` (see `go doc test2json`).
type testEvent struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// countTests reads the events of `go test -json`, counts top-level tests and
// every skip into r, and writes what a reader wants to see to w. It returns an
// error only when the events cannot be read: a failed test is the exit status
// of `go test`. Verbose shows the output of what passes too.
func countTests(events io.Reader, w io.Writer, r *report, verbose bool) error {
	type key struct{ pkg, test string }
	output := map[key][]string{}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e testEvent
			if json.Unmarshal(line, &e) != nil {
				w.Write(line) // not an event: a message of the go command itself
				continue
			}
			k := key{e.Package, e.Test}
			top := e.Test != "" && !strings.Contains(e.Test, "/")
			switch e.Action {
			case "output", "build-output":
				if verbose {
					fmt.Fprint(w, e.Output)
					continue
				}
				output[k] = append(output[k], e.Output)
			case "build-fail":
				fmt.Fprint(w, strings.Join(output[k], ""))
			case "pass":
				if e.Test == "" {
					fmt.Fprintf(w, "ok    %s %.1fs\n", e.Package, e.Elapsed)
				}
				if top {
					r.passed++
				}
				delete(output, k)
			case "fail":
				fmt.Fprint(w, strings.Join(output[k], ""))
				if e.Test == "" {
					fmt.Fprintf(w, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
				}
				if top {
					r.failed++
				}
				delete(output, k)
			case "skip":
				if e.Test != "" {
					r.skipped++
					r.leftOut = append(r.leftOut, e.Test+": "+skipReason(output[k]))
				}
				delete(output, k)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading go test's events: %w", err)
		}
	}
}

// skipReason finds the text of t.Skip in a skipped test's output.
func skipReason(output []string) string {
	for _, line := range output {
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(strings.TrimSpace(line), "--- SKIP") {
			continue
		}
		if _, reason, ok := strings.Cut(line, ".go:"); ok {
			if _, reason, ok = strings.Cut(reason, ": "); ok {
				return strings.TrimSpace(reason)
			}
		}
	}
	return "no reason given"
}
