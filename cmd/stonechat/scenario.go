// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Scenario is the file that `thing run --scenario` reads; a Crowd is things of one kind. scenario_run.go has
// them live.

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// Scenario is virtual things, what they measure and what goes wrong with them.
type Scenario struct {
	Duration time.Duration `yaml:"duration"` // of the whole; 0: until it is interrupted
	Progress time.Duration `yaml:"progress"` // how often a line says how it goes; 0: never
	Seed     uint64        `yaml:"seed"`     // of all that is random; the same seed, the same values. 0: another each time
	Things   []Crowd       `yaml:"things"`
}

// Crowd is things of one kind.
type Crowd struct {
	Account  string        `yaml:"account"` // name@domain; %d in it is the number of the thing
	Count    int           `yaml:"count"`   // 0 is 1
	First    int           `yaml:"first"`   // the number of the first
	Owner    string        `yaml:"owner"`   // "": that of the command line, or whoever claims it
	Password string        `yaml:"password"`
	Name     string        `yaml:"name"`  // for people; %d as in account
	Every    time.Duration `yaml:"every"` // how often each tells a reading; 0 is 10s. They begin spread over that
	Fields   []FieldLine   `yaml:"fields"`
	Set      []string      `yaml:"set"`   // NAME=KIND, as on the command line
	Sleep    bool          `yaml:"sleep"` // between readings
	Tell     string        `yaml:"tell"`  // owner, followers or both; "" is owner
	State    string        `yaml:"state"` // a folder with one for each; "": a reboot takes what is not told
	Keep     int           `yaml:"keep"`  // readings kept while there is no connection; 0 is 1000
	Faults   []Fault       `yaml:"faults"`
}

// FieldLine is what is measured: one of its last four.
type FieldLine struct {
	Name  string `yaml:"name"`
	Unit  string `yaml:"unit"`
	Sine  sine   `yaml:"sine"`  // LOW,HIGH,PERIOD
	Walk  walk   `yaml:"walk"`  // LOW,HIGH,STEP
	Steps string `yaml:"steps"` // values with a space between; one after the other, round and round
	CSV   string `yaml:"csv"`   // FILE:COLUMN, as steps
}

// Fault is something that goes wrong with some of the things, again and again.
type Fault struct {
	Kind  string        `yaml:"kind"`  // stuck, noise, outage or reboot
	Field string        `yaml:"field"` // of stuck and noise; "": all
	Every time.Duration `yaml:"every"` // on average, from one beginning to the next
	For   time.Duration `yaml:"for"`
	Share float64       `yaml:"share"` // of the things, 0 to 1; 0 is all
	Size  float64       `yaml:"size"`  // of noise: up to so much more or less
}

const maxCrowd = 100_000 // things of a scenario

// readScenario reads and checks a file.
func readScenario(name string) (*Scenario, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s := new(Scenario)
	if err := config.Decode(filepath.Base(name), data, s); err != nil {
		return nil, err
	}
	total := 0
	for i := range s.Things {
		c := &s.Things[i]
		if err := c.complete(); err != nil {
			return nil, fmt.Errorf("%s: things[%d]: %w", filepath.Base(name), i, err)
		}
		total += c.Count
	}
	if total == 0 || total > maxCrowd {
		return nil, fmt.Errorf("%s: there are %d things; 1 to %d can be had", filepath.Base(name), total, maxCrowd)
	}
	return s, nil
}

