// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// GrowthOptions shape the growth workload: the same relay among the same
// sessions, with many silent sessions beside them and without.
type GrowthOptions struct {
	Relay   RelayOptions
	Idle    int           // silent sessions
	Session Session       // of the silent ones
	Rest    time.Duration // before memory is measured with all of them
}

func (o *GrowthOptions) check() error {
	if o.Idle < 1 || o.Rest < 0 {
		return errors.New("bench: growth: needs silent sessions and no negative rest")
	}
	return o.Relay.check()
}

func (o *GrowthOptions) String() string {
	return fmt.Sprintf("%s; with and without %d silent sessions", o.Relay.String(), o.Idle)
}

// grown is the workload on one target.
type grown struct {
	*hold
	relay *relay
	with  []Sample // rounds beside the silent sessions
}

// Growth measures how the cost of a message grows with the number of sessions,
// and what they hold resident. First all targets are full and take turns, then
// all are relieved and take turns again: with Run.Restart in a fresh process,
// else after the silent sessions have left, which may leave a server changed.
func (r *Run) Growth(ctx context.Context, targets []Target, o GrowthOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("growth", o, o.String(), targets)
	all := make([]*grown, len(targets))
	defer func() {
		for _, g := range all {
			if g != nil {
				g.end()
			}
		}
	}()
	for i := range targets {
		r.logf("connecting to %s", targets[i])
		all[i] = r.newGrown(ctx, targets[i], o)
		rep.Results[i].describe(&all[i].target)
	}
	if err := pause(ctx, o.Rest); err != nil {
		return nil, err
	}
	for _, g := range all {
		g.measureOver(BytesPerIdle, 2*o.Relay.Pairs)
	}
	for round := range max(r.Rounds, 1) {
		for i := range all {
			g := all[(i+round)%len(all)]
			g.with = append(g.with, g.once(ctx))
			r.logf("round %d %-18s with: %s", round+1, g.target, g.with[round])
		}
	}
	for _, g := range all {
		g.relieve(ctx, r, o.Relay)
	}
	for round := range max(r.Rounds, 1) {
		for i := range all {
			k := (i + round) % len(all)
			without := all[k].once(ctx)
			r.logf("round %d %-18s without: %s", round+1, all[k].target, without)
			rep.Results[k].add(round, all[k].combine(round, without))
		}
	}
	for i, g := range all {
		if g.err != nil {
			rep.Results[i].fault(g.err.Error())
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

func (r *Run) newGrown(ctx context.Context, t Target, o GrowthOptions) *grown {
	// The relay's sessions are the first accounts, the silent ones follow.
	g := &grown{hold: r.newHold(ctx, t, o.Session, 2*o.Relay.Pairs, o.Idle)}
	if g.err == nil {
		g.relay = &relay{o: o.Relay, target: &g.target}
		g.err = g.relay.connect(ctx)
	}
	return g
}

// once is a round of the relay; nothing after an error.
func (g *grown) once(ctx context.Context) Sample {
	if g.err != nil {
		return Sample{}
	}
	s, err := g.relay.round(ctx)
	g.err = err
	return s
}

// relieve leaves the relay's sessions alone on the server.
func (g *grown) relieve(ctx context.Context, r *Run, o RelayOptions) {
	if g.err == nil {
		g.err = g.fleet.missing()
	}
	if g.err != nil {
		return
	}
	if r.Restart == nil || g.target.Kind == Raw {
		g.err = errors.Join(g.fleet.drop(true), settle(ctx, g.target.PID, time.Minute))
		return
	}
	g.relay.close()
	g.relay = &relay{o: o, target: &g.target}
	g.err = errors.Join(g.fleet.drop(true), r.Restart(ctx, &g.target))
	if g.err == nil {
		g.err = g.relay.connect(ctx)
	}
}

// combine puts the two figures of a round side by side.
func (g *grown) combine(round int, without Sample) Sample {
	var s Sample
	s.Faults = append(g.with[round].Faults, without.Faults...)
	var cpu [2]float64
	for i, part := range []Sample{g.with[round], without} {
		for _, v := range part.Values {
			if v.Name == CPUPerMessage {
				cpu[i] = v.Value
			}
		}
	}
	if cpu[0] > 0 && cpu[1] > 0 {
		s.set(CPUPerMessage, "µs", cpu[1], false)
		s.set(GrownCPU, "µs", cpu[0], false)
		s.set(Growth, "", cpu[0]/cpu[1], false)
	}
	if round == 0 {
		s.Values = append(s.Values, g.sample.Values...)
	}
	return s
}

func (g *grown) end() {
	if g.relay != nil {
		g.relay.close()
	}
	g.hold.close()
}
