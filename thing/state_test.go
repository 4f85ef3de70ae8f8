// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read these tests: a power cut is a copy of the folder, made while the thing runs, on which
// another thing goes on.

// powerCut is what the disk has now.
func powerCut(t *testing.T, folder string) string {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return copied
}

func report(t *testing.T, x *thing.Thing, n int) {
	t.Helper()
	if err := x.Report(thing.Field{Name: "n", Value: thing.Number(float64(n)), Unit: "lx"}); err != nil {
		t.Fatal(err)
	}
}

// What was reported is told after a power cut, in order, once it was acknowledged no more.
func TestPowerCut(t *testing.T) {
	folder, whole := t.TempDir(), t
	ids := map[string]string{}
	inLab(t, func(t *testing.T, l *lab) { // never online
		l.config.State = folder
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			report(t, x, i)
			<-time.After(time.Minute)
		}
		folder = powerCut(whole, folder)
	})
	tell := func(p *testserver.Peer, n, minute int) {
		id := p.Expect(strings.Replace(reading(fmt.Sprintf("n %d lx", n), fmt.Sprintf(`{"n":"n","u":"lx","v":%d,"t":T}`, n), minute*60, true),
			"[^']+", "([^']+)", 1))[1]
		body := fmt.Sprint(n)
		if ids[body] != "" && ids[body] != id {
			t.Errorf("%s was told as %s and as %s", body, ids[body], id)
		}
		ids[body] = id
	}
	inLab(t, func(t *testing.T, l *lab) { // told, the first alone acknowledged
		l.config.State = folder
		<-time.After(10 * time.Minute)
		p := l.start(t)
		p.Ack()
		p.Rest = true
		tell(p, 0, 0)
		p.Ack()
		tell(p, 1, 1)
		tell(p, 2, 2)
		synctest.Wait()
		report(t, l.thing, 3)
		folder = powerCut(whole, folder)
		go func() { _ = p.End() }()
	})
	inLab(t, func(t *testing.T, l *lab) { // the rest, with the same ids
		l.config.State = folder
		<-time.After(20 * time.Minute)
		p := l.start(t)
		tell(p, 1, 1)
		tell(p, 2, 2)
		tell(p, 3, 10)
		go func() { _ = p.End() }()
		if err := l.thing.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
	inLab(t, func(t *testing.T, l *lab) { // nothing is left
		l.config.State = folder
		p := l.start(t)
		report(t, l.thing, 4)
		p.Expect("<message .*<body>n 4 lx</body>.*")
		go func() { _ = p.End() }()
	})
}

// Wherever the disk has ended, the thing starts, and what is whole is told.
func TestTorn(t *testing.T) {
	whole := t.TempDir()
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = whole
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			report(t, x, i)
		}
	})
	data, err := os.ReadFile(filepath.Join(whole, "readings"))
	if err != nil {
		t.Fatal(err)
	}
	kept := func(data []byte) int {
		n := 0
		inLab(t, func(t *testing.T, l *lab) {
			l.config.State = t.TempDir()
			if err := os.WriteFile(filepath.Join(l.config.State, "readings"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := thing.New(l.config); err != nil {
				t.Fatal(err)
			}
			again, err := os.ReadFile(filepath.Join(l.config.State, "readings"))
			if err != nil {
				t.Fatal(err)
			}
			n = strings.Count(string(again), "\n+ ")
		})
		return n
	}
	last := 0
	for cut := range len(data) + 1 {
		n, want := kept(data[:cut]), strings.Count(string(data[:cut]), "\n")-1
		if n != max(want, 0) || n < last {
			t.Errorf("of %d bytes %d readings are kept, want %d", cut, n, want)
		}
		last = n
	}
	// A line that the disk has spoilt costs itself alone.
	lines := strings.SplitAfter(string(data), "\n")
	for i := range 3 {
		spoilt := strings.Replace(lines[i+1], "lx", "lm", 1)
		if i == 1 {
			spoilt = strings.Repeat("\x00", 100) + "\n"
		}
		if n := kept([]byte(strings.Replace(string(data), lines[i+1], spoilt, 1))); n != 2 {
			t.Errorf("beside a spoilt line %d readings are kept", n)
		}
	}
	if n := kept(append(data, "- 1\n- x\n- 99\n+ 1 2 3\n"...)); n != 2 {
		t.Errorf("beside one that is told %d are kept", n)
	}
}

// The file is bounded as the memory is, across restarts, and whatever is told.
func TestStateBounded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State, l.config.Keep = t.TempDir(), 20
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3000 {
			report(t, x, i)
		}
		if data, err := os.ReadFile(filepath.Join(l.config.State, "readings")); err != nil || len(data) > 200_000 {
			t.Errorf("the file has %d bytes, %v", len(data), err)
		}
		if x.Dropped() != 2980 {
			t.Errorf("%d were dropped", x.Dropped())
		}
		l.config.State, l.config.Keep = powerCut(t, l.config.State), 10
		p := l.start(t)
		for i := range 10 {
			p.Expect(fmt.Sprintf("<message .*<body>n %d lx</body>.*", 2990+i))
		}
		for i := range 500 {
			report(t, l.thing, i)
			p.Expect(fmt.Sprintf("<message .*<body>n %d lx</body>.*", i))
		}
		go func() { _ = p.End() }()
		if err := l.thing.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait() // it is noted when the server has it
		if data, err := os.ReadFile(filepath.Join(l.config.State, "readings")); err != nil || len(data) > 20_000 {
			t.Errorf("the file has %d bytes, %v", len(data), err)
		}
	})
}

