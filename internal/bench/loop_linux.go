// SPDX-License-Identifier: Apache-2.0

package bench

// One epoll loop. turn is wait and handle; handle reads each ready socket once
// (readable), through TLS where there is some (digest), gives the bytes to the
// session (took), and at the end writes what the sessions owe (flushAnswers).
// A session comes in by add, and goes by end when it broke or by leave.

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// loop reads many sessions on one goroutine: level-triggered epoll, one read
// per readiness, answers written once per turn. Only post may be called from
// other goroutines.
type loop struct {
	epoll    int
	sessions []*session // by descriptor
	count    int
	events   [256]syscall.EpollEvent
	ready    int    // of these, after wait
	buf      []byte // what a socket gave
	plain    []byte // what its TLS made of it
	answers  []*session

	// message is called for each message body that arrives, now being the time
	// of the read; ended once for a session that the server or an error closed.
	message func(s *session, body []byte, now time.Time)
	ended   func(s *session, err error)
}

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	return &loop{epoll: epoll, buf: make([]byte, 64<<10), plain: make([]byte, 17<<10),
		message: func(*session, []byte, time.Time) {}, ended: func(*session, error) {}}, nil
}

// add takes a logged-in session: from here on its socket belongs to the loop.
func (l *loop) add(s *session) {
	if err := l.attach(s); err != nil {
		l.end(s, err)
		return
	}
	l.count++
	// What came with the end of the login raises no event any more.
	now := time.Now()
	if l.took(s, nil, now); s.tls != nil {
		l.digest(s, now)
	}
	l.flushAnswers()
}

func (l *loop) attach(s *session) error {
	tcp, ok := s.sock.conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("bench: %T has no descriptor", s.sock.conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	// A duplicate leaves Go's own poller out of it: that one would wake up for
	// every segment, though nobody waits there.
	fd := -1
	var errno syscall.Errno
	err = raw.Control(func(old uintptr) {
		var n uintptr
		if n, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0); errno == 0 {
			fd = int(n)
		}
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return fmt.Errorf("bench: taking the socket over: %w", err)
	}
	if err := tcp.Close(); err != nil {
		return errors.Join(err, closeFD(fd))
	}
	s.sock.conn, s.sock.fd = nil, fd
	s.sock.want = func() { l.interest(syscall.EPOLL_CTL_MOD, fd, syscall.EPOLLIN|syscall.EPOLLOUT) }
	for fd >= len(l.sessions) {
		l.sessions = append(l.sessions, make([]*session, max(64, len(l.sessions)))...)
	}
	l.sessions[fd] = s
	return l.interest(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN)
}

func (l *loop) interest(op, fd int, events uint32) error {
	if err := syscall.EpollCtl(l.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("bench: epoll: %w", err)
	}
	return nil
}

// turn waits at most so long for input, in whole milliseconds, and handles it.
func (l *loop) turn(limit time.Duration) error {
	if err := l.wait(limit); err != nil {
		return err
	}
	l.handle()
	return nil
}

// wait is the first half of turn. It touches nothing but the kernel's list of
// events; one whose session has left before handle is passed over there.
func (l *loop) wait(limit time.Duration) error {
	n, err := syscall.EpollWait(l.epoll, l.events[:], int(limit.Milliseconds()))
	if err != nil && err != syscall.EINTR {
		return fmt.Errorf("bench: epoll: %w", err)
	}
	l.ready = max(n, 0)
	return nil
}

// handle is the second half of turn.
func (l *loop) handle() {
	for i := range l.ready {
		ev := &l.events[i]
		s := l.sessions[ev.Fd]
		if s == nil {
			continue // closed earlier in this batch
		}
		if ev.Events&syscall.EPOLLOUT != 0 {
			done, err := s.sock.flush()
			if err == nil && done {
				err = l.interest(syscall.EPOLL_CTL_MOD, s.sock.fd, syscall.EPOLLIN)
			}
			if err != nil {
				l.end(s, err)
				continue
			}
		}
		if ev.Events&^syscall.EPOLLOUT != 0 {
			l.readable(s)
		}
	}
	l.flushAnswers()
}

func (l *loop) readable(s *session) {
	n, err := syscall.Read(s.sock.fd, l.buf)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return
	case err != nil:
		l.end(s, fmt.Errorf("bench: reading: %w", err))
		return
	case n == 0:
		l.end(s, errClosed)
		return
	}
	s.sock.read += int64(n)
	now := time.Now()
	if s.tls == nil {
		l.took(s, l.buf[:n], now)
		return
	}
	s.sock.in = l.buf[:n]
	l.digest(s, now)
}

// digest reads the TLS connection until it wants more bytes: a record that
// stays inside it would raise no event.
func (l *loop) digest(s *session, now time.Time) {
	for s.err == nil {
		n, err := s.tls.Read(l.plain)
		if n > 0 {
			l.took(s, l.plain[:n], now)
		}
		if _, ok := err.(wouldBlock); ok {
			return
		}
		if err != nil {
			l.end(s, fmt.Errorf("bench: reading TLS: %w", err))
		}
	}
}

func (l *loop) took(s *session, data []byte, now time.Time) {
	if err := s.input(data, now, l.message); err != nil {
		l.end(s, err)
		return
	}
	if len(s.answers) > 0 && !s.owes {
		s.owes = true
		l.answers = append(l.answers, s)
	}
}

// flushAnswers writes what the sessions owe after their input: one write each.
func (l *loop) flushAnswers() {
	for i, s := range l.answers {
		l.answers[i] = nil
		if s.err == nil {
			l.write(s, s.answers)
		}
		s.answers, s.owes = s.answers[:0], false
	}
	l.answers = l.answers[:0]
}

// write sends bytes of a session; an error ends the session.
func (l *loop) write(s *session, data []byte) {
	if s.err != nil {
		return
	}
	if err := s.write(data); err != nil {
		l.end(s, fmt.Errorf("bench: writing: %w", err))
	}
}

// end closes a session that broke.
func (l *loop) end(s *session, err error) {
	if s.err != nil {
		return
	}
	s.err = err
	l.forget(s)
	l.ended(s, err)
}

func (l *loop) forget(s *session) {
	if s.sock.conn == nil && l.sessions[s.sock.fd] == s {
		l.sessions[s.sock.fd] = nil
		l.count--
	}
	_ = s.sock.Close() // the session is over either way
}

// leave ends a session from our side, with the protocol's farewell when polite.
func (l *loop) leave(s *session, polite bool) {
	if s.err != nil {
		return
	}
	if polite {
		s.leave()
	}
	s.err = errLeft
	l.forget(s)
}

// all returns the sessions of the loop.
func (l *loop) all() []*session {
	var out []*session
	for _, s := range l.sessions {
		if s != nil {
			out = append(out, s)
		}
	}
	return out
}

// leaveAll ends all sessions of the loop.
func (l *loop) leaveAll(polite bool) {
	for _, s := range l.all() {
		l.leave(s, polite)
	}
}

// close ends the loop; its sessions must have left.
func (l *loop) close() error { return closeFD(l.epoll) }

// sharePort lets a socket with a source address choose its port when it
// connects: chosen before, a port is taken for all destinations, and the search
// for a free one takes milliseconds once thousands are.
func sharePort(_, _ string, c syscall.RawConn) error {
	const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, ip(7)
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// writeFD writes without blocking and returns how much the socket took.
func writeFD(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}

func closeFD(fd int) error { return syscall.Close(fd) }
