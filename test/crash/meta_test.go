// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// How to read this file: stages are actors, each with chance of its own, that do one thing after the other (step) until
// they are told to be calm. The director lets them act for a while, sometimes restarts the server beneath them, then has
// all be calm and asks the book: whatever was acked must be there, without anybody binding anew.
//
// There is no crash in it, so nothing may be lost, and nothing may come twice, but for what a managed client had and
// could not ack because it left for good: that is forgiven, unless the server has answered something that the client
// sent behind its ack.

const (
	metaRounds = 12
	metaTurn   = 1200 * time.Millisecond
	expiry     = time.Second // modules.sm.resume
)

func TestMetamorphic(t *testing.T) {
	st := newStage(t, options{
		program: raced.MustPath(t), folder: t.TempDir(),
		modules: "  sm: {resume: " + expiry.String() + "}\n",
	})
	rounds := *roundsFlag
	if rounds == 0 {
		rounds = metaRounds
	}
	for round := range rounds {
		st.round(round)
		st.book.awaitAll(patience)
		for _, f := range st.book.check() {
			t.Errorf("round %d: %s", round, f)
		}
		if t.Failed() {
			for _, e := range st.book.before {
				t.Log("before the first fault: ", e)
			}
			break
		}
	}
	if err := st.server.terminate(); err != nil {
		t.Error(err)
	}
	checkLog(t, st.options.folder)
	t.Logf("%d rounds, %d restarts: %v", rounds, st.restarts, st.book)
}

// stage is what the actors share.
type stage struct {
	t       *testing.T
	chance  chance
	book    *book
	options options
	actors  []*actor
	took    []string // accounts that are sent to
	began   time.Time

	mu       sync.Mutex
	server   *server
	moving   bool // it is being restarted
	restarts int
}

// role is what an actor is.
type role struct {
	name     string
	sends    bool
	among    bool     // shares its account with another
	resource []string // one of them by chance at each binding
	habits   []habits
}

// roles are all there are. Accounts are named by what is before the slash.
func roles() []role {
	managed := []habits{{managed: true, ackEvery: 1}, {managed: true}, {managed: true, ackEvery: 5, secure: true}}
	plain := []habits{{}, {secure: true}}
	both := []habits{managed[0], plain[0], managed[2]}
	return []role{
		{name: "send1", sends: true, habits: managed},
		{name: "send2", sends: true, habits: managed},
		{name: "send3", sends: true, habits: plain},
		{name: "managed1", habits: managed},
		{name: "managed2", habits: managed},
		{name: "plain1", habits: plain},
		{name: "mixed1", habits: both},
		{name: "wander1", habits: managed, resource: []string{"x", "y"}, among: true},
		{name: "pair/a", habits: managed, among: true},
		{name: "pair/b", habits: both, among: true},
	}
}

func newStage(t *testing.T, o options) *stage {
	st := &stage{t: t, chance: newChance(t), book: newBook(), options: o, began: time.Now()}
	st.server = mustStart(t, o)
	made := map[string]bool{}
	for _, r := range roles() {
		a := &actor{stage: st, role: r, account: r.name, r: st.chance.of("actor", r.name)}
		for i := range r.name {
			if r.name[i] == '/' {
				a.account, a.resource = r.name[:i], []string{r.name[i+1:]}
			}
		}
		if a.resource == nil {
			a.resource = []string{"only"}
		}
		st.actors = append(st.actors, a)
		if made[a.account] {
			continue
		}
		made[a.account] = true
		if err := register(st.server.plain, false, a.account); err != nil {
			t.Fatal(err)
		}
		if !r.sends {
			st.took = append(st.took, a.account)
		}
	}
	return st
}

func (st *stage) note(who, format string, args ...any) {
	st.book.note("%8.3fs %-9s %s", time.Since(st.began).Seconds(), who, fmt.Sprintf(format, args...))
}

// now is the server, and after how many restarts.
func (st *stage) now() (s *server, restarts int, moving bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.server, st.restarts, st.moving
}

