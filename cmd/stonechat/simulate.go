// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// sine swings between two numbers.
type sine struct {
	low, high float64
	period    time.Duration
}

// UnmarshalText reads LOW,HIGH,PERIOD.
func (s *sine) UnmarshalText(text []byte) error {
	low, high, rest, err := between(string(text))
	if err != nil {
		return fmt.Errorf("%w,PERIOD", err)
	}
	if s.period, err = time.ParseDuration(rest); err != nil || s.period <= 0 {
		return fmt.Errorf("the period %q is no time such as 10m", rest)
	}
	s.low, s.high = low, high
	return nil
}

// at is the value at a time, to two decimals.
func (s *sine) at(t time.Time) float64 {
	turn := float64(t.UnixNano()%int64(s.period)) / float64(s.period)
	return rounded((s.low+s.high)/2 + (s.high-s.low)/2*math.Sin(2*math.Pi*turn))
}

// walk goes a random step up or down at each reading.
type walk struct {
	low, high, step float64
	now             float64
	random          *rand.Rand // nil: any
}

// UnmarshalText reads LOW,HIGH,STEP.
func (w *walk) UnmarshalText(text []byte) error {
	low, high, rest, err := between(string(text))
	if err != nil {
		return fmt.Errorf("%w,STEP", err)
	}
	if w.step, err = strconv.ParseFloat(rest, 64); err != nil || !(w.step > 0) {
		return fmt.Errorf("the step %q is no number above 0", rest)
	}
	w.low, w.high, w.now = low, high, (low+high)/2
	return nil
}

func (w *walk) at(time.Time) float64 {
	by := rand.Float64() //nolint:gosec // a simulation
	if w.random != nil {
		by = w.random.Float64()
	}
	w.now += w.step * (2*by - 1)
	w.now = min(max(w.now, w.low), w.high)
	return rounded(w.now)
}

// between reads LOW,HIGH,rest.
func between(s string) (low, high float64, rest string, err error) {
	parts := strings.Split(s, ",")
	if len(parts) == 3 {
		var err1, err2 error
		low, err1 = strconv.ParseFloat(parts[0], 64)
		high, err2 = strconv.ParseFloat(parts[1], 64)
		if err1 == nil && err2 == nil && low < high && !math.IsInf(high-low, 0) {
			return low, high, parts[2], nil
		}
	}
	return 0, 0, "", errors.New("write two numbers, the lower one first: LOW,HIGH")
}

func rounded(f float64) float64 { return math.Round(f*100) / 100 }
