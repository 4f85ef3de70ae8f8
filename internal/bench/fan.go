// SPDX-License-Identifier: Apache-2.0

package bench

// The fan-out workload: one session publishes, many receive. openFan logs in
// and joins or subscribes, once; a round is a phase, or two where nodes that
// keep their items are measured apart; in a phase each publish whose copies
// have all come releases the next one. channel.go makes and checks what is sent.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Place is what a fan-out goes through.
type Place string

// The places: rooms (XEP-0045), nodes (XEP-0060; topics of a broker), and one other session.
const (
	Room Place = "room"
	Node Place = "node"
	Chat Place = "chat"
)

// FanOptions shape the fan-out workload.
type FanOptions struct {
	Place         Place
	Receivers     int  // sessions; in a room the sender is one of them
	Channels      int  // nodes, which are published to in turn; 0: one
	Subscriptions int  // in all; 0: every receiver of every node
	Kept          bool // every second node keeps its item; those are measured apart
	Window        int  // publishes under way
	Body          int
	Warmup        time.Duration
	Duration      time.Duration // of measuring, at least one publish long

	// Live is traffic of bystanders, whose latency is measured without and with
	// the load: Live.Pairs, in slices of Live.Duration. No pairs: none.
	Live RelayOptions
}

func (o *FanOptions) check() error {
	o.Channels = max(o.Channels, 1)
	if o.Subscriptions == 0 {
		o.Subscriptions = o.Receivers * o.Channels
	}
	switch {
	case o.Place != Room && o.Place != Node:
		return fmt.Errorf("bench: fan: %q is neither room nor node", o.Place)
	case o.Receivers < 1 || o.Window < 1 || o.Window > 1000 || o.Duration <= 0 || o.Warmup < 0:
		return errors.New("bench: fan: needs receivers, 1 to 1000 publishes under way and a duration")
	case o.Place == Room && o.Channels > 1 || o.Kept && o.Channels < 2 || o.Channels > MaxPairs:
		return fmt.Errorf("bench: fan: several nodes, at most %d, but one room; kept and others need two", MaxPairs)
	case o.Subscriptions < o.Channels || o.Subscriptions > o.Channels*o.Receivers:
		return fmt.Errorf("bench: fan: %d subscriptions of %d receivers to %d nodes", o.Subscriptions, o.Receivers, o.Channels)
	case o.Body < MinBody || o.Body > 100_000:
		return fmt.Errorf("bench: fan: bodies of %d bytes; %d to 100000", o.Body, MinBody)
	}
	if o.Live.Pairs > 0 {
		return o.Live.check()
	}
	return nil
}

func (o *FanOptions) String() string {
	s := fmt.Sprintf("a %s with %d receivers", o.Place, o.Receivers)
	if o.Channels > 1 {
		s = fmt.Sprintf("%d nodes with %d subscriptions of %d receivers", o.Channels, o.Subscriptions, o.Receivers)
	}
	s += fmt.Sprintf(", %d under way, bodies of %d bytes, %s measured per round", o.Window, o.Body, o.Duration)
	if o.Kept {
		s += "; every second node keeps its item"
	}
	return s + bystanders(o.Live)
}

// bystanders describes live traffic beside a load.
func bystanders(o RelayOptions) string {
	if o.Pairs == 0 {
		return ""
	}
	return fmt.Sprintf("; beside them %d pairs with %d in flight", o.Pairs, o.Window)
}

// of is the part of the load that a target has.
func (o FanOptions) of(t *Target) FanOptions {
	share := o
	share.Receivers = t.share(o.Receivers)
	if o.Channels > 1 {
		share.Channels, share.Subscriptions = t.share(o.Channels), t.share(o.Subscriptions)
		share.Receivers = max(share.Receivers, share.Subscriptions/share.Channels+1)
	} else {
		share.Subscriptions = share.Receivers
	}
	return share
}

