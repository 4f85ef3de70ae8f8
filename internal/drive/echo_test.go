// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// noise is n bytes, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// exchange writes want in pieces and wants it back.
func (p peer) exchange(want []byte) {
	p.b.Helper()
	done := make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(uint64(len(want)), 1))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(40_000))
			if _, err := p.Write(rest[:n]); err != nil {
				done <- err
				return
			}
			rest = rest[n:]
		}
		done <- nil
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p, got); err != nil {
		p.b.Error(err)
	} else if !bytes.Equal(got, want) {
		p.b.Error("other bytes came back")
	}
	if err := <-done; err != nil {
		p.b.Error(err)
	}
}

func TestEcho(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		m, p := b.pair(machine{input: echo})
		p.exchange(noise(1, 1<<20))
		if !m.Remote().IsValid() || m.Remote().String() != p.tcp.LocalAddr().String() {
			b.Errorf("remote %v, want %v", m.Remote(), p.tcp.LocalAddr())
		}
		if (m.Served() != nil) != b.tls {
			b.Errorf("certificate served: %v", m.Served() != nil)
		}
		p.Close()
		if err := await(b, m.gone, "Gone"); err != io.EOF {
			b.Error("gone: ", err)
		}
	})
}

func TestTLSVersions(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if !b.tls {
			return
		}
		address := b.listen(machine{input: echo}, nil)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			p := peer{Conn: b.dialTCP(address), b: b}
			cfg := clientTLS()
			cfg.MaxVersion = version
			p.Conn = tls.Client(p.Conn, cfg)
			p.exchange(noise(2, 200_000))
		}
	})
}

// What a machine says before it starts TLS leaves before, in the clear; what it queues during the
// handshake leaves behind it.
func TestStartTLS(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if b.tls {
			return
		}
		m, p := b.pair(machine{
			input: func(m *machine, data []byte) {
				if string(data) == "starttls" {
					m.Queue([]byte("proceed"))
					m.StartTLS(serverTLS())
					return
				}
				echo(m, data)
			},
			secured: func(m *machine) { m.Queue([]byte("secured")) },
		})
		p.write("starttls")
		p.expect("proceed")
		for range 3 { // in the clear this would break the handshake
			m.Queue([]byte("queued "))
			m.Flush()
		}
		p = p.secure()
		p.expect("queued queued queued secured")
		p.exchange(noise(3, 100_000))
		if m.Served() == nil {
			b.Error("no certificate served")
		}
	})
}

// segment collects what is written until it is sent in one piece.
type segment struct {
	net.Conn
	collect bool
	held    []byte
}

func (s *segment) Write(p []byte) (int, error) {
	if s.collect {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (s *segment) Read(p []byte) (int, error) {
	s.collect = true // the client has said hello
	return s.Conn.Read(p)
}

// The client's last flight and its first data come in one segment; much data comes while the
// handshake is at work.
func TestBehindHandshake(t *testing.T) {
	for _, size := range []int{10, 20_000, 400_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			onEach(t, drive.Patience{}, func(b *bed) {
				if !b.tls {
					return
				}
				address := b.listen(machine{input: echo}, nil)
				tcp := b.dialTCP(address)
				s := &segment{Conn: tcp}
				c := tls.Client(s, clientTLS())
				if err := c.Handshake(); err != nil {
					b.Fatal(err)
				}
				want := noise(4, size)
				if _, err := c.Write(want); err != nil {
					b.Fatal(err)
				}
				s.collect = false
				go tcp.Write(s.held)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					b.Fatal("other bytes came back, ", err)
				}
			})
		})
	}
}

// One byte at a time, at every place of handshake and records.
func TestSlowBytes(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		p := peer{Conn: single{b.dialTCP(b.listen(machine{input: echo}, nil))}, b: b}
		if b.tls {
			p = p.secure()
		}
		p.write("hello")
		p.expect("hello")
	})
}

type single struct{ net.Conn }

