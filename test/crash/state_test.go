// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// How to read this file: TestKillState goes round after round over one data folder, as TestKill does, with keepers that
// change what lasts: archives, rooms, nodes, bookmarks, owners of things. A keeper has one account and its part of the ledger. In each
// round it first looks what is there (look) and has the ledger judge it, then makes changes (change), each of which is
// asked for when the one before was answered, until the server is killed. rooms_test.go, nodes_test.go
// and things_test.go have them.

const (
	stateRounds  = 6
	stateChanges = 400 // of a keeper in one round
	stateLeast   = 20  // of all, acknowledged before the kill: what has not begun to change proves nothing
)

// keeper changes one kind of state.
type keeper struct {
	name    string // of its account, and before each of its keys in the ledger
	managed bool   // changes are acknowledged by stream management
	others  []string
	// prepare is called once, change for each change, look for all that is there by the keys of the ledger.
	prepare func(v *life) error
	change  func(v *life, r *rand.Rand, n int) error
	look    func(v *life) (map[string]string, error)
}

// life is where a keeper acts: one life of the server.
type life struct {
	*session
	keeper *keeper
	ledger *ledger
	server *server
	round  int

	entered string     // the room whose presence has come last; guarded by the session's mutex
	results []*element // of an archive
	given   string     // the key that has come last, of a thing that is given; guarded by the session's mutex
	words   []string   // what the registry has said; guarded by the session's mutex
	present bool       // it gets messages
}

// sides are other accounts of a keeper, in one life of the server.
type sides map[string]*life

// as is the account of that name.
func (x sides) as(v *life, name string) (*life, error) {
	if name == v.keeper.name {
		return v, nil
	}
	if old := x[name]; old != nil && old.server == v.server {
		return old, nil
	}
	side, err := v.keeper.openAs(name, v.server, v.ledger, v.round)
	if err == nil {
		x[name] = side
	}
	return side, err
}

func (v *life) key(format string, args ...any) string {
	return v.keeper.name + " " + fmt.Sprintf(format, args...)
}

// open logs the account in.
func (a *keeper) open(srv *server, l *ledger, round int) (*life, error) {
	return a.openAs(a.name, srv, l, round)
}

func (a *keeper) openAs(account string, srv *server, l *ledger, round int) (*life, error) {
	s := newSession(account, "r", habits{managed: a.managed, ackEvery: 5})
	v := &life{session: s, keeper: a, ledger: l, server: srv, round: round}
	s.other = v.other
	_, err := s.connect(srv)
	return v, err
}

// other takes what is no message between two. The session's mutex is held.
func (v *life) other(e *element) bool {
	switch {
	case e.is(nsClient, "presence") && e.attr("type") == "error":
		v.ended = e.String()
	case e.is(nsClient, "presence"):
		if x := e.child(nsMUC+"#user", "x"); x != nil {
			for _, c := range x.children {
				if c.attr("code") == "110" {
					v.entered = e.attr("from")
				}
			}
		}
	case e.attr("type") == "error", e.attr("type") == "headline":
		return false
	case v.gets(e):
	case e.child(nsMAM, "result") != nil:
		v.results = append(v.results, e.child(nsMAM, "result"))
	}
	return true
}

// keepers is THE list of what TestKillState changes.
func keepers() []*keeper {
	return []*keeper{roomKeeper(), roomTalker(), writer(), nodeKeeper(), bookmarker(), claimer(), guardian()}
}

func TestKillState(t *testing.T) {
	c, l := newChance(t), newLedger()
	o := options{program: checked.MustPath(t), folder: t.TempDir()}
	rounds := *roundsFlag
	if rounds == 0 {
		rounds = stateRounds
	}
	all := keepers()
	first := mustStart(t, o)
	for _, a := range all {
		for _, name := range append(a.others, a.name) {
			if err := register(first.plain, false, name); err != nil {
				t.Fatal(err)
			}
		}
		v, err := a.open(first, l, 0)
		if err == nil {
			err = a.prepare(v)
		}
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		v.drop()
	}
	first.Kill()
	before := o
	before.folder = t.TempDir()
	for round := range rounds {
		if round == rounds-1 {
			copyStore(t, o.folder, before.folder)
		}
		if r := c.of("driver", round); r.IntN(3) == 0 {
			o.args = []string{"--driver=goroutine"}
		} else {
			o.args = nil
		}
		killState(t, c, l, o, all, round)
		if t.Failed() {
			break
		}
	}
	if !t.Failed() {
		forgetful(t, l.clone(), before, all)
		last := mustStart(t, o)
		for _, f := range judgeState(t, l, last, all, rounds) {
			t.Error(f)
		}
		if err := last.terminate(); err != nil {
			t.Error(err)
		}
	}
	checkLog(t, o.folder)
	t.Logf("%d kills: %d changes acknowledged, %d things known", rounds, l.acknowledged(), len(l.is))
	if l.acknowledged() < stateLeast*rounds {
		t.Errorf("too few changes to prove anything")
	}
}

// judgeState has all keepers look what is there, and returns what must not be so.
func judgeState(t *testing.T, l *ledger, srv *server, all []*keeper, round int) (faults []string) {
	t.Helper()
	for _, a := range all {
		v, err := a.open(srv, l, round)
		if err != nil {
			t.Fatalf("%s, round %d: %v", a.name, round, err)
		}
		got, err := a.look(v)
		if err != nil {
			t.Errorf("%s looks in round %d: %v", a.name, round, err)
			return faults
		}
		for _, f := range l.judge(a.name+" ", got) {
			faults = append(faults, fmt.Sprintf("after kill %d: %s", round, f))
		}
		v.drop()
	}
	return faults
}