// Fan measures what a copy costs when one message goes to many.
func (r *Run) Fan(ctx context.Context, targets []Target, o FanOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("fan", o, o.String(), targets)
	var open []*fan
	defer func() {
		for _, f := range open {
			f.close()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*fan, error) {
		f := &fan{o: o.of(t), target: t, base: time.Now()}
		open = append(open, f)
		return f, f.open(ctx, r)
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// fan is the workload on one target.
type fan struct {
	o        FanOptions
	target   *Target
	crowd    *crowd
	live     *relay
	base     time.Time
	text     []byte
	channels []*channel

	done     chan struct{} // a publish whose copies have all come
	asked    int64         // publishes that want an answer
	answered atomic.Int64
}

func (f *fan) open(ctx context.Context, r *Run) error {
	if f.target.Kind == Raw {
		return errors.New("bench: the raw relay has neither rooms nor nodes")
	}
	first, sessions := 2*f.o.Live.Pairs, f.o.Receivers
	if f.o.Place == Node {
		sessions++ // the publisher
	}
	if _, err := r.ready(ctx, f.target, first+sessions); err != nil {
		return err
	}
	f.live = &relay{o: f.o.Live, target: f.target}
	if f.o.Live.Pairs > 0 {
		if err := f.live.connect(ctx); err != nil {
			return err
		}
	}
	// Who has a node's notifications sent to the account must be available.
	session := Session{Presence: f.o.Place == Node && f.target.Kind == XMPP}
	var err error
	if f.crowd, err = newCrowd(f.target, session, first, sessions); err != nil {
		return err
	}
	f.crowd.stanza, f.crowd.body = f.stanza, f.arrived
	f.text, f.done = newBody(f.o.Body), make(chan struct{}, f.o.Window)
	if err := f.crowd.login(ctx, 0, 1, f.publisher); err != nil {
		return err
	}
	return f.crowd.login(ctx, 1, sessions, f.receiver)
}

// name is what the nth channel is called.
func (f *fan) name(n int) string {
	tag := fmt.Sprintf("bench-%s-%d", f.crowd.dialer.tag, n)
	switch {
	case f.target.Kind == MQTT:
		return tag
	case f.o.Place == Room:
		return tag + "@" + f.target.rooms()
	}
	return f.target.nodes() + " " + tag
}

// publisher makes the rooms or nodes.
func (f *fan) publisher(m *member, w *wire) error {
	for n := range f.o.Channels {
		ch := newChannel(n, f.o.Place, f.name(n), w.s, f.text, f.o.Window)
		ch.kept, ch.fans = f.o.Kept && n%2 == 1, f.fans(n)
		f.channels = append(f.channels, ch)
	}
	switch {
	case f.target.Kind == MQTT:
		return nil
	case f.o.Place == Room:
		m.next[0] = 0
		return w.makeRoom(f.name(0), 0)
	}
	return w.askAll(f.target.nodes(), "set", f.o.Channels, func(n int) string {
		_, node := cutNode(f.name(n))
		return createNode(node, f.channels[n].kept)
	})
}

// fans is how many receivers channel n has.
func (f *fan) fans(n int) int {
	fans := f.o.Subscriptions / f.o.Channels
	if n < f.o.Subscriptions%f.o.Channels {
		fans++
	}
	return fans
}

// has says whether the nth of the receivers, from 0 on, has that channel: they are dealt out in turn.
func (f *fan) has(receiver, channel int) bool {
	per := f.o.Subscriptions/f.o.Channels + 1
	return (receiver-channel*per%f.o.Receivers+f.o.Receivers)%f.o.Receivers < f.fans(channel)
}

// receiver joins or subscribes.
func (f *fan) receiver(m *member, w *wire) error {
	if f.o.Place == Room {
		m.next[0] = 0
		return w.join(f.name(0), m.number)
	}
	var mine []int
	for n := range f.o.Channels {
		if f.has(m.number-1, n) {
			m.next[uint16(n)] = 0
			mine = append(mine, n)
		}
	}
	if f.target.Kind == MQTT {
		return w.subscribeTopics(mine, f.name)
	}
	who := bare(m.s.address)
	return w.askAll(f.target.nodes(), "set", len(mine), func(i int) string {
		_, node := cutNode(f.name(mine[i]))
		return subscribeNode(node, who)
	})
}

// stanza takes what a member receives.
func (f *fan) stanza(m *member, unit []byte, now time.Time) {
	failed := string(attr(unit, "type")) == "error"
	switch string(localName(unit)) {
	case "iq":
		if m.number == 0 && (failed || string(attr(unit, "type")) == "result") {
			f.answered.Add(1)
		}
	case "message":
		if body := inner(unit, "body"); body != nil && !failed {
			f.arrived(m, body, now)
		}
	}
	if failed {
		m.lane.refuse(unit)
	}
}

func (f *fan) send(ch *channel) {
	ch.left[int(ch.sent)%len(ch.left)].Store(int32(ch.fans))
	ch.out.stamp(ch.sent, time.Since(f.base))
	ch.sent++
	if f.o.Place == Node && f.target.Kind == XMPP {
		f.asked++
	}
	f.crowd.write(f.crowd.members[0], ch.out.bytes[:ch.out.plain])
}

// awaitCopies waits until all copies of one publish have come.
func (f *fan) awaitCopies(ctx context.Context) error {
	t := time.NewTimer(fanStall)
	defer t.Stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errors.Join(fmt.Errorf("no publish has reached all its receivers for %s", fanStall), f.crowd.broken())
	}
}

const fanStall = 30 * time.Second

// measured is what a phase gave.
type measured struct {
	from, to  count
	publishes int
	latency   *histogram
}

// phase publishes to some channels in turn.
func (f *fan) phase(ctx context.Context, channels []*channel) (got measured, err error) {
	got.latency = new(histogram)
	turn := 0
	send := func() { f.send(channels[turn%len(channels)]); turn++ }
	began := time.Now()
	for range f.o.Window {
		send()
	}
	measuring := false
	for {
		if err := f.awaitCopies(ctx); err != nil {
			return got, err
		}
		if now := time.Now(); !measuring && now.Sub(began) >= f.o.Warmup {
			measuring = true
			if got.from, err = f.crowd.count(new(histogram)); err != nil {
				return got, err
			}
		} else if measuring {
			got.publishes++
			if now.Sub(got.from.at) >= f.o.Duration {
				break
			}
		}
		send()
	}
	if got.to, err = f.crowd.count(got.latency); err != nil {
		return got, err
	}
	for range f.o.Window - 1 {
		if err := f.awaitCopies(ctx); err != nil {
			return got, err
		}
	}
	for end := time.Now().Add(drainTimeout); f.answered.Load() < f.asked && time.Now().Before(end); {
		if err := pause(ctx, time.Millisecond); err != nil {
			return got, err
		}
	}
	return got, f.crowd.broken()
}

func (f *fan) round(ctx context.Context) (sample Sample, err error) {
	if f.o.Live.Pairs > 0 {
		if err := f.calm(ctx, &sample); err != nil {
			return sample, err
		}
	}
	turns, err := f.target.loops(ctx)
	if err != nil {
		return sample, err
	}
	back := make(chan struct{})
	var felt Sample
	var watching sync.WaitGroup
	watching.Go(func() { felt = f.live.watch(ctx, back) })
	var plain, kept measured
	plain, err = f.phase(ctx, f.some(false))
	if err == nil && f.o.Kept {
		kept, err = f.phase(ctx, f.some(true))
	}
	close(back)
	watching.Wait()
	if f.o.Live.Pairs > 0 {
		err = errors.Join(err, f.target.lag(ctx, &sample, turns))
	}
	sample.Faults = append(append(sample.Faults, felt.Faults...), f.settleUp()...)
	if err != nil {
		return sample, fmt.Errorf("bench: %s: %w", f.target, err)
	}
	f.figures(&sample, plain, kept)
	sample.Values = append(sample.Values, felt.Values...)
	return sample, nil
}

// calm is what bystanders feel without a load.
func (f *fan) calm(ctx context.Context, sample *Sample) error {
	s, err := f.live.slice(ctx)
	sample.Faults = append(sample.Faults, s.Faults...)
	for _, v := range s.Values {
		if v.Name == LatencyP99 {
			sample.set(BystanderCalm, "ms", v.Value, false)
		}
	}
	return err
}

// some are the channels of one kind.
func (f *fan) some(kept bool) (out []*channel) {
	for _, ch := range f.channels {
		if ch.kept == kept {
			out = append(out, ch)
		}
	}
	return out
}

func (f *fan) figures(s *Sample, plain, kept measured) {
	n := float64(plain.to.copies - plain.from.copies)
	if f.target.PID != 0 {
		spent := plain.to.server - plain.from.server
		s.set(CPUPerCopy, "µs", micros(spent)/n, true)
		if f.o.Channels > 1 {
			s.set(CPUPerPublish, "ms", micros(spent)/1000/float64(plain.publishes), false)
		}
		if f.o.Kept {
			s.set(CPUPerKept, "ms", micros(kept.to.server-kept.from.server)/1000/float64(kept.publishes), false)
		}
	}
	s.set(Copies, "/s", n/plain.to.at.Sub(plain.from.at).Seconds(), false)
	s.set(LatencyP50, "ms", micros(plain.latency.quantile(.5))/1000, false)
	s.set(LatencyP99, "ms", micros(plain.latency.quantile(.99))/1000, false)
	s.set(LatencyMax, "ms", micros(plain.latency.max)/1000, false)
	s.set(WirePerCopy, "B", float64(plain.to.wire-plain.from.wire)/n, false)
	s.set(GeneratorCPU, "µs", micros(plain.to.generator-plain.from.generator)/n, false)
	s.set(Receivers, "", float64(f.o.Receivers), false)
	if f.o.Channels > 1 {
		s.set(Channels, "", float64(f.o.Channels), false)
		s.set(Subscriptions, "", float64(f.o.Subscriptions), false)
	}
}

func (f *fan) close() {
	f.crowd.close()
	if f.live != nil {
		f.live.close()
	}
}
