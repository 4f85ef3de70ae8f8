// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// echo is a place that sends what it takes to all of a list, and counts the errors that come back.
type echo struct {
	mu     sync.Mutex
	to     []jid.JID
	times  int
	errors int
	out    Outbox

	together bool
	slow     bool // somebody else has it run
}

func (*echo) Present() bool { return true }

func (e *echo) Take(t *Turn, s *stanza.Stanza) error {
	e.mu.Lock()
	if s.Type == stanza.TypeError {
		e.errors++
		e.mu.Unlock()
		return nil
	}
	s = s.Retain()
	s.From = s.To
	to := e.to
	var key any
	if e.together {
		key = e
	}
	e.out.AddTogether(t, key, len(to)*max(1, e.times), func(i int) *stanza.Stanza {
		if s.To = to[i%len(to)]; s.To.IsZero() {
			return nil
		}
		return s
	})
	e.mu.Unlock()
	if e.slow {
		e.out.Slow(t)
		return nil
	}
	e.out.Run(t)
	return nil
}

func (e *echo) refused() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.errors
}

func (b *bench) echo(times int, to ...string) *echo {
	b.t.Helper()
	e := &echo{times: times}
	for _, j := range to {
		if j == "" {
			e.to = append(e.to, jid.JID{})
			continue
		}
		e.to = append(e.to, jid.MustParse(j))
	}
	if _, err := b.Attach("room.d", e); err != nil {
		b.t.Fatal(err)
	}
	return e
}

func head(id string) string {
	return "<message to='x@room.d' type='headline' id='" + id + "'><body>hi</body></message>"
}

// inOrder checks that p got so many of each id, one after the other.
func (p *peer) inOrder(each int, ids ...string) {
	p.b.t.Helper()
	got := p.got()
	if len(got) != each*len(ids) {
		p.b.t.Fatalf("%d stanzas, want %d times %d", len(got), each, len(ids))
	}
	for i, s := range got {
		if want := "id='" + ids[i/each] + "'"; !strings.Contains(s, want) {
			p.b.t.Fatalf("stanza %d is %s, want %s", i, s, want)
		}
	}
}

// Many copies of several stanzas arrive whole and in order, whoever sends them.
func TestOutboxOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c")
		a, c := b.online("a/1"), b.online("b/1")
		e := b.echo(500, "b@d/1", "", "a@d/1")
		a.send(head("1") + head("2"))
		a.settle()
		a.inOrder(500, "1", "2")
		c.inOrder(500, "1", "2")
		if !e.out.Empty() || e.refused() != 0 {
			t.Error("something is left")
		}
	})
}

// What several stanzas have for the same many is sent together, so that one write has it all, and each receiver gets it
// in order.
func TestOutboxTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.online("a/1")
		away, _ := b.attach(Elsewhere)
		const many = 3*sliceReceivers + 7
		var to []string
		for i := range many {
			to = append(to, fmt.Sprintf("r%d@example.net", i))
		}
		e := b.echo(1, to...)
		e.together = true
		if err := a.batch(head("1") + head("2") + head("3")); err != nil {
			t.Fatal(err)
		}
		a.settle()
		got := away.got()
		if len(got) != 3*many {
			t.Fatalf("%d copies, want %d", len(got), 3*many)
		}
		at := 0
		for first := 0; first < many; first += sliceReceivers {
			for _, id := range []string{"1", "2", "3"} {
				for i := first; i < min(first+sliceReceivers, many); i++ {
					if !strings.Contains(got[at], "to='"+to[i]+"' id='"+id+"'") {
						t.Fatalf("copy %d is %s, want %s for %s", at, got[at], id, to[i])
					}
					at++
				}
			}
		}
		// Some are for fewer of them.
		for i, n := range []int{many, 5, sliceReceivers, sliceReceivers + 1, many} {
			e.to = e.to[:n]
			if err := a.batch(head(fmt.Sprint("n", i))); err != nil {
				t.Fatal(err)
			}
			e.to = e.to[:many]
		}
		a.settle()
		counts, last := map[string]int{}, map[string]string{}
		for _, x := range away.got() {
			m := regexp.MustCompile(`to='(r\d+@example.net)' id='(n\d)'`).FindStringSubmatch(x)
			if m[2] <= last[m[1]] {
				t.Fatalf("%s gets %s after %s", m[1], m[2], last[m[1]])
			}
			last[m[1]] = m[2]
			counts[m[2]]++
		}
		if got := fmt.Sprint(counts); got != fmt.Sprintf("map[n0:%d n1:5 n2:%d n3:%d n4:%d]", many, sliceReceivers, sliceReceivers+1, many) {
			t.Error(got)
		}
		if !e.out.Empty() {
			t.Error("something is left")
		}
		e.together = false
		a.send(head("4") + head("5"))
		if got := away.got(); len(got) != 2*many || !strings.Contains(got[many-1], "id='4'") || !strings.Contains(got[many], "id='5'") {
			t.Error("what is for nobody in particular is not sent one after the other")
		}
	})
}

