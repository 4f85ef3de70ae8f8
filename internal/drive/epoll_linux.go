// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How to read the epoll driver: a loop is one goroutine with one epoll instance, which reads its
// connections and calls their machines; this file has the driver and the loop.
// epoll_conn_linux.go has what a connection asks of its loop.
//
//	wait ─▶ for each ready connection: read once ─▶ conn.take ─▶ … ─▶ end of the batch ─▶ wait
//	             writing: by whoever flushes; what the socket refused, when the loop hears EPOLLOUT
//
// An idle connection costs its structs: no goroutine, no timer, no buffer.

// Epoll is the driver for many connections on Linux.
type Epoll struct {
	*common
	loops []*loop
	next  atomic.Uint32
}

// NewEpoll starts one loop per processor.
func NewEpoll(log *slog.Logger) (*Epoll, error) {
	return newEpoll(newCommon(log))
}

func newEpoll(shared *common) (*Epoll, error) {
	d := &Epoll{common: shared}
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop(d.common)
		if err != nil {
			d.Close(context.Background())
			return nil, fmt.Errorf("drive: epoll: %w", err)
		}
		d.loops = append(d.loops, l)
		d.wg.Go(l.run)
	}
	return d, nil
}

// Serve implements Driver. nc must be a TCP or Unix connection.
func (d *Epoll) Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine) bool {
	fd, err := takeOver(nc)
	if err != nil {
		d.log.Error("connection not taken over", "err", err)
		_ = nc.Close()
		return false
	}
	l := d.loops[int(d.next.Add(1))%len(d.loops)]
	c := &econn{fd: int32(fd), loop: l}
	c.conn = conn{common: d.common, sock: c, remote: addrPort(nc.RemoteAddr()), wantTLS: direct, hold: direct != nil}
	if !l.post(func(w *work) { l.add(w, c, start) }) {
		_ = unix.Close(fd)
		return false
	}
	return true
}

// Close implements Driver.
func (d *Epoll) Close(ctx context.Context) {
	for _, l := range d.loops {
		l.post(l.close)
	}
	defer context.AfterFunc(ctx, func() {
		for _, l := range d.loops {
			l.post(l.abort)
		}
	})()
	d.wg.Wait()
}

