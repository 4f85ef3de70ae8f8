// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// message is one of those that tests send: the nth from one account to another.
type message struct {
	from, to string
	n        int
}

func (m message) String() string { return fmt.Sprintf("%s>%s#%d", m.from, m.to, m.n) }

// xml is the message as it is sent; size is about how long its body is.
func (m message) xml(to string, size int) string {
	id := fmt.Sprintf("%s.%s.%d", m.from, m.to, m.n)
	return "<message type='chat' to='" + to + "' id='" + id + "'><body>" + id + " " + strings.Repeat("x", size) + "</body></message>"
}

// parseMessage is the reverse.
func parseMessage(e *element) (message, error) {
	f := strings.Split(e.attr("id"), ".")
	body := e.child(nsClient, "body")
	whole := body != nil && strings.HasPrefix(body.text, e.attr("id")+" ")
	if len(f) != 3 || !whole && e.attr("type") != "error" { // an error need not bring it
		return message{}, fmt.Errorf("not one of ours, or damaged: %.300s", e)
	}
	n, err := strconv.Atoi(f[2])
	return message{f[0], f[1], n}, err
}

// book is the judge: it is told what was sent, acked and received, and notes what must not be.
type book struct {
	mu      sync.Mutex
	next    map[[2]string]int
	acked   map[message]bool
	refused map[message]bool
	seen    map[message][]receipt
	changes map[string]string // what must be, by what it is: acknowledged changes other than messages
	faults  []string
	crashes int // of the server, so far
	repeats map[string]int
	most    int // of one stay
	sent    int
	last    map[[2]string]int // from one account to another: the highest that came
	events  []string          // the latest
	before  []string          // those before the first fault
}

// receipt is where a message was received.
type receipt struct {
	in *stay
	n  int // the how-manieth of the stay
}

// stay is one session of a receiver, from binding to its end.
type stay struct {
	book   *book
	kind   string
	among  bool // the account has other sessions at the same time
	crash  int  // after so many crashes it began
	ended  bool // and is over
	n      int  // messages received
	proven int  // of these, so many can never come again: the server has proven that it knows
	// forgiven: what was not proven may come again although the server did not crash, because the client left
	// without being able to say what it had.
	forgiven bool
	last     map[[2]string]int
	repeats  int
}

func newBook() *book {
	return &book{
		next: map[[2]string]int{}, acked: map[message]bool{}, refused: map[message]bool{},
		seen: map[message][]receipt{}, repeats: map[string]int{}, changes: map[string]string{},
		last: map[[2]string]int{},
	}
}

// eventsKept is how many events a failure shows.
const eventsKept = 30

// note remembers what happened, for whoever looks for the reason of a fault.
func (b *book) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, fmt.Sprintf(format, args...))
	if len(b.events) > 4*eventsKept {
		b.events = slices.Clone(b.events[len(b.events)-eventsKept:])
	}
}

