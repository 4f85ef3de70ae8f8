// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: ThingRun.Run makes the thing of the flags and feeds it from one source:
// simulate.go measures by itself; lines of standard input and rows of a CSV file are told as they
// come.

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Thing administers things of a running server, and is one.
type Thing struct {
	Add    ThingAdd    `cmd:"" help:"Make an account for a thing."`
	Del    ThingDel    `cmd:"" help:"Delete a thing's account and all that belongs to it."`
	Import ThingImport `cmd:"" help:"Make the accounts of a CSV file, which are things."`
	List   ThingList   `cmd:"" help:"List the things."`
	Info   ThingInfo   `cmd:"" help:"Say what is known of a thing."`
	Own    ThingOwn    `cmd:"" help:"Make a thing somebody's that is nobody's, without a claim."`
	Disown ThingDisown `cmd:"" help:"Make a thing nobody's: whoever owned it does so no more."`
	Groups ThingGroups `cmd:"" help:"Put a thing into groups."`
	Token  ThingToken  `cmd:"" help:"Let things make accounts for themselves: tokens that a factory puts into them."`
	Read   ThingRead   `cmd:"" help:"Read a thing."`
	Set    ThingSet    `cmd:"" help:"Set what a thing lets you set."`
	Run    ThingRun    `cmd:"" help:"Be a thing: tell readings to an owner, and obey the owner's messages (help, read, set …)."`
}

// ThingRun runs one.
type ThingRun struct {
	login
	Owner     string        `env:"STONECHAT_OWNER" placeholder:"JID" help:"Whom to tell, and whom to obey, until the registry says that it is another's. Without one the thing waits until somebody claims it by the code it shows."`
	Scenario  string        `group:"source" xor:"source" placeholder:"FILE" help:"Be all the virtual things of a YAML file, and tell at the end what became of their readings."`
	Name      string        `help:"What people see."`
	Field     string        `default:"value" help:"The name of what is measured, such as temperature."`
	Unit      string        `help:"Its unit, as SenML has it: Cel, %RH, lx, W …"`
	Every     time.Duration `default:"10s" help:"How often a simulated reading, or a row of the CSV file, is told."`
	Sine      sine          `group:"source" xor:"source" placeholder:"LOW,HIGH,PERIOD" help:"Simulate a sine between two numbers: 18,24,1h."`
	Walk      *walk         `group:"source" xor:"source" placeholder:"LOW,HIGH,STEP" help:"Simulate a random walk between two numbers: 0,100,5."`
	CSV       string        `name:"csv" group:"source" xor:"source" placeholder:"FILE" help:"Tell the rows of a file, the first of which names the fields, with units in brackets: temperature [Cel]. A column time is RFC 3339."`
	Stdin     bool          `group:"source" xor:"source" help:"Tell the lines of standard input: VALUE, or NAME VALUE [UNIT]."`
	Set       []string      `placeholder:"NAME=KIND" help:"What the owner may set, as boolean, numeric or string; a line NAME VALUE is printed when it is."`
	Transient bool          `help:"Tell only an owner who is there: nothing waits on the server."`
	Keep      int           `default:"1000" help:"How many readings to keep while there is no connection."`
	Tell      string        `enum:"owner,followers,both" default:"owner" help:"Whom to tell: the owner, by messages; followers, by publishing, which waits for nobody; or both."`
	Maker     string        `placeholder:"DOMAIN" help:"Who has made it, for whoever claims it."`
	Model     string        `help:"What it is, for whoever claims it."`
	Serial    string        `help:"Its serial number, for whoever claims it."`
	Token     string        `env:"STONECHAT_TOKEN" help:"Make the account by this token first; with --state the password may be left out."`
	Room      []string      `placeholder:"ROOM" help:"A room to be in, to report to and to hear moderators in."`
	State     string        `env:"STONECHAT_STATE" placeholder:"FOLDER" help:"Where to keep what a power cut is not to take: readings that are not told, whose it is, and a password of its own."`
}

