// SPDX-License-Identifier: Apache-2.0

package main

// What is written about a run: the goals beside the figures, then every row
// whole. What people wrote between the notes' marks of an earlier document is
// kept, and so is what it says of rows that were not measured now.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// finding is a row and what it gave.
type finding struct {
	row     row
	Row     string        `json:"row"`
	Tree    string        `json:"tree"`    // as git names what was measured
	Missing []string      `json:"missing"` // servers that were not, with the reason
	Report  *bench.Report `json:"report"`
}

type document struct {
	rows     []row
	findings []finding
	before   string // the page as it was
}

// inOrder sorts findings as rows does; of two of one row the later one counts.
func inOrder(found []finding) (sorted []finding) {
	for _, r := range rows() {
		for _, f := range slices.Backward(found) {
			if f.Row == r.name {
				f.row = r
				sorted = append(sorted, f)
				break
			}
		}
	}
	return sorted
}

const (
	notesBegin = "<!-- notes: kept when this page is written again -->"
	notesEnd   = "<!-- end of notes -->"
)

// columns of the table of goals beside our server.
var others = []string{"prosody", "ejabberd", "mosquitto", "raw"}

// goals is the table of goals: ours, whether it is met, and the others.
func (d *document) goals() string {
	var b strings.Builder
	b.WriteString("| work | goal | stonechat | met | " + strings.Join(others, " | ") + " |\n|---|--:|--:|:-:|" + strings.Repeat("--:|", len(others)) + "\n")
	for _, r := range d.rows {
		f := d.finding(r.name)
		for _, g := range r.goals {
			if f != nil {
				b.WriteString(f.goal(g))
			} else {
				b.WriteString(line(d.before, "| "+g.what+" | "))
			}
		}
	}
	return b.String()
}

// finding is that of a row, nil when it was not measured.
func (d *document) finding(name string) *finding {
	for i := range d.findings {
		if d.findings[i].row.name == name {
			return &d.findings[i]
		}
	}
	return nil
}

// goal is the line of one goal.
func (f *finding) goal(g goal) string {
	limit := "≤ " + number(g.limit)
	if g.over != "" {
		limit += " × " + referenceName(g.over)
	}
	value, text := g.read(f.Report, g.target)
	verdict := "–"
	if text != "–" {
		verdict = "**no**"
		if value <= g.limit {
			verdict = "yes"
		}
	}
	out := fmt.Sprintf("| %s | %s | %s | %s |", g.what, limit, text, verdict)
	for _, name := range others {
		if strings.HasSuffix(g.target, " plain") && name != "raw" {
			name += " plain"
		}
		_, text := g.read(f.Report, name)
		if text == "–" && f.row.lacks != "" && (name == "raw" || name == "mosquitto") {
			text = f.row.lacks
		}
		if f.row.share != nil && text != "–" {
			text += f.part(name)
		}
		out += " " + text + " |"
	}
	return out + "\n"
}

// part says how much of the load a target had.
func (f *finding) part(target string) string {
	for _, r := range f.Report.Results {
		for _, name := range []string{bench.Subscriptions, bench.Receivers, bench.Occupants, bench.Stored} {
			if figure := r.Figure(name); r.Target == target && figure != nil {
				return fmt.Sprintf(" (%.0f %s)", figure.Median, name)
			}
		}
	}
	return ""
}

// line is the line of a page that begins so, with its end; empty when there is none.
func line(page, begins string) string {
	for l := range strings.Lines(page) {
		if strings.HasPrefix(l, begins) {
			return l
		}
	}
	return ""
}

// section is a row's section of a page, empty when there is none.
func section(page, title string) string {
	_, rest, ok := strings.Cut(page, "\n## "+title+"\n")
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return "\n## " + title + "\n" + strings.TrimRight(text, "\n") + "\n"
}

func referenceName(k bench.Kind) string {
	if k == bench.MQTT {
		return "mosquitto"
	}
	return "raw"
}

// read takes a goal's figure, or its ratio, of one target out of a report.
func (g *goal) read(rep *bench.Report, target string) (value float64, text string) {
	i := slices.IndexFunc(rep.Results, func(r bench.Result) bool { return r.Target == target })
	if i < 0 {
		return 0, "–"
	}
	f := rep.Results[i].Figure(g.figure)
	if f == nil {
		return 0, "–"
	}
	if g.over == "" {
		return f.Median, f.Range()
	}
	if rep.Results[i].Kind == g.over {
		return 1, "1"
	}
	for _, r := range f.Ratios {
		if r.To == referenceName(g.over) {
			return r.Median, r.String()
		}
	}
	return 0, "–"
}

// number writes a limit without needless digits.
func number(v float64) string { return fmt.Sprintf("%g", v) }