// takeOver returns a descriptor of nc's socket that is not in Go's own poller, and closes nc.
func takeOver(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("drive: %T has no descriptor", nc)
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

// loop is one epoll instance and the goroutine that waits on it. Its fields belong to that
// goroutine, but for those below tasks.
type loop struct {
	*common
	epfd    int
	file    *os.File // of epfd: waiting parks the goroutine in Go's poller, not a thread in the kernel
	conns   map[int32]*econn
	timed   map[*econn]struct{} // with a deadline
	look    time.Time           // when to look at them next
	until   time.Time           // how long waiting lasts, as file has it
	closing bool
	work    work

	events [batchSize]unix.EpollEvent
	n      int   // of events
	err    error // of poll

	tasks  sync.Mutex
	posted []func(*work)
	wakeFD int
	awake  bool // the wake-up is on its way
	done   bool // nothing is run any more; wakeFD is closed
}

// batchSize is how many connections are read before what they sent leaves.
const batchSize = 64

func newLoop(shared *common) (l *loop, err error) {
	l = &loop{common: shared, conns: make(map[int32]*econn), timed: make(map[*econn]struct{})}
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if err = unix.SetNonblock(l.epfd, true); err == nil {
		l.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err != nil {
		_ = unix.Close(l.epfd)
		return nil, err
	}
	if err = l.control(unix.EPOLL_CTL_ADD, int32(l.wakeFD), unix.EPOLLIN); err != nil {
		_ = unix.Close(l.wakeFD)
		_ = unix.Close(l.epfd)
		return nil, err
	}
	l.file = os.NewFile(uintptr(l.epfd), "epoll")
	return l, nil
}

func (l *loop) control(op int, fd int32, events uint32) error {
	return unix.EpollCtl(l.epfd, op, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// post runs f on the loop's goroutine, soon. It reports false if the loop has ended.
func (l *loop) post(f func(*work)) bool {
	l.tasks.Lock()
	defer l.tasks.Unlock()
	if l.done {
		return false
	}
	l.posted = append(l.posted, f)
	if !l.awake {
		l.awake = true
		one := [8]byte{1}
		_, _ = sysWrite(l.wakeFD, one[:])
	}
	return true
}

func (l *loop) run() {
	defer l.file.Close()
	raw, err := l.file.SyscallConn()
	poll := l.poll
	for !l.over() {
		if err == nil {
			err = l.wait(raw, poll)
		}
		if err != nil {
			l.log.Error("epoll loop failed", "err", err)
			l.closing = true
			l.abort(&l.work)
			l.runPosted()
			continue
		}
		began := time.Now()
		for _, e := range l.events[:l.n] {
			if int(e.Fd) == l.wakeFD {
				l.runPosted()
			} else if c := l.conns[e.Fd]; c != nil {
				c.guard(func() { c.ready(&l.work, e.Events) })
			}
		}
		l.lookAtTimes()
		if !l.calm(l.work.End) {
			l.work.Batch = Batch{}
		}
		if l.n > 0 {
			l.tellTime(began)
		}
	}
}

// over ends the loop when it is closed, has no connection left and nothing to run.
func (l *loop) over() bool {
	l.tasks.Lock()
	defer l.tasks.Unlock()
	if !l.closing || len(l.conns) > 0 || len(l.posted) > 0 {
		return false
	}
	l.done = true
	_ = unix.Close(l.wakeFD) // with tasks held: the number may be another's at once
	return true
}

// wait waits for events, or until it is time to look at deadlines.
func (l *loop) wait(raw syscall.RawConn, poll func(fd uintptr) bool) error {
	var until time.Time
	if len(l.timed) > 0 {
		until = l.look
	}
	if !until.Equal(l.until) {
		l.until = until
		if err := l.file.SetReadDeadline(until); err != nil {
			return err
		}
	}
	l.n, l.err = 0, nil
	err := raw.Read(poll)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return err
	}
	return l.err
}

// poll looks for events. It is the callback of RawConn.Read, which waits until epoll is readable
// while it reports false.
func (l *loop) poll(fd uintptr) (done bool) {
	for {
		n, err := sysEvents(int(fd), l.events[:])
		if err != unix.EINTR {
			l.n, l.err = n, err
			return n != 0 || err != nil
		}
	}
}

// runPosted runs what was posted.
func (l *loop) runPosted() {
	var buf [8]byte
	_, _ = sysRead(l.wakeFD, buf[:])
	l.tasks.Lock()
	posted := l.posted
	l.posted, l.awake = nil, false
	l.tasks.Unlock()
	for _, f := range posted {
		f(&l.work)
	}
}

// add takes a new connection in.
func (l *loop) add(w *work, c *econn, start func(Conn) Machine) {
	l.conns[c.fd] = c
	c.guard(func() {
		if err := c.enter(); err != nil {
			c.end(err)
			return
		}
		c.begin(start)
		if l.closing {
			c.Close()
		}
	})
}

// close closes all connections; the loop ends when they are gone.
func (l *loop) close(*work) {
	l.closing = true
	for _, c := range l.conns {
		c.Close()
	}
}

func (l *loop) abort(*work) {
	for _, c := range l.conns {
		c.end(ErrAborted)
	}
}

// lookAtTimes has connections do what it is time for.
func (l *loop) lookAtTimes() {
	if len(l.timed) == 0 {
		return
	}
	now := time.Now()
	if now.Before(l.look) {
		return
	}
	l.look = now.Add(l.times.tick)
	for c := range l.timed {
		if c.isDue(l.instant(now)) {
			c.guard(func() { c.due(&l.work) })
		}
	}
}
