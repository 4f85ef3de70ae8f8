// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a scenario says wrong is told with its place.
func TestReadScenario(t *testing.T) {
	const field = "fields: [{name: a, walk: '0,1,0.5'}]"
	for text, want := range map[string]string{
		"things: [{account: a@x, " + field + "}]":                                            "",
		"things: [{account: m%d@x, count: 3, first: 7, " + field + ", set: [lamp=boolean]}]": "",
		"things: [{account: m@x, count: 3, " + field + "}]":                                  "%d",
		"things: []":                "0 things",
		"things: [{account: a@x}]":  "fields are missing",
		"things: [{" + field + "}]": "account is missing",
		"thing: []":                 "thing",
		"things: [{account: a@x, count: 100001, fields: [{name: a, steps: '1'}]}]":                        "%d",
		"things: [{account: a%d@x, count: 100001, " + field + "}]":                                        "100001",
		"things: [{account: a@x, fields: [{name: a}]}]":                                                   "one of sine",
		"things: [{account: a@x, fields: [{name: a b, steps: '1'}]}]":                                     "letters",
		"things: [{account: a@x, fields: [{name: a, steps: '1', sine: '0,1,1s'}]}]":                       "one of sine",
		"things: [{account: a@x, fields: [{name: a, csv: nowhere}]}]":                                     "FILE:COLUMN",
		"things: [{account: a@x, " + field + ", set: [lamp]}]":                                            "--set",
		"things: [{account: a@x, " + field + ", faults: [{kind: fire, every: 2s, for: 1s}]}]":             "stuck, noise",
		"things: [{account: a@x, " + field + ", faults: [{kind: outage, every: 1s, for: 1s}]}]":           "longer",
		"things: [{account: a@x, " + field + ", faults: [{kind: noise, every: 2s, for: 1s}]}]":            "size",
		"things: [{account: a@x, " + field + ", faults: [{kind: stuck, field: b, every: 2s, for: 1s}]}]":  "b, which there is not",
		"things: [{account: a@x, " + field + ", faults: [{kind: outage, every: 2s, for: 1s, share: 2}]}]": "share",
	} {
		name := filepath.Join(t.TempDir(), "s.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readScenario(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The values of a field are the same for the same seed, and a column is read round and round.
func TestFieldLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.csv")
	if err := os.WriteFile(name, []byte("time,level [m]\n1,2.5\n2,\n3,true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := columnOf(name + ":level"); err != nil || strings.Join(got, " ") != "2.5 true" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{name + ":nothing", name, name + "x:level"} {
		if _, err := columnOf(bad); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	l := FieldLine{Name: "a", Walk: walk{low: 0, high: 10, step: 1, now: 5}}
	at := time.Unix(1_000_000_000, 0)
	values := func() (list []string) {
		source, err := l.source(seeded(7, 1))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			list = append(list, source(at).String())
		}
		return list
	}
	if a, b := strings.Join(values(), " "), strings.Join(values(), " "); a != b {
		t.Errorf("%s, then %s", a, b)
	}
}
