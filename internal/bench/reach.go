// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: a reach is a session on one target that sends to domains of the sink (sink.go). First is one
// domain after the other, for the time and CPU of each; Domains is very many at once, for the memory that they hold.

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ReachOptions shape the workloads that send messages to domains of other servers, all of which a sink serves.
type ReachOptions struct {
	Sink    *Sink                   `json:"-"`
	Domain  func(number int) string `json:"-"` // the name of a domain of the sink
	Domains int                     // so many, in each round others
	Rest    time.Duration           // between the last domain and measuring memory
}

func (o *ReachOptions) check() error {
	if o.Sink == nil || o.Domain == nil || o.Domains < 1 || o.Rest < 0 {
		return errors.New("bench: reach: needs a sink with one or more domains and no negative rest")
	}
	return nil
}

const (
	reachTimeout = time.Minute // for the first message to a domain
	reachWarm    = 10          // domains reached before memory is looked at
)

// reach is one target that sends to domains.
type reach struct {
	o      ReachOptions
	target *Target
	d      *dialer
	used   int // domains that have been sent to
}

func (r *Run) openReach(ctx context.Context, t *Target, o ReachOptions) (*reach, error) {
	if t.Kind != XMPP {
		return nil, fmt.Errorf("bench: %s has no other servers", t.Kind)
	}
	if _, err := r.ready(ctx, t, 1); err != nil {
		return nil, err
	}
	w := &reach{o: o, target: t, d: newDialer(*t, Session{})}
	t.Version = w.d.version(ctx)
	return w, nil
}

// First measures what the first message to a new domain takes: finding it, connecting, TLS, proving who is who,
// delivering. One domain comes after the other.
func (r *Run) First(ctx context.Context, targets []Target, o ReachOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("first", o, fmt.Sprintf("%d new domains per round, one after the other", o.Domains), targets)
	o.Sink.Forget()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*reach, error) { return r.openReach(ctx, t, o) })
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// sender is a session that nothing but a message is asked of.
func (w *reach) sender(ctx context.Context) (*wire, error) {
	wire, err := w.d.connect(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err = w.d.setUp(wire); err == nil {
		err = wire.s.sock.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, wire.s.sock.Close())
	}
	return wire, nil
}

func (w *reach) send(to *wire, domain string) error {
	return to.s.write([]byte("<message to='sink@" + domain + "' type='chat' id='" + domain + "'><body>hello</body></message>"))
}

// await waits for the first message to a domain, and says what the server said when there is none.
func (w *reach) await(ctx context.Context, from *wire, domain string) error {
	late := time.NewTimer(reachTimeout)
	defer late.Stop()
	select {
	case <-w.o.Sink.next(domain):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
	}
	if err := from.s.sock.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	said, err := from.next()
	return fmt.Errorf("no message for %s after %s; the sender was told %.300q (%v); the sink has seen %.500q", domain, reachTimeout, said, err, w.o.Sink.state().wrong)
}

func (w *reach) round(ctx context.Context) (sample Sample, err error) {
	from, err := w.sender(ctx)
	if err != nil {
		return sample, err
	}
	defer func() { _ = from.s.sock.Close() }() // all that matters has arrived
	if err := settle(ctx, w.target.PID, calm); err != nil {
		return sample, err
	}
	before, unknown := cpuTime(w.target.PID)
	if w.target.PID != 0 && unknown != nil {
		return sample, unknown
	}
	took := new(histogram)
	for range w.o.Domains {
		domain := w.o.Domain(w.used)
		w.used++
		began := time.Now()
		if err := w.send(from, domain); err != nil {
			return sample, err
		}
		if err := w.await(ctx, from, domain); err != nil {
			return sample, err
		}
		took.add(w.o.Sink.at(domain).Sub(began))
	}
	if w.target.PID != 0 {
		after, err := cpuTime(w.target.PID)
		if err != nil {
			return sample, err
		}
		sample.set(CPUPerDomain, "ms", micros(after-before)/1000/float64(w.o.Domains), false)
	}
	sample.set(FirstP50, "ms", micros(took.quantile(.5))/1000, false)
	sample.set(LatencyMax, "ms", micros(took.max)/1000, false)
	sample.Faults = append(sample.Faults, w.o.Sink.state().wrong...)
	w.o.Sink.Forget() // other targets use the same names
	return sample, nil
}

