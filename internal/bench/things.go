// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: an estate is very many things and their owners on one target; round is its life: all come (settleIn), are
// claimed, tell readings for the measured time, and are asked whether all has arrived (reckon). The things are in worker processes,
// the owners in another one (things_worker.go): of an XMPP server by the SDK (things_sdk.go, things_owners.go), of a broker as
// sessions that do the same (things_mqtt.go).

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ThingsOptions shape the things workload: virtual things that tell their readings to their owners.
type ThingsOptions struct {
	Things   int
	Owners   int           // each has as many of the things as the others
	Every    time.Duration // from one reading of a thing to its next
	Publish  bool          // readings are published, too (XMPP)
	Ask      bool          // in the measured time each thing is read once and told to do something once (XMPP)
	Duration time.Duration // of measuring
	Drain    time.Duration // how long what is under way at the end may take; 0 is a minute
}

const (
	perThings    = 2500 // things of one worker process
	maxThings    = 8 * perThings
	perLogin     = 10 * time.Millisecond // things come no faster: each hashes its password
	thingsSettle = 2 * time.Minute       // for what all are to have done
)

func (o *ThingsOptions) check() error {
	switch {
	case o.Things < 1 || o.Things > maxThings || o.Owners < 1 || o.Owners > o.Things:
		return fmt.Errorf("bench: things: %d things of %d owners; 1 to %d, and an owner has one at least", o.Things, o.Owners, maxThings)
	case o.Every <= 0 || o.Duration < o.Every || o.Drain < 0:
		return errors.New("bench: things: tells at least one reading of each thing in the measured time")
	}
	return nil
}

func (o *ThingsOptions) String() string {
	s := fmt.Sprintf("%d things of %d owners, a reading of each every %s, for %s", o.Things, o.Owners, o.Every, o.Duration)
	if o.Publish {
		s += ", told and published"
	}
	if o.Ask {
		s += "; each is read once and told to do something once"
	}
	return s
}

// ramp is how long the things take to come: whole rounds of readings, so that these are spread evenly.
func (o *ThingsOptions) ramp() time.Duration {
	least := max(o.Every, time.Duration(o.Things)*perLogin)
	return (least + o.Every - 1) / o.Every * o.Every
}

func (o *ThingsOptions) drain() time.Duration {
	if o.Drain == 0 {
		return time.Minute
	}
	return o.Drain
}

// ownerOf is the number of a thing's owner among the owners.
func (o *ThingsOptions) ownerOf(thing int) int { return thing % o.Owners }

