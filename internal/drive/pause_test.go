// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// lines handles one line after the other and pauses after each one that wait names, as a
// protocol does that must ask somebody: what is left of the input is kept.
type lines struct {
	kept []byte
	next int
	wait func(n int) bool
	done chan struct{}
	want int
	bad  atomic.Pointer[string]
}

func (l *lines) input(m *machine, data []byte) {
	l.kept = append(l.kept, data...)
	for {
		line, rest, ok := bytes.Cut(l.kept, []byte("\n"))
		if !ok {
			return
		}
		if want := fmt.Sprint(l.next); string(line) != want && l.bad.Load() == nil {
			text := fmt.Sprintf("line %q, want %s", line, want)
			l.bad.Store(&text)
		}
		l.kept = rest
		if l.next++; l.next == l.want {
			close(l.done)
		}
		if l.wait(l.next) {
			m.Pause()
			go m.Resume() // before or after this Input has returned
			return
		}
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// All lines come at once and none follows: what was not handled before a pause is handled after
// it without new bytes, also what TLS has read and not given out. Nothing is lost or turned round.
func TestPauseInBatch(t *testing.T) {
	const n = 30_000 // 170 kB, more than any buffer on the way
	for name, wait := range map[string]func(int) bool{
		"each":   func(int) bool { return true },
		"some":   func(i int) bool { return i%97 == 0 },
		"random": func(int) bool { return rand.IntN(50) == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, drive.Patience{}, func(b *bed) {
				l := &lines{wait: wait, done: make(chan struct{}), want: n}
				m, p := b.pair(machine{input: l.input})
				p.write(numbered(n))
				b.wait(l.done, "the last line")
				if bad := l.bad.Load(); bad != nil {
					b.Error(*bad)
				}
				p.Close()
				if err := await(b, m.gone, "Gone"); err != io.EOF {
					b.Error("gone: ", err)
				}
			})
		})
	}
}

// Pauses nest, come from any goroutine, and in the middle of a stream of input.
func TestPauseFromElsewhere(t *testing.T) {
	const n = 60_000
	onEach(t, drive.Patience{}, func(b *bed) {
		l := &lines{wait: func(int) bool { return false }, done: make(chan struct{}), want: n}
		m, p := b.pair(machine{input: l.input})
		end := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-end:
					return
				default:
				}
				m.Pause()
				m.Pause()
				m.Resume()
				m.Flush()
				m.Resume()
			}
		}()
		for rest := numbered(n); rest != ""; {
			k := min(len(rest), 1000)
			p.write(rest[:k])
			rest = rest[k:]
		}
		b.wait(l.done, "the last line")
		close(end)
		<-stopped
		if bad := l.bad.Load(); bad != nil {
			b.Error(*bad)
		}
	})
}

// While a connection pauses it is not read, and its peer feels that.
func TestPauseStopsReading(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		read := make(chan int, 10_000)
		m, p := b.pair(machine{input: func(m *machine, data []byte) { read <- len(data) }})
		p.write("x")
		await(b, read, "input")
		m.Pause()
		go func() {
			for {
				if _, err := p.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}()
		_ = p.tcp.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		total := 0
		quiet := time.After(time.Second)
		for open := true; open; {
			select {
			case n := <-read:
				total += n
			case <-quiet:
				open = false
			}
		}
		if total > 200_000 { // what was being read when Pause came
			b.Errorf("%d bytes were read", total)
		}
		m.Resume()
		await(b, read, "input after the pause")
	})
}

// Resume is followed by an Input though nothing came.
func TestResumeGivesInput(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		read := make(chan int, 10)
		m, p := b.pair(machine{input: func(m *machine, data []byte) { read <- len(data) }})
		p.write("x")
		await(b, read, "input")
		m.Pause()
		m.Pause()
		m.Resume()
		select {
		case <-read:
			b.Error("input while paused")
		case <-time.After(50 * time.Millisecond):
		}
		m.Resume()
		if n := await(b, read, "input after the pause"); n != 0 {
			b.Errorf("%d bytes came from nowhere", n)
		}
	})
}

// The peer goes while the connection pauses: what it said before is heard, then its end, and
// meanwhile no processor turns in circles.
func TestPeerGoesDuringPause(t *testing.T) {
	for _, reset := range []bool{false, true} {
		t.Run(fmt.Sprintf("reset=%v", reset), func(t *testing.T) {
			onEach(t, drive.Patience{}, func(b *bed) {
				read := make(chan string, 100)
				m, p := b.pair(machine{input: func(m *machine, data []byte) { read <- string(data) }})
				p.write("one")
				if s := await(b, read, "input"); s != "one" {
					b.Fatal(s)
				}
				m.Pause()
				p.write("two")
				if reset {
					_ = p.tcp.SetLinger(0)
				}
				p.Close()
				before := cpuTime(b)
				select {
				case err := <-m.gone:
					b.Fatal("gone while paused: ", err)
				case <-time.After(300 * time.Millisecond):
				}
				if used := cpuTime(b) - before; used > 150*time.Millisecond {
					b.Errorf("%v of processor time in 300 ms of waiting", used)
				}
				m.Queue([]byte("to nobody"))
				m.Flush()
				m.Resume()
				if !reset { // a reset may take what was not read with it
					for s := ""; s == ""; {
						if s = await(b, read, "what came before the end"); s != "" && s != "two" {
							b.Errorf("input %q", s)
						}
					}
				}
				if err := await(b, m.gone, "Gone"); err == nil {
					b.Error("gone without a reason")
				}
			})
		})
	}
}

// A connection that is paused can still be closed and aborted, and its deadline passes.
func TestEndDuringPause(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		inputs := new(atomic.Int32)
		paused, expired := make(chan struct{}, 1), make(chan struct{}, 1)
		model := machine{
			input: func(m *machine, _ []byte) {
				inputs.Add(1)
				m.Pause() // here no read is under way
				paused <- struct{}{}
			},
			expired: func(*machine) { expired <- struct{}{} },
		}
		m, p := b.pair(model)
		p.write("heard")
		b.wait(paused, "input")
		p.write("unheard")
		m.SetDeadline(time.Now().Add(10 * time.Millisecond))
		b.wait(expired, "Expired")
		m.Queue([]byte("bye"))
		m.Close()
		p.expect("bye")
		p.expectEnd()
		p.Close()
		await(b, m.gone, "Gone of the closed one")

		m, p = b.pair(model)
		m.Pause()
		m.Abort()
		if err := await(b, m.gone, "Gone of the aborted one"); err != drive.ErrAborted {
			b.Error("gone: ", err)
		}
		m.Resume()
		p.Close()
		if n := inputs.Load(); n != 1 {
			b.Errorf("%d inputs", n)
		}
	})
}
