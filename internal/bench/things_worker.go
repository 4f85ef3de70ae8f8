// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: the child's side of things.go. A worker that is ordered to hold things becomes a part of an estate; what
// readings look like (meter), and how their arrival is checked (book), is the same for all parts.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// The parts of an estate.
const (
	partThings = "things"
	partOwners = "owners"
)

// thingsOrder is what a part of an estate is told.
type thingsOrder struct {
	Do       string // "" the first: it says what the part is; then start, claim, owned, measure, ask, finish
	Part     string
	Options  ThingsOptions
	First    int         // number of the first account
	Count    int         // of these
	Codes    []claimCode // claim: by which things are claimed
	From, To time.Time   // measure, ask: what was measured then counts
	Expected int64       // finish: readings that the owners are to have had
}

// claimCode is what a thing without an owner shows.
type claimCode struct {
	Thing int
	Code  string
}

// thingsAnswer is what a part has counted.
type thingsAnswer struct {
	Codes                        []claimCode
	Reported, Acked              int64 // readings, of the things
	Done                         int64 // what things were told to do, and did
	Dials                        int64 // connections that were made
	Arrived, Doubled, Disordered int64 // readings, at the owners
	Read, Set                    int64 // requests that were answered
	Latency, Reads               *histogram
	Commands, Claims             *histogram
}

func newThingsAnswer() *thingsAnswer {
	return &thingsAnswer{Latency: new(histogram), Reads: new(histogram), Commands: new(histogram), Claims: new(histogram)}
}

func (a *thingsAnswer) add(o *thingsAnswer) {
	a.Codes = append(a.Codes, o.Codes...)
	for _, n := range []struct{ to, of *int64 }{
		{&a.Reported, &o.Reported}, {&a.Acked, &o.Acked}, {&a.Done, &o.Done}, {&a.Dials, &o.Dials}, {&a.Arrived, &o.Arrived},
		{&a.Doubled, &o.Doubled}, {&a.Disordered, &o.Disordered}, {&a.Read, &o.Read}, {&a.Set, &o.Set},
	} {
		*n.to += *n.of
	}
	for _, h := range []struct{ to, of *histogram }{{a.Latency, o.Latency}, {a.Reads, o.Reads}, {a.Commands, o.Commands}, {a.Claims, o.Claims}} {
		h.to.merge(h.of)
	}
}

// part is things, or owners, of one process.
type part interface {
	// obey does what is ordered. What went wrong but is not the order's end it notes.
	obey(ctx context.Context, o *thingsOrder, a *thingsAnswer) error
	// close ends all sessions.
	close() error
}

// serveThings is a worker from the first order about things on.
func serveThings(first order, orders *json.Decoder, answers *json.Encoder) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bad := new(notes)
	p, err := newPart(first.Target, first.Things, bad)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for o := first; ; {
		a := answer{Things: newThingsAnswer()}
		if o.Things.Do != "" {
			if err := p.obey(ctx, o.Things, a.Things); err != nil {
				a.Err = err.Error()
			}
		}
		a.Faults = bad.take()
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("bench: worker: answering: %w", err)
		}
		o = order{}
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			bad.end()
			return nil
		case err != nil || o.Things == nil:
			return fmt.Errorf("bench: worker: reading an order about things: %w", err)
		}
	}
}

func newPart(t Target, o *thingsOrder, bad *notes) (part, error) {
	switch {
	case t.Kind == XMPP && o.Part == partThings:
		return newSDKThings(t, o, bad), nil
	case t.Kind == XMPP && o.Part == partOwners:
		return newSDKOwners(t, o, bad), nil
	case t.Kind == XMPP && o.Part == partRobots:
		return newRobots(t, o, bad), nil
	case t.Kind == MQTT:
		return newMQTTPart(t, o, bad)
	}
	return nil, fmt.Errorf("bench: worker: no part %q of %s", o.Part, t.Kind)
}

func unknownOrder(o *thingsOrder) error {
	return fmt.Errorf("bench: worker: unknown order %q", o.Do)
}

// notes are the faults of a part, until they are asked for.
type notes struct {
	mu   sync.Mutex
	list []string
	over bool // what ends now was told to
}

