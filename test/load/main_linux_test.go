// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// TestMain lets the test binary be its own children, as the program is.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "raw-relay":
		err = bench.RawRelay(os.Stdin, os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = bench.Worker(os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Every row runs and is written, with the raw relay alone: it needs nothing
// from the machine.
func TestRunsAllRows(t *testing.T) {
	dir := t.TempDir()
	o := options{rounds: 1, memory: 1, out: filepath.Join(dir, "benchmarks.md"), json: filepath.Join(dir, "all.json"), duration: 300 * time.Millisecond,
		idle: 10, grow: 10, rest: time.Millisecond, things: 10, live: time.Minute}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.out); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(o.json)
	if err != nil {
		t.Fatal(err)
	}
	var reports []finding
	if err := json.Unmarshal(data, &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != len(rows()) {
		t.Errorf("%d reports; want one for each of %d rows", len(reports), len(rows()))
	}
	for _, r := range reports {
		chosen, err := choose(r.Row)
		if err != nil {
			t.Fatal(err)
		}
		if res := r.Report.Results; chosen[0].lacks == "" && (len(res) != 1 || len(res[0].Figures) == 0) || chosen[0].lacks != "" && len(res) != 0 {
			t.Errorf("%s: %+v; want figures of the raw relay where it can take part", r.Row, res)
		}
	}
	// The document can be made of rows that were measured before.
	o.with, o.rows, o.json = o.json, "one", ""
	if err := os.Remove(o.out); err != nil {
		t.Fatal(err)
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.out); err != nil {
		t.Error(err)
	}
}
