// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// How to read this file: people of one server (near) write to people of another (far) while now the one, now the other,
// now both are killed. mail is the judge: what near has acked must come, or come back; the first copies of what one writes to
// another come in order; only a copy that says that it is late may be a second one.

const (
	farDomain  = "far.test"
	farRounds  = 4
	farSenders = 3
	farAhead   = 100
)

// mail is what is on its way between servers.
type mail struct {
	mu      sync.Mutex
	next    map[[2]string]int
	acked   map[message]bool
	refused map[message]bool
	came    map[message]int
	last    map[[2]string]int // the highest that came
	repeats int
	faults  []string
}

func newMail() *mail {
	return &mail{
		next: map[[2]string]int{}, acked: map[message]bool{}, refused: map[message]bool{},
		came: map[message]int{}, last: map[[2]string]int{},
	}
}

func (b *mail) message(from, to string) message {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := [2]string{from, to}
	b.next[k]++
	return message{from, to, b.next[k]}
}

func (b *mail) ack(m message) {
	b.mu.Lock()
	b.acked[m] = true
	b.mu.Unlock()
}

func (b *mail) refuse(m message, _ *element) {
	b.mu.Lock()
	b.refused[m] = true
	b.mu.Unlock()
}

func (b *mail) take(m message, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := [2]string{m.from, m.to}
	b.came[m]++
	switch {
	case b.came[m] > 1 && !late:
		b.faults = append(b.faults, fmt.Sprintf("%v came again, and does not say that it is late", m))
	case b.came[m] > 1:
		b.repeats++
	case m.n < b.last[k]:
		b.faults = append(b.faults, fmt.Sprintf("%v came behind number %d", m, b.last[k]))
	default:
		b.last[k] = m.n
	}
}

// missing are those that were acked, and neither came nor came back.
func (b *mail) missing() (list []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for m := range b.acked {
		if b.came[m] == 0 && !b.refused[m] {
			list = append(list, m)
		}
	}
	return list
}

// ownAddress is where a server may listen, again and again: nobody else has ports there, however long it is away.
func ownAddress() string { return net.JoinHostPort(program.Loopback(), "5269") }

// pairOfServers are the options of two that find each other without DNS. They have certificates of their own making, so that
// they prove who they are by dialback.
func pairOfServers(t *testing.T) (near, far options) {
	t.Helper()
	bin := checked.MustPath(t)
	a, b := ownAddress(), ownAddress()
	knows := func(domain, at string) string {
		return "federation:\n  certificates: preferred\n  domains:\n    " + domain + ": {connect: \"" + at + "\"}\n"
	}
	near = options{program: bin, folder: t.TempDir(), listen: `"` + a + `"`, more: knows(farDomain, b)}
	far = options{program: bin, folder: t.TempDir(), listen: `"` + b + `"`, more: knows(domain, a), host: farDomain}
	return near, far
}

func TestKillFederation(t *testing.T) {
	c, b := newChance(t), newMail()
	nearOptions, farOptions := pairOfServers(t)
	near, far := mustStart(t, nearOptions), mustStart(t, farOptions)
	for i := range farSenders {
		if err := register(near.plain, false, fmt.Sprintf("from%d", i)); err != nil {
			t.Fatal(err)
		}
		if err := registerAt(far.plain, farDomain, false, fmt.Sprintf("to%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	rounds := *roundsFlag
	if rounds == 0 {
		rounds = farRounds
	}
	for round := range rounds {
		r := c.of("round", round)
		var all sync.WaitGroup
		receivers := farReceivers(t, far, b)
		for i := range farSenders {
			all.Go(func() { farSend(near, b, fmt.Sprintf("from%d", i), c.of("send", round, i)) })
		}
		pause(time.Duration(200+r.IntN(1500))*time.Millisecond, nil)
		which := r.IntN(3)
		if which != 0 {
			far.Kill()
		}
		if which != 1 {
			pause(time.Duration(r.IntN(300))*time.Millisecond, nil)
			near.Kill()
		} else {
			// Near goes on writing to whom it cannot reach.
			pause(time.Duration(r.IntN(500))*time.Millisecond, nil)
			far = mustStart(t, farOptions)
			receivers = append(receivers, farReceivers(t, far, b)...)
			pause(time.Duration(r.IntN(500))*time.Millisecond, nil)
			near.Kill()
		}
		all.Wait()
		for _, s := range receivers {
			s.drop()
		}
		if which == 2 {
			far = mustStart(t, farOptions)
		}
		near = mustStart(t, nearOptions)
		t.Logf("round %d, kind %d: %d acked, %d came, %d again", round, which, len(b.acked), len(b.came), b.repeats)
	}
	receivers := farReceivers(t, far, b)
	for i := range farSenders { // what cannot be sent comes back to them
		s := newSession(fmt.Sprintf("from%d", i), "r", habits{managed: true, ackEvery: 1})
		s.refused = b.refuse
		if _, err := s.connect(near); err != nil {
			t.Fatal(err)
		}
	}
	end := time.Now().Add(9 * patience)
	for len(b.missing()) > 0 && time.Now().Before(end) {
		pause(100*time.Millisecond, nil)
	}
	if list := b.missing(); len(list) > 0 {
		t.Errorf("%d were acked and are lost: %v", len(list), list[:min(len(list), 20)])
	}
	for _, s := range receivers {
		if e := s.trouble(); e != "" {
			t.Error(e)
		}
		s.drop()
	}
	b.mu.Lock()
	for _, f := range b.faults[:min(len(b.faults), 20)] {
		t.Error(f)
	}
	if len(b.acked) == 0 {
		t.Error("nothing was acked")
	}
	t.Logf("%d acked, %d came, %d again; by pair %v", len(b.acked), len(b.came), b.repeats, slices.Collect(maps.Values(b.last)))
	b.mu.Unlock()
	for _, s := range []*server{near, far} {
		if err := s.terminate(); err != nil {
			t.Error(err)
		}
		checkLog(t, s.folder)
	}
}

// farReceivers are online at far.
func farReceivers(t *testing.T, far *server, b *mail) (list []*session) {
	t.Helper()
	for i := range farSenders {
		s := newSession(fmt.Sprintf("to%d", i), "r", habits{managed: true, ackEvery: 3})
		s.taken = b.take
		if _, err := s.connect(far); err != nil {
			t.Fatal(err)
		}
		if err := s.available(); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// farSend writes to people at far as fast as acks come, until its server is gone.
func farSend(near *server, b *mail, name string, r *rand.Rand) {
	s := newSession(name, "r", habits{managed: true, ackEvery: 5})
	s.refused = b.refuse
	_, err := s.connect(near)
	for err == nil {
		m := b.message(name, fmt.Sprintf("to%d", r.IntN(farSenders)))
		if err = s.send(m.xml(m.to+"@"+farDomain, r.IntN(300)), func() { b.ack(m) }); err != nil {
			break
		}
		if r.IntN(6) == 0 {
			err = s.demand()
		}
		if s.unacked() > farAhead {
			if err = s.demand(); err == nil {
				err = s.await("acks", func() bool { return len(s.out) <= farAhead/2 })
			}
		}
		pause(time.Duration(r.IntN(3000))*time.Microsecond, near.Ended)
	}
	s.drop()
}
