// SPDX-License-Identifier: Apache-2.0

// Command load is `make bench`: it starts our server, Prosody, ejabberd and
// Mosquitto, each on a loopback port and in a folder of its own, measures all
// of them and the raw relay in interleaved rounds, compares with the goals, and
// writes docs/benchmarks.md. It is for whoever changed something that might
// cost speed or memory.
//
//	go run ./test/load                     the whole, about an hour and a half
//	go run ./test/load -quick -out ""      a look, some minutes: the same with fewer of everything
//	go run ./test/load -rows relay,sm      some rows; what the document says of others stays
//	go run ./test/load -rows places        the rows of rooms, nodes and archives, a quarter of an hour
//	go run ./test/load -rows federation    the rows of servers that talk to each other: two of a kind, one with 1,000 domains, and one with a component
//	go run ./test/load -rows things        the rows of things: 10,000 of them for ten minutes, half an hour in all
//	go run ./test/load -rows none -peers "" -with all.json    the document, of rows measured before
//
// Debian's packages are installed if it runs as root, without starting the
// services that they bring; a server that is missing is left out, and said to be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// options is what the command line says.
type options struct {
	rounds   int
	rows     string
	peers    string
	out      string
	json     string
	with     string
	memory   int
	quick    bool
	duration time.Duration
	idle     int
	grow     int
	rest     time.Duration
	things   int
	live     time.Duration
	sink     *bench.Sink // the server of the domains in the rows about these
}

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "raw-relay":
		err = bench.RawRelay(os.Stdin, os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = bench.Worker(os.Stdin, os.Stdout)
	default:
		var o options
		o.flags()
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func (o *options) flags() {
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of a row")
	flag.IntVar(&o.memory, "memory-rounds", 2, "rounds of a row whose sessions log in anew in each, which takes minutes")
	flag.StringVar(&o.rows, "rows", "", "only these rows, by comma, or the groups sessions, places, federation and things: "+strings.Join(rowNames(), ","))
	flag.StringVar(&o.peers, "peers", "stonechat,prosody,ejabberd,mosquitto", "servers to measure beside the raw relay; stonechat-goroutine is ours on the portable driver")
	flag.StringVar(&o.out, "out", "docs/benchmarks.md", "the document to write; what it says of rows that are not measured stays; empty: none")
	flag.StringVar(&o.json, "json", "", "file for all rows as JSON")
	flag.StringVar(&o.with, "with", "", "file of rows measured before, written by -json, for the document")
	flag.BoolVar(&o.quick, "quick", false, "few rounds and sessions: to see that it works, not to compare")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "measured time of one round of one server")
	flag.IntVar(&o.idle, "idle", 4000, "sessions of the idle rows")
	flag.IntVar(&o.grow, "grow", 18800, "silent sessions of the growth row")
	flag.DurationVar(&o.rest, "rest", time.Minute, "rest before memory is measured")
	flag.IntVar(&o.things, "things", 10_000, "things of the rows of things")
	flag.DurationVar(&o.live, "live", 10*time.Minute, "measured time of the row meters, in which they tell a reading a minute; that beside a broker has three minutes at most")
	flag.Parse()
	if o.quick {
		o.rounds, o.memory, o.duration, o.idle, o.grow, o.rest = 2, 1, time.Second, 300, 600, 2*time.Second
		o.things, o.live = 200, 10*time.Second
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen, err := choose(o.rows)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stonechat-bench-")
	if err != nil {
		return err
	}
	b, err := newBed(ctx, dir, strings.FieldsFunc(o.peers, func(r rune) bool { return r == ',' }), chosen)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = measure(ctx, b, o, chosen)
	return errors.Join(err, b.close(), os.RemoveAll(dir))
}

// measure makes the accounts, runs the rows and writes what was asked for.
func measure(ctx context.Context, b *bed, o options, chosen []row) error {
	found, err := readJSON(o.with)
	if err != nil {
		return err
	}
	if err := b.register(ctx, chosen, o); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tree := commit(ctx)
	if b.world != nil {
		o.sink = b.world.sink
	}
	var faulty error
	for _, r := range chosen {
		fmt.Printf("\n== %s\n", r.title)
		if err := b.fresh(ctx, r); err != nil {
			return err
		}
		run := &bench.Run{Rounds: r.rounds(o), Self: []string{self}, Command: r.command(o), Log: func(format string, args ...any) { fmt.Printf(format+"\n", args...) }}
		if r.memory {
			run.Restart = b.restart
		}
		rep, err := r.run(ctx, run, b.targets(r, o), o)
		if rep == nil {
			return err
		}
		faulty = errors.Join(faulty, err)
		if err := rep.WriteText(os.Stdout); err != nil {
			return err
		}
		found = append(found, finding{row: r, Row: r.name, Tree: tree, Missing: b.missing, Report: rep})
	}
	if err := b.stop(); err != nil {
		return err
	}
	doc := document{rows: rows(), findings: inOrder(found)}
	fmt.Printf("\n%s", doc.goals())
	if err := writeJSON(o.json, found); err != nil {
		return err
	}
	if o.out != "" && len(doc.findings) > 0 {
		if err := doc.writeFile(o.out); err != nil {
			return err
		}
	}
	return faulty
}

// commit is the tree that was measured, as git names it; empty without git.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// choose picks rows by name or group, all when none is named.
func choose(names string) ([]row, error) {
	switch names {
	case "":
		return rows(), nil
	case "none":
		return nil, nil
	}
	var out []row
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, r := range rows() {
			if r.name == name || r.group == name {
				out, found = append(out, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no row %q; rows are %s, and of groups sessions, places, federation, things", name, strings.Join(rowNames(), ", "))
		}
	}
	return out, nil
}