// round lets all act, then has them be calm and lets the book see everything that was acked.
func (st *stage) round(round int) {
	r := st.chance.of("round", round)
	calm := make(chan struct{})
	var acting sync.WaitGroup
	for _, a := range st.actors {
		acting.Go(func() { a.act(calm) })
	}
	pause(time.Duration(r.Int64N(int64(metaTurn)))+metaTurn/4, nil)
	if r.IntN(2) == 0 {
		st.restart()
		pause(metaTurn/4, nil)
	}
	close(calm)
	acting.Wait()
	for _, phase := range []func(*actor) error{(*actor).flush, (*actor).settle} {
		var all sync.WaitGroup
		for _, a := range st.actors {
			all.Go(func() { a.fault("when calm", phase(a)) })
		}
		all.Wait()
	}
}

// restart is an operator's: SIGTERM, and the server again.
func (st *stage) restart() {
	st.mu.Lock()
	st.moving = true
	old := st.server
	st.mu.Unlock()
	st.note("server", "SIGTERM")
	if err := old.terminate(); err != nil {
		st.t.Error(err)
	}
	st.note("server", "has ended")
	fresh := mustStart(st.t, st.options)
	st.note("server", "ready")
	st.mu.Lock()
	st.server, st.moving = fresh, false
	st.restarts++
	st.mu.Unlock()
}

// actor is one client: it owns its session, and does one thing at a time.
type actor struct {
	role
	stage   *stage
	account string
	r       *rand.Rand

	s         *session
	stay      *stay
	available bool
	dropped   time.Time // when it broke the connection; zero: it did not
	run       int       // of the server, at the last connecting
	sent      []message // by a sender without stream management, and not proven
}

// act does things until calm.
func (a *actor) act(calm <-chan struct{}) {
	for {
		select {
		case <-calm:
			return
		default:
		}
		a.fault("", a.step())
	}
}

// fault notes an error, unless the server's restart is the reason.
func (a *actor) fault(when string, err error) {
	if err == nil && a.s != nil {
		if e := a.s.trouble(); e != "" {
			err = errors.New(e)
		}
	}
	if err == nil {
		return
	}
	_, run, moving := a.stage.now()
	if (moving || run != a.run) && !errors.Is(err, errImpatient) {
		return
	}
	a.stage.book.mu.Lock()
	a.stage.book.fault("%s %s: %v", a.name, when, err)
	a.stage.book.mu.Unlock()
}

// step does one thing.
func (a *actor) step() error {
	if a.s == nil || !a.s.alive() {
		return a.comeBack()
	}
	if a.sends {
		return a.sendSome()
	}
	switch n := a.r.IntN(20); {
	case n < 8:
		pause(time.Duration(a.r.IntN(40))*time.Millisecond, nil)
		return nil
	case n < 11:
		return a.prove()
	case n < 13:
		return a.turn()
	case n < 15:
		a.stage.note(a.name, "close")
		if err := a.s.close(); err != nil {
			return err
		}
		a.over(false)
		return nil
	case a.s.managed:
		a.drop()
	}
	return nil
}

// drop breaks the connection.
func (a *actor) drop() {
	a.stage.note(a.name, "drop")
	a.s.drop()
	a.dropped = time.Now()
	if a.stay != nil {
		a.stay.forgive(true) // unless it is resumed
	}
}

// over is the end of the session for good.
func (a *actor) over(forgiven bool) {
	if a.stay != nil {
		a.stay.end(forgiven)
	}
	a.s, a.stay, a.available, a.dropped, a.sent = nil, nil, false, time.Time{}, nil
}

// comeBack resumes, lets the session expire, abandons it, or binds for the first time.
func (a *actor) comeBack() error {
	_, run, _ := a.stage.now()
	switch {
	case a.s == nil:
	case !a.s.managed:
		a.over(false)
	case a.dropped.IsZero() && run == a.run:
		if _, _, moving := a.stage.now(); moving {
			break
		}
		return errors.New("the server dropped the connection")
	default:
		switch a.r.IntN(5) {
		case 0:
			a.stage.note(a.name, "waits until the session has expired")
			pause(expiry+200*time.Millisecond, nil)
		case 1:
			a.stage.note(a.name, "abandons the session")
			a.over(true)
		default:
			pause(time.Duration(a.r.IntN(60))*time.Millisecond, nil)
		}
	}
	if a.s == nil && a.r.IntN(3) > 0 {
		pause(time.Duration(a.r.IntN(100))*time.Millisecond, nil)
	}
	if err := a.connect(); err != nil {
		return err
	}
	if !a.available {
		return a.turn()
	}
	return nil
}

