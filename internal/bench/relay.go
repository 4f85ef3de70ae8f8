// SPDX-License-Identifier: Apache-2.0

package bench

// The relay workload as a whole: options, connecting, and the arithmetic of a
// round. What moves messages is in shard.go, what checks them in check.go.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// RelayOptions shape the relay workload: pairs of sessions, one of each sends
// chat messages to the other.
type RelayOptions struct {
	Pairs    int           // of sessions
	Window   int           // closed loop: messages in flight per pair; each arrival releases the next
	Rate     float64       // open loop instead: messages per second over all pairs; latency counts from the due time
	Body     int           // bytes
	SM       bool          // stream management on both sides (XMPP)
	AckEvery int           // with SM: a sender asks for an ack with every so many messages
	QoS      byte          // 0 or 1 (MQTT)
	Warmup   time.Duration // before measuring
	Duration time.Duration // of measuring, per round
	Drain    time.Duration // how long what is in flight at the end may take; 0 is 15 s
}

func (o *RelayOptions) drain() time.Duration {
	if o.Drain == 0 {
		return drainTimeout
	}
	return o.Drain
}

const connecting = 16 // logins at a time while sessions are made ready

func (o *RelayOptions) check() error {
	switch {
	case o.Pairs < 1 || o.Pairs > MaxPairs:
		return fmt.Errorf("bench: relay: %d pairs; 1 to %d", o.Pairs, MaxPairs)
	case o.Body < MinBody || o.Body > 200_000:
		return fmt.Errorf("bench: relay: bodies of %d bytes; %d to 200000", o.Body, MinBody)
	case o.Rate == 0 && (o.Window < 1 || o.Window > 10_000):
		return fmt.Errorf("bench: relay: %d in flight; 1 to 10000", o.Window)
	case o.Rate < 0 || o.QoS > 1 || o.Duration <= 0 || o.Warmup < 0 || o.Drain < 0:
		return errors.New("bench: relay: a negative rate or time, or a QoS above 1")
	case o.SM && o.AckEvery < 1:
		return errors.New("bench: relay: stream management needs an ack every 1 or more messages")
	}
	return nil
}

func (o *RelayOptions) String() string {
	load := fmt.Sprintf("%d in flight", o.Window)
	if o.Rate > 0 {
		load = fmt.Sprintf("open loop at %s messages/s", number(o.Rate))
	}
	s := fmt.Sprintf("%d pairs, %s, bodies of %d bytes, %s measured per round", o.Pairs, load, o.Body, o.Duration)
	if o.SM {
		s += fmt.Sprintf(", stream management with <r/> every %d", o.AckEvery)
	}
	if o.QoS > 0 {
		s += ", MQTT QoS 1"
	}
	return s
}