// forgetful shows that the check can fail: in a folder as it was before the last round, what that round acknowledged
// is lost. (A folder without its write-ahead log proves nothing: killed behind a checkpoint it has lost nothing, and
// within one it is damaged.)
func forgetful(t *testing.T, l *ledger, o options, keepers []*keeper) {
	t.Helper()
	srv := mustStart(t, o)
	faults := 0
	for _, a := range keepers { // some cannot even look any more, which tells as much
		v, err := a.open(srv, l, 0)
		if err != nil {
			faults++
			continue
		}
		got, err := a.look(v)
		if err != nil {
			faults++
		} else {
			faults += len(l.judge(a.name+" ", got))
		}
		v.drop()
	}
	srv.Kill()
	if faults == 0 {
		t.Error("a store that has lost a round passes: the check is blind")
	}
	t.Logf("a store that has lost a round is found out %d times", faults)
}

// copyStore copies what the store of a server that is dead has on the disk.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "data", "*.db*"))
	if err == nil {
		err = os.Mkdir(filepath.Join(to, "data"), 0o700)
	}
	for _, file := range files {
		if err != nil {
			break
		}
		var b []byte
		if b, err = os.ReadFile(file); err == nil {
			err = os.WriteFile(filepath.Join(to, "data", filepath.Base(file)), b, 0o600)
		}
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("the store of %s, %d files: %v", from, len(files), err)
	}
}

// killState is one life of the server.
func killState(t *testing.T, c chance, l *ledger, o options, all []*keeper, round int) {
	srv := mustStart(t, o)
	for _, f := range judgeState(t, l, srv, all, round) {
		t.Error(f)
	}
	if t.Failed() {
		return
	}
	var dying atomic.Bool
	least := l.acknowledged() + stateLeast
	var acting sync.WaitGroup
	for _, a := range all {
		acting.Go(func() {
			if err := a.act(c, l, srv, round); err != nil && !dying.Load() {
				t.Errorf("%s in round %d: %v", a.name, round, err)
			}
		})
	}
	acted := make(chan struct{})
	go func() {
		acting.Wait()
		close(acted)
	}()
	pause(100*time.Millisecond+time.Duration(c.of("kill", round).IntN(1400))*time.Millisecond, acted)
	for l.acknowledged() < least && !ended(acted) {
		pause(5*time.Millisecond, acted)
	}
	dying.Store(true)
	srv.Kill()
	<-acted
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// act makes changes until the server is dead.
func (a *keeper) act(c chance, l *ledger, srv *server, round int) error {
	v, err := a.open(srv, l, round)
	if err != nil {
		return err
	}
	defer v.drop()
	r := c.of("act", round, a.name)
	for n := range stateChanges {
		if err := a.change(v, r, n); err != nil {
			return err
		}
		if e := v.trouble(); e != "" {
			return errors.New(e)
		}
		pause(time.Duration(r.IntN(2000))*time.Microsecond, srv.Ended)
	}
	return nil
}

// value is a new one in each round.
func (v *life) value(n int) string { return fmt.Sprintf("v%d.%d", v.round, n) }

// archived reads a whole archive, of the account or of a room, oldest first, and returns the ids of its messages. They
// are each there once, and those of one sender in the order in which they were sent.
func (v *life) archived(to string) (map[string]string, error) {
	found := map[string]string{}
	last := map[string]int{}
	for after := ""; ; {
		v.mu.Lock()
		v.results = nil
		v.mu.Unlock()
		answer, err := v.session.ask(to, "set", "<query xmlns='"+nsMAM+"'><set xmlns='"+nsRSM+"'><max>100</max>"+after+"</set></query>")
		if err != nil {
			return nil, err
		}
		fin := answer.child(nsMAM, "fin")
		v.mu.Lock()
		page := v.results
		v.mu.Unlock()
		for _, r := range page {
			f := r.child(nsForward, "forwarded")
			if f == nil || f.child(nsClient, "message") == nil {
				return nil, fmt.Errorf("a result without a message: %s", r)
			}
			e := f.child(nsClient, "message")
			if e.child(nsClient, "body") == nil {
				continue // a subject
			}
			m, err := parseMessage(e)
			if err != nil {
				return nil, err
			}
			if found[m.String()] != "" {
				return nil, fmt.Errorf("%v is in the archive of %q twice", m, to)
			}
			found[m.String()] = "there"
			if n, ok := last[m.from]; ok && m.n <= n {
				return nil, fmt.Errorf("%v is in the archive of %q behind #%d", m, to, n)
			}
			last[m.from] = m.n
		}
		if fin == nil || len(page) == 0 || fin.attr("complete") == "true" {
			return found, nil
		}
		after = "<after>" + escape(page[len(page)-1].attr("id")) + "</after>"
	}
}

// form is a submitted data form of names and values in turn.
func form(kind string, fields ...string) string {
	out := "<x xmlns='" + nsForm + "' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + kind + "</value></field>"
	for i := 0; i+1 < len(fields); i += 2 {
		out += "<field var='" + fields[i] + "'><value>" + escape(fields[i+1]) + "</value></field>"
	}
	return out + "</x>"
}

// field is the value of a form's field.
func field(form *element, name string) string {
	if form == nil {
		return ""
	}
	for _, f := range form.children {
		if f.attr("var") == name {
			if value := f.child(nsForm, "value"); value != nil {
				return value.text
			}
		}
	}
	return ""
}
