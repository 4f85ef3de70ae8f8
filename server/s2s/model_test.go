// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// model does at random what can happen to routes, and knows what must come of it:
//
//	nothing that was acked to its sender is lost, whatever breaks, ends or is killed;
//	from a sender to a receiver messages come in order, but for repeats, which say that they are late;
//	nothing comes twice where nothing broke;
//	what does not come is answered, once.
type model struct {
	*depot
	r      *rand.Rand
	caller *caller
	lines  map[string]*line // by route
	spares map[string]*line // offered, while there is another
	sent   map[string][]*fate
	all    map[string]*fate // by id
	own    []*fate          // the caller's, in order
	broken map[string]bool  // routes
	told   []string         // to callers who are gone
	log    []string
}

// fate is what becomes of one message.
type fate struct {
	id, domain     string // the domain is a route
	came, returned int
	lost           bool // it may be: killed before it was safe
}

func ways() []string { return []string{"d to x", "d to y", "p.d to x", "p.d to y"} }

func newModel(d *depot, seed uint64) *model {
	return &model{
		depot: d, r: rand.New(rand.NewPCG(seed, 1)), caller: d.caller(), lines: map[string]*line{}, spares: map[string]*line{},
		sent: map[string][]*fate{}, all: map[string]*fate{}, broken: map[string]bool{},
	}
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(m.log, "\n"))
}

// put sends some messages.
func (m *model) put() {
	domain := []string{"x", "y"}[m.r.IntN(2)]
	to := []string{"u@", "v@"}[m.r.IntN(2)] + domain
	own := m.r.IntN(2) == 0
	var ids, stanzas []string
	for range 1 + m.r.IntN(8) {
		f := &fate{id: fmt.Sprint(len(m.all)), domain: map[bool]string{true: "d", false: "p.d"}[own] + " to " + domain}
		m.all[f.id] = f
		sender := "m " + to
		if own {
			sender = "a " + to
			m.own = append(m.own, f)
		}
		m.sent[sender] = append(m.sent[sender], f)
		ids, stanzas = append(ids, f.id), append(stanzas, chat(to, f.id))
	}
	m.note("%v to %s, own %v", ids, to, own)
	if own {
		m.caller.send(to, ids...)
		return
	}
	m.depot.send(stanzas...)
}

// answerDial ends a dial, somehow.
func (m *model) answerDial(certain bool) {
	for _, to := range []string{"x", "y", "x", "y"} { // from d and from p.d
		r := m.call(to)
		if r == nil {
			continue
		}
		domain := r.key.From.String() + " to " + to
		if !certain && m.r.IntN(3) == 0 {
			m.note("%s cannot be reached", domain)
			r.failed(outage{Err: stanza.RemoteServerTimeout.Err("")})
			continue
		}
		l := m.line(m.r.IntN(2) == 0)
		m.note("%s is connected, managed %v", domain, l.managed)
		if m.lines[domain] == nil {
			m.lines[domain] = l
		} else {
			m.spares[domain] = l
		}
		r.open(&l.o)
		m.settle()
	}
}

// offers has another server come itself, on a connection of both directions.
func (m *model) offers() {
	domain := ways()[m.r.IntN(4)]
	from, to, _ := strings.Cut(domain, " to ")
	r := m.get(routeKey(from, to))
	if r == nil {
		return
	}
	l := m.line(m.r.IntN(2) == 0)
	m.note("%s comes itself, managed %v", domain, l.managed)
	r.offer(&l.o)
	m.settle()
	if m.lines[domain] == nil {
		m.lines[domain] = l
		return
	}
	m.spares[domain] = l
	if m.r.IntN(2) == 0 {
		m.note("%s doubts the older connection", domain)
		r.doubt(&l.o)
	}
}

// each calls f with every connection, in an order that a seed gives again.
func (m *model) each(f func(domain string, l *line)) {
	for _, domain := range ways() {
		if l := m.lines[domain]; l != nil && l.isAborted() {
			m.note("%s: the connection was dropped", domain)
			m.broken[domain] = true
			m.replace(domain)
		}
		if l := m.lines[domain]; l != nil {
			f(domain, l)
		}
	}
}

// reads has a peer read, and confirm or not.
func (m *model) reads(domain string, l *line) {
	for _, x := range l.read() {
		id, late := strings.CutSuffix(x, " late")
		f := m.all[id]
		if f == nil {
			continue // <r/>
		}
		m.note("%s has got %s", domain, x)
		if f.came++; f.came > 1 && !late {
			m.fail("%s came again, and does not say that it is late", id)
		}
		if f.came == 1 {
			m.inOrder(f)
		}
	}
}