// Things measures what things cost that tell a reading now and then. A thing has the account of its number, its owner one behind
// those of the things.
func (r *Run) Things(ctx context.Context, targets []Target, o ThingsOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("things", o, o.String(), targets)
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*estate, error) {
		if t.Kind == Raw {
			return nil, errors.New("bench: things: the raw relay has none")
		}
		_, err := r.ready(ctx, t, o.Things+o.Owners)
		t.Version = newDialer(*t, Session{}).version(ctx)
		return &estate{run: r, o: o, target: t}, err
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// estate is the workload on one target.
type estate struct {
	run    *Run
	o      ThingsOptions
	target *Target

	owners *child
	things []*child
	before int64   // resident bytes of the server without them
	bare   []int64 // those of each process of things, without things
	sample Sample
}

func (w *estate) round(ctx context.Context) (Sample, error) {
	w.sample = Sample{}
	err := w.settleIn(ctx)
	if err == nil {
		err = w.measure(ctx)
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	ended := w.close()
	if err == nil {
		err = ended
	}
	if err != nil {
		err = fmt.Errorf("bench: %s: %w", w.target, err)
	}
	return w.sample, err
}

func (w *estate) all() []*child {
	if w.owners == nil {
		return w.things
	}
	return append(slices.Clone(w.things), w.owners)
}

// settleIn has all come, and the things claimed by their owners.
func (w *estate) settleIn(ctx context.Context) (err error) {
	if w.run.Restart != nil {
		if err := w.run.Restart(ctx, w.target); err != nil {
			return err
		}
	}
	if w.before, err = w.run.warmed(ctx, w.target, Session{}, 0, w.o.Things); err != nil {
		return err
	}
	if w.owners, err = w.enlist(ctx, partOwners, w.o.Things, w.o.Owners); err != nil {
		return err
	}
	workers := (w.o.Things + perThings - 1) / perThings
	for i := range workers {
		from, to := w.o.Things*i/workers, w.o.Things*(i+1)/workers
		c, err := w.enlist(ctx, partThings, from, to-from)
		if err != nil {
			return err
		}
		w.things = append(w.things, c)
		bare, err := resident(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		w.bare = append(w.bare, bare)
	}
	if _, err := w.tell([]*child{w.owners}, thingsOrder{Do: "start"}); err != nil {
		return err
	}
	came, err := w.tell(w.things, thingsOrder{Do: "start"})
	if err != nil {
		return err
	}
	w.run.logf("%s: %d things are there, %d of them nobody's", w.target, w.o.Things, len(came.Codes))
	if w.target.Kind == MQTT {
		return pause(ctx, w.calm())
	}
	began := time.Now()
	claimed, err := w.tell([]*child{w.owners}, thingsOrder{Do: "claim", Codes: came.Codes})
	if err != nil {
		return err
	}
	if n := len(came.Codes); n > 0 {
		w.sample.set(Claims, "/s", float64(n)/time.Since(began).Seconds(), false)
		w.sample.set(ClaimP50, "ms", micros(claimed.Claims.quantile(.5))/1000, false)
		w.sample.set(ClaimP99, "ms", micros(claimed.Claims.quantile(.99))/1000, false)
	}
	if _, err := w.tell(w.things, thingsOrder{Do: "owned"}); err != nil {
		return err
	}
	return pause(ctx, w.calm())
}

// calm is how long nothing is measured after all have come.
func (w *estate) calm() time.Duration { return min(w.o.Every, 10*time.Second) }

// enlist starts a process for a part of the estate.
func (w *estate) enlist(ctx context.Context, part string, first, count int) (*child, error) {
	c, err := startChild(w.run.Self, "worker")
	if err != nil {
		return nil, err
	}
	c.endWith(ctx)
	if _, err := c.order(order{Do: "things", Target: *w.target, Things: &thingsOrder{Part: part, Options: w.o, First: first, Count: count}}); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// tell gives all of these processes the same order at once, and adds up what they say. Faults go to the sample.
func (w *estate) tell(to []*child, o thingsOrder) (thingsAnswer, error) {
	f := fleet{target: *w.target, workers: to}
	a, err := f.all(order{Do: "things", Things: &o})
	for _, fault := range a.Faults {
		if len(w.sample.Faults) < maxFaults {
			w.sample.Faults = append(w.sample.Faults, fault)
		}
	}
	return *a.Things, err
}

// announce has all know when it is measured, before that begins: who hears of it late counts less than the others. Where the machine
// is slow it begins later.
func (w *estate) announce() (from, to time.Time, err error) {
	for lead := time.Second; ; lead *= 2 {
		from = time.Now().Add(lead).Truncate(time.Millisecond) // owners are told of times to the microsecond
		to = from.Add(w.o.Duration)
		if _, err = w.tell(w.all(), thingsOrder{Do: "measure", From: from, To: to}); err != nil || time.Now().Before(from) {
			break
		}
	}
	if err == nil && w.o.Ask && w.target.Kind == XMPP {
		_, err = w.tell([]*child{w.owners}, thingsOrder{Do: "ask", From: from, To: to})
	}
	return from, to, err
}

// measure measures, once all is as it should be.
func (w *estate) measure(ctx context.Context) error {
	from, to, err := w.announce()
	if err != nil {
		return err
	}
	var server, things time.Duration
	for _, at := range []time.Time{from, to} {
		if err := pause(ctx, time.Until(at)); err != nil {
			return err
		}
		s, err := w.target.cpuTime()
		if err != nil {
			return err
		}
		var t time.Duration
		for _, c := range w.things {
			used, err := cpuTime(c.cmd.Process.Pid)
			if err != nil {
				return err
			}
			t += used
		}
		server, things = s-server, t-things
	}
	held, err := resident(w.target.PID)
	if err != nil {
		return err
	}
	var own int64
	for i, c := range w.things {
		now, err := resident(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		own += now - w.bare[i]
	}
	told, err := w.tell(w.things, thingsOrder{Do: "finish"})
	if err != nil {
		return err
	}
	had, err := w.tell([]*child{w.owners}, thingsOrder{Do: "finish", Expected: told.Reported})
	if err != nil {
		return err
	}
	if w.o.Ask && w.target.Kind == XMPP { // what was asked late is done since
		last, err := w.tell(w.things, thingsOrder{Do: "finish"})
		if err != nil {
			return err
		}
		told.Done = last.Done
	}
	w.reckon(&told, &had)
	n, all := float64(max(had.Arrived, 1)), float64(w.o.Things)
	w.sample.set(CPUPerReading, "µs", micros(server)/n, true)
	w.sample.set(CoreShare, "%", 100*server.Seconds()/w.o.Duration.Seconds(), false)
	w.sample.set(BytesPerThing, "B", float64(held-w.before)/all, true)
	w.sample.set(ServerBytes, "MB", float64(held)/1e6, false)
	if w.target.Kind == XMPP {
		w.sample.set(ThingCPU, "µs", micros(things)/n, false)
		w.sample.set(ThingBytes, "B", float64(own)/all, false)
	}
	return nil
}

// reckon says what became of the readings, and of what was asked. What is not as it should be is a fault.
func (w *estate) reckon(told, had *thingsAnswer) {
	s := &w.sample
	for _, f := range []struct {
		name string
		n    int64
	}{
		{ReadingsSent, told.Reported}, {ReadingsAcked, told.Acked}, {ReadingsArrived, had.Arrived},
		{ReadingsLost, told.Reported - had.Arrived}, {ReadingsDoubled, had.Doubled}, {ReadingsLate, had.Disordered},
	} {
		s.set(f.name, "", float64(f.n), false)
		if f.n != 0 && (f.name == ReadingsLost || f.name == ReadingsDoubled || f.name == ReadingsLate) {
			s.Faults = append(s.Faults, fmt.Sprintf("%d readings %s", f.n, f.name))
		}
	}
	if n := told.Reported - told.Acked; n != 0 {
		s.Faults = append(s.Faults, fmt.Sprintf("%d readings not acked", n))
	}
	if told.Reported == 0 {
		s.Faults = append(s.Faults, "no reading was told")
	}
	s.quantiles("", had.Latency)
	if w.target.Kind != XMPP {
		return
	}
	s.set(Reconnects, "", float64(told.Dials-int64(w.o.Things)), false)
	if !w.o.Ask {
		return
	}
	s.quantiles(askedRead, had.Reads)
	s.quantiles(askedSet, had.Commands)
	if n := int64(w.o.Things); had.Read != n || had.Set != n || told.Done != n {
		s.Faults = append(s.Faults, fmt.Sprintf("of %d things %d were read, %d told to do something, and %d did it", n, had.Read, had.Set, told.Done))
	}
}

// What is asked of things, in front of its figures.
const (
	askedRead = "read "
	askedSet  = "command "
)

// quantiles sets those of a histogram, under names that begin so.
func (s *Sample) quantiles(of string, h *histogram) {
	for _, q := range []struct {
		name string
		of   time.Duration
	}{{LatencyP50, h.quantile(.5)}, {LatencyP95, h.quantile(.95)}, {LatencyP99, h.quantile(.99)}, {LatencyMax, h.max}} {
		s.set(of+q.name, "ms", micros(q.of)/1000, false)
	}
}

// close ends the processes: the things say good-bye, their owners last, so that nothing waits for these in another run.
func (w *estate) close() error {
	var errs []error
	for _, c := range w.all() {
		errs = append(errs, c.stop())
	}
	w.owners, w.things, w.bare = nil, nil, nil
	return errors.Join(errs...)
}
