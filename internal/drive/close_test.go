// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// huge is more than sockets of both sides take.
const huge = 4 << 20

// A big write to a peer that does not read returns at once, is counted, and disturbs nobody; when
// the peer reads all arrives.
func TestSlowReader(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		m, p := b.pair(machine{})
		_, other := b.pair(machine{input: echo})
		want := noise(1, huge)
		began := time.Now()
		for rest := want; len(rest) > 0; rest = rest[1<<20:] {
			m.Queue(rest[:1<<20])
			m.Flush()
		}
		if took := time.Since(began); took > patience { // it would be a minute
			b.Errorf("writing took %v", took)
		}
		if q := m.Queued(); q < huge/4 || q > huge+huge/16 {
			b.Errorf("%d bytes are queued of %d", q, huge)
		}
		other.exchange(noise(2, 1000))
		got := make([]byte, huge)
		if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
			b.Fatal("other bytes came, ", err)
		}
		until(b, func() bool { return m.Queued() == 0 })
		m.Queue([]byte("and on")) // by the direct way again
		m.Flush()
		p.expect("and on")
	})
}

// Close sends all that is queued, then the end, as TLS has it too.
func TestClose(t *testing.T) {
	for _, size := range []int{0, 10, huge} {
		onEach(t, drive.Patience{}, func(b *bed) {
			m, p := b.pair(machine{})
			want := noise(3, size)
			m.Queue(want)
			m.Close()
			m.Queue([]byte("too late"))
			m.Flush()
			m.Close()
			got, err := io.ReadAll(p) // an end without close_notify is an error
			if err != nil || !bytes.Equal(got, want) {
				b.Fatalf("%d bytes came of %d, %v", len(got), size, err)
			}
			p.Close()
			if err := await(b, m.gone, "Gone"); err != io.EOF {
				b.Error("gone: ", err)
			}
		})
	}
}

// A peer that ends its side first still gets everything.
func TestCloseHalfClosed(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		want := noise(4, huge)
		m, p := b.pair(machine{input: func(m *machine, data []byte) {
			m.Queue(want)
			m.Close()
		}})
		p.write("goodbye")
		_ = p.tcp.CloseWrite()
		until(b, func() bool { return m.Queued() > 0 })
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, want) {
			b.Fatalf("%d bytes came of %d, %v", len(got), huge, err)
		}
		if err := await(b, m.gone, "Gone"); err != io.EOF {
			b.Error("gone: ", err)
		}
	})
}

// What comes after Close is not heard, and a peer that keeps its side open has its time.
func TestLinger(t *testing.T) {
	if p := drive.Times(); p != (drive.Patience{Handshake: 10 * time.Second, Linger: 5 * time.Second, Stall: time.Minute}) {
		t.Errorf("times of a driver: %+v", p)
	}
	for _, size := range []int{1, huge} {
		onEach(t, drive.Patience{Linger: 300 * time.Millisecond}, func(b *bed) {
			heard := new(atomic.Int32)
			m, p := b.pair(machine{input: func(*machine, []byte) { heard.Add(1) }})
			m.SetDeadline(time.Now().Add(time.Hour))
			m.Queue(make([]byte, size))
			began := time.Now()
			m.Close()
			m.SetDeadline(time.Time{}) // is the machine's: the driver's stays
			go func() {
				for {
					if _, err := p.Write([]byte("still here")); err != nil {
						return
					}
				}
			}()
			await(b, m.gone, "Gone")
			if took := time.Since(began); took < 200*time.Millisecond {
				b.Errorf("gone after %v", took)
			}
			if heard.Load() > 0 {
				b.Error("input after Close")
			}
		})
	}
}

// A peer that takes nothing for long is given up.
func TestStall(t *testing.T) {
	onEach(t, drive.Patience{Stall: 300 * time.Millisecond}, func(b *bed) {
		m, _ := b.pair(machine{})
		m.Queue(make([]byte, huge))
		m.Flush()
		if err := await(b, m.gone, "Gone"); !errors.Is(err, drive.ErrStalled) {
			b.Error("gone: ", err)
		}
	})
}

// A peer that takes little by little is not given up, though it takes longer in all. Its
// connection can be written to when that is over.
func TestSlowIsNotStalled(t *testing.T) {
	onEach(t, drive.Patience{Stall: 1500 * time.Millisecond}, func(b *bed) {
		m, p := b.pair(machine{})
		m.Queue(make([]byte, huge))
		m.Flush()
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for left := huge; left > 0; <-tick.C {
			n, err := io.ReadFull(p, make([]byte, min(left, 100_000)))
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
		until(b, func() bool { return m.Queued() == 0 })
		<-time.After(1800 * time.Millisecond) // the time of the last write passes
		m.Queue([]byte("later"))
		m.Flush()
		p.expect("later")
	})
}

func TestAbort(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		m, p := b.pair(machine{})
		m.Queue(make([]byte, huge))
		m.Flush()
		m.Abort()
		m.Abort()
		if err := await(b, m.gone, "Gone"); err != drive.ErrAborted {
			b.Error("gone: ", err)
		}
		if _, err := io.Copy(io.Discard, p); err == nil && b.tls {
			b.Error("an aborted connection has an orderly end")
		}
		everything(m)
		if q := m.Queued(); q == 0 { // whoever counts on it having left would be wrong
			b.Error("what was lost is forgotten")
		}
	})
}

