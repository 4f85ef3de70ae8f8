// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// How to read this file: a space is a network namespace with one interface, at which a wire is attached that delays
// and loses packets as `tc netem delay 100ms loss 5%` at each interface would, which not every kernel has.
//
//	space ── TUN ──▶ lost? cut? ──▶ 100 ms ──▶ TUN ── space of the packet's destination
//
// A namespace has no name: it is a thread of this process and the servers that run there, and is gone with them,
// also when the test is killed. nil is the namespace of the test.

const (
	wireDelay = 100 * time.Millisecond
	wireLoss  = 0.05
	wireQueue = 10_000 // packets on their way to one space; more are lost
	wireName  = "wire0"
)

type space struct {
	thread int // that lives in it
	tasks  chan func()
	tun    *os.File
	queue  chan packet
	silent atomic.Bool // nothing comes and goes, and nobody is told
}

type packet struct {
	due  time.Time
	data []byte
}

// wire joins spaces.
type wire struct {
	mu     sync.Mutex
	spaces map[netip.Addr]*space

	carried, lost, cut atomic.Int64 // packets
}

func newWire() *wire { return &wire{spaces: map[netip.Addr]*space{}} }

// newSpace makes a namespace at a wire; it lasts until the test ends.
func (w *wire) newSpace(t *testing.T, address string) *space {
	t.Helper()
	s := &space{tasks: make(chan func()), queue: make(chan packet, wireQueue)}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		s.thread = syscall.Gettid()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			s.tun, err = openTUN()
		}
		if err == nil {
			err = boundWaits()
		}
		ready <- err
		for task := range s.tasks {
			task()
		}
	}()
	t.Cleanup(func() { close(s.tasks) })
	if err := <-ready; err != nil {
		t.Skipf("SKIPPED: needs a network namespace with a TUN interface: %v", err)
	}
	s.ip(t, "link", "set", "lo", "up")
	w.move(t, s, "", address)
	s.ip(t, "link", "set", wireName, "up")
	done := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { w.take(s) })
	both.Go(func() { s.give(done) })
	t.Cleanup(func() {
		close(done)
		_ = s.tun.Close() // take ends
		both.Wait()
	})
	return s
}

// longestWait is milliseconds after which TCP tries again at the latest. By default that is doubled up to two minutes,
// and whether a segment is lost just after a partition would decide how long the test takes.
const longestWait = "4000"

// boundWaits sets it in the namespace of the calling thread, where the kernel can (Linux 6.15).
func boundWaits() error {
	const file = "/proc/sys/net/ipv4/tcp_rto_max_ms"
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return os.WriteFile(file, []byte(longestWait), 0)
}

// openTUN makes the interface in the namespace of the calling thread.
func openTUN() (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], wireName)
	request.flags = syscall.IFF_TUN | syscall.IFF_NO_PI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return nil, errors.Join(errno, syscall.Close(fd))
	}
	return os.NewFile(uintptr(fd), wireName), nil
}

// take reads what the space sends.
func (w *wire) take(s *space) {
	for b := make([]byte, 65536); ; {
		n, err := s.tun.Read(b)
		switch {
		case err != nil && errors.Is(err, os.ErrClosed):
			return
		case err != nil || n < 20 || b[0]>>4 != 4: // IPv6 asks who is there: nobody
			continue
		}
		w.mu.Lock()
		to := w.spaces[netip.AddrFrom4([4]byte(b[16:20]))]
		w.mu.Unlock()
		switch {
		case to == nil || s.silent.Load() || to.silent.Load():
			w.cut.Add(1)
		case rand.Float64() < wireLoss:
			w.lost.Add(1)
		default:
			select {
			case to.queue <- packet{time.Now().Add(wireDelay), append([]byte(nil), b[:n]...)}:
				w.carried.Add(1)
			default:
				w.lost.Add(1)
			}
		}
	}
}

// give hands the space what is for it, when it is due.
func (s *space) give(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case p := <-s.queue:
			select {
			case <-time.After(time.Until(p.due)):
			case <-done:
				return
			}
			_, _ = s.tun.Write(p.data) // the link may be down
		}
	}
}

// move gives the space another address. The old one is nobody's then.
func (w *wire) move(t *testing.T, s *space, from, to string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if from != "" {
		s.ip(t, "address", "delete", from+"/24", "dev", wireName)
		delete(w.spaces, netip.MustParseAddr(from))
	}
	s.ip(t, "address", "add", to+"/24", "dev", wireName)
	w.spaces[netip.MustParseAddr(to)] = s
}

// ip runs the command in the space.
func (s *space) ip(t *testing.T, args ...string) {
	t.Helper()
	cmd := s.enter(exec.Command("ip", args...))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// enter has a command run in the space.
func (s *space) enter(cmd *exec.Cmd) *exec.Cmd {
	if s == nil {
		return cmd
	}
	inner := exec.Command("nsenter", append([]string{"--net=" + s.proc("ns/net"), "--"}, cmd.Args...)...)
	inner.Env, inner.Dir = cmd.Env, cmd.Dir
	return inner
}

// proc is a file of the kernel's about the space.
func (s *space) proc(file string) string {
	return fmt.Sprintf("/proc/%d/task/%d/%s", os.Getpid(), s.thread, file)
}

// dial connects from within the space.
func (s *space) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	if s == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	done := make(chan struct{})
	s.tasks <- func() {
		defer close(done)
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address) // a socket belongs to the namespace of the thread that makes it
	}
	<-done
	return conn, err
}

// resent is how many segments TCP has sent again.
func (s *space) resent(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(s.proc("net/snmp"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "RetransSegs" {
				n, err := strconv.Atoi(fields[i])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	t.Fatal("the kernel does not count RetransSegs")
	return 0
}
