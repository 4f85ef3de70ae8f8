// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/bench"
)

// finding of one row in which our server has the given figure.
func findingOf(g goal, median float64, faults ...string) finding {
	f := bench.Figure{Name: g.figure, Unit: "µs", Median: 8, Min: 8, Max: 8}
	if g.over == "" {
		f.Median, f.Min, f.Max = median, median, median
	} else {
		f.Ratios = []bench.Ratio{{To: "raw", Median: median, Min: median - 1, Max: median + 1}}
	}
	return finding{row: row{name: "row", title: "A row", goals: []goal{g}}, Missing: []string{"prosody: not\nhere"}, Report: &bench.Report{Summary: "few pairs", Command: "stonechat bench relay", Results: []bench.Result{
		{Target: g.target, Kind: bench.XMPP, Security: bench.StartTLS, Version: "Stonechat 1", Figures: []bench.Figure{f}, Faults: faults},
		{Target: "raw", Kind: bench.Raw, Figures: []bench.Figure{{Name: g.figure, Median: 4, Min: 4, Max: 4}}},
	}}}
}

func TestGoals(t *testing.T) {
	ratio := goal{"relay", "stonechat", bench.CPUPerMessage, bench.Raw, 2}
	value := goal{"wire", "stonechat", bench.WirePerMessage, "", 540}
	tests := []struct {
		goal   goal
		median float64
		want   string
	}{
		{ratio, 1.9, "| relay | ≤ 2 × raw | 1.90 [0.900–2.90] | yes | – | – | – | 1 |"},
		{ratio, 2.1, "| relay | ≤ 2 × raw | 2.10 [1.10–3.10] | **no** | – | – | – | 1 |"},
		{value, 540, "| wire | ≤ 540 | 540 | yes | – | – | – | 4.00 |"},
	}
	for _, tt := range tests {
		f := findingOf(tt.goal, tt.median)
		d := document{rows: []row{f.row}, findings: []finding{f}}
		if got := d.goals(); !strings.Contains(got, tt.want+"\n") {
			t.Errorf("got\n%swant the line\n%s", got, tt.want)
		}
	}
	// What was not measured is neither met nor missed.
	f := findingOf(ratio, 1)
	f.Report.Results = f.Report.Results[1:]
	if got := (&document{rows: []row{f.row}, findings: []finding{f}}).goals(); !strings.Contains(got, "| relay | ≤ 2 × raw | – | – | – | – | – | 1 |") {
		t.Error(got)
	}
}

func TestDocumentKeepsNotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	g := goal{"relay", "stonechat", bench.CPUPerMessage, bench.Raw, 2}
	f := findingOf(g, 3, "7 messages lost")
	d := document{rows: []row{f.row}, findings: []finding{f}}
	if err := d.writeFile(path); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"**no**", "FAULT stonechat: 7 messages lost", "Not measured: prosody: not here", "stonechat: Stonechat 1", "    stonechat bench relay\n"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	noted := strings.Replace(string(page), notesBegin+"\n", notesBegin+"\nBecause of the lock.\n", 1)
	if err := os.WriteFile(path, []byte(noted), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.writeFile(path); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != noted {
		t.Errorf("written again (%v):\n%s\nwant\n%s", err, again, noted)
	}
	// A row that was not measured this time keeps its goals and its section.
	other := findingOf(goal{"wire", "stonechat", bench.WirePerMessage, "", 540}, 500)
	other.row.name, other.row.title = "other", "Another row"
	d = document{rows: []row{f.row, other.row}, findings: []finding{other}}
	if err := d.writeFile(path); err != nil {
		t.Fatal(err)
	}
	page, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| relay | ≤ 2 × raw | 3.00", "| wire | ≤ 540 | 500 |", "\n## A row\n\nFew pairs", "FAULT stonechat: 7 messages lost\n\n## Another row\n\n", "Because of the lock.", "earlier run"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

// Where the others have nothing like it the table says so.
func TestGoalsOfWhatOthersLack(t *testing.T) {
	f := findingOf(goal{"copies", "stonechat", bench.CPUPerCopy, "", 2.5}, 2)
	f.row.lacks, f.Report.Results = "no rooms", f.Report.Results[:1]
	d := document{rows: []row{f.row}, findings: []finding{f}}
	if got, want := d.goals(), "| copies | ≤ 2.5 | 2.00 | yes | – | – | no rooms | no rooms |"; !strings.Contains(got, want+"\n") {
		t.Errorf("got\n%swant the line\n%s", got, want)
	}
}

// What is divided for the others is not for us.
func TestShare(t *testing.T) {
	o := options{quick: true, idle: 5, things: 5}
	for _, r := range rows() {
		theirs := r.shareOf(bench.Target{Name: "prosody"}, o)
		if mine := r.shareOf(bench.Target{Name: "stonechat"}, o); mine != 1 || theirs < 1 {
			t.Errorf("%s: our share is 1/%d, theirs 1/%d", r.name, mine, theirs)
		}
		if r.accounts(o, theirs) > r.accounts(o, 1) || r.accounts(o, 1) < 1 {
			t.Errorf("%s: %d accounts, %d for others", r.name, r.accounts(o, 1), r.accounts(o, theirs))
		}
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose("one,relay"); err != nil || len(got) != 2 || got[0].name != "one" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := choose("relay,two"); err == nil {
		t.Error("a row that does not exist was taken")
	}
	if got, err := choose("sessions,places,federation,things"); err != nil || len(got) != len(rows()) {
		t.Errorf("%d rows, %v", len(got), err)
	}
	if got, err := choose("none"); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := choose(""); err != nil || len(got) != len(rows()) {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

// The configuration that our server is measured with is one that it takes.
func TestStonechatConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stonechat.yaml")
	s := &server{software: software{name: "stonechat"}, dir: t.TempDir(), domain: "bench.test", resolver: "127.0.0.1:5353",
		ports: map[string]int{"client": 5222, "metrics": 9090, federating: 5269}}
	for _, s.archive = range []bool{false, true} {
		s.federated = s.archive
		if err := os.WriteFile(path, []byte(stonechatConfig(s)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path); err != nil {
			t.Error(err)
		}
	}
}
