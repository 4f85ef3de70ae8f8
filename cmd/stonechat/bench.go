// SPDX-License-Identifier: Apache-2.0

package main

// The face of internal/bench: flags bound to its options, a command per
// workload. What is measured, and how, is told there.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// Bench loads any XMPP or MQTT server and prints what that cost it.
type Bench struct {
	Relay  BenchRelay  `cmd:"" help:"CPU time per message, latency, bytes on the wire."`
	Idle   BenchIdle   `cmd:"" help:"Resident bytes per silent session."`
	Login  BenchLogin  `cmd:"" help:"CPU time per login."`
	Growth BenchGrowth `cmd:"" help:"CPU time per message beside many silent sessions, over that without them."`
	Storm  BenchStorm  `cmd:"" help:"All sessions lose their connection and come back at once."`
	Fan    BenchFan    `cmd:"" help:"CPU time per copy when a message goes to many, through a room or nodes."`
	Join   BenchJoin   `cmd:"" help:"Many join one room at once."`
	Page   BenchPage   `cmd:"" help:"Filling an archive and reading pages of it."`
	Rest   BenchRest   `cmd:"" help:"Resident bytes per room or node that nobody uses."`

	Things BenchThings `cmd:"" help:"CPU time per reading, resident bytes per thing, loss and latency of things that tell readings."`
	Robots BenchRobots `cmd:"" help:"How long an emergency stop takes to reach all robots of a room."`
	Guard  BenchGuard  `cmd:"" help:"CPU time of deciding whether somebody may ask a thing."`

	RawRelay BenchRawRelay `cmd:"" hidden:"" help:"The raw relay, a child of a run."`
	Worker   BenchWorker   `cmd:"" hidden:"" help:"Holds sessions, a child of a run."`
}

// benchRun is what all workloads take.
type benchRun struct {
	Targets   []string `arg:"" name:"target" help:"xmpp://HOST:PORT/DOMAIN (STARTTLS), xmpps:// (direct TLS), xmpp+plain://, mqtt://, mqtts://, each with ?pid=N for the server's process, &name=…, &rooms= and &nodes= for the domains of its rooms and nodes, &share=N for the Nth part of the occupants, nodes and messages; or the word raw, the yardstick that only moves bytes."`
	User      string   `default:"bench%d" help:"Accounts; %d is their number, from 0 on."`
	Password  string   `default:"bench-secret" help:"Password of all accounts."`
	Register  bool     `help:"Make the accounts by in-band registration (XEP-0077) first."`
	Mechanism string   `help:"SASL mechanism; the strongest SCRAM without channel binding by default."`
	JSON      string   `name:"json" placeholder:"FILE" help:"Write the report as JSON too; - for standard output instead of the table."`
	Quiet     bool     `short:"q" help:"Say nothing while it runs."`
}

// benchRounds is for workloads whose targets take turns.
type benchRounds struct {
	Rounds   int           `default:"5" help:"How often each target is measured, in turn."`
	Duration time.Duration `default:"3s" help:"Of measuring, per round and target."`
}

// benchLoad is the shape of the relay.
type benchLoad struct {
	Pairs  int           `default:"100" help:"Pairs of sessions; one of each sends to the other."`
	Window int           `default:"8" help:"Messages in flight per pair."`
	Rate   float64       `help:"Messages per second over all pairs instead of a window."`
	Body   int           `default:"150" help:"Bytes of a body."`
	SM     bool          `name:"sm" help:"Stream management on both sides (XMPP)."`
	Ack    int           `default:"8" help:"With --sm, ask for an ack every so many messages."`
	QoS    uint8         `name:"qos" help:"MQTT quality of service, 0 or 1."`
	Warmup time.Duration `default:"500ms" help:"Before measuring."`
}

func (l *benchLoad) options(d time.Duration) bench.RelayOptions {
	return bench.RelayOptions{Pairs: l.Pairs, Window: l.Window, Rate: l.Rate, Body: l.Body, SM: l.SM, AckEvery: l.Ack,
		QoS: l.QoS, Warmup: l.Warmup, Duration: d}
}

// benchSession is what silent sessions set up.
type benchSession struct {
	Roster   bool `default:"true" negatable:"" help:"Fetch the roster."`
	SM       bool `name:"sm" default:"true" negatable:"" help:"Stream management."`
	Presence bool `help:"Send initial presence."`
}