// What Report has kept is in the file, also when that was written anew just then.
func TestReportedIsKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State, l.config.Keep = t.TempDir(), 10
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		size, anew := 0, 0
		for i := range 1200 {
			report(t, x, i)
			data, err := os.ReadFile(filepath.Join(l.config.State, "readings"))
			if err != nil || !strings.Contains(string(data), fmt.Sprintf(`"v":%d,`, i)) {
				t.Fatalf("reading %d is not in the file, %v", i, err)
			}
			if len(data) < size {
				anew++
			}
			size = len(data)
		}
		if anew == 0 {
			t.Error("the file was never written anew")
		}
	})
}

// A reading for which the client had no room before the end is in the file still when the others are told, and that was written anew.
func TestLeftIsKept(t *testing.T) {
	const reported = 60
	for room := reported - 1; room <= reported+1; room++ {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			folder := t.TempDir()
			told := 0
			inLab(t, func(t *testing.T, l *lab) {
				l.config.State = folder
				l.config.Client.QueueStanzas = room
				p := l.start(t)
				p.Ack()
				p.Rest = true
				for i := range reported {
					report(t, l.thing, i)
				}
				synctest.Wait()
				l.cancel()
				synctest.Wait() // the client has all that it takes, and waits for the server
				p.Rest = false
				for s, err := p.Read(); err == nil; s, err = p.Read() {
					told += strings.Count(s, "<body>n ")
				}
				p.Drop()
				<-l.done
			})
			data, err := os.ReadFile(filepath.Join(folder, "readings"))
			void := strings.Count(string(data), "\n- ")
			if kept := strings.Count(string(data), "\n+ ") - void; err != nil || told == 0 || told+kept != reported {
				t.Errorf("%d are told and %d are in the file, %v:\n%s", told, kept, err, data)
			}
		})
	}
}

// What a folder has is for its owner alone; a folder that cannot be is an error at once.
func TestStateRefused(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = t.TempDir()
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		report(t, x, 1)
		other := l.config
		other.Owner = jid.MustParse("romeo@example.net")
		if _, err := thing.New(other); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("readings for another owner: %v", err)
		}
		other = l.config
		other.State = filepath.Join(l.config.State, "readings")
		if _, err := thing.New(other); err == nil {
			t.Error("a file for a folder")
		}
		other = l.config
		other.Client.Password = ""
		if _, err := thing.New(other); err == nil {
			t.Error("no password")
		}
	})
}

// A thing is not talked into a weaker login than its last, restarts or not. XEP-0474 §6
func TestStatePins(t *testing.T) {
	folder := t.TempDir()
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = folder
		told := ""
		l.config.Client.Pinned = func(m string) { told = m }
		p := l.start(t)
		if told != "SCRAM-SHA-512" {
			t.Errorf("the program is told %q", told)
		}
		go func() { _ = p.End() }()
	})
	weak := func(s string) string {
		return strings.NewReplacer("<mechanism>SCRAM-SHA-512</mechanism>", "", "<mechanism>SCRAM-SHA-256</mechanism>", "").Replace(s)
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = folder
		l.Options.Rewrite = weak
		l.run(t)
		if err := l.Accept().End(); err != nil {
			t.Errorf("it went on: %v", err)
		}
	})
	inLab(t, func(t *testing.T, l *lab) { // another account's logins are its own matter
		l.config.State = folder
		l.config.Client.Account = jid.MustParse("romeo@example.org")
		l.run(t)
		l.Serve(nil, func(p *testserver.Peer) { _ = p.End() })
		if err := <-l.done; err == nil || !strings.Contains(err.Error(), "not-authorized") {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A disk that takes nothing is told of, and the reading is told all the same.
func TestDiskTrouble(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = t.TempDir()
		p := l.start(t)
		name := filepath.Join(l.config.State, "readings")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := l.thing.Report(thing.Field{Name: "n", Value: thing.Number(1)}); err == nil || !strings.Contains(err.Error(), "keeping readings") {
			t.Errorf("the disk's trouble is told as %v", err)
		}
		p.Expect("<message .*<body>n 1</body>.*")
		if err := l.thing.Report(thing.Field{Name: "-"}); err == nil {
			t.Error("a bad reading is taken")
		}
		go func() { _ = p.End() }()
		if err := l.thing.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