// teller answers what it takes, and tells somebody else of it at the end of the turn.
type teller struct {
	to  jid.JID
	out Outbox
}

func (*teller) Present() bool { return true }

func (e *teller) Take(t *Turn, s *stanza.Stanza) error {
	s = s.Retain()
	t.Later(e)
	e.out.Add(t, 1, func(int) *stanza.Stanza {
		told := *s
		told.From, told.To = s.To, e.to
		return &told
	})
	answer := *s
	answer.From, answer.To = s.To, s.From
	t.Origin.Send(t, &answer)
	return nil
}

func (e *teller) Flush(t *Turn) { e.out.Run(t) }

// Whoever has read an answer, and then writes to one who is told of what was done, comes behind that.
func TestOutboxBeforeAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, c := b.online("a/1"), b.online("b/1")
		if _, err := b.Attach("node.d", &teller{to: c.se.JID}); err != nil {
			t.Fatal(err)
		}
		c.got()
		left := 0
		a.st.leaving = func() {
			left++
			c.st.mu.Lock()
			defer c.st.mu.Unlock()
			if len(c.st.queue)+len(c.st.out) == 0 {
				t.Error("the answer leaves first")
			}
		}
		a.send("<message to='node.d' type='headline'/>")
		if left == 0 || len(a.got()) == 0 {
			t.Error("no answer")
		}
	})
}

// The error of a receiver that has gone comes back to the place in the same call.
func TestOutboxRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		e := b.echo(1, "b@d/gone", "nobody@d", "a@d/1")
		a.send("<message to='x@room.d' id='1'><body>hi</body></message>")
		a.settle()
		a.gets("id='1'")
		if e.refused() != 1 { // b's waits in the spool
			t.Errorf("%d errors", e.refused())
		}
		if n := b.spooled("b"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// A copy that waits for the store stops its outbox, where the order is kept, and no other; the sender's
// ack waits until all are handed over.
func TestOutboxWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c")
		a := b.managed("a/1")
		e := b.echo(100, "c@d", "a@d/1")
		gate := make(chan struct{})
		read := func() { <-gate }
		b.store.knowing.Store(&read)
		a.send("<message to='x@room.d' id='1'><body>hi</body></message>" + ask)
		a.settle()
		if got := strings.Join(a.got(), ""); strings.Contains(got, "<message") || !strings.Contains(got, "h='1'") {
			t.Fatalf("before the store has read: %s", got)
		}
		close(gate)
		a.settle()
		time.Sleep(time.Second) // the copies to a itself are spooled, which it does not ack
		if got := strings.Join(a.got(), ""); strings.Count(got, "<message") != 100 || !strings.Contains(got, "h='2'") {
			t.Errorf("%d copies, ack %v", strings.Count(got, "<message"), strings.Contains(got, "h='2'"))
		}
		if n := b.spooled("c"); n != 100 || !e.out.Empty() {
			t.Errorf("%d rows", n)
		}
	})
}

// Who sends while too much waits is slowed; nothing is lost.
func TestOutboxBusy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := DefaultLimits()
		l.FanoutCopies = 150
		b := newBench(t, l, "a b c")
		a, c := b.online("a/1"), b.online("b/1")
		e := b.echo(200, "b@d/1")
		gate := make(chan struct{})
		read := func() { <-gate }
		b.store.knowing.Store(&read)
		e.to = []jid.JID{jid.MustParse("c@d"), jid.MustParse("b@d/1")}
		a.send("<message to='x@room.d' id='1'><body>hi</body></message>")
		if !e.out.Busy() {
			t.Fatal("not busy")
		}
		a.send("<message to='x@room.d' id='2'><body>hi</body></message>")
		if !b.counts("stonechat_senders_waiting_for_fanout_total 2") {
			t.Error("the sender was not slowed")
		}
		close(gate)
		a.settle()
		c.inOrder(200, "1", "2")
	})
}

// Who sends to an owner that has its outbox run in another turn is slowed as well.
func TestOutboxSlow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := DefaultLimits()
		l.FanoutCopies = 150
		b := newBench(t, l, "a b")
		a, c := b.online("a/1"), b.online("b/1")
		e := b.echo(100, "b@d/1")
		e.slow = true
		a.send(head("1"))
		if e.out.Busy() || b.counts("stonechat_senders_waiting_for_fanout_total 1") {
			t.Fatal("busy too soon")
		}
		a.send(head("2"))
		if !b.counts("stonechat_senders_waiting_for_fanout_total 1") {
			t.Error("the sender was not slowed")
		}
		turn := b.NewTurn()
		e.out.Run(turn)
		turn.End()
		a.settle()
		c.inOrder(100, "1", "2")
	})
}

