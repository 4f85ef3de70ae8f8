// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// How to read this file: TestKill goes round after round over one data folder. A round starts the server, lets every
// receiver have what waits for it (collect) and sees that nothing acked is missing, puts load on it, and kills it at
// some moment: mostly under load, sometimes while the receivers are collecting. receive has the kinds of receivers.

const killRounds = 10

// receivers of TestKill by name; their kinds are in receive.
var receivers = []string{"offline1", "offline2", "managed", "slow", "plain", "resuming", "two", "flapping", "silent"}

const (
	senders   = 6 // the last without stream management
	sendAhead = 200
)

func TestKill(t *testing.T) {
	w := newWorld(t)
	rounds := *roundsFlag
	if rounds == 0 {
		rounds = killRounds
	}
	o := options{program: checked.MustPath(t), folder: t.TempDir()}
	s := mustStart(t, o)
	w.registerAll(s)
	s.Kill()
	for round := range rounds {
		if w.round(o, round); t.Failed() {
			break
		}
	}
	if !t.Failed() {
		w.server = mustStart(t, o)
		w.dying.Store(false)
		w.collect(rounds)
		if err := w.server.terminate(); err != nil {
			t.Error(err)
		}
		w.judge("at the end")
	}
	checkLog(t, o.folder)
	t.Logf("%d kills: %v", rounds, w.book)
}

// world is what the actors of a test share.
type world struct {
	t      *testing.T
	chance chance
	book   *book
	server *server
	dying  atomic.Bool // the server is being killed: broken connections are no fault
	stays  map[string]*receiver
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, chance: newChance(t), book: newBook(), stays: map[string]*receiver{}}
	for _, name := range receivers {
		w.stays[name] = &receiver{world: w, name: name}
	}
	return w
}

// registerAll makes the accounts.
func (w *world) registerAll(s *server) {
	w.t.Helper()
	names := append([]string{}, receivers...)
	for i := range senders {
		names = append(names, senderName(i))
	}
	for _, name := range names {
		if err := register(s.plain, false, name); err != nil {
			w.t.Fatal(err)
		}
	}
}

func senderName(i int) string { return fmt.Sprintf("sender%d", i) }

// trouble notes an error of an actor, unless the server is being killed.
func (w *world) trouble(who string, err error) {
	if err != nil && !w.dying.Load() {
		w.book.mu.Lock()
		w.book.fault("%s: %v", who, err)
		w.book.mu.Unlock()
	}
}

// judge reports all faults.
func (w *world) judge(when string) {
	w.t.Helper()
	for _, f := range w.book.check() {
		w.t.Errorf("%s: %s", when, f)
	}
}

// round is one life of the server.
func (w *world) round(o options, round int) {
	r := w.chance.of("round", round)
	if r.IntN(3) == 0 {
		o.args = append(o.args, "--driver=goroutine")
	}
	w.dying.Store(false)
	w.server = mustStart(w.t, o)
	var kill *time.Timer
	early := round > 0 && r.IntN(4) == 0
	gone := w.server.Ended
	after := func(d time.Duration) {
		s := w.server
		kill = time.AfterFunc(d, func() {
			w.dying.Store(true)
			s.Kill()
		})
	}
	if early {
		after(time.Duration(r.IntN(300)) * time.Millisecond)
	}
	began := time.Now()
	w.collect(round)
	w.t.Logf("round %d: collect %v", round, time.Since(began))
	if !early {
		w.judge(fmt.Sprintf("collected in round %d", round))
		after(100*time.Millisecond + time.Duration(r.IntN(1400))*time.Millisecond)
		w.load(round)
	}
	<-gone
	kill.Stop()
	w.book.crashed()
}

// load runs until the server is dead.
func (w *world) load(round int) {
	var all sync.WaitGroup
	for _, name := range receivers {
		all.Go(func() { w.stays[name].receive(round) })
	}
	for i := range senders {
		all.Go(func() { w.send(round, i) })
	}
	all.Go(func() { w.changeRosters(round) })
	all.Go(func() { w.changeSubscriptions(round) })
	all.Go(func() { w.makeAccounts(round) })
	all.Wait()
}

// send sends messages to random receivers as fast as acks come.
func (w *world) send(round, i int) {
	r := w.chance.of("send", round, i)
	s := newSession(senderName(i), "load", habits{secure: r.IntN(2) == 0, managed: i < senders-1, ackEvery: 1 + r.IntN(10)})
	_, err := s.connect(w.server)
	for err == nil {
		to := receivers[r.IntN(len(receivers))]
		m := w.book.message(s.user, to)
		address := to + "@" + domain
		if w.stays[to].settled.Load() && r.IntN(4) == 0 {
			address += "/" + to
		}
		size := r.IntN(300)
		if r.IntN(100) == 0 {
			size = r.IntN(50_000)
		}
		if err = s.send(m.xml(address, size), func() { w.book.ack(m) }); err != nil {
			break
		}
		if r.IntN(6) == 0 {
			err = s.demand()
		}
		if s.managed && s.unacked() > sendAhead {
			if err = s.demand(); err == nil {
				err = s.await("acks", func() bool { return len(s.out) <= sendAhead/2 })
			}
		}
		if !s.managed && r.IntN(4) == 0 {
			err = s.ping()
		}
		if r.IntN(10) == 0 {
			pause(time.Duration(r.IntN(3000))*time.Microsecond, w.server.Ended)
		}
	}
	w.trouble(s.user, err)
	w.troubled(s)
}

