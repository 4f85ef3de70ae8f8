// SPDX-License-Identifier: Apache-2.0

package bench

// What a run says. A workload gives a Sample of Values per target and round;
// a Report collects them as Figures (all rounds of one value) in Results (one
// per target), and finish adds medians and, for values that compare, Ratios to
// the raw relay and to the MQTT broker. table.go writes it for people.

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Names of figures, as they stand in JSON and at the head of table columns.
const (
	CPUPerMessage    = "CPU per message"
	GeneratorCPU     = "generator"
	Messages         = "messages"
	LatencyP50       = "p50"
	LatencyP99       = "p99"
	LatencyMax       = "max"
	WirePerMessage   = "wire per message"
	BytesPerIdle     = "resident per session"
	BytesAfterRecord = "resident after a long message"
	CPUPerLogin      = "CPU per login"
	Logins           = "logins"
	RecoverySpan     = "all back after"
	Retries          = "retries"
	BystanderCalm    = "bystanders' p99 before"
	BystanderP50     = "bystanders' p50"
	BystanderP99     = "bystanders' p99"
	BystanderMax     = "bystanders' max"
	GrownCPU         = "CPU per message, grown"
	Growth           = "growth"
	CPUPerCopy       = "CPU per copy"
	CPUPerPublish    = "CPU per publish"
	CPUPerKept       = "CPU per publish, kept"
	Copies           = "copies"
	WirePerCopy      = "wire per copy"
	Receivers        = "receivers"
	Channels         = "nodes"
	Subscriptions    = "subscriptions"
	Occupants        = "occupants"
	JoinSpan         = "all in after"
	ToldSpan         = "all know all after"
	Stored           = "messages in the archive"
	Storing          = "stored"
	CPUPerStored     = "CPU per message stored"
	CPUPerPage       = "CPU per page"
	LatestP50        = "latest page, p50"
	DeeperP50        = "next page, p50"
	ByTimeP50        = "page by time, p50"
	Resting          = "resting"
	BytesPerRoom     = "resident per room"
	BytesPerNode     = "resident per node"
	FirstP50         = "first message, p50"
	CPUPerDomain     = "CPU per new domain"
	BytesPerDomain   = "resident per remote domain"
	RemoteDomains    = "remote domains"
	Connections      = "connections"
	ReachSpan        = "all reached after"
	LoopP99          = "loop's p99"
	LatencyP95       = "p95"
	CPUPerReading    = "CPU per reading"
	CoreShare        = "of a core"
	BytesPerThing    = "resident per thing"
	ServerBytes      = "resident in all"
	ThingCPU         = "thing's CPU per reading"
	ThingBytes       = "thing's resident"
	ReadingsSent     = "sent"
	ReadingsAcked    = "acked"
	ReadingsArrived  = "arrived"
	ReadingsLost     = "lost"
	ReadingsDoubled  = "doubled"
	ReadingsLate     = "out of order"
	Reconnects       = "reconnects"
	Claims           = "claims"
	ClaimP50         = "claim p50"
	ClaimP99         = "claim p99"
	CommandP99       = askedSet + LatencyP99
	LastP50          = "last robot p50"
	LastP99          = "last robot p99"
	LastMax          = "last robot max"
	CPUPerGuarded    = "CPU per guarded request"
	CPUPerUnguarded  = "CPU per unguarded request"
	CPUPerDecision   = "CPU per decision"
	GuardedP99       = "guarded p99"
	UnguardedP99     = "unguarded p99"
)

// Value is one measured figure of one round.
type Value struct {
	Name, Unit string
	Value      float64
	Compare    bool // ratios to the raw relay and to the MQTT broker make sense
}

// Sample is what one round of one target gave.
type Sample struct {
	Values []Value
	Faults []string
}

func (s *Sample) set(name, unit string, v float64, compare bool) {
	s.Values = append(s.Values, Value{name, unit, v, compare})
}