func (c *Crowd) complete() error {
	if c.Count == 0 {
		c.Count = 1
	}
	if c.Every == 0 {
		c.Every = 10 * time.Second
	}
	switch {
	case c.Account == "":
		return errors.New("account is missing")
	case c.Count < 0 || c.Every < 0 || c.Keep < 0:
		return errors.New("count, every and keep are not negative")
	case c.Count > 1 && strings.Count(c.Account, "%d") != 1:
		return errors.New("several things need %d in their account")
	case !slices.Contains([]string{"", "owner", "followers", "both"}, c.Tell):
		return fmt.Errorf("tell is owner, followers or both, not %q", c.Tell)
	case len(c.Fields) == 0:
		return errors.New("fields are missing")
	}
	for i := range c.Fields {
		if _, err := c.Fields[i].source(seeded(1, 1)); err != nil {
			return err
		}
	}
	for i := range c.Faults {
		if err := c.Faults[i].check(c.Fields); err != nil {
			return err
		}
	}
	for _, s := range c.Set {
		if _, err := parameter(s, false); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fault) check(fields []FieldLine) error {
	known := f.Field == "" || slices.ContainsFunc(fields, func(l FieldLine) bool { return l.Name == f.Field })
	switch {
	case !slices.Contains([]string{"stuck", "noise", "outage", "reboot"}, f.Kind):
		return fmt.Errorf("a fault is stuck, noise, outage or reboot, not %q", f.Kind)
	case !known:
		return fmt.Errorf("a fault is of the field %s, which there is not", f.Field)
	case f.Every <= 0 || f.For <= 0 || f.For >= f.Every:
		return fmt.Errorf("%s: every is longer than for, and both are more than nothing", f.Kind)
	case f.Share < 0 || f.Share > 1:
		return fmt.Errorf("%s: a share is 0 to 1", f.Kind)
	case f.Kind == "noise" && !(f.Size > 0):
		return errors.New("noise has a size")
	}
	return nil
}

// source makes what measures a field of one thing.
func (l *FieldLine) source(random *rand.Rand) (func(time.Time) thing.Value, error) {
	kinds := 0
	for _, has := range []bool{l.Sine.period > 0, l.Walk.step > 0, l.Steps != "", l.CSV != ""} {
		if has {
			kinds++
		}
	}
	if kinds != 1 || !senml.ValidName(l.Name) {
		return nil, fmt.Errorf("the field %q needs a name of letters and digits, and one of sine, walk, steps and csv", l.Name)
	}
	switch {
	case l.Sine.period > 0:
		own := l.Sine
		shift := time.Duration(random.Int64N(int64(own.period))) // not all at the same height
		return func(at time.Time) thing.Value { return thing.Number(own.at(at.Add(shift))) }, nil
	case l.Walk.step > 0:
		own := l.Walk
		own.random = random
		return func(at time.Time) thing.Value { return thing.Number(own.at(at)) }, nil
	}
	values := strings.Fields(l.Steps)
	if l.CSV != "" {
		var err error
		if values, err = columnOf(l.CSV); err != nil {
			return nil, err
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("the field %s has no values", l.Name)
	}
	next := random.IntN(len(values))
	return func(time.Time) thing.Value {
		v := guess(values[next%len(values)])
		next++
		return v
	}, nil
}

// columnOf reads a column of a CSV file, FILE:COLUMN; its cells are few enough to be kept.
func columnOf(spec string) ([]string, error) {
	i := strings.LastIndexByte(spec, ':')
	if i < 0 {
		return nil, fmt.Errorf("csv: %q is not FILE:COLUMN", spec)
	}
	f, err := os.Open(spec[:i])
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		return nil, errors.Join(fmt.Errorf("csv: %s has no rows", spec[:i]), err)
	}
	column := slices.IndexFunc(rows[0], func(s string) bool { name, _, _ := strings.Cut(s, "["); return strings.TrimSpace(name) == spec[i+1:] })
	if column < 0 {
		return nil, fmt.Errorf("csv: %s has no column %s", spec[:i], spec[i+1:])
	}
	var values []string
	for _, row := range rows[1:] {
		if row[column] != "" {
			values = append(values, row[column])
		}
	}
	return values, nil
}

// withNumber puts the number of a thing in.
func withNumber(s string, n int) string { return strings.Replace(s, "%d", strconv.Itoa(n), 1) }

// seeded makes random numbers that are the same for the same seed and thing.
func seeded(seed, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, n)) //nolint:gosec // a simulation
}
