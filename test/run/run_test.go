// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all := []stage{{name: "vet", in: check}, {name: "crash", in: test}, {name: "long", in: soak}}
	for _, c := range []struct {
		asked level
		only  string
		want  string
		err   bool
	}{
		{asked: check, want: "vet"},
		{asked: test, want: "vet crash"},
		{asked: soak, want: "long"},
		{asked: test, only: "long,vet", want: "long vet"},
		{asked: test, only: "vte", err: true},
		{asked: "tset", err: true},
	} {
		got, err := choose(all, c.asked, c.only)
		var names []string
		for _, s := range got {
			names = append(names, s.name)
		}
		if (err != nil) != c.err || strings.Join(names, " ") != c.want {
			t.Errorf("choose(%q, %q) = %v, %v; want %s", c.asked, c.only, names, err, c.want)
		}
	}
}

func TestStages(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range stages() {
		if seen[s.name] {
			t.Errorf("two stages are called %s", s.name)
		}
		seen[s.name] = true
		if s.run == nil || s.in != check && s.in != test && s.in != soak {
			t.Errorf("stage %s lacks what it runs, or when", s.name)
		}
		if s.in == check && s.needs != nil && s.name != "race" {
			t.Errorf("stage %s has needs; what is in check runs everywhere", s.name)
		}
	}
}

func TestWithoutModule(t *testing.T) {
	wire := "import (\n\t\"x/module/ping\"\n\t\"x/module/pinger\"\n)\n\n\tw.add(ping.New())\n\tw.add(pinger.New(ping.NS))\n"
	want := "import (\n\t\"x/module/pinger\"\n)\n\n\tw.add(pinger.New(ping.NS))\n"
	if got := withoutModule(wire, "ping"); got != want {
		t.Errorf("got %s", got)
	}
}

func TestCountTests(t *testing.T) {
	events := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: boom\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC/s","Output":"=== RUN   TestC/s\n"}
{"Action":"output","Package":"p","Test":"TestC/s","Output":"    c_test.go:9: needs root: for chroot\n"}
{"Action":"output","Package":"p","Test":"TestC/s","Output":"    --- SKIP: TestC/s (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestC/s"}
{"Action":"pass","Package":"p","Test":"TestC"}
not json
{"Action":"skip","Package":"empty"}
{"Action":"fail","Package":"p","Elapsed":1.5}
`
	var r report
	var w strings.Builder
	if err := countTests(strings.NewReader(events), &w, &r, false); err != nil {
		t.Fatal(err)
	}
	if r.passed != 2 || r.failed != 1 || r.skipped != 1 {
		t.Errorf("counted %d, %d, %d", r.passed, r.failed, r.skipped)
	}
	if got := strings.Join(r.leftOut, "|"); got != "TestC/s: needs root: for chroot" {
		t.Errorf("left out: %s", got)
	}
	if s := w.String(); !strings.Contains(s, "boom") || !strings.Contains(s, "not json") || strings.Contains(s, "chatter") {
		t.Errorf("printed:\n%s", s)
	}
}

func TestSummarize(t *testing.T) {
	passed := row{name: "a", report: report{passed: 3}}
	leftOut := row{name: "b", report: report{skipped: 1, leftOut: []string{"b: needs root"}}}
	failed := row{name: "c", report: report{passed: 1, failed: 1}, err: errors.New("exit status 1")}
	for _, c := range []struct {
		rows    []row
		ci      bool
		ok      bool
		closing string
	}{
		{rows: []row{passed}, ci: true, ok: true, closing: "3 passed, 0 failed\n"},
		{rows: []row{passed, leftOut}, ok: true, closing: "3 passed, 0 failed, 1 skipped\n"},
		{rows: []row{passed, leftOut}, ci: true, closing: "3 passed, 0 failed, 1 skipped\n"},
		{rows: []row{passed, failed}, closing: "4 passed, 1 failed\n"},
		{rows: nil, closing: "0 passed, 0 failed\n"},
	} {
		var w strings.Builder
		if ok := summarize(&w, c.rows, c.ci); ok != c.ok || !strings.HasSuffix(w.String(), c.closing) {
			t.Errorf("%v, ci %v: %v\n%s", c.rows, c.ci, ok, w.String())
		}
	}
}

func TestRunStage(t *testing.T) {
	never := func(context.Context) string { return "needs a moon" }
	for _, c := range []struct {
		stage                   stage
		passed, failed, skipped int
	}{
		{stage{run: func(context.Context, *report) error { return nil }}, 1, 0, 0},
		{stage{run: func(context.Context, *report) error { return errors.New("no") }}, 0, 1, 0},
		{stage{needs: all(never)}, 0, 0, 1},
		{stage{limit: 1, run: func(ctx context.Context, _ *report) error { <-ctx.Done(); return nil }}, 0, 1, 0},
	} {
		r := runStage(t.Context(), c.stage, request{level: check}).report
		if r.passed != c.passed || r.failed != c.failed || r.skipped != c.skipped {
			t.Errorf("%+v", r)
		}
	}
}