// connect resumes the session if there is one, or binds.
func (a *actor) connect() error {
	if a.s == nil {
		h := a.habits[a.r.IntN(len(a.habits))]
		a.s = newSession(a.account, a.resource[a.r.IntN(len(a.resource))], h)
	}
	s := a.s
	s.taken = func(m message, delayed bool) { a.stay.take(m, delayed) }
	s.begun = func() {
		if a.stay != nil {
			// Whoever was there when the server stopped was asked for its acks.
			a.stay.end(!a.dropped.IsZero())
		}
		a.stay, a.available, a.sent = a.stage.book.stay(a.name, a.among), false, nil
	}
	for limit := time.Now().Add(2 * patience); ; {
		srv, run, _ := a.stage.now()
		resumed, err := s.connect(srv)
		if err == nil {
			if a.run, a.dropped = run, (time.Time{}); resumed {
				a.stay.forgive(false)
			}
			a.stage.note(a.name, "connected to %s, resumed: %v, managed: %v", s.address, resumed, s.managed)
			return nil
		}
		if time.Now().After(limit) {
			return err
		}
		if _, now, moving := a.stage.now(); now == run && !moving {
			return err
		}
		pause(10*time.Millisecond, nil)
	}
}

// turn makes the session available if it is not, or the other way round.
func (a *actor) turn() error {
	what, xml := "available", "<presence/>"
	if a.available {
		what, xml = "unavailable", "<presence type='unavailable'/>"
		if a.r.IntN(2) == 0 {
			what, xml = "priority -1", "<presence><priority>-1</priority></presence>"
		}
	}
	a.stage.note(a.name, "%s", what)
	if err := a.s.send(xml, nil); err != nil {
		return err
	}
	a.available = !a.available
	return nil
}

// prove makes sure that the server knows what the client has had.
func (a *actor) prove() error {
	if !a.s.managed {
		return a.s.ping()
	}
	st := a.stay
	a.s.mu.Lock()
	n := st.count()
	if a.s.link != nil {
		a.s.tell()
	}
	a.s.mu.Unlock()
	if err := a.s.ping(); err != nil {
		return err
	}
	st.prove(n)
	return nil
}

// sendSome is a sender's step.
func (a *actor) sendSome() error {
	switch n := a.r.IntN(20); {
	case n == 0 && a.s.managed:
		a.drop()
		return nil
	case n == 1:
		if err := a.flush(); err != nil {
			return err
		}
		a.stage.note(a.name, "close")
		if err := a.s.close(); err != nil {
			return err
		}
		a.over(false)
		return nil
	case n < 6:
		if !a.s.managed {
			return a.flush()
		}
		return a.s.demand()
	case n < 10:
		pause(time.Duration(a.r.IntN(15))*time.Millisecond, nil)
		return nil
	}
	for range 1 + a.r.IntN(6) {
		to := a.stage.took[a.r.IntN(len(a.stage.took))]
		m := a.stage.book.message(a.account, to)
		if !a.s.managed {
			a.sent = append(a.sent, m)
		}
		if err := a.s.send(m.xml(to+"@"+domain, a.r.IntN(200)), func() { a.stage.book.ack(m) }); err != nil {
			return err
		}
	}
	if a.s.unacked() > sendAhead {
		return a.flush()
	}
	return nil
}

// flush sees that all that was sent is acked. Without stream management the answer to a ping says that the server has
// all that was sent before: it may lose that in a crash only.
func (a *actor) flush() error {
	if !a.sends {
		return nil
	}
	if a.s == nil || !a.s.alive() {
		if a.s != nil && !a.s.managed {
			a.over(false)
		}
		if err := a.connect(); err != nil {
			return err
		}
	}
	if a.s.managed {
		return a.s.allAcked()
	}
	sent := a.sent
	if err := a.s.ping(); err != nil {
		return err
	}
	for _, m := range sent {
		a.stage.book.ack(m)
	}
	a.sent = a.sent[len(sent):]
	return nil
}

// settle makes a receiver available, and waits for what is on its way. If it is available already it just waits: what
// does not come now was forgotten somewhere.
func (a *actor) settle() error {
	if a.sends {
		return nil
	}
	if a.s == nil || !a.s.alive() {
		if a.s != nil && !a.s.managed {
			a.over(false)
		}
		if err := a.connect(); err != nil {
			return err
		}
	}
	if !a.available {
		if err := a.turn(); err != nil {
			return err
		}
	}
	return a.s.drained()
}