// fault notes what must not be. The caller holds mu.
func (b *book) fault(format string, args ...any) {
	if len(b.faults) == 0 {
		b.before = slices.Clone(b.events[max(0, len(b.events)-eventsKept):])
	}
	if len(b.faults) < 50 {
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
}

// message is the next from one account to another.
func (b *book) message(from, to string) message {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := [2]string{from, to}
	m := message{from, to, b.next[k]}
	b.next[k]++
	b.sent++
	return m
}

// ack says that the server has acked m.
func (b *book) ack(m message) {
	b.mu.Lock()
	b.acked[m] = true
	b.mu.Unlock()
}

// refuse says that m came back as an error.
func (b *book) refuse(m message) {
	b.mu.Lock()
	b.refused[m] = true
	b.mu.Unlock()
}

// change says that a change was acknowledged.
func (b *book) change(what, value string) {
	b.mu.Lock()
	b.changes[what] = value
	b.mu.Unlock()
}

// crashed says that the server was killed.
func (b *book) crashed() {
	b.mu.Lock()
	b.crashes++
	b.mu.Unlock()
}

// stay begins one session of a receiver. kind names it in counts.
func (b *book) stay(kind string, among bool) *stay {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &stay{book: b, kind: kind, among: among, crash: b.crashes, last: map[[2]string]int{}}
}

// end says that the session is over for good.
func (s *stay) end(forgiven bool) {
	s.book.mu.Lock()
	s.ended, s.forgiven = true, s.forgiven || forgiven
	s.book.mu.Unlock()
}

// forgive says whether what is not proven may come again.
func (s *stay) forgive(forgiven bool) {
	s.book.mu.Lock()
	s.forgiven = forgiven
	s.book.mu.Unlock()
}

// count is how many messages have come.
func (s *stay) count() int {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	return s.n
}

// prove says that the first n of the session can never come again.
func (s *stay) prove(n int) {
	s.book.mu.Lock()
	s.proven = max(s.proven, n)
	s.book.mu.Unlock()
}

// take judges one message that a session has received.
func (s *stay) take(m message, delayed bool) {
	b := s.book
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.seen[m]
	b.seen[m] = append(before, receipt{s, s.n})
	s.n++
	how := "live"
	if delayed {
		how = "delayed"
	}
	copies := true // of one delivery, to sessions of the same time
	for _, r := range before {
		copies = copies && !delayed && s.among && r.in != s && r.in.among && r.in.crash == s.crash
	}
	if len(before) > 0 && !copies {
		s.repeated(m, delayed, how, before)
		return
	}
	if len(before) > 0 {
		return
	}
	// Where an account has one session at a time, order holds from each to the next.
	last, key := b.last, [2]string{m.from, m.to}
	if s.among {
		last = s.last
	}
	if n, ok := last[key]; ok && m.n < n && !(delayed && s.among) {
		b.fault("%v came %s to %s after #%d", m, how, s.kind, n)
	}
	last[key] = max(last[key], m.n)
}

// repeated judges a message that has come before.
func (s *stay) repeated(m message, delayed bool, how string, before []receipt) {
	b := s.book
	for _, r := range before {
		first := fmt.Sprintf("number %d of a session of %s in run %d, %d proven", r.n, r.in.kind, r.in.crash, r.in.proven)
		switch {
		case !delayed:
			b.fault("%v came again (%s) to %s in run %d, not marked as delayed; first as %s", m, how, s.kind, s.crash, first)
		case r.in == s:
			b.fault("%v came twice to one session of %s", m, s.kind)
		case r.n < r.in.proven:
			b.fault("%v came again to %s in run %d although its receipt was durable; first as %s", m, s.kind, s.crash, first)
		case r.in.crash == s.crash && !r.in.forgiven:
			b.fault("%v came again to %s without a crash in run %d; first as %s", m, s.kind, s.crash, first)
		}
	}
	r := before[len(before)-1].in
	b.repeats[r.kind]++
	r.repeats++
	b.most = max(b.most, r.repeats)
}

// awaitAll waits until everything that was acked has come. A session that its client has left for another resource keeps
// what it was sent until it expires.
func (b *book) awaitAll(patience time.Duration) {
	complete := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for m := range b.acked {
			if len(b.seen[m]) == 0 && !b.refused[m] {
				return false
			}
		}
		return true
	}
	for limit := time.Now().Add(patience); !complete() && time.Now().Before(limit); {
		pause(20*time.Millisecond, nil)
	}
}

// check reports what is missing and all other faults. It is called when the receivers have had all that waited.
func (b *book) check() (faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults = slices.Clone(b.faults)
	missing := 0
	for m := range b.acked {
		if len(b.seen[m]) == 0 && !b.refused[m] {
			if missing++; missing <= 20 {
				faults = append(faults, fmt.Sprintf("%v was acked and is missing", m))
			}
		}
	}
	if missing > 20 {
		faults = append(faults, fmt.Sprintf("and %d more", missing-20))
	}
	return faults
}

// String is the account of it all.
func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kinds []string
	for k, n := range b.repeats {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d sent, %d acked, %d received, %d refused; came again and were allowed to: %s (at most %d of one session)",
		b.sent, len(b.acked), len(b.seen), len(b.refused), strings.Join(kinds, ", "), b.most)
}