// Run implements the command. It ends when its source does and the server has acknowledged
// everything, or when it is interrupted.
func (r *ThingRun) Run() error {
	if r.Scenario != "" {
		return r.scenario()
	}
	config, err := r.thing()
	if err != nil {
		return err
	}
	t, err := thing.New(config)
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	ended := make(chan error, 1)
	if source := r.source(); source != nil {
		work.Go(func() {
			err := source(ctx, t)
			if err == nil {
				err = t.Sync(ctx)
			}
			if ctx.Err() == nil { // else the interruption says it all
				ended <- err
			}
			cancel()
		})
	}
	err = r.advise(t.Run(ctx))
	cancel()
	select {
	case why := <-ended:
		return errors.Join(why, err)
	default:
		return err
	}
}

// scenario is all the things of a file.
func (r *ThingRun) scenario() error {
	s, err := readScenario(r.Scenario)
	if err != nil {
		return err
	}
	base, err := r.reach()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Things, func(c Crowd) bool { return c.Password == "" }) {
		if base.Password, err = r.read(); err != nil {
			return err
		}
	}
	owner, err := r.owner()
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	return s.live(ctx, base, owner, os.Stdout)
}

// owner is whom the flags name, or the zero JID.
func (r *ThingRun) owner() (owner jid.JID, err error) {
	if r.Owner == "" {
		return owner, nil
	}
	if owner, err = jid.Parse(r.Owner); err != nil {
		return owner, fmt.Errorf("--owner: %w", err)
	}
	return owner, nil
}