// Domains measures resident bytes per domain that a server sends to, all proven and connected. Targets are measured one
// by one, for the sink's domains are the same for all.
func (r *Run) Domains(ctx context.Context, targets []Target, o ReachOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("domains", o, fmt.Sprintf("%d domains that had a message, measured %s after the last", o.Domains, o.Rest), targets)
	for round := range max(r.Rounds, 1) {
		for i := range targets {
			t := &targets[i]
			s, err := r.domains(ctx, t, o)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				s.Faults = append(s.Faults, fmt.Sprintf("bench: %s: %v", t, err))
			}
			rep.Results[i].describe(t)
			rep.Results[i].add(round, s)
			r.logf("round %d %-18s %s", round+1, t, s)
		}
	}
	return rep, rep.finish()
}

func (r *Run) domains(ctx context.Context, t *Target, o ReachOptions) (sample Sample, err error) {
	if r.Restart != nil {
		if err := r.Restart(ctx, t); err != nil {
			return sample, err
		}
	}
	if t.PID == 0 {
		return sample, errors.New("resident bytes need the server's process number")
	}
	o.Sink.Forget()
	w, err := r.openReach(ctx, t, o)
	if err != nil {
		return sample, err
	}
	from, err := w.sender(ctx)
	if err != nil {
		return sample, err
	}
	defer func() { _ = from.s.sock.Close() }() // all that matters has arrived
	if err := w.all(ctx, from, 0, reachWarm); err != nil {
		return sample, err
	}
	if err := settle(ctx, t.PID, calm); err != nil {
		return sample, err
	}
	before, err := resident(t.PID)
	if err != nil {
		return sample, err
	}
	already := o.Sink.state()
	spent, unknown := cpuTime(t.PID)
	began := time.Now()
	if err := errors.Join(unknown, w.all(ctx, from, reachWarm, reachWarm+o.Domains)); err != nil {
		return sample, err
	}
	span := time.Since(began)
	after, unknown := cpuTime(t.PID)
	if err := errors.Join(unknown, pause(ctx, o.Rest), settle(ctx, t.PID, calm)); err != nil {
		return sample, err
	}
	now := o.Sink.state()
	held, err := resident(t.PID)
	if err != nil {
		return sample, err
	}
	sample.Faults = append(sample.Faults, now.wrong...)
	if n := now.domains - already.domains; n != o.Domains {
		sample.Faults = append(sample.Faults, fmt.Sprintf("%d domains had a message; want %d", n, o.Domains))
	}
	if now.external+now.dialback < reachWarm+o.Domains {
		sample.Faults = append(sample.Faults, fmt.Sprintf("%d domains were proven; want %d", now.external+now.dialback, reachWarm+o.Domains))
	}
	n := float64(o.Domains)
	sample.set(BytesPerDomain, "B", float64(held-before)/n, false)
	sample.set(CPUPerDomain, "ms", micros(after-spent)/1000/n, false)
	sample.set(ReachSpan, "s", span.Seconds(), false)
	sample.set(RemoteDomains, "", n, false)
	sample.set(Connections, "", float64(now.connections-already.connections), false)
	return sample, nil
}

// all sends to the domains [first, end) at once and waits until each has its message.
func (w *reach) all(ctx context.Context, from *wire, first, end int) error {
	for n := first; n < end; n++ {
		if err := w.send(from, w.o.Domain(n)); err != nil {
			return err
		}
	}
	for n := first; n < end; n++ {
		if err := w.await(ctx, from, w.o.Domain(n)); err != nil {
			return err
		}
	}
	return nil
}