// inOrder checks that nothing that was sent behind f has come before it.
func (m *model) inOrder(f *fate) {
	for _, list := range m.sent {
		i := slices.Index(list, f)
		if i < 0 {
			continue
		}
		for _, later := range list[i+1:] {
			if later.came > 0 {
				m.fail("%s came before %s", later.id, f.id)
			}
		}
	}
}

// breaks loses a connection; what has left was read, or was not.
func (m *model) breaks(domain string, l *line) {
	if m.r.IntN(2) == 0 {
		m.reads(domain, l)
	}
	m.note("the connection to %s breaks", domain)
	m.broken[domain] = true
	m.replace(domain)
	if m.r.IntN(3) == 0 {
		m.note("the peer ends it with an error")
		l.o.stop(&stream.Error{Condition: stream.PolicyViolation, Received: true})
		m.settle()
		return
	}
	l.breaks()
}

// replace makes the spare connection the one that is used, if there is one.
func (m *model) replace(domain string) {
	delete(m.lines, domain)
	if spare := m.spares[domain]; spare != nil {
		m.lines[domain] = spare
		delete(m.spares, domain)
	}
}

// ends stops the table, and begins anew.
func (m *model) ends(kill bool) {
	m.each(func(domain string, l *line) {
		if m.r.IntN(2) == 0 {
			m.reads(domain, l)
		}
	})
	for _, domain := range ways() {
		m.broken[domain] = true
	}
	m.lines, m.spares = map[string]*line{}, map[string]*line{}
	m.note("ends, killed %v", kill)
	if !kill {
		m.restart()
		return
	}
	safe := m.caller.safe()
	m.note("%d are safe", safe)
	for _, f := range m.all {
		i := slices.Index(m.own, f)
		f.lost = f.lost || f.came == 0 && (i < 0 || i >= safe)
	}
	m.told = append(m.told, m.caller.returned()...)
	m.kill()
	m.caller, m.own = m.depot.caller(), nil // its session has gone as well
}

func (m *model) step() {
	switch m.r.IntN(15) {
	case 14:
		if m.r.IntN(3) == 0 {
			m.offers()
		}
	case 0, 1, 2, 3, 4:
		m.put()
	case 5, 6:
		m.answerDial(false)
	case 7, 8:
		m.each(m.reads)
	case 9:
		m.each(func(domain string, l *line) { m.reads(domain, l); l.confirm() })
	case 10:
		if m.r.IntN(3) == 0 {
			m.each(func(domain string, l *line) { m.breaks(domain, l) })
		}
	case 11, 12:
		some := time.Duration(m.r.IntN(300)) * time.Millisecond
		if m.r.IntN(8) == 0 {
			some = time.Duration(m.r.IntN(15)) * time.Second
		}
		m.note("%v pass", some)
		m.pass(some)
	case 13:
		if m.r.IntN(4) == 0 {
			m.ends(m.r.IntN(2) == 0)
		}
	}
}

// finish lets all come that can.
func (m *model) finish() {
	m.note("now all works")
	for range 200 {
		m.answerDial(true)
		m.each(func(domain string, l *line) { m.reads(domain, l); l.confirm() })
		m.pass(200 * time.Millisecond)
	}
	m.pass(time.Minute)
	m.answerDial(true)
	m.each(func(domain string, l *line) { m.reads(domain, l); l.confirm() })
	m.pass(time.Second)
	m.mu.Lock()
	back := m.back
	m.mu.Unlock()
	for i, x := range back {
		back[i] = briefly(x)
	}
	for _, x := range slices.Concat(back, m.told, m.caller.returned()) {
		id, _, _ := strings.Cut(x, " ")
		m.all[id].returned++
	}
	if n := m.rows(); n != 0 {
		m.fail("%d rows are left", n)
	}
	if n := m.bytes.Load(); n != 0 {
		m.fail("%d bytes are left", n)
	}
	if n := m.caller.safe(); n != len(m.own) {
		m.fail("%d of %d are safe in the end", n, len(m.own))
	}
	for _, f := range m.all {
		switch {
		case f.came == 0 && f.returned == 0 && !f.lost:
			m.fail("%s to %s is lost", f.id, f.domain)
		case f.came > 1 && !m.broken[f.domain]:
			m.fail("%s came %d times, and nothing broke", f.id, f.came)
		case f.returned > 1, f.returned > 0 && !m.broken[f.domain]:
			m.fail("%s came %d times and was returned %d times", f.id, f.came, f.returned)
		}
	}
}

// TestModel: a seed that fails is to be run alone, with the tests of a table for what was wrong.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, func(l *routeLimits) {
					if seed%2 == 0 {
						l.QueueBytes = 8000 // so that memory is short
					}
				})
				m := newModel(d, seed)
				for range 60 {
					m.step()
				}
				m.finish()
			})
		})
	}
}
