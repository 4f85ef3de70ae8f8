// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
)

// summarize prints the table, what was left out and the closing line, and
// reports whether the run counts as passed.
func summarize(w io.Writer, rows []row, ci bool) bool {
	var passed, failed, skipped int
	var seconds float64
	fmt.Fprintf(w, "\n%-14s %8s %8s %8s %8s\n", "stage", "seconds", "passed", "failed", "skipped")
	for _, r := range rows {
		verdict := ""
		if r.err != nil {
			verdict = "  FAILED: " + r.err.Error()
		}
		fmt.Fprintf(w, "%-14s %8.1f %8d %8d %8d%s\n",
			r.name, r.seconds, r.report.passed, r.report.failed, r.report.skipped, verdict)
		passed += r.report.passed
		failed += r.report.failed
		skipped += r.report.skipped
		seconds += r.seconds
	}
	fmt.Fprintf(w, "%-14s %8.1f\n", "in all", seconds)

	ok := failed == 0 && passed > 0
	for _, r := range rows {
		ok = ok && r.err == nil
		for _, reason := range r.report.leftOut {
			fmt.Fprintf(w, "left out: %s\n", reason)
		}
	}
	if ci && skipped > 0 {
		fmt.Fprintln(w, "with CI=true nothing may be left out")
		ok = false
	}

	fmt.Fprintf(w, "\n%d passed, %d failed", passed, failed)
	if skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", skipped)
	}
	fmt.Fprintln(w)
	return ok
}