func (w *world) troubled(s *session) {
	if e := s.trouble(); e != "" {
		w.trouble(s.user, errors.New(e))
	}
	s.drop()
}

// changeRosters makes acknowledged changes of another kind.
func (w *world) changeRosters(round int) {
	s := newSession(senderName(round%senders), "roster", habits{})
	_, err := s.connect(w.server)
	for n := 0; err == nil; n++ {
		contact, name := fmt.Sprintf("c%d.%d@example.org", round, n%300), fmt.Sprint(n)
		if n >= 300 {
			break // new contacts only: what is under way in the crash must not be doubtful
		}
		if err = s.setRoster(contact, name); err == nil {
			w.book.change("roster of "+s.user+": "+contact, name)
		}
		if err != nil || n%4 > 0 {
			continue
		}
		gone := fmt.Sprintf("gone%d.%d@example.org", round, n)
		if err = s.setRoster(gone, "never asked for again"); err != nil {
			break
		}
		if err = s.removeRoster(gone); err == nil {
			w.book.change("roster of "+s.user+": "+gone, removed)
		}
	}
	w.trouble("roster", err)
	w.troubled(s)
}

// What session.roster says of contacts that are not there, and of those approved beforehand.
const removed, approved = "(removed)", "(approved)"

// changeSubscriptions approves, each once, whoever may ask later (RFC 6121 §3.4): a change that stream management
// acknowledges.
func (w *world) changeSubscriptions(round int) {
	s := newSession(senderName((round+1)%(senders-1)), "subscriptions", habits{managed: true, ackEvery: 5})
	_, err := s.connect(w.server)
	for n := 0; err == nil && n < 300; n++ {
		contact := fmt.Sprintf("p%d.%d@%s", round, n, domain)
		err = s.send("<presence type='subscribed' to='"+contact+"'/>", func() {
			w.book.change("roster of "+s.user+": "+contact, approved)
		})
		if err == nil && n%10 == 9 {
			if err = s.demand(); err == nil {
				err = s.await("acks of approvals", func() bool { return len(s.out) <= 5 })
			}
		}
	}
	w.trouble("subscriptions", err)
	w.troubled(s)
}

// makeAccounts registers accounts until the server is dead.
func (w *world) makeAccounts(round int) {
	var err error
	for n := 0; err == nil && n < 20; n++ {
		name := fmt.Sprintf("new%d-%d", round, n)
		if err = register(w.server.plain, false, name); err == nil {
			w.book.change("account "+name, "")
		}
	}
	w.trouble("register", err)
}

// checkChanges sees that acknowledged changes of the last round are there.
func (w *world) checkChanges() error {
	w.book.mu.Lock()
	changes := w.book.changes
	w.book.changes = map[string]string{}
	w.book.mu.Unlock()
	rosters := map[string]map[string]string{}
	for what, value := range changes {
		var user, contact string
		if n, _ := fmt.Sscanf(what, "account %s", &user); n == 1 {
			if err := register(w.server.plain, false, user); !errors.Is(err, errTaken) {
				return fmt.Errorf("%s was made and acknowledged; making it again: %w", what, err)
			}
			continue
		}
		if _, err := fmt.Sscanf(what, "roster of %s %s", &user, &contact); err != nil {
			return err
		}
		user = user[:len(user)-1]
		if rosters[user] == nil {
			s := newSession(user, "look", habits{})
			if _, err := s.connect(w.server); err != nil {
				return err
			}
			var err error
			if rosters[user], err = s.roster(); err != nil {
				return err
			}
			s.drop()
		}
		got, ok := rosters[user][contact]
		if !ok {
			got = removed
		}
		if got != value {
			w.t.Errorf("%s: %q was acknowledged, there is %q", what, value, got)
		}
	}
	return nil
}

// receiver is one account that is sent messages, with what of it outlasts a crash.
type receiver struct {
	world *world
	name  string
	a, b  *session // b is the second resource of "two"
	stays [2]*stay
	// settled says that the session is available and stays, so that it may be addressed by its resource. Before, what
	// is for the account waits for presence while what is for the resource would come at once, ahead of it.
	settled atomic.Bool
}

// connect makes or resumes one session of the account and lets the book judge what it gets.
func (v *receiver) connect(which int, resource string, h habits) (*session, error) {
	p := &v.a
	if which == 1 {
		p = &v.b
	}
	s := *p
	if s == nil || s.habits != h {
		s = newSession(v.name, resource, h)
		*p = s
	}
	s.taken = func(m message, delayed bool) { v.stays[which].take(m, delayed) }
	s.begun = func() { v.stays[which] = v.world.book.stay(v.name+"/"+resource, v.name == "two") }
	_, err := s.connect(v.world.server)
	return s, err
}

