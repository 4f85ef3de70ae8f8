// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// How to read this file: TestOrder records a load and has it judged. evidence finds in a trace, for each message and
// change, when it was kept and why; promises finds what the server has acknowledged, and when. Every promise needs
// evidence that is older. TestJudge shows that the judge can tell right from wrong.

// why is the reason for which something counts as kept.
type why string

const (
	committed why = "its commit was synced"
	acked     why = "its receiver had acked it"
	left      why = "it had left for its receiver, which has no acks"
)

// evidence says from which place in the trace on something is kept, for each reason.
type evidence map[string]map[why]int

func (v evidence) note(what string, w why, place int) {
	if v[what] == nil {
		v[what] = map[why]int{}
	}
	if old, ok := v[what][w]; !ok || place < old {
		v[what][w] = place
	}
}

// before returns the reason for which what was kept at that place.
func (v evidence) before(what string, place int) (why, bool) {
	for _, w := range []why{committed, acked, left} {
		if at, ok := v[what][w]; ok && at < place {
			return w, true
		}
	}
	return "", false
}

// promise is an acknowledgement, or one stanza of those that it covers.
type promise struct {
	what  string // a key of evidence
	by    string // how it was given
	place int    // where it began to leave
}

// marked finds the marks in b, wherever they stand: a letter, three words between dots, the last a number, and nothing
// of that kind around them. The ids of messages are marks, and so is what mark makes.
func marked(b []byte) (found []string) {
	for field := range bytes.FieldsFuncSeq(b, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.'
	}) {
		if bytes.Count(field, []byte(".")) == 2 && field[0] >= 'a' && bytes.ContainsAny(field[len(field)-1:], "0123456789") {
			found = append(found, string(field))
		}
	}
	return found
}

// mark makes a mark for what is no message. It brings its own neighbours: in a page of the file it touches others.
func mark(kind, of string, n int) string { return fmt.Sprintf("_%s.%s.%d_", kind, of, n) }

// collectEvidence reads what was kept, when and why.
func collectEvidence(calls []*call, all []*conversation) evidence {
	v := evidence{}
	logs := map[string]*walTrace{}
	for _, c := range calls {
		file := c.file(0)
		if c.failed || !strings.HasSuffix(file, "-wal") {
			continue
		}
		if logs[file] == nil {
			logs[file] = &walTrace{}
		}
		for _, m := range logs[file].take(c) {
			v.note(m, committed, c.end)
		}
	}
	for _, s := range all {
		for i, e := range s.received() {
			for _, m := range messageMarks(e) {
				for _, a := range s.from {
					if a.h() > i {
						v.note(m, acked, a.end)
						break
					}
				}
			}
		}
		if s.counted < 0 && s.user != "" {
			for _, e := range s.to {
				for _, m := range messageMarks(e) {
					v.note(m, left, e.end)
				}
			}
		}
	}
	return v
}

// walTrace follows what is written to a write-ahead log of SQLite: frames, each a header and a page. The last of a
// transaction says so in its header (https://www.sqlite.org/fileformat2.html#walformat).
type walTrace struct {
	open  []string // marks of the transaction that is being written
	last  bool     // the page to come is its last
	whole []unsynced
}

type unsynced struct {
	mark string
	end  int
}

const walFrameHeader = 24

// take takes one call, and returns the marks of transactions that it has synced.
func (w *walTrace) take(c *call) (synced []string) {
	switch c.name {
	case "pwrite64":
		data := c.bytes(1)[:c.ret]
		if len(data) == walFrameHeader {
			w.last = !bytes.Equal(data[4:8], make([]byte, 4))
			return nil
		}
		w.open = append(w.open, marked(data)...)
		if w.last {
			for _, m := range w.open {
				w.whole = append(w.whole, unsynced{m, c.end})
			}
			w.open, w.last = nil, false
		}
	case "fsync", "fdatasync":
		var rest []unsynced
		for _, u := range w.whole {
			if u.end < c.start {
				synced = append(synced, u.mark)
			} else {
				rest = append(rest, u)
			}
		}
		w.whole = rest
	}
	return synced
}

// messageMarks are those of a message: in its id, and those of certain kinds in its body, that an archive has to keep it.
// Errors are no copies of it.
func messageMarks(e *wireElement, kinds ...string) []string {
	if e.name() != "message" || e.attr("type") == "error" {
		return nil
	}
	found := marked([]byte(e.attr("id")))
	for _, m := range marked([]byte(e.xml)) {
		if slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(m, kind) }) {
			found = append(found, m)
		}
	}
	return found
}

// collectPromises finds what the server has acknowledged.
func collectPromises(all []*conversation) (list []promise) {
	for _, s := range all {
		sent, had := s.sent(), 0
		for _, e := range s.to {
			for h := e.h(); had < h && had < len(sent); had++ {
				for _, m := range messageMarks(sent[had], "g.", "k.") {
					list = append(list, promise{m, fmt.Sprintf("<a h='%d'/> to %s", h, s.user), e.start})
				}
			}
		}
		results := map[string]*wireElement{}
		for _, e := range s.to {
			if e.name() == "iq" && e.attr("type") == "result" {
				results[e.attr("id")] = e
			}
		}
		for _, e := range s.from {
			if e.name() != "iq" || e.attr("type") != "set" {
				continue
			}
			if r := results[e.attr("id")]; r != nil {
				for _, m := range marked([]byte(e.xml)) {
					list = append(list, promise{m, "the result to " + s.user, r.start})
				}
			}
		}
	}
	return list
}

// judge returns the promises that were made too early, and how many were kept for which reason.
func judge(calls []*call) (faults []string, kept map[why]int) {
	all := streams(calls)
	v := collectEvidence(calls, all)
	kept = map[why]int{}
	for _, p := range collectPromises(all) {
		if w, ok := v.before(p.what, p.place); ok {
			kept[w]++
			continue
		}
		faults = append(faults, fmt.Sprintf("%s left at line %d, but of %s there is only %v", p.by, p.place+1, p.what, v[p.what]))
	}
	return faults, kept
}

func TestOrder(t *testing.T) {
	c := newChance(t)
	calls, _ := record(t, func(s *server) { tracedLoad(t, c, s, 600) })
	faults, kept := judge(calls)
	for i, f := range faults {
		if i == 20 {
			t.Errorf("and %d more", len(faults)-i)
			break
		}
		t.Error(f)
	}
	t.Logf("%d system calls; kept before they were acknowledged: %v", len(calls), kept)
	if kept[committed] < 200 || kept[acked] < 20 || kept[left] < 20 {
		t.Errorf("too few to prove anything: %v", kept)
	}
	// The same trace with every sync ending a little later must not pass.
	late := 0
	for _, c := range calls {
		if (c.name == "fsync" || c.name == "fdatasync") && strings.HasSuffix(c.file(0), "-wal") {
			c.end += 1000
			late++
		}
	}
	if faults, _ := judge(calls); len(faults) < 100 {
		t.Errorf("with %d syncs 1000 lines later only %d faults are found: the judge is blind", late, len(faults))
	}
}