func (s *benchSession) options() bench.Session {
	return bench.Session{Roster: s.Roster, SM: s.SM, Presence: s.Presence}
}

// BenchRelay measures what a message costs.
type BenchRelay struct {
	benchRun
	benchRounds
	benchLoad
}

// Run implements the command.
func (b *BenchRelay) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Relay(ctx, t, b.options(b.Duration))
	})
}

// BenchIdle measures what a silent session holds.
type BenchIdle struct {
	benchRun
	benchSession
	Sessions int           `default:"4000" help:"Sessions."`
	Record   int           `help:"Measure again after each session has sent a message of so many bytes to itself."`
	Rest     time.Duration `default:"1m" help:"Between the last login and measuring."`
	Rounds   int           `default:"1" help:"Rounds; a server keeps memory of the first."`
}

// Run implements the command.
func (b *BenchIdle) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Idle(ctx, t, bench.IdleOptions{Sessions: b.Sessions, Session: b.options(), Record: b.Record, Rest: b.Rest})
	})
}

// BenchLogin measures what a login costs.
type BenchLogin struct {
	benchRun
	benchRounds
	Parallel int `default:"8" help:"Logins at a time."`
	Accounts int `default:"100" help:"Accounts that log in, in turn."`
}

// Run implements the command.
func (b *BenchLogin) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Login(ctx, t, bench.LoginOptions{Parallel: b.Parallel, Accounts: b.Accounts, Duration: b.Duration})
	})
}

// BenchGrowth measures how the cost of a message grows with the sessions.
type BenchGrowth struct {
	benchRun
	benchRounds
	benchLoad
	Idle int           `default:"18800" help:"Silent sessions."`
	Rest time.Duration `default:"1m" help:"Before memory is measured with all of them."`
}

// Run implements the command.
func (b *BenchGrowth) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Growth(ctx, t, bench.GrowthOptions{Relay: b.options(b.Duration), Idle: b.Idle, Rest: b.Rest,
			Session: bench.Session{Roster: true, SM: true}})
	})
}

// BenchStorm measures how sessions come back.
type BenchStorm struct {
	benchRun
	benchSession
	Sessions int           `default:"2000" help:"Sessions."`
	Parallel int           `help:"Logins under way at a time; all by default."`
	Patience time.Duration `default:"1m" help:"How long a session tries again."`
	Rounds   int           `default:"5" help:"Storms per target, in turn."`
}

// Run implements the command.
func (b *BenchStorm) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Storm(ctx, t, bench.StormOptions{Sessions: b.Sessions, Session: b.options(), Parallel: b.Parallel, Patience: b.Patience})
	})
}

// run reads the targets, does the workload and writes the report.
func (b *benchRun) run(rounds int, do func(context.Context, *bench.Run, []bench.Target) (*bench.Report, error)) error {
	var targets []bench.Target
	for _, s := range b.Targets {
		t, err := bench.ParseTarget(s)
		if err != nil {
			return err
		}
		t.Accounts = bench.Accounts{Pattern: b.User, Password: b.Password, Register: b.Register, Mechanism: b.Mechanism}
		targets = append(targets, t)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: finding this program: %w", err)
	}
	r := &bench.Run{Rounds: rounds, Self: []string{self, "bench"}, Command: strings.Join(os.Args, " ")}
	if !b.Quiet {
		r.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rep, err := do(ctx, r, targets)
	if rep == nil {
		return err
	}
	return errors.Join(b.write(rep), err)
}

func (b *benchRun) write(rep *bench.Report) error {
	if b.JSON == "-" {
		return rep.WriteJSON(os.Stdout)
	}
	if b.JSON != "" {
		f, err := os.Create(b.JSON)
		if err != nil {
			return err
		}
		if err := errors.Join(rep.WriteJSON(f), f.Close()); err != nil {
			return err
		}
	}
	return rep.WriteText(os.Stdout)
}

// BenchRawRelay is the yardstick's process.
type BenchRawRelay struct{}

// Run implements the command.
func (*BenchRawRelay) Run() error { return bench.RawRelay(os.Stdin, os.Stdout) }

// BenchWorker is a process that holds sessions.
type BenchWorker struct{}

// Run implements the command.
func (*BenchWorker) Run() error { return bench.Worker(os.Stdin, os.Stdout) }