// thing is what the flags say.
func (r *ThingRun) thing() (thing.Config, error) {
	identify := r.config
	if r.Token != "" && r.State != "" && !r.isGiven() {
		identify = r.who // it makes its own
	}
	c, err := identify()
	if err != nil {
		return thing.Config{}, err
	}
	owner, err := r.owner()
	if err != nil {
		return thing.Config{}, err
	}
	if c.Log == nil { // it tries for ever: why it does not get there is told without being asked for
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	t := thing.Config{
		Client: c, Owner: owner, Name: r.Name, Transient: r.Transient, Keep: r.Keep, State: r.State, Tell: telling(r.Tell),
		Maker: r.Maker, Model: r.Model, Serial: r.Serial, Token: r.Token,
		Claim: func(c thing.Claim) { fmt.Print(c.Text(term.IsTerminal(int(os.Stdout.Fd())))) },
		Claimed: func(owner jid.JID) {
			if !owner.IsZero() { // else its new code is shown
				fmt.Fprintf(os.Stderr, "This thing belongs to %s now.\n", owner)
			}
		},
	}
	for _, s := range r.Room {
		room, err := jid.Parse(s)
		if err != nil {
			return t, fmt.Errorf("--room: %w", err)
		}
		t.Rooms = append(t.Rooms, thing.Room{JID: room, Report: true})
	}
	for _, s := range r.Set {
		p, err := parameter(s, true)
		if err != nil {
			return t, err
		}
		t.Parameters = append(t.Parameters, p)
	}
	var measure func(time.Time) float64
	switch {
	case r.Sine.period > 0:
		measure = r.Sine.at
	case r.Walk != nil:
		measure = r.Walk.at
	default:
		return t, nil
	}
	t.Every = r.Every
	t.Read = func(context.Context) ([]thing.Field, error) {
		return []thing.Field{{Name: r.Field, Unit: r.Unit, Value: thing.Number(measure(time.Now()))}}, nil
	}
	return t, nil
}

// telling is whom a word tells.
func telling(word string) thing.Telling {
	switch word {
	case "followers":
		return thing.ToFollowers
	case "both":
		return thing.ToOwner | thing.ToFollowers
	}
	return thing.ToOwner
}

// parameter makes a parameter of NAME=KIND, which remembers what it was set to, and prints it if it is told to.
func parameter(s string, told bool) (thing.Parameter, error) {
	name, kind, _ := strings.Cut(s, "=")
	p := thing.Parameter{Name: name}
	value := thing.Text("")
	switch kind {
	case "boolean":
		p.Kind, value = thing.Boolean, thing.Bool(false)
	case "numeric":
		p.Kind, value = thing.Numeric, thing.Number(0)
	case "string":
		p.Kind = thing.String
	default:
		return p, fmt.Errorf("--set %s: write %s=boolean, =numeric or =string", s, name)
	}
	p.Set = func(_ context.Context, v thing.Value) error {
		value = v
		if !told {
			return nil
		}
		_, err := fmt.Println(name, v)
		return err
	}
	p.Get = func(context.Context) (thing.Value, error) { return value, nil }
	return p, nil
}

// source is what feeds the thing, nil where it measures by itself.
func (r *ThingRun) source() func(context.Context, *thing.Thing) error {
	switch {
	case r.Stdin:
		return r.lines
	case r.CSV != "":
		return r.rows
	}
	return nil
}

// lines tells standard input.
func (r *ThingRun) lines(ctx context.Context, t *thing.Thing) error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, maxLine)
	read := make(chan string)
	go func() { // which ends with its input, or the program
		defer close(read)
		for in.Scan() {
			select {
			case read <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for n := 1; ; n++ {
		var line string
		var more bool
		select {
		case line, more = <-read:
		case <-ctx.Done():
			return nil
		}
		if !more {
			return standardInput(in.Err())
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		f, err := r.field(strings.Fields(line))
		if err == nil {
			err = t.Report(f)
		}
		if err != nil {
			return fmt.Errorf("standard input, line %d: %w", n, err)
		}
		// A file is not to overrun what is kept.
		if n%max(r.Keep/2, 1) == 0 {
			if err := t.Sync(ctx); err != nil {
				return err
			}
		}
	}
}

// field reads VALUE, or NAME VALUE [UNIT].
func (r *ThingRun) field(words []string) (thing.Field, error) {
	f := thing.Field{Name: r.Field, Unit: r.Unit}
	switch len(words) {
	case 1:
		f.Value = guess(words[0])
		return f, nil
	case 3:
		f.Unit = words[2]
		fallthrough
	case 2:
		f.Name, f.Value = words[0], guess(words[1])
		return f, nil
	}
	return f, errors.New("a line is VALUE, or NAME VALUE [UNIT]")
}

// guess reads a number or true or false, and takes what is neither for a text.
func guess(s string) thing.Value {
	if v, err := thing.ParseValue(thing.Numeric, s); err == nil {
		return v
	}
	switch s {
	case "true", "on":
		return thing.Bool(true)
	case "false", "off":
		return thing.Bool(false)
	}
	return thing.Text(s)
}

// rows tells a CSV file, a row at a time.
func (r *ThingRun) rows(ctx context.Context, t *thing.Thing) error {
	f, err := os.Open(r.CSV)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	in := csv.NewReader(f)
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if err != nil {
		return fmt.Errorf("%s: the first row names the fields: %w", r.CSV, err)
	}
	tick := time.NewTicker(max(r.Every, 1))
	defer tick.Stop()
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := in.FieldPos(0)
		var fields []thing.Field
		if err == nil {
			fields, err = columns(head, row)
		}
		if err == nil {
			err = t.Report(fields...)
		}
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", r.CSV, line, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// columns makes the fields of a row; an empty cell is none.
func columns(head, row []string) (fields []thing.Field, err error) {
	var at time.Time
	for i, cell := range row {
		name, unit, _ := strings.Cut(head[i], "[")
		name = strings.TrimSpace(name)
		switch {
		case cell == "":
		case name == "time":
			if at, err = time.Parse(time.RFC3339, cell); err != nil {
				return nil, fmt.Errorf("time: %w", err)
			}
		default:
			fields = append(fields, thing.Field{Name: name, Unit: strings.TrimSuffix(unit, "]"), Value: guess(cell)})
		}
	}
	for i := range fields {
		fields[i].Time = at
	}
	return fields, nil
}