// What many outboxes have in one turn is not all sent in it: others wait for the loop.
func TestOutboxTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.online("a/1")
		turn := b.NewTurn()
		s := stanza.Text(stanza.Headline, a.se.JID, "x")
		s.From = jid.MustParse("room.d")
		var boxes [3]Outbox
		for i := range boxes {
			boxes[i].Add(turn, inlineCopies, func(int) *stanza.Stanza { return s })
			boxes[i].Run(turn)
			if sent, want := boxes[i].Empty(), i < turnCopies/inlineCopies; sent != want {
				t.Errorf("outbox %d: sent is %v, want %v", i, sent, want)
			}
		}
		turn.End()
		a.settle()
		if got := len(a.got()); got != len(boxes)*inlineCopies {
			t.Errorf("%d copies", got)
		}
	})
}

// A session that is sent much is waited for; one that does not read loses its stream.
func TestOutboxPace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := DefaultLimits()
		l.QueueBytes = 10_000
		b := newBench(t, l, "a b")
		a, c := b.online("a/1"), b.online("b/1")
		e := b.echo(5000, "b@d/1")
		e.out.Pace(c.se)
		c.st.stick()
		a.send(head("1"))
		time.Sleep(30 * time.Second)
		if c.st.isAborted() {
			t.Fatal("dropped too soon")
		}
		if e.out.Empty() {
			t.Fatal("not waited for")
		}
		c.st.unstick()
		time.Sleep(30 * time.Second)
		a.settle()
		c.inOrder(5000, "1")
		c.st.stick()
		a.send(head("2"))
		time.Sleep(2 * time.Minute)
		if !c.st.isAborted() || !b.counts("stonechat_readers_stalled_total 1") {
			t.Error("still waited for")
		}
	})
}

// What a client has read elsewhere is not sent to it from the spool; where that cannot be said it waits on.
func TestDrains(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := new(reader)
		b := newBench(t, DefaultLimits(), "a b", r)
		a := b.online("a/1")
		a.send(chat("b@d", "1") + chat("b@d", "read") + chat("b@d", "unsure") + chat("b@d", "3"))
		a.settle()
		r.blind = true
		c := b.online("b/1")
		c.settle()
		c.gets("id='1'", "id='3'")
		if n := b.spooled("b"); n != 1 {
			t.Errorf("%d rows are left, and one could not be decided about", n)
		}
		c.end()
		r.blind = false
		c = b.online("b/1")
		c.settle()
		c.gets("id='unsure'")
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

type reader struct{ blind bool }

func (*reader) Name() string { return "reader" }
func (r *reader) Init(h *Host) error {
	h.Drains = func(_ *Session, s *stanza.Stanza) (bool, error) {
		if r.blind && string(s.ID) == "unsure" {
			return false, errors.New("nobody knows")
		}
		return string(s.ID) == "read", nil
	}
	return nil
}

// stamper adds something to what arrives, as an archive does.
type stamper struct{}

func (*stamper) Name() string { return "stamper" }
func (*stamper) Init(h *Host) error {
	h.OnArriving(Rewrite, func(_ *Turn, u *User, s *stanza.Stanza) error {
		s.Add(&stanza.Raw{Name: xmlstream.Name{Space: "u:stamp", Local: "for"}, Bytes: []byte("<for xmlns='u:stamp'>" + u.JID.String() + "</for>")})
		if i := s.Find("u:secret", "secret"); i >= 0 && u.JID.Local() == "b" {
			s.Cut(i)
		}
		return nil
	})
	return nil
}

// What hooks do to one copy does not show in another.
func TestOutboxCopies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c", &stamper{})
		a, c, d := b.online("a/1"), b.online("b/1"), b.online("c/1")
		b.echo(1, "b@d/1", "c@d/1", "a@d/1")
		a.send("<message to='x@room.d' type='headline' id='1'><secret xmlns='u:secret'/><x xmlns='u:x'/></message>")
		for _, p := range []*peer{a, c, d} {
			got := strings.Join(p.got(), "")
			if strings.Count(got, "u:stamp") != 1 || !strings.Contains(got, ">"+p.st.account.String()+"<") || strings.Contains(got, "secret") != (p != c) {
				t.Errorf("%s got %s", p.st.account, got)
			}
		}
	})
}
