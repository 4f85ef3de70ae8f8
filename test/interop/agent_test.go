// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

// How to read this file: agent is a program on a string, its methods do and expect work with single
// lines; those below make a person of it. Lines are the same for every program in clients/.
//
//	it is told                 it tells
//	connect                    online ADDRESS …
//	leave                      disconnected …
//	away STATUS
//	say TO TEXT                message FROM TEXT, late FROM TIME TEXT
//	add CONTACT                asked CONTACT
//	accept CONTACT             presence CONTACT available|away|unavailable …
//	ping HOST                  pong HOST …
//	                           failed tls …, failed auth …

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// agent is a program that does as it is told, a line at a time.
type agent struct {
	t    *testing.T
	name string
	own  string // address
	in   io.Writer

	mu      sync.Mutex
	lines   []line
	changed chan struct{} // closed, and made again, for each line
	ended   bool
}

// line is something that an agent told.
type line struct {
	text string
	used bool // somebody expected it
}

// startAgent runs a program until the test ends.
func startAgent(t *testing.T, name, own string, environment []string, command ...string) *agent {
	t.Helper()
	a := &agent{t: t, name: name, own: own, changed: make(chan struct{})}
	c := exec.Command(command[0], command[1:]...)
	program.Bind(c)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8", "TZ=UTC"}, environment...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	a.in = in
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewReader(out)
		for {
			s, err := lines.ReadString('\n')
			if s != "" {
				a.told(strings.TrimSuffix(s, "\n"))
			}
			if err != nil {
				break
			}
		}
		a.mu.Lock()
		a.ended = true
		close(a.changed)
		a.changed = make(chan struct{})
		a.mu.Unlock()
		_ = c.Wait()
	}()
	t.Cleanup(func() {
		_ = in.Close()
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
		if t.Failed() {
			keep(t, name+".txt", []byte(a.transcript()+stderr.String()))
		}
	})
	return a
}

func (a *agent) told(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line{text: text})
	close(a.changed)
	a.changed = make(chan struct{})
}

// do tells the agent what to do.
func (a *agent) do(format string, args ...any) {
	a.t.Helper()
	command := fmt.Sprintf(format, args...)
	a.told("> " + command)
	if _, err := fmt.Fprintln(a.in, command); err != nil {
		a.t.Fatalf("%s: %v", a.name, err)
	}
}

// expect waits for a line that begins with those words (the last may be an address without its resource) and that nobody has expected before, and returns
// the rest of it. Other lines may come before and after.
func (a *agent) expect(words string) string {
	a.t.Helper()
	var rest string
	a.await("no line: "+words, func() bool {
		for i := range a.lines {
			l := &a.lines[i]
			if after, ok := strings.CutPrefix(l.text, words); ok && !l.used && (after == "" || strings.ContainsAny(after[:1], " /")) {
				l.used = true
				rest = strings.TrimPrefix(after, " ")
				return true
			}
		}
		return false
	})
	return rest
}

// await waits until something holds; done is called with mu locked.
func (a *agent) await(what string, done func() bool) {
	a.t.Helper()
	deadline := time.After(patience)
	for {
		a.mu.Lock()
		ok, ended, changed := done(), a.ended, a.changed
		a.mu.Unlock()
		if ok {
			return
		}
		if ended {
			a.t.Fatalf("%s has ended; %s", a.name, what)
		}
		select {
		case <-changed:
		case <-deadline:
			a.t.Fatalf("%s: %s", a.name, what)
		}
	}
}

// transcript is all that was told on both sides.
func (a *agent) transcript() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var s strings.Builder
	for _, l := range a.lines {
		s.WriteString(l.text + "\n")
	}
	return s.String()
}

func (a *agent) address() string { return a.own }

func (a *agent) arrive() {
	a.t.Helper()
	a.do("connect")
	a.expect("online")
}

func (a *agent) leave() {
	a.t.Helper()
	a.do("leave")
	a.expect("disconnected")
}

func (a *agent) away(status string)    { a.do("away %s", status) }
func (a *agent) ask(contact string)    { a.do("add %s", contact) }
func (a *agent) say(to, text string)   { a.do("say %s %s", to, text) }
func (a *agent) accept(contact string) { a.expect("asked " + contact); a.do("accept %s", contact) }

// sees looks at the last that was told of the contact: presence is a state.
func (a *agent) sees(contact, presence string) {
	a.t.Helper()
	about := "presence " + contact + " "
	a.await("does not see "+contact+" "+presence, func() bool {
		seen := ""
		for _, l := range a.lines {
			if after, ok := strings.CutPrefix(l.text, about); ok {
				seen, _, _ = strings.Cut(after, " ")
			}
		}
		return seen == presence
	})
}

func (a *agent) settle() {
	a.t.Helper()
	a.do("ping %s", domain)
	a.expect("pong " + domain)
}

func (a *agent) hears(from, text string) {
	a.t.Helper()
	a.expect("message " + from + " " + text)
}

func (a *agent) hearsLate(from, text string, at span) {
	a.t.Helper()
	stamp, heard, _ := strings.Cut(a.expect("late "+from), " ")
	if heard != text {
		a.t.Errorf("%s was told late %q instead of %q", a.name, heard, text)
	}
	sent, err := time.Parse(time.RFC3339, stamp)
	if err != nil || !at.contains(sent) {
		a.t.Errorf("%s was told at %s (%v), it was sent from %s to %s", a.name, stamp, err, at.from.UTC(), at.to.UTC())
	}
}

func (a *agent) heardAll() {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if !l.used && (strings.HasPrefix(l.text, "message ") || strings.HasPrefix(l.text, "late ")) {
			a.t.Errorf("%s heard something more: %s", a.name, l.text)
		}
	}
}

// inOrder checks that numbered messages came in the order of their numbers.
func (a *agent) inOrder() {
	a.t.Helper()
	last := 0
	for l := range strings.Lines(a.transcript()) {
		words := strings.Fields(l)
		if words[0] != "message" && words[0] != "late" {
			continue
		}
		n, err := strconv.Atoi(words[len(words)-1])
		if err != nil || n <= last {
			a.t.Errorf("%s heard after %d: %s", a.name, last, l)
		}
		last = n
	}
}

func (a *agent) refused() {
	a.t.Helper()
	a.do("connect")
	a.expect("failed tls")
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if strings.HasPrefix(l.text, "online") {
			a.t.Errorf("%s: %s", a.name, l.text)
		}
	}
}
