// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How to read the epoll driver: a loop is one goroutine with one epoll instance, which owns the
// reading side of its connections; this file has the loops. epoll_conn_linux.go has a
// connection, epoll_tls_linux.go how crypto/tls is fed without blocking.
//
//	wait ─▶ for each ready connection: read once ─▶ (TLS) ─▶ Machine.Input ─▶ … ─▶ wait
//	             writing: by whoever flushes; what the socket refuses, when the loop hears EPOLLOUT
//
// An idle connection costs its structs: no goroutine, no timer, no buffer.

// Epoll is the driver for many connections on Linux.
type Epoll struct {
	log   *slog.Logger
	slots *slots
	loops []*loop
	next  atomic.Uint32
	wg    sync.WaitGroup
}

// NewEpoll starts one loop per processor.
func NewEpoll(log *slog.Logger) (*Epoll, error) {
	d := &Epoll{log: log, slots: newSlots()}
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop(d)
		if err != nil {
			d.Close()
			return nil, err
		}
		d.loops = append(d.loops, l)
		d.wg.Go(l.run)
	}
	return d, nil
}

// Serve drives nc, which must be a TCP or Unix connection, until it ends. See Goroutines.Serve.
func (d *Epoll) Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine) {
	fd, err := takeOver(nc)
	if err != nil {
		d.log.Error("connection not taken over", "err", err)
		_ = nc.Close()
		return
	}
	l := d.loops[int(d.next.Add(1))%len(d.loops)]
	c := &econn{fd: fd, loop: l, remote: addrPort(nc.RemoteAddr()), wantTLS: direct}
	c.machine = start(c)
	l.post(func() { l.add(c) })
}

// Close aborts all connections and returns when their machines are gone.
func (d *Epoll) Close() {
	for _, l := range d.loops {
		l.post(l.close)
	}
	d.wg.Wait()
}

// takeOver takes the socket from Go's poller: a descriptor of our own, the same connection.
func takeOver(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("drive: a %T has no descriptor", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dupErr error
	err = raw.Control(func(s uintptr) {
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return 0, err
	}
	return fd, nc.Close() // ours stays open
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// loop is one epoll instance and the goroutine that waits on it. Its fields belong to that
// goroutine but for tasks.
type loop struct {
	driver *Epoll
	epfd   int
	file   *os.File // of epfd: waiting parks the goroutine in Go's poller, not a thread in the kernel
	wakeFD int
	conns  map[int32]*econn
	read   []byte // what came from one socket
	plain  []byte // what TLS made of it
	closed bool
	batch  Batch

	mu    sync.Mutex
	tasks []func()
	awake bool // the wake-up is on its way

	timed map[*econn]struct{} // with a deadline
}

const (
	readSize  = 64 << 10
	plainSize = 32 << 10
	batchSize = 64                     // connections that are read before what they sent leaves
	tick      = 200 * time.Millisecond // how exact deadlines are
)

func newLoop(d *Epoll) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("drive: epoll: %w", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil {
		return nil, fmt.Errorf("drive: epoll: %w", err)
	}
	l := &loop{
		driver: d, epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"),
		conns: make(map[int32]*econn), timed: make(map[*econn]struct{}),
		read: make([]byte, readSize), plain: make([]byte, plainSize),
	}
	if l.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = l.control(unix.EPOLL_CTL_ADD, l.wakeFD, unix.EPOLLIN)
	}
	if err != nil {
		return nil, fmt.Errorf("drive: epoll: %w", err)
	}
	return l, nil
}

func (l *loop) control(op, fd int, events uint32) error {
	return unix.EpollCtl(l.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// post runs f on the loop's goroutine, soon.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.tasks = append(l.tasks, f)
	wake := !l.awake
	l.awake = true
	l.mu.Unlock()
	if wake {
		var one = [8]byte{1}
		_, _ = unix.Write(l.wakeFD, one[:])
	}
}

func (l *loop) run() {
	raw, err := l.file.SyscallConn()
	if err != nil {
		l.driver.log.Error("epoll loop not started", "err", err)
		return
	}
	events := make([]unix.EpollEvent, batchSize)
	var n int
	var waitErr error
	wait := func(fd uintptr) bool {
		n, waitErr = unix.EpollWait(int(fd), events, 0)
		return n > 0 || waitErr != nil && waitErr != unix.EINTR
	}
	ticking := false
	for !l.closed || len(l.conns) > 0 {
		switch {
		case len(l.timed) > 0:
			ticking = true
			_ = l.file.SetReadDeadline(time.Now().Add(tick))
		case ticking:
			ticking = false
			_ = l.file.SetReadDeadline(time.Time{})
		}
		n = 0
		err := raw.Read(wait)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || waitErr != nil && waitErr != unix.EINTR {
			l.driver.log.Error("epoll loop failed", "err", errors.Join(err, waitErr))
			l.close()
			return
		}
		for _, e := range events[:n] {
			if int(e.Fd) == l.wakeFD {
				l.work()
				continue
			}
			if c := l.conns[e.Fd]; c != nil {
				l.guard(c, func() { c.ready(e.Events) })
			}
		}
		l.expire()
		l.batch.end()
	}
	_ = unix.Close(l.wakeFD)
	_ = l.file.Close()
}

// work runs what was posted.
func (l *loop) work() {
	var buf [8]byte
	_, _ = unix.Read(l.wakeFD, buf[:])
	l.mu.Lock()
	tasks := l.tasks
	l.tasks, l.awake = nil, false
	l.mu.Unlock()
	for _, f := range tasks {
		f()
	}
}

// add takes a new connection in.
func (l *loop) add(c *econn) {
	if l.closed {
		l.remove(c, ErrAborted)
		return
	}
	l.conns[int32(c.fd)] = c
	if err := l.control(unix.EPOLL_CTL_ADD, c.fd, c.interest()); err != nil {
		l.remove(c, err)
		return
	}
	if c.wantTLS != nil {
		c.handshake()
	}
}

// remove ends a connection: it is in no table any more before its descriptor is free for another.
func (l *loop) remove(c *econn, err error) {
	if c.closedFD() {
		return
	}
	delete(l.conns, int32(c.fd))
	delete(l.timed, c)
	l.guard(nil, func() { c.machine.Gone(err) })
}

// close aborts all connections; the loop ends when they are gone.
func (l *loop) close() {
	l.closed = true
	for _, c := range l.conns {
		l.remove(c, ErrAborted)
	}
}

// expire tells machines whose deadline has passed.
func (l *loop) expire() {
	if len(l.timed) == 0 {
		return
	}
	now := time.Now()
	for c := range l.timed {
		switch d := c.deadlineAt(); {
		case d.IsZero():
			delete(l.timed, c)
		case now.After(d):
			l.guard(c, c.expired)
		}
	}
}

// guard runs a call into a machine. A panic costs the connection that caused it, no other.
func (l *loop) guard(c *econn, f func()) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		l.driver.log.Error("connection dropped after a panic", "panic", r, "stack", string(debug.Stack()))
		if c != nil {
			l.remove(c, errPanic)
		}
	}()
	f()
}