func (s single) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// A goroutine driver takes connections that are no sockets, too.
func TestPipe(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if _, ok := b.driver.(*drive.Goroutines); !ok {
			return
		}
		ours, theirs := net.Pipe()
		var direct *tls.Config
		if b.tls {
			direct = serverTLS()
		}
		made := make(chan *machine, 1)
		b.driver.Serve(ours, direct, start(machine{input: echo}, func(m *machine) { made <- m }))
		p := peer{Conn: theirs, b: b}
		if b.tls {
			p = p.secure()
		}
		p.exchange(noise(5, 300_000))
		m := await(b, made, "the machine")
		m.Queue([]byte("last"))
		m.Close()
		p.expect("last")
		p.expectEnd()
		await(b, m.gone, "Gone")
	})
}

// A driver that cannot take a connection closes it.
func TestNoSocket(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if _, ok := b.driver.(*drive.Goroutines); ok {
			return
		}
		ours, theirs := net.Pipe()
		b.driver.Serve(ours, nil, start(machine{}, func(*machine) { b.Error("a machine was made") }))
		if _, err := theirs.Read(make([]byte, 1)); err == nil {
			b.Error("the connection is open")
		}
	})
}

// Connections of both drivers send to each other. What one sends to another arrives whole and in
// order, whoever flushes.
func TestBetweenDrivers(t *testing.T) {
	const each, rounds = 8, 60
	var beds []*bed
	onEachAtOnce(t, func(b *bed) { beds = append(beds, b) }, func() {
		var mu sync.Mutex
		var all []*machine
		deliver := func(m *machine, data []byte) {
			mu.Lock()
			to := append([]*machine(nil), all...)
			mu.Unlock()
			for _, other := range to {
				other.Queue(data)
				other.Flush()
			}
		}
		var peers []peer
		for _, b := range beds {
			address := b.listen(machine{input: deliver}, func(m *machine) {
				mu.Lock()
				all = append(all, m)
				mu.Unlock()
			})
			for range each {
				p := b.dial(address)
				p.write("") // TLS: nothing; the machine is made by the accept
				peers = append(peers, p)
			}
		}
		until(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(all) == len(peers)
		})
		// A line of 16 bytes each, so that pieces are whole lines.
		var wg sync.WaitGroup
		for i, p := range peers {
			wg.Go(func() {
				for n := range rounds {
					p.write(fmt.Sprintf("%05d %09d\n", i, n))
				}
			})
			wg.Go(func() {
				next := make([]int, len(peers))
				for range rounds * len(peers) {
					line := make([]byte, 16)
					if _, err := io.ReadFull(p, line); err != nil {
						t.Error(err)
						return
					}
					var from, n int
					if _, err := fmt.Sscanf(string(line), "%d %d\n", &from, &n); err != nil || from >= len(next) || next[from] != n {
						t.Errorf("line %q: %v", line, err)
						return
					}
					next[from]++
				}
			})
		}
		wg.Wait()
	})
}

// onEachAtOnce opens all drivers in one test.
func onEachAtOnce(t *testing.T, with func(*bed), test func()) {
	var open func(names []string)
	open = func(names []string) {
		if len(names) == 0 {
			test()
			return
		}
		d, err := drivers()[strings.TrimSuffix(names[0], "/tls")](slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{T: t, driver: d, tls: strings.HasSuffix(names[0], "/tls")}
		defer b.close()
		with(b)
		open(names[1:])
	}
	var names []string
	for name := range drivers() {
		names = append(names, name, name+"/tls")
	}
	open(names)
}

// until polls, for what nobody tells.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-time.After(time.Millisecond):
		}
	}
}

// A handshake that cannot succeed is told as one.
func TestNoHandshake(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if !b.tls {
			return
		}
		for _, hello := range []string{"<stream:stream>", "\x16\x03\x01\x00\x05hello", ""} {
			made := make(chan *machine, 1)
			tcp := b.dialTCP(b.listen(machine{}, func(m *machine) { made <- m }))
			peer{Conn: tcp, b: b}.write(hello)
			_ = tcp.CloseWrite()
			if err := await(b, await(b, made, "the machine").gone, "Gone"); !errors.Is(err, drive.ErrHandshake) {
				b.Errorf("hello %q: gone: %v", hello, err)
			}
		}
	})
}