func (n *notes) fault(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.over && len(n.list) < answerFaults {
		n.list = append(n.list, fmt.Sprintf(format, args...))
	}
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

func (n *notes) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
}

// span is the measured time.
type span struct{ from, to time.Time }

func (s *span) has(t time.Time) bool { return s != nil && !t.Before(s.from) && t.Before(s.to) }

// await looks again and again until it is so, or the patience is over.
func await(ctx context.Context, patience time.Duration, so func() bool) error {
	for end := time.Now().Add(patience); !so(); {
		if time.Now().After(end) {
			return fmt.Errorf("not after %s", patience)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// What virtual things measure: water, in cubic metres.
const (
	meterName = "water"
	meterUnit = "m3"
)

// meter is what a water meter shows whose nth reading this is. Behind the point stand the microseconds of its time that SenML's,
// as things tell it, leaves out.
func meter(n uint64, at time.Time) float64 {
	return float64(n) + float64(at.Nanosecond()/1000%1000)/1000
}

// readMeter is the reverse; at is a time in milliseconds.
func readMeter(v float64, at time.Time) (n uint64, exactly time.Time) {
	whole, rest := math.Modf(v)
	return uint64(whole), at.Add(time.Duration(math.Round(rest*1000)) * time.Microsecond)
}

// number is the reverse of name.
func (a Accounts) number(name string) (int, bool) {
	before, behind, _ := strings.Cut(a.Pattern, "%d")
	digits, ok1 := strings.CutPrefix(name, before)
	digits, ok2 := strings.CutSuffix(digits, behind)
	n, err := strconv.Atoi(digits)
	return n, ok1 && ok2 && err == nil
}

// reading is a pack as a session of a broker sends it.
func reading(thing string, n uint64, now time.Time) ([]byte, error) {
	v, err := senml.Float(meter(n, now))
	if err != nil {
		return nil, err
	}
	at, _ := senml.At(now.Truncate(time.Millisecond))
	return senml.Pack{{Name: thing + ":" + meterName, Unit: meterUnit, Value: senml.NumberValue(v), Time: at}}.AppendJSON(nil), nil
}

// book is what the owners of a process have had.
type book struct {
	mu      sync.Mutex
	span    *span
	last    map[int]uint64          // by thing: the number of its latest reading
	missing map[int]map[uint64]bool // numbers that were passed over

	arrived, doubled, disordered int64
	latency                      histogram
}

func newBook() *book {
	return &book{last: make(map[int]uint64), missing: make(map[int]map[uint64]bool)}
}

// measure begins to count.
func (b *book) measure(s *span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.span = s
	clear(b.last)
	clear(b.missing)
	b.arrived, b.doubled, b.disordered = 0, 0, 0
	b.latency.reset()
}

// note notes that the nth reading of a thing, of that time, is here. The first one may have any number: what was told before the
// measured time, or in an earlier run, does not count.
func (b *book) note(thing int, n uint64, at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.span.has(at) {
		return
	}
	last, known := b.last[thing]
	again, late := false, false
	switch {
	case !known || n > last:
		for i := last + 1; known && i < n && n-i < 1000; i++ {
			if b.missing[thing] == nil {
				b.missing[thing] = make(map[uint64]bool)
			}
			b.missing[thing][i] = true
		}
		b.last[thing] = n
	case b.missing[thing][n]:
		delete(b.missing[thing], n)
		late = true
	default:
		again = true
	}
	switch {
	case again:
		b.doubled++
		return
	case late:
		b.disordered++
	}
	b.arrived++
	b.latency.add(now.Sub(at))
}

// finish waits until all that is expected is there.
func (b *book) finish(ctx context.Context, drain time.Duration, expected int64, a *thingsAnswer) error {
	err := await(ctx, drain, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.arrived >= expected
	})
	if ctx.Err() != nil {
		return err
	}
	b.mu.Lock() // what is not there is lost: the numbers say so
	defer b.mu.Unlock()
	a.Arrived, a.Doubled, a.Disordered = b.arrived, b.doubled, b.disordered
	a.Latency.merge(&b.latency)
	return nil
}
