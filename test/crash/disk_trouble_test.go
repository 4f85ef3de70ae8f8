// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How to read this file: TestSlowDisk has a server whose commits take 200 ms, TestFullDisk one whose data folder is on a
// small file system that fills. Both run live traffic (live_test.go) beside what needs the disk: messages to an account
// that is offline, and to one that is away, in the time in which it may be resumed.

const commitTime = 200 * time.Millisecond

// suffer reports whether live traffic takes longer than it usually does on this machine, by much of what a commit takes.
func (d times) suffer(usual times) bool {
	return len(d) < 50 || d.at(0.95) > usual.at(0.95)+commitTime/2
}

func TestSlowDisk(t *testing.T) {
	c := newChance(t)
	b := newBook()
	o := options{program: checked.MustPath(t), folder: t.TempDir()}
	srv := mustStart(t, o)
	for _, name := range []string{"left", "right", "offline", "away", "s0", "s1"} {
		if err := register(srv.plain, false, name); err != nil {
			t.Fatal(err)
		}
	}
	l := startLive(t, srv, "left", "right")
	pause(time.Second, nil)
	l.end(t)
	usual, usualAcks := l.so()
	if err := srv.terminate(); err != nil {
		t.Fatal(err)
	}

	o.env = []string{"STONECHAT_TEST_COMMIT=" + commitTime.String()}
	srv = mustStart(t, o)
	away := online(t, srv, b, "away")
	away.drop()
	l = startLive(t, srv, "left", "right")
	l.so()
	var waited times
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			r := c.of("slow", i)
			s := newSession(fmt.Sprintf("s%d", i), "r", habits{managed: true})
			_, err := s.connect(srv)
			for n := 0; err == nil && n < 250; n++ {
				m := b.message(s.user, []string{"offline", "away"}[r.IntN(2)])
				began := time.Now()
				err = s.send(m.xml(m.to+"@"+domain, 200), func() {
					b.ack(m)
					mu.Lock()
					waited = append(waited, time.Since(began))
					mu.Unlock()
				})
				if err == nil && n%4 == 0 {
					err = s.demand()
				}
				pause(5*time.Millisecond, nil)
			}
			if err == nil {
				err = s.allAcked()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	l.end(t)
	arrived, acks := l.so()
	t.Logf("live messages, usually: %v", usual)
	t.Logf("live messages, commits take %v: %v; their acks: %v", commitTime, arrived, acks)
	t.Logf("acks of what had to be spooled: %v", waited)
	for _, d := range [][2]times{{arrived, usual}, {acks, usualAcks}} {
		if d[0].suffer(d[1]) {
			t.Errorf("live traffic waits for the disk: %v", d[0])
		}
	}
	if waited.at(0.5) < commitTime/2 {
		t.Errorf("what was spooled was acked before a commit can have been done: %v", waited)
	}
	collect(t, srv, b, "offline", "away")
	if err := srv.terminate(); err != nil {
		t.Error(err)
	}
	checkLog(t, o.folder)
	t.Log(b)
}

// online is a session of a receiver.
func online(t *testing.T, srv *server, b *book, name string) *session {
	t.Helper()
	s := newSession(name, "r", habits{managed: true, ackEvery: 5})
	s.begun = func() {
		st := b.stay(name, false)
		s.taken = st.take
	}
	if _, err := s.connect(srv); err != nil {
		t.Fatal(err)
	}
	if err := s.available(); err != nil {
		t.Fatal(err)
	}
	if err := s.drained(); err != nil {
		t.Fatal(err)
	}
	return s
}

// collect lets receivers have what waits for them, and sees that nothing is missing.
func collect(t *testing.T, srv *server, b *book, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := online(t, srv, b, name).close(); err != nil {
			t.Error(err)
		}
	}
	for _, f := range b.check() {
		t.Error(f)
	}
}

