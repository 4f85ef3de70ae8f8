// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// hello is a ClientHello of this program.
func hello(t testing.TB) []byte {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, clientTLS()).Handshake()
		ours.Close()
	}()
	b := make([]byte, 10_000)
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// A thousand handshakes that stand still, wherever they do, hold up nobody's, and end.
func TestStalledHandshakes(t *testing.T) {
	onEach(t, drive.Patience{Handshake: 6 * time.Second}, func(b *bed) {
		if !b.tls {
			return
		}
		gone := make(chan error, 1000)
		address := b.listenWith(serverTLS(), func(c drive.Conn) drive.Machine {
			m := start(machine{input: echo}, nil)(c).(*machine)
			m.gone = gone
			return m
		})
		first := hello(b)
		began := time.Now()
		for i := range 1000 {
			// Nothing; a piece of a hello; a whole one, whose answer is not read.
			_, _ = b.dialTCP(address).Write(first[:len(first)*(i%3)/2])
		}
		opened := time.Since(began)
		began = time.Now()
		b.dial(address).exchange([]byte("hello"))
		beside := time.Since(began)
		if beside > 3*time.Second {
			b.Errorf("a handshake beside 1,000 stalled ones took %v", beside)
		}
		for range 1000 {
			if err := await(b, gone, "the stalled ones' end"); !errors.Is(err, drive.ErrHandshake) {
				b.Error("gone: ", err)
			}
		}
		if took := time.Since(began); took > 2*patience {
			b.Errorf("they ended after %v", took)
		}
		b.Logf("opened in %v, one beside them took %v, they ended in %v", opened, beside, time.Since(began))
	})
}

// The machine's deadline ends a handshake too.
func TestDeadlineInHandshake(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if !b.tls {
			return
		}
		made := make(chan *machine, 1)
		address := b.listen(machine{expired: func(*machine) { b.Error("expired in a handshake") }}, func(m *machine) {
			m.SetDeadline(time.Now().Add(200 * time.Millisecond))
			made <- m
		})
		b.dialTCP(address)
		if err := await(b, await(b, made, "the machine").gone, "Gone"); !errors.Is(err, drive.ErrHandshake) {
			b.Error("gone: ", err)
		}
	})
}

// A panic costs the connection whose machine it was, wherever it happens; the log tells.
func TestPanic(t *testing.T) {
	bad := func(*machine) { panic("oh no") }
	for name, model := range map[string]machine{
		"input":   {input: func(m *machine, _ []byte) { bad(m) }},
		"secured": {secured: bad},
		"expired": {expired: bad, input: func(m *machine, _ []byte) { m.SetDeadline(time.Now()) }},
		"batch": {input: func(m *machine, _ []byte) {
			m.batch.Turn = badTurn{}
			m.Abort()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, drive.Patience{}, func(b *bed) {
				if name == "secured" && !b.tls {
					return
				}
				_, other := b.pair(machine{input: echo})
				made := make(chan *machine, 1)
				address := b.listen(model, func(m *machine) { made <- m })
				p := b.dial(address)
				p.write("x")
				err := await(b, await(b, made, "the machine").gone, "Gone")
				if name != "batch" && !errors.Is(err, drive.ErrPanic) {
					b.Error("gone: ", err)
				}
				if _, err := p.Read(make([]byte, 1)); err == nil {
					b.Error("the connection lives")
				}
				other.exchange([]byte("others go on"))
				until(b, func() bool { return strings.Contains(b.log.String(), "oh no") })
			})
		})
	}
	t.Run("start", func(t *testing.T) {
		onEach(t, drive.Patience{}, func(b *bed) {
			address := b.listenWith(nil, func(drive.Conn) drive.Machine { panic("oh no") })
			if _, err := b.dialTCP(address).Read(make([]byte, 1)); err == nil {
				b.Error("the connection lives")
			}
			_, other := b.pair(machine{input: echo})
			other.exchange([]byte("others go on"))
		})
	})
}

type badTurn struct{}

func (badTurn) End() { panic("oh no") }

// What TLS writes by itself (an alert about a record that is not one) while others write too.
func TestAlertWhileWriting(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if !b.tls {
			return
		}
		m, p := b.pair(machine{})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					m.Queue(make([]byte, 5000))
					m.Flush()
				}
			}
		})
		go io.Copy(io.Discard, p)
		if _, err := p.tcp.Write([]byte("\x17\x03\x03\x00\x10sixteen bytes???")); err != nil {
			b.Fatal(err)
		}
		if err := await(b, m.gone, "Gone"); err == nil || err == io.EOF {
			b.Error("gone: ", err)
		}
		close(stop)
		wg.Wait()
	})
}

// A storm of connections that come and go, while others still write to those that are gone: their
// descriptors' numbers are used again, and nobody may get what was meant for another.
func TestStorm(t *testing.T) {
	const workers, each = 8, 150
	onEach(t, drive.Patience{}, func(b *bed) {
		var mu sync.Mutex
		recent := make([]*machine, 0, 64) // gone or not
		named := func(m *machine, data []byte) {
			// Everybody is sent its own name, by everybody.
			mu.Lock()
			to := append([]*machine(nil), recent...)
			mu.Unlock()
			for _, other := range to {
				other.Queue([]byte(other.Remote().String() + "\n"))
				other.Flush()
			}
		}
		address := b.listen(machine{input: named}, func(m *machine) {
			mu.Lock()
			if len(recent) == cap(recent) {
				recent = recent[:copy(recent, recent[1:])]
			}
			recent = append(recent, m)
			mu.Unlock()
		})
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					if err := stormy(address, b.tls, (w+i)%3 == 0); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// stormy connects, wants to read its own name and nothing else, and goes, rudely or not.
func stormy(address string, secure, rude bool) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	name := nc.LocalAddr().String() + "\n"
	if rude {
		_ = nc.(*net.TCPConn).SetLinger(0)
	}
	if secure {
		nc = tls.Client(nc, clientTLS())
	}
	if _, err := io.WriteString(nc, "x"); err != nil {
		return err
	}
	got := make([]byte, len(name))
	if _, err := io.ReadFull(nc, got); err != nil {
		return fmt.Errorf("reading the name: %w", err)
	}
	if string(got) != name {
		return fmt.Errorf("%q got %q", name, got)
	}
	return nil
}