func (s Sample) String() string {
	var b strings.Builder
	for i, v := range s.Values {
		if i > 0 {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s %s %s", v.Name, number(v.Value), v.Unit)
	}
	for _, f := range s.Faults {
		b.WriteString("  FAULT: " + f)
	}
	return b.String()
}

// Ratio compares a figure with the same figure of another target, round by
// round in one interleaved run.
type Ratio struct {
	To     string  `json:"to"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Figure is one figure of one target over all rounds.
type Figure struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	At      []int     `json:"at"` // the rounds that gave a value
	Rounds  []float64 `json:"rounds"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Ratios  []Ratio   `json:"ratios,omitempty"`
	compare bool
}

// Result is all that was found about one target.
type Result struct {
	Target   string   `json:"target"`
	Kind     Kind     `json:"kind"`
	Security Security `json:"security"`
	Version  string   `json:"version,omitempty"`
	Figures  []Figure `json:"figures"`
	Faults   []string `json:"faults,omitempty"`
}

// Figure returns a figure by name, nil when it was not measured.
func (r *Result) Figure(name string) *Figure {
	for i := range r.Figures {
		if r.Figures[i].Name == name {
			return &r.Figures[i]
		}
	}
	return nil
}

func (r *Result) describe(t *Target) {
	r.Target, r.Kind, r.Security, r.Version = t.String(), t.Kind, t.Security, t.Version
}

const (
	maxFaults = 20  // that a result lists
	maxFault  = 400 // bytes of one
)

func (r *Result) fault(f string) {
	switch n := len(r.Faults); {
	case n < maxFaults:
		r.Faults = append(r.Faults, strings.ToValidUTF8(f[:min(len(f), maxFault)], ""))
	case n == maxFaults:
		r.Faults = append(r.Faults, "more faults, not listed")
	}
}

func (r *Result) add(round int, s Sample) {
	for _, f := range s.Faults {
		r.fault(fmt.Sprintf("round %d: %s", round+1, f))
	}
	for _, v := range s.Values {
		f := r.Figure(v.Name)
		if f == nil {
			r.Figures = append(r.Figures, Figure{Name: v.Name, Unit: v.Unit, compare: v.Compare})
			f = &r.Figures[len(r.Figures)-1]
		}
		f.At = append(f.At, round)
		f.Rounds = append(f.Rounds, v.Value)
	}
}

// Report is what a run of one workload found. It marshals to JSON as it is.
type Report struct {
	Workload string    `json:"workload"`
	Settings any       `json:"settings"` // the workload's options
	Summary  string    `json:"summary"`  // the same for people
	Command  string    `json:"command,omitempty"`
	Machine  Machine   `json:"machine"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Rounds   int       `json:"rounds"`
	Results  []Result  `json:"results"`
}

func (r *Run) report(workload string, settings any, summary string, targets []Target) *Report {
	rep := &Report{Workload: workload, Settings: settings, Summary: summary, Command: r.Command, Machine: ThisMachine(),
		Started: time.Now(), Rounds: max(r.Rounds, 1), Results: make([]Result, len(targets))}
	for i := range targets {
		rep.Results[i].describe(&targets[i])
	}
	return rep
}

// finish computes medians and ratios, and says whether there were faults.
func (rep *Report) finish() error {
	rep.Seconds = time.Since(rep.Started).Seconds()
	faulty := false
	for i := range rep.Results {
		r := &rep.Results[i]
		faulty = faulty || len(r.Faults) > 0
		for k := range r.Figures {
			f := &r.Figures[k]
			f.Median, f.Min, f.Max = median(f.Rounds), slices.Min(f.Rounds), slices.Max(f.Rounds)
		}
	}
	rep.compare(Raw)
	rep.compare(MQTT)
	if faulty {
		return ErrFaults
	}
	return nil
}

// compare adds the ratios of every target to the first of that kind.
func (rep *Report) compare(kind Kind) {
	i := slices.IndexFunc(rep.Results, func(r Result) bool { return r.Kind == kind })
	if i < 0 {
		return
	}
	reference := &rep.Results[i]
	for k := range rep.Results {
		for j := range rep.Results[k].Figures {
			f := &rep.Results[k].Figures[j]
			if base := reference.Figure(f.Name); k != i && f.compare && base != nil {
				if r, ok := f.over(base); ok {
					r.To = reference.Target
					f.Ratios = append(f.Ratios, r)
				}
			}
		}
	}
}

// over divides a figure by another in the rounds that both have.
func (f *Figure) over(base *Figure) (Ratio, bool) {
	var ratios []float64
	for i, round := range f.At {
		if j := slices.Index(base.At, round); j >= 0 && base.Rounds[j] > 0 {
			ratios = append(ratios, f.Rounds[i]/base.Rounds[j])
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	return Ratio{Median: median(ratios), Min: slices.Min(ratios), Max: slices.Max(ratios)}, true
}

// WriteJSON writes the report as indented JSON.
func (rep *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(rep); err != nil {
		return fmt.Errorf("bench: writing JSON: %w", err)
	}
	return nil
}