// receive is what the account does under load, until the server is dead.
func (v *receiver) receive(round int) {
	w := v.world
	r := w.chance.of("receive", round, v.name)
	var err error
	switch v.name {
	case "managed":
		err = v.stay(r, 0, v.name, habits{secure: true, managed: true, ackEvery: 1 + r.IntN(20)}, false)
	case "slow": // acks on demand only
		err = v.stay(r, 0, v.name, habits{managed: true}, false)
	case "plain":
		err = v.stay(r, 0, v.name, habits{secure: r.IntN(2) == 0}, false)
	case "resuming":
		err = v.stay(r, 0, v.name, habits{secure: r.IntN(2) == 0, managed: true, ackEvery: 1 + r.IntN(5)}, true)
	case "silent":
		err = v.stay(r, 0, v.name, habits{managed: true, silent: true}, false)
	case "two":
		other := w.chance.of("receive", round, v.name, 1)
		var all sync.WaitGroup
		all.Go(func() {
			err := v.stay(other, 1, "b", habits{managed: round%2 == 0, ackEvery: 3}, false)
			w.trouble("two/b", err)
		})
		err = v.stay(r, 0, "a", habits{secure: true, managed: true, ackEvery: 5}, round%3 == 0)
		all.Wait()
	case "flapping":
		err = v.flap(r)
	}
	w.trouble(v.name, err)
	for _, s := range []*session{v.a, v.b} {
		if s != nil {
			w.troubled(s)
		}
	}
}

// stay is online until the server is dead, drops connections if told to, and proves what it has had.
func (v *receiver) stay(r *rand.Rand, which int, resource string, h habits, drops bool) error {
	s, err := v.connect(which, resource, h)
	if err != nil {
		return err
	}
	if err := s.available(); err != nil {
		return err
	}
	if err := s.drained(); err != nil {
		return err
	}
	v.settled.Store(v.name != "two")
	defer v.settled.Store(false)
	for {
		pause(time.Duration(5+r.IntN(60))*time.Millisecond, v.world.server.Ended)
		if drops && r.IntN(4) == 0 {
			s.drop()
			pause(time.Duration(r.IntN(60))*time.Millisecond, v.world.server.Ended)
			was := v.stays[which]
			if s, err = v.connect(which, resource, h); err != nil {
				return err
			}
			if v.stays[which] != was {
				return errors.New("not resumed")
			}
			continue
		}
		if err := v.prove(which, s); err != nil {
			return err
		}
	}
}

// certain is how long after a message has come to a client without stream management the server surely knows that it
// has left for the socket.
const certain = 250 * time.Millisecond

// prove makes sure that what has come cannot come again: the server has durably forgotten it.
func (v *receiver) prove(which int, s *session) error {
	st := v.stays[which]
	s.mu.Lock()
	n := st.count()
	if s.managed && !s.silent && s.link != nil {
		s.tell()
	}
	s.mu.Unlock()
	if s.silent {
		return s.ping()
	}
	if !s.managed {
		pause(certain, v.world.server.Ended)
		if err := s.ping(); err != nil {
			return err
		}
	}
	if err := s.setRoster("proof@example.org", fmt.Sprint(n)); err != nil {
		return err
	}
	st.prove(n)
	return nil
}

// flap comes and goes, in order.
func (v *receiver) flap(r *rand.Rand) error {
	for {
		s, err := v.connect(0, v.name, habits{managed: r.IntN(2) == 0, ackEvery: 1})
		if err != nil {
			return err
		}
		if err := s.available(); err != nil {
			return err
		}
		pause(time.Duration(10+r.IntN(150))*time.Millisecond, v.world.server.Ended)
		if err := s.close(); err != nil {
			return err
		}
		v.stays[0].end(false)
		pause(time.Duration(r.IntN(80))*time.Millisecond, v.world.server.Ended)
	}
}

// collect lets every receiver have what waits for it.
func (w *world) collect(round int) {
	var all sync.WaitGroup
	for _, name := range receivers {
		all.Go(func() { w.trouble("collect "+name, w.stays[name].collect(round)) })
	}
	all.Go(func() { w.trouble("changes", w.checkChanges()) })
	all.Wait()
}

func (v *receiver) collect(round int) error {
	which, resource := 0, v.name
	h := habits{managed: round%2 == 0, ackEvery: 10}
	if v.name == "two" {
		resource = "a"
	}
	if v.a != nil && v.a.managed {
		h = v.a.habits // it tries to resume what has been lost
		h.silent = false
		v.a.habits = h
	}
	if v.b != nil {
		v.b.drop()
	}
	s, err := v.connect(which, resource, h)
	if err != nil {
		return err
	}
	if err := s.available(); err != nil {
		return err
	}
	if err := s.drained(); err != nil {
		return err
	}
	if err := v.prove(which, s); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	v.stays[which].end(false)
	return nil
}
