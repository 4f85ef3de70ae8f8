// SPDX-License-Identifier: Apache-2.0

// Package bench loads XMPP servers, ours or another, and says what the load
// cost them: CPU time per message, per copy in a room, per login, per page of an
// archive; resident bytes per session. It is for whoever works on the server's speed and for operators who
// compare servers; `stonechat bench` and `make bench` are thin shells around it.
//
// How to read it, from the socket upwards:
//
//	scan.go, mqtt.go   where a unit of input ends, and the few units we write
//	sock.go, loop*.go  a non-blocking socket, TLS over it, one epoll loop
//	session.go         a logged-in connection: what it answers, what it counts
//	dial.go, scram.go  how a connection becomes a session; accounts
//	relay*.go          the relay workload; check.go proves each message came once and in order
//	idle.go, login.go, growth.go, storm.go   the other workloads of sessions
//	crowd.go, place.go, channel.go           sessions that share rooms and nodes
//	fan.go, join.go, page.go, rest.go        the workloads of rooms, nodes and archives
//	things*.go, robots.go, guard.go          those of things, which are the SDK's
//	worker.go, fleet.go  many sessions held by child processes
//	rawrelay*.go       the yardstick: bytes moved by a process that reads none of them
//	proc.go, hist.go, report.go, table.go    measuring, and saying it
//
// The rules of measuring. The server's CPU time is utime+stime of its process,
// all threads, from /proc, over a window in which the load is steady; the
// generator's own time is never in it. Targets take turns, round by round, so
// that a disturbance of the machine meets all of them; a figure is the median
// of its rounds and is shown with their range, and a ratio is the median of the
// ratios within a round. What did not arrive, came twice or came late is
// reported as a fault and makes the run fail; it is never left out.
//
// The generator shares the machine with the server: one goroutine on one epoll
// loop moves all messages, from byte templates, and input is only cut at
// stanza ends. Certificates are not verified. It measures on Linux only.
//
// Of the protocols it speaks what a client that sends messages needs: streams,
// SCRAM, stream management, rooms, nodes, archives, and MQTT 3.1.1.
package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrFaults says that a workload ran and found faults: messages missing,
	// sessions lost, logins failed. The report names them.
	ErrFaults = errors.New("bench: the run had faults")
	// ErrUnsupported is returned by every workload where there is no epoll and no /proc.
	ErrUnsupported = errors.New("bench: measuring needs Linux")
)

// Run is what all workloads have in common.
type Run struct {
	// Rounds is how often each target is measured, in turn with the others.
	Rounds int
	// Self is the command that starts this program again, to which `raw-relay`
	// or `worker` is appended: {"/usr/bin/stonechat", "bench"}. Whoever answers
	// that command calls RawRelay or Worker.
	Self []string
	// Restart, when set, puts a fresh server in the place of a target before a
	// round that measures memory, or as the storm's beginning, and updates the
	// target's address and PID.
	Restart func(ctx context.Context, t *Target) error
	// Log is told what happens, a line at a time; nil is silent.
	Log func(format string, args ...any)
	// Command is how the run was started, for the report.
	Command string
}

func (r *Run) logf(format string, args ...any) {
	if r.Log != nil {
		r.Log(format, args...)
	}
}

// subject is one target inside a workload.
type subject interface {
	// round measures once.
	round(ctx context.Context) (Sample, error)
}

// interleave measures every subject once per round, in an order that starts
// one later each round, so that no target always follows the same one.
func (r *Run) interleave(ctx context.Context, rep *Report, subjects []subject) error {
	for round := range max(r.Rounds, 1) {
		for i := range subjects {
			k := (i + round) % len(subjects)
			if subjects[k] == nil {
				continue
			}
			s, err := subjects[k].round(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.Faults = append(s.Faults, err.Error())
				subjects[k] = nil // what has failed once is not measured again
			}
			rep.Results[k].add(round, s)
			r.logf("round %d %-18s %s", round+1, rep.Results[k].Target, s)
		}
	}
	return nil
}

// each prepares one subject per target; a target that fails is reported and left out.
func each[S subject](ctx context.Context, r *Run, rep *Report, targets []Target, prepare func(*Target) (S, error)) ([]subject, error) {
	out := make([]subject, len(targets))
	for i := range targets {
		r.logf("connecting to %s", targets[i])
		s, err := prepare(&targets[i])
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		rep.Results[i].describe(&targets[i])
		if err != nil {
			rep.Results[i].fault(err.Error())
			r.logf("%s: %v", targets[i], err)
			continue
		}
		out[i] = s
	}
	return out, nil
}

// parallel calls do for 0..n-1, at most width at a time, and returns the first
// error; after an error no further calls begin.
func parallel(ctx context.Context, n, width int, do func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	done := make(chan struct{})
	width = max(1, min(width, n))
	for range width {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range next {
				if err := do(i); err != nil {
					cancel(err)
					return
				}
			}
		}()
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	for range width {
		<-done
	}
	return context.Cause(ctx)
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bench: waiting: %w", ctx.Err())
	}
}