// Relay measures what a message costs. The targets' sessions are connected
// once and stay for all rounds.
func (r *Run) Relay(ctx context.Context, targets []Target, o RelayOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("relay", o, o.String(), targets)
	var open []*relay
	defer func() {
		for _, w := range open {
			w.close()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*relay, error) {
		w, err := r.openRelay(ctx, t, o)
		if err == nil {
			open = append(open, w)
		}
		return w, err
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// relay is the workload on one target: its pairs, dealt to shards, one per
// core. With fewer the generator could be the slower side of a cheap server,
// which would then sleep between messages: that is another measurement, the
// one with a rate.
type relay struct {
	o      RelayOptions
	target *Target
	raw    *child
	shards []*shard
}

func (r *Run) openRelay(ctx context.Context, t *Target, o RelayOptions) (*relay, error) {
	raw, err := r.ready(ctx, t, 2*o.Pairs)
	if err != nil {
		return nil, err
	}
	w := &relay{o: o, target: t, raw: raw}
	if err := w.connect(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// ready prepares a target for n sessions: starts the raw relay where that is
// the target, makes accounts where asked to.
func (r *Run) ready(ctx context.Context, t *Target, n int) (*child, error) {
	if t.Kind == Raw && t.Addr == "" {
		return startRaw(r.Self, t)
	}
	if t.Accounts.Register {
		err := Register(ctx, *t, 0, n)
		if err == nil && t.Far != nil {
			err = Register(ctx, *t.Far, 0, n)
		}
		return nil, err
	}
	return nil, nil
}

func (w *relay) connect(ctx context.Context) error {
	base := time.Now()
	for range min(runtime.NumCPU(), w.o.Pairs) {
		s, err := newShard(w.o, base)
		if err != nil {
			return err
		}
		w.shards = append(w.shards, s)
	}
	d := newDialer(*w.target, Session{SM: w.o.SM, QoS: w.o.QoS})
	w.target.Version = d.version(ctx)
	there := d
	if far := w.target.Far; far != nil {
		there = newDialer(*far, Session{SM: w.o.SM})
		if err := d.introduce(ctx, far.Domain); err != nil {
			return err
		}
	}
	sessions := make([]*session, 2*w.o.Pairs)
	err := parallel(ctx, len(sessions), connecting, func(i int) (err error) {
		at := d
		if i%2 == 1 {
			at = there
		}
		sessions[i], err = at.login(ctx, i)
		return err
	})
	for i := range w.o.Pairs {
		from, to := sessions[2*i], sessions[2*i+1]
		w.shards[i%len(w.shards)].take(i, from, to)
	}
	for _, s := range w.shards {
		s.start()
	}
	return err
}

func (w *relay) close() {
	for _, s := range w.shards {
		s.close()
	}
	_ = w.raw.stop() // nothing is measured any more
}

// errNothing says that in the measured time no message arrived; it may have come after.
var errNothing = errors.New("no message arrived")

// round loads the target for the warm-up and the measured time, and then waits
// for all that is still under way.
func (w *relay) round(ctx context.Context) (Sample, error) {
	plan := newPlan(w.o, len(w.shards))
	errs := make([]error, len(w.shards))
	var running sync.WaitGroup
	for i, s := range w.shards {
		running.Go(func() { errs[i] = s.load(ctx, plan) })
	}
	server, generator, unknown := w.cpu(ctx, plan)
	running.Wait()

	var sample Sample
	var bad faults
	var got tally
	for _, s := range w.shards {
		bad.add(s.bad)
		got.add(&s.got)
	}
	sample.Faults = bad.list()
	err := errors.Join(errs...)
	if err == nil && got.messages == 0 {
		err = errNothing
	}
	if err != nil {
		return sample, fmt.Errorf("bench: %s: %w", w.target, err)
	}
	n := float64(got.messages)
	if w.target.PID != 0 {
		if unknown != nil {
			return sample, unknown
		}
		sample.set(CPUPerMessage, "µs", micros(server)/n, true)
	}
	sample.set(Messages, "/s", n/(got.seconds/float64(len(w.shards))), false)
	sample.set(LatencyP50, "ms", micros(got.latency.quantile(.5))/1000, false)
	sample.set(LatencyP99, "ms", micros(got.latency.quantile(.99))/1000, false)
	sample.set(LatencyMax, "ms", micros(got.latency.max)/1000, false)
	sample.set(WirePerMessage, "B", float64(got.wire)/n, false)
	sample.set(GeneratorCPU, "µs", micros(generator)/n, false)
	return sample, nil
}

// cpu waits for both ends of the measured time and returns what the server and
// this process used between them. The error is about the server alone.
func (w *relay) cpu(ctx context.Context, plan plan) (server, generator time.Duration, err error) {
	for _, at := range []time.Time{plan.from, plan.to} {
		if err := pause(ctx, time.Until(at)); err != nil {
			return 0, 0, err
		}
		s, unknown := w.target.cpuTime()
		g, _ := cpuTime(os.Getpid()) // for orientation only
		server, generator, err = s-server, g-generator, errors.Join(err, unknown)
	}
	return server, generator, err
}

// cpuTime is what the target's servers have used so far.
func (t *Target) cpuTime() (time.Duration, error) {
	here, err := cpuTime(t.PID)
	if t.Far == nil {
		return here, err
	}
	there, unknown := cpuTime(t.Far.PID)
	return here + there, errors.Join(err, unknown)
}

// introduce has servers make their connections, in both directions, before there is a load: some lose what comes in
// numbers meanwhile.
func (d *dialer) introduce(ctx context.Context, domain string) error {
	w, err := d.connect(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = w.s.sock.Close() }() // the answer has been read
	if err := d.setUp(w); err != nil {
		return err
	}
	if err := w.request(domain, "first", "get", "<ping xmlns='urn:xmpp:ping'/>"); err != nil {
		return err
	}
	answer, err := w.await(func(unit []byte) bool {
		return string(localName(unit)) == "iq" && string(attr(unit, "id")) == "first"
	})
	if err != nil {
		return fmt.Errorf("bench: %s: asking %s: %w", d.target, domain, err)
	}
	if string(attr(answer, "type")) != "result" {
		return fmt.Errorf("bench: %s: asking %s: %.300s", d.target, domain, answer)
	}
	w.s.leave()
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