// page is the whole document.
func (d *document) page(notes string) string {
	var b strings.Builder
	b.WriteString(`# Benchmarks

Written by ` + "`make bench`" + ` (test/load); measured by ` + "`stonechat bench`" + ` (internal/bench). Do not edit it but between the marks of the notes.

## Goals

Ratios are of server CPU time per message, round by round within one interleaved run; × raw is over a relay process that
moves the same bytes between the same number of sockets without looking at them, one write for each read, and without TLS.
Medians with [least–greatest round]. Absolute figures orient: they are this machine's.

`)
	b.WriteString(d.goals())
	b.WriteString("\n" + notesBegin + notes + notesEnd + "\n\n## Where and how\n\n")
	if len(d.findings) > 0 {
		m := d.findings[0].Report.Machine
		fmt.Fprintf(&b, "* %s, %d cores, %d GiB, Linux %s, %s, %s; servers and generator share the machine, all traffic on loopback.\n",
			m.CPU, m.Cores, m.Memory>>30, m.Kernel, m.OS, m.Go)
	}
	for _, v := range d.versions() {
		b.WriteString("* " + v + "\n")
	}
	if len(d.findings) < len(d.rows) {
		b.WriteString("* A row whose tree and time differ was measured in an earlier run, on this machine or one like it.\n")
	}
	for _, m := range d.missing() {
		b.WriteString("* Not measured: " + strings.ReplaceAll(m, "\n", " ") + "\n")
	}
	b.WriteString(method)
	for _, r := range d.rows {
		if f := d.finding(r.name); f != nil {
			b.WriteString(f.section())
		} else {
			b.WriteString(section(d.before, r.title))
		}
	}
	return b.String()
}

func (f *finding) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s. Tree %s, %s, %d rounds in %.0f minutes.\n\n    %s\n\n", f.row.title, capital(f.Report.Summary),
		f.Tree, f.Report.Started.UTC().Format("2 January 2006 15:04"), f.Report.Rounds, f.Report.Seconds/60, f.Report.Command)
	_ = f.Report.WriteMarkdown(&b) // a Builder takes everything
	return b.String()
}

const method = `
Method: CPU time is user and system time of the server's process, all threads, from /proc, over the measured time of a
round, divided by the messages received in it; resident bytes are Rss of smaps_rollup less the value before the first
session (after a few warming logins, in a fresh process); a login is TCP, TLS without resumption, SCRAM, bind and the end
of the stream. Targets take turns round by round. The generator is one epoll loop per core with byte templates; every
message is its own write, carries pair, number and time, and is checked to arrive once, whole and in order. What did
not is listed as FAULT under the table and makes the run fail. "generator" is the generator's own CPU time.

Of a fan-out the CPU time is divided by the copies that arrived, or by the publishes; copies bear channel, number and time
and are checked like messages. Subscribers have their notifications sent to the account. A page must hold messages that were sent
one after the other, the next one those before. Bystanders are a pair that send each other one message after the other meanwhile,
and the figure is that of the worst second. What would take the others hours is divided by ten, or two hundred, for them: the tables say
how many receivers, occupants, nodes and messages each had. The archive of Stonechat is committed (fsync) before the sender's ack.

Things are those of the SDK (package thing), in worker processes of 2,500, each with a connection of its own over TLS, SCRAM and
stream management; owners are clients of it. A thing registers, is claimed by its code, and tells a reading a minute, spread evenly
over it; in the row of all that things do it publishes each reading too, the archive is on as in a server without configuration,
and each thing is read (XEP-0323) and told to do something (XEP-0325) once. The latency of a reading is from when the thing took it
to when its owner's program has it; that of a request until its answer is there. Readings are numbered: one that was told in the
measured time and did not arrive, came twice, came late or was not acked is a FAULT, and so is whatever the SDK logs as a warning. "thing's CPU" and
"thing's resident" are of the processes of the things. Beside a broker things only tell: its sessions publish the same JSON at QoS 1, each at a topic of
its own, and owners subscribe to theirs. Robots are stopped by a word in their room; the last robot is the one that hears it last,
by one clock. A guarded request goes to a thing whose owner has allowed it to that caller, an unguarded one to a contact.

Any server can be measured like this. The number of its process gives the CPU and memory figures; the word raw adds the
yardstick. Accounts are bench0, bench1, … with one password (--user, --password); --register makes them by in-band
registration where the server allows that, otherwise they must be there:

    stonechat bench relay --register 'xmpp://127.0.0.1:5222/example.org?pid=4711&name=mine' raw
    stonechat bench idle --sessions 4000 'xmpp://127.0.0.1:5222/example.org?pid=4711&name=mine'

Mosquitto runs MQTT 3.1.1 with QoS 0, and QoS 1 where XMPP has stream management; its clients log in without a password.
`

// missing are the servers that some row lacks.
func (d *document) missing() (out []string) {
	for _, f := range d.findings {
		out = append(out, f.Missing...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// versions are the servers' own names for themselves.
func (d *document) versions() []string {
	var out []string
	for _, f := range d.findings {
		for _, r := range f.Report.Results {
			line := r.Target + ": " + r.Version
			if r.Version != "" && !strings.HasSuffix(r.Target, " plain") && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	if len(out) > 0 {
		out = append(out, "raw: the raw relay of this tree, "+runtime.Version())
	}
	return out
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// writeFile writes the page and keeps the notes of the one that was there.
func (d *document) writeFile(path string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.before = string(old)
	return os.WriteFile(path, []byte(d.page(keptNotes(d.before))), 0o644)
}

// keptNotes is what stands between the marks, a line break where there are none.
func keptNotes(page string) string {
	_, rest, ok1 := strings.Cut(page, notesBegin)
	notes, _, ok2 := strings.Cut(rest, notesEnd)
	if !ok1 || !ok2 {
		return "\n"
	}
	return notes
}

// writeJSON writes all findings as one array; nothing without a path.
func writeJSON(path string, found []finding) error {
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// readJSON reads what writeJSON wrote; nothing without a path.
func readJSON(path string) (found []finding, err error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return found, nil
}
