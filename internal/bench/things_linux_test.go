// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// What a meter shows tells which reading it is, and when it was taken to the microsecond.
func TestMeter(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(1_764_000_000, 0), time.Unix(1_764_000_000, 999_999_000), time.Unix(1_764_000_000, 123_001_000), time.Unix(1_764_000_000, 7_999_000),
	} {
		for _, n := range []uint64{0, 1, 17, 999_999} {
			body, err := reading("bench17", n, at)
			if err != nil {
				t.Fatal(err)
			}
			pack, err := senml.ParseJSON(body)
			if err != nil || len(pack) != 1 || pack[0].Name != "bench17:water" {
				t.Fatalf("%s: %+v, %v", body, pack, err)
			}
			if m, then := readMeter(pack[0].Value.Number().Float64(), pack[0].Time.Date(time.Time{})); m != n || !then.Equal(at) {
				t.Errorf("%s: reading %d of %v; want %d of %v", body, m, then, n, at)
			}
		}
	}
}

func TestAccountNumber(t *testing.T) {
	a := Accounts{Pattern: "m%dx"}
	if n, ok := a.number(a.name(42)); !ok || n != 42 {
		t.Errorf("%d, %v", n, ok)
	}
	for _, name := range []string{"", "m42", "42x", "mx", "m4 2x"} {
		if _, ok := a.number(name); ok {
			t.Errorf("%q has a number", name)
		}
	}
}

// The book tells what came once from what came again or late, and counts no reading of another time.
func TestBook(t *testing.T) {
	from := time.Unix(1_764_000_000, 0)
	in, out := from.Add(time.Second), from.Add(time.Minute)
	for name, tt := range map[string]struct {
		numbers                      []uint64
		at                           time.Time
		arrived, doubled, disordered int64
	}{
		"in order":               {[]uint64{5, 6, 7}, in, 3, 0, 0},
		"again":                  {[]uint64{5, 6, 6, 5}, in, 2, 2, 0},
		"late":                   {[]uint64{5, 7, 6, 8}, in, 4, 0, 1},
		"late and again":         {[]uint64{5, 7, 6, 6}, in, 3, 1, 1},
		"never":                  {[]uint64{5, 8}, in, 2, 0, 0},
		"after the time":         {[]uint64{5, 6}, out, 0, 0, 0},
		"before the time":        {[]uint64{5, 6}, from.Add(-time.Second), 0, 0, 0},
		"at the end of it":       {[]uint64{5}, from.Add(10 * time.Second), 0, 0, 0},
		"at the beginning of it": {[]uint64{5}, from, 1, 0, 0},
	} {
		b := newBook()
		b.note(3, 100, in, in) // nothing is measured yet
		b.measure(&span{from, from.Add(10 * time.Second)})
		for _, n := range tt.numbers {
			b.note(3, n, tt.at, tt.at.Add(time.Millisecond))
		}
		if b.arrived != tt.arrived || b.doubled != tt.doubled || b.disordered != tt.disordered || b.latency.n != uint64(tt.arrived) {
			t.Errorf("%s: %d arrived, %d doubled, %d late, %d latencies", name, b.arrived, b.doubled, b.disordered, b.latency.n)
		}
	}
}

// What is missing, or too much, is a fault of the run.
func TestReckon(t *testing.T) {
	w := &estate{o: ThingsOptions{Things: 2, Ask: true}, target: &Target{Kind: XMPP}}
	for name, tt := range map[string]struct {
		change func(told, had *thingsAnswer)
		faults int
	}{
		"all is well":           {func(_, _ *thingsAnswer) {}, 0},
		"lost":                  {func(_, had *thingsAnswer) { had.Arrived-- }, 1},
		"doubled":               {func(_, had *thingsAnswer) { had.Doubled++ }, 1},
		"late":                  {func(_, had *thingsAnswer) { had.Disordered++ }, 1},
		"not acked":             {func(told, _ *thingsAnswer) { told.Acked-- }, 1},
		"nothing told":          {func(told, had *thingsAnswer) { told.Reported, told.Acked, had.Arrived = 0, 0, 0 }, 1},
		"one was not read":      {func(_, had *thingsAnswer) { had.Read-- }, 1},
		"one has not obeyed":    {func(told, _ *thingsAnswer) { told.Done-- }, 1},
		"one has done it twice": {func(told, _ *thingsAnswer) { told.Done++ }, 1},
	} {
		told, had := newThingsAnswer(), newThingsAnswer()
		told.Reported, told.Acked, told.Done, told.Dials = 9, 9, 2, 2
		had.Arrived, had.Read, had.Set = 9, 2, 2
		tt.change(told, had)
		w.sample = Sample{}
		if w.reckon(told, had); len(w.sample.Faults) != tt.faults {
			t.Errorf("%s: %q", name, w.sample.Faults)
		}
	}
}

// Sessions of a broker tell and hear as things do.
func TestThingsOfBroker(t *testing.T) {
	m := startFakeMQTT(t)
	target := m.target()
	target.PID = os.Getpid()
	o := ThingsOptions{Things: 9, Owners: 4, Every: 500 * time.Millisecond, Duration: time.Second}
	rep, err := testRun(t, 1).Things(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, ReadingsSent, ReadingsAcked, ReadingsArrived, LatencyMax)
	if m.acks.Load() == 0 {
		t.Error("the owners acknowledge nothing")
	}
	// One that keeps some of it is found out.
	m.drops.Store(true)
	o.Drain = time.Second
	if rep, err = testRun(t, 1).Things(t.Context(), []Target{target}, o); !errors.Is(err, ErrFaults) ||
		!strings.Contains(strings.Join(rep.Results[0].Faults, " "), ReadingsLost) {
		t.Errorf("nothing is said to be lost: %v, %+v", err, rep)
	}
}

// Where the processes hear late when it is measured, it is measured later, and nothing is lost by that.
func TestThingsHearLate(t *testing.T) {
	target := startFakeMQTT(t).target()
	target.PID = os.Getpid()
	r := testRun(t, 1)
	r.Log = func(format string, args ...any) {
		t.Logf(format, args...)
		if !strings.Contains(format, "things are there") {
			return
		}
		var children []int
		all, _ := filepath.Glob("/proc/self/task/*/children")
		for _, name := range all {
			list, _ := os.ReadFile(name) // the thread may be gone
			for pid := range strings.FieldsSeq(string(list)) {
				if n, err := strconv.Atoi(pid); err == nil && syscall.Kill(n, syscall.SIGSTOP) == nil {
					children = append(children, n)
				}
			}
		}
		if len(children) < 2 {
			t.Errorf("of things and owners %d are stopped", len(children))
		}
		time.AfterFunc(3*time.Second, func() {
			for _, n := range children {
				_ = syscall.Kill(n, syscall.SIGCONT) // it may have been ended
			}
		})
	}
	o := ThingsOptions{Things: 9, Owners: 4, Every: 500 * time.Millisecond, Duration: time.Second, Drain: 10 * time.Second}
	rep, err := r.Things(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, ReadingsSent, ReadingsAcked, ReadingsArrived)
}

func TestThingsRefused(t *testing.T) {
	rep, err := testRun(t, 1).Things(t.Context(), []Target{{Name: "raw", Kind: Raw}}, ThingsOptions{Things: 1, Owners: 1, Every: time.Second, Duration: time.Second})
	if err == nil || rep == nil || len(rep.Results[0].Faults) == 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}