// When Abort returns nothing more leaves, though the machine is busy and the peer reads.
func TestNothingLeavesAfterAbort(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		busy, free := make(chan struct{}), make(chan struct{})
		m, p := b.pair(machine{input: func(*machine, []byte) { close(busy); <-free }})
		m.Queue(make([]byte, huge))
		m.Flush()
		p.write("x")
		b.wait(busy, "input")
		m.Abort()
		m.Queue([]byte("late"))
		m.Flush()
		lost := m.Queued()
		n, err := io.Copy(io.Discard, p) // ends while the machine is still busy
		close(free)
		if most := int64(huge + len("late") - lost); n > most && !b.tls { // TLS adds bytes to what was sealed
			b.Errorf("%d bytes came, at most %d had left", n, most)
		}
		if err == nil && b.tls {
			b.Error("an aborted connection has an orderly end")
		}
		await(b, m.gone, "Gone")
	})
}

// everything calls all methods.
func everything(m *machine) {
	m.Queue([]byte("x"))
	m.Flush()
	m.Queued()
	m.StartTLS(serverTLS())
	m.SetDeadline(time.Now())
	m.SetDeadline(time.Time{})
	m.Pause()
	m.Resume()
	m.Close()
	m.Abort()
	m.Remote()
	m.Served()
}

// Whatever is called on a connection while it goes, by whoever, harms nothing.
func TestRaceAtTheEnd(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		for i := range 20 {
			m, p := b.pair(machine{input: echo})
			done := make(chan struct{})
			for range 3 {
				go func() {
					defer func() { done <- struct{}{} }()
					for range 50 {
						m.Queue(make([]byte, 1000))
						m.Flush()
						m.Pause()
						m.Queued()
						m.Resume()
						m.SetDeadline(time.Now().Add(time.Duration(i) * time.Millisecond))
					}
					if i%2 == 0 {
						m.Close()
					} else {
						m.Abort()
					}
				}()
			}
			go p.Write([]byte("x"))
			if i%3 == 0 {
				p.Close()
			} else {
				go io.Copy(io.Discard, p)
			}
			for range 3 {
				<-done
			}
			if i%2 == 0 {
				p.Close()
			}
			await(b, m.gone, "Gone")
			everything(m)
		}
	})
}

// A peer's reset is told, and writing to it harms nothing.
func TestReset(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		m, p := b.pair(machine{})
		_ = p.tcp.SetLinger(0)
		p.tcp.Close()
		err := await(b, m.gone, "Gone")
		if err == nil || err == io.EOF {
			b.Error("gone: ", err)
		}
		everything(m)
	})
}

// Deadlines pass once, can be moved and taken back, and are kept that were set before the first
// byte came.
func TestDeadline(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		type moment struct {
			m *machine
			t time.Time
		}
		expired := make(chan moment, 10)
		model := machine{expired: func(m *machine) { expired <- moment{m, time.Now()} }}
		set := make(chan *machine, 1)
		early := time.Now()
		address := b.listen(model, func(m *machine) {
			early = time.Now().Add(300 * time.Millisecond)
			m.SetDeadline(early)
			set <- m
		})
		b.dial(address)
		m := await(b, set, "the machine")
		if x := await(b, expired, "Expired after start"); x.m != m || x.t.Before(early) || x.t.After(early.Add(patience)) {
			b.Errorf("expired %v late", x.t.Sub(early))
		}
		m.SetDeadline(time.Now().Add(500 * time.Millisecond))
		m.SetDeadline(time.Now().Add(time.Hour))
		select {
		case <-expired:
			b.Error("expired before it was time")
		case <-time.After(800 * time.Millisecond):
		}
		m.SetDeadline(time.Time{})
		m.SetDeadline(time.Now().Add(-time.Hour))
		await(b, expired, "Expired of a time that was past")
		select {
		case <-expired:
			b.Error("expired twice")
		case <-time.After(400 * time.Millisecond):
		}
	})
}

// The driver's end: peers get what is queued and an orderly end, at once if they close too, and
// who does not close, is in a handshake or paused does not hold it up longer than allowed.
func TestDriverClose(t *testing.T) {
	onEach(t, drive.Patience{Linger: time.Minute}, func(b *bed) {
		m, p := b.pair(machine{})
		m.Queue([]byte("last words"))
		paused, pausedPeer := b.pair(machine{})
		paused.Pause()
		closed := make(chan struct{})
		go func() {
			b.driver.Close(context.Background())
			close(closed)
		}()
		p.expect("last words")
		p.expectEnd()
		pausedPeer.expectEnd()
		p.Close()
		pausedPeer.Close()
		b.wait(closed, "Close") // it would be a minute
		for _, m := range []*machine{m, paused} {
			if err := await(b, m.gone, "Gone"); err != io.EOF {
				b.Error("gone: ", err)
			}
		}
	})
	onEach(t, drive.Patience{Handshake: time.Minute}, func(b *bed) {
		m, _ := b.pair(machine{})
		m.Queue(make([]byte, huge))
		m.Flush()
		shaking := make(chan *machine, 1)
		tcp := b.dialTCP(b.listenWith(serverTLS(), start(machine{}, func(m *machine) { shaking <- m })))
		peer{Conn: tcp, b: b}.write("\x16\x03\x01\x02")
		await(b, shaking, "the machine of a handshake")
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		b.driver.Close(ctx)
		if took := time.Since(began); took < 100*time.Millisecond || took > patience {
			b.Errorf("closing took %v", took)
		}
		if err := await(b, m.gone, "Gone"); err != drive.ErrAborted {
			b.Error("gone: ", err)
		}
	})
}

// Who comes after the driver's end is sent away.
func TestServeAfterClose(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		address := b.listen(machine{}, func(*machine) { b.Error("a machine was made") })
		b.driver.Close(context.Background())
		if n, err := b.dialTCP(address).Read(make([]byte, 1)); err == nil {
			b.Errorf("got %d bytes", n)
		}
	})
}
