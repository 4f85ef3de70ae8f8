// SPDX-License-Identifier: Apache-2.0

//go:build linux

package space

// How to read this file: a Wire joins spaces; Attach makes one, and take and give are the two ends of its interface: what its programs
// send, and what they are sent. Then comes what is done with a space and in it.

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
	"time"
	"unsafe"
)

const (
	wireQueue = 10_000 // packets on their way to one space; more are lost
	wireName  = "wire0"
)

// Space is a network namespace at a wire. nil is that of the program itself.
type Space struct {
	wire   *Wire
	thread int // that lives in it
	tasks  chan func()
	tun    *os.File
	queue  chan packet
	silent atomic.Bool
	done   chan struct{}
	both   sync.WaitGroup // take and give
}

type packet struct {
	due  time.Time
	data []byte
}

// Wire joins spaces.
type Wire struct {
	delay  time.Duration
	loss   float64
	mu     sync.Mutex
	spaces map[netip.Addr]*Space

	Carried, Lost, Cut atomic.Int64 // packets; cut are those from or to a silent space, or to nobody
}

// NewWire makes one that delays each packet, and loses a share of them, each way.
func NewWire(delay time.Duration, loss float64) *Wire {
	return &Wire{delay: delay, loss: loss, spaces: map[netip.Addr]*Space{}}
}

// Attach makes a space at a wire, with an address of a network of 256. Where namespaces or interfaces cannot be made it fails.
func (w *Wire) Attach(address string) (*Space, error) {
	s := &Space{wire: w, tasks: make(chan func()), queue: make(chan packet, wireQueue), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
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
		select {} // with the thread would end all that it had started before it was locked (program.Bind)
	}()
	if err := <-ready; err != nil {
		close(s.tasks)
		return nil, fmt.Errorf("space: a network namespace with a TUN interface: %w", err)
	}
	s.both.Go(s.take)
	s.both.Go(s.give)
	err := s.ip("link", "set", "lo", "up")
	if err == nil {
		err = s.Move("", address)
	}
	if err == nil {
		err = s.Link(true)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends a space, whose processes have ended.
func (s *Space) Close() {
	close(s.done)
	_ = s.tun.Close() // take ends
	s.both.Wait()
	close(s.tasks)
}

// Link sets the space's interface up or down, which programs there are told.
func (s *Space) Link(up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return s.ip("link", "set", wireName, state)
}

// Silence has nothing come and go, and nobody told, until it is taken back.
func (s *Space) Silence(on bool) { s.silent.Store(on) }

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
func (s *Space) take() {
	w := s.wire
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
			w.Cut.Add(1)
		case rand.Float64() < w.loss:
			w.Lost.Add(1)
		default:
			select {
			case to.queue <- packet{time.Now().Add(w.delay), append([]byte(nil), b[:n]...)}:
				w.Carried.Add(1)
			default:
				w.Lost.Add(1)
			}
		}
	}
}

// give hands the space what is for it, when it is due.
func (s *Space) give() {
	for {
		select {
		case <-s.done:
			return
		case p := <-s.queue:
			select {
			case <-time.After(time.Until(p.due)):
			case <-s.done:
				return
			}
			_, _ = s.tun.Write(p.data) // the link may be down
		}
	}
}

// Move gives a space another address in the place of one that it has, or its first where from is "". The old one is nobody's then.
func (s *Space) Move(from, to string) error {
	w := s.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if from != "" {
		if err := s.ip("address", "delete", from+"/24", "dev", wireName); err != nil {
			return err
		}
		delete(w.spaces, netip.MustParseAddr(from))
	}
	if err := s.ip("address", "add", to+"/24", "dev", wireName); err != nil {
		return err
	}
	w.spaces[netip.MustParseAddr(to)] = s
	return nil
}

// ip runs the command in the space.
func (s *Space) ip(args ...string) error {
	cmd := s.Enter(exec.Command("ip", args...))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("space: %s: %w\n%s", cmd, err, out)
	}
	return nil
}

// Enter has a command run in the space.
func (s *Space) Enter(cmd *exec.Cmd) *exec.Cmd {
	if s == nil {
		return cmd
	}
	inner := exec.Command("nsenter", append([]string{"--net=" + s.proc("ns/net"), "--"}, cmd.Args...)...)
	inner.Env, inner.Dir, inner.SysProcAttr = cmd.Env, cmd.Dir, cmd.SysProcAttr
	return inner
}

// proc is a file of the kernel's about the space.
func (s *Space) proc(file string) string {
	return fmt.Sprintf("/proc/%d/task/%d/%s", os.Getpid(), s.thread, file)
}

// Dial connects from within the space.
func (s *Space) Dial(ctx context.Context, address string) (conn net.Conn, err error) {
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

// Resent is how many segments TCP has sent again.
func (s *Space) Resent() (int, error) {
	data, err := os.ReadFile(s.proc("net/snmp"))
	if err != nil {
		return 0, err
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
				return strconv.Atoi(fields[i])
			}
		}
	}
	return 0, errors.New("space: the kernel does not count RetransSegs")
}
