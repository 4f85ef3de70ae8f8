// SPDX-License-Identifier: Apache-2.0

// Command run is what `make check`, `make test`, `make fuzz` and `make soak`
// call: it runs the stages of stages.go one after the other and prints a table
// of them, with seconds and with what it left out and why.
//
//	go run ./test/run check            the quick stages
//	go run ./test/run test             everything that can run here
//	go run ./test/run soak             the long ones only
//	go run ./test/run -only unit,lint  some stages by name
//	go run ./test/run -list            what there is
//
// The exit status is 0 only if no stage failed; with CI=true in the environment
// also only if nothing was left out or skipped. Its last line is
// "N passed, N failed", with ", N skipped" where there were any.
//
// Reading order: stages.go is the table, main.go walks it, gotest.go and
// fuzz.go run tests and count them, needs.go says what a machine can do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// level says which make target a stage belongs to.
type level string

const (
	check level = "check" // quick; part of test too
	test  level = "test"
	soak  level = "soak" // long; only by `make soak`
)

// defaultLimit ends a stage that says no limit of its own.
const defaultLimit = 10 * time.Minute

// stage is one row of the table in stages.go.
type stage struct {
	name  string
	in    level
	run   func(context.Context, *report) error
	needs []need
	limit time.Duration // 0: defaultLimit
}

// request is what the caller asked for; stages may do more in test than in check.
type request struct {
	level    level
	ci       bool          // CI=true: nothing may be left out, nothing is taken from go's test cache
	fuzzTime time.Duration // per fuzz target; 0: the stage's own
}

// report is what a stage is asked and what it tells about itself while it runs.
type report struct {
	request
	passed  int
	failed  int
	skipped int
	leftOut []string // reasons, each naming what did not run
}

// row is one line of the table printed at the end.
type row struct {
	name    string
	seconds float64
	report  report
	err     error
}

func main() { os.Exit(run()) }

// run is main; it returns the exit status.
func run() int {
	list := flag.Bool("list", false, "list the stages and stop")
	only := flag.String("only", "", "run these stages only (names, separated by commas)")
	fuzzTime := flag.Duration("fuzztime", 0, "how long to fuzz each target instead of the stage's own time")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	asked := level(flag.Arg(0))
	if asked == "" {
		asked = test
	}
	chosen, err := choose(stages(), asked, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if *list {
		for _, s := range chosen {
			fmt.Printf("%-6s %s\n", s.in, s.name)
		}
		return 0
	}
	// Stages that run stonechat find here what stages before them have built (test/program).
	built, err := os.MkdirTemp("", "stonechat-programs")
	if err == nil {
		defer os.RemoveAll(built)
		err = os.Setenv("STONECHAT_PROGRAMS", built)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	req := request{level: asked, ci: os.Getenv("CI") == "true", fuzzTime: *fuzzTime}
	var rows []row
	for _, s := range chosen {
		rows = append(rows, runStage(ctx, s, req))
		if ctx.Err() != nil {
			break
		}
	}
	if !summarize(os.Stdout, rows, req.ci) || ctx.Err() != nil {
		return 1
	}
	return 0
}

// choose returns the stages of the level asked for, or those named in only.
func choose(all []stage, asked level, only string) ([]stage, error) {
	if asked != check && asked != test && asked != soak {
		return nil, fmt.Errorf("run: %q is none of check, test, soak", asked)
	}
	var chosen []stage
	if only != "" {
		for name := range strings.SplitSeq(only, ",") {
			found := false
			for _, s := range all {
				if s.name == name {
					chosen, found = append(chosen, s), true
				}
			}
			if !found {
				return nil, fmt.Errorf("run: no stage is called %q; -list shows them", name)
			}
		}
		return chosen, nil
	}
	for _, s := range all {
		if s.in == asked || asked == test && s.in == check {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// runStage runs one stage within its limit, or says why it cannot.
func runStage(ctx context.Context, s stage, req request) row {
	fmt.Printf("\n=== %s\n", s.name)
	r := row{name: s.name, report: report{request: req}}
	for _, n := range s.needs {
		if reason := n(ctx); reason != "" {
			fmt.Printf("left out: %s\n", reason)
			r.report.skipped++
			r.report.leftOut = append(r.report.leftOut, s.name+": "+reason)
			return r
		}
	}
	limit := s.limit
	switch {
	case req.fuzzTime > 0:
		limit = 24 * time.Hour // the caller says how long
	case limit == 0:
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	start := time.Now()
	r.err = s.run(ctx, &r.report)
	r.seconds = time.Since(start).Seconds()
	if ctx.Err() == context.DeadlineExceeded {
		r.err = fmt.Errorf("not done after %s", limit)
	}
	if r.err != nil && r.report.failed == 0 {
		r.report.failed = 1 // a command that counts nothing is one check
	} else if r.err == nil && r.report.passed+r.report.failed+r.report.skipped == 0 {
		r.report.passed = 1
	}
	if r.err != nil {
		fmt.Printf("FAILED %s: %v\n", s.name, r.err)
	}
	return r
}