// fillDisk makes a small file system, and functions that fill it and make room again.
func fillDisk(t *testing.T) (folder string, fill, empty func()) {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting a small file system to fill it: %v (the test needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	folder, ballast := filepath.Join(disk, "server"), filepath.Join(disk, "ballast")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	fill = func() {
		f, err := os.OpenFile(ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for size := 1 << 20; size > 0; { // to the last byte
			if _, err := f.Write(make([]byte, size)); err != nil {
				size /= 2
			}
		}
	}
	empty = func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}
	return folder, fill, empty
}

func TestFullDisk(t *testing.T) {
	newChance(t)
	folder, fill, empty := fillDisk(t)
	b := newBook()
	o := options{program: checked.MustPath(t), folder: folder}
	srv := mustStart(t, o)
	for _, name := range []string{"left", "right", "offline", "waiting", "away", "s0", "s1", "s2"} {
		if err := register(srv.plain, false, name); err != nil {
			t.Fatal(err)
		}
	}
	s := newFiller(t, srv, b, "s0")
	s.many(t, "offline", 50)
	s.many(t, "waiting", 20)
	if err := s.allAcked(); err != nil {
		t.Fatal(err)
	}
	away := online(t, srv, b, "away")
	away.drop()
	l := startLive(t, srv, "left", "right")
	pause(2*time.Second, nil)
	usual, usualAcks := l.so()

	fill()
	s.many(t, "offline", 10) // there may be room in the log still
	for range 300 {
		if s.refusals() >= 20 {
			break
		}
		s.many(t, "offline", 10)
		fill()
		if err := s.allAcked(); err != nil { // each is kept or refused, soon
			t.Fatal(err)
		}
	}
	if n := s.refusals(); n < 20 {
		t.Fatalf("%d messages were refused on a full disk", n)
	}
	l.so()
	toAway := newFiller(t, srv, b, "s1")
	toAway.many(t, "away", 20)
	if err := toAway.demand(); err != nil {
		t.Fatal(err)
	}
	for range 5 { // and it goes on while the disk is full
		s.many(t, "offline", 5)
		pause(200*time.Millisecond, nil)
	}
	if err := s.allAcked(); err != nil {
		t.Fatal(err)
	}
	if n := toAway.unacked(); n == 0 {
		t.Error("messages to a client that is away were acked on a full disk")
	}
	change := s.setRoster("full@example.org", "x")
	if change == nil || !strings.Contains(change.Error(), "resource-constraint") || !strings.Contains(change.Error(), "type='wait'") {
		t.Errorf("a change on a full disk: %v", change)
	}
	waiting := online(t, srv, b, "waiting") // it takes what waits for it, which cannot be deleted now
	if err := waiting.ping(); err != nil {
		t.Error(err)
	}
	arrived, acks := l.so()
	refused := s.refusals()

	empty()
	began := time.Now()
	if err := toAway.await("acks when there is room", func() bool { return len(toAway.out) == 0 }); err != nil {
		t.Error(err)
	}
	recovered := time.Since(began)
	s.many(t, "offline", 20)
	if err := s.allAcked(); err != nil {
		t.Error(err)
	}
	if n := s.refusals(); n > refused {
		t.Errorf("%d messages were refused when there was room again", n-refused)
	}
	if err := s.setRoster("room@example.org", "x"); err != nil {
		t.Error(err)
	}
	forgotten(t, o.folder, "waiting") // deletions are tried again once a second
	l.end(t)
	if err := waiting.close(); err != nil {
		t.Error(err)
	}
	srv.Kill()
	b.crashed()
	srv = mustStart(t, o)
	collect(t, srv, b, "offline", "away", "waiting")
	b.mu.Lock()
	for m := range b.refused {
		if len(b.seen[m]) > 0 {
			t.Errorf("%v was refused, and delivered", m)
		}
	}
	if n := b.repeats["waiting"]; n > 0 {
		t.Errorf("%d messages came again that were taken when the disk was full", n)
	}
	b.mu.Unlock()
	if err := srv.terminate(); err != nil {
		t.Error(err)
	}
	checkLog(t, folder)
	t.Logf("live messages, usually: %v", usual)
	t.Logf("live messages on a full disk: %v; their acks: %v", arrived, acks)
	t.Logf("%d refused; acks went on %v after there was room", refused, recovered.Round(time.Millisecond))
	t.Log(b)
	for _, d := range [][2]times{{arrived, usual}, {acks, usualAcks}} {
		if d[0].suffer(d[1]) {
			t.Errorf("live traffic suffers from a full disk: %v", d[0])
		}
	}
}

// forgotten waits until nothing waits for an account on the disk any more.
func forgotten(t *testing.T, folder, name string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "data", "stonechat.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for limit := time.Now().Add(patience); ; pause(20*time.Millisecond, nil) {
		var rows int
		err := db.QueryRow("SELECT count(*) FROM spool JOIN account ON account.id = spool.account WHERE account.local = ?", name).Scan(&rows)
		if err == nil && rows == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d messages wait for %s still: %v", rows, name, err)
		}
	}
}

// filler is a sender whose messages may be refused.
type filler struct {
	*session
	book *book
	n    int // refused
	err  error
}

func newFiller(t *testing.T, srv *server, b *book, name string) *filler {
	t.Helper()
	f := &filler{session: newSession(name, "r", habits{managed: true, ackEvery: 1}), book: b}
	f.session.refused = func(m message, e *element) {
		b.refuse(m)
		f.n++
		x := e.child(nsClient, "error")
		if x == nil || x.attr("type") != "wait" || x.child("urn:ietf:params:xml:ns:xmpp-stanzas", "resource-constraint") == nil {
			f.err = fmt.Errorf("refused with %s", e)
		}
	}
	if _, err := f.connect(srv); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *filler) many(t *testing.T, to string, n int) {
	t.Helper()
	for range n {
		m := f.book.message(f.user, to)
		if err := f.send(m.xml(to+"@"+domain, 2000), func() { f.book.ack(m) }); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		t.Error(f.err)
		f.err = nil
	}
}

func (f *filler) refusals() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}
