// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// relayConn is one end of a pair at the raw relay.
type relayConn struct {
	fd    int
	pair  int // its number, -1 before the greeting
	peer  *relayConn
	hello []byte // until it is complete
	out   []byte // what the socket refused
}

type rawRelay struct {
	epoll, listener int
	conns           []*relayConn       // by descriptor
	waiting         map[int]*relayConn // first of its pair
	events          [256]syscall.EpollEvent
	buf             []byte
}

// RawRelay is the raw relay process: it listens on a free loopback port,
// writes the address to out as one line, and relays until in ends.
func RawRelay(in io.Reader, out io.Writer) error {
	r := &rawRelay{waiting: make(map[int]*relayConn), buf: make([]byte, 64<<10)}
	port, err := r.listen()
	if err != nil {
		return fmt.Errorf("bench: raw relay: %w", err)
	}
	if _, err := fmt.Fprintf(out, "127.0.0.1:%d\n", port); err != nil {
		return fmt.Errorf("bench: raw relay: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is all that matters
		os.Exit(0)
	}()
	for {
		n, err := syscall.EpollWait(r.epoll, r.events[:], -1)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("bench: raw relay: %w", err)
		}
		for i := range max(n, 0) {
			r.event(&r.events[i])
		}
	}
}

func (r *rawRelay) listen() (port int, err error) {
	if r.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return 0, err
	}
	const flags = syscall.SOCK_STREAM | syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	if r.listener, err = syscall.Socket(syscall.AF_INET, flags, 0); err != nil {
		return 0, err
	}
	if err = syscall.Bind(r.listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	if err = syscall.Listen(r.listener, 4096); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(r.listener)
	if err != nil {
		return 0, err
	}
	return name.(*syscall.SockaddrInet4).Port, r.interest(syscall.EPOLL_CTL_ADD, r.listener, syscall.EPOLLIN)
}

func (r *rawRelay) interest(op, fd int, events uint32) error {
	return syscall.EpollCtl(r.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (r *rawRelay) event(ev *syscall.EpollEvent) {
	if int(ev.Fd) == r.listener {
		r.accept()
		return
	}
	c := r.conns[ev.Fd]
	if c == nil {
		return
	}
	if ev.Events&syscall.EPOLLOUT != 0 {
		n, err := writeFD(c.fd, c.out)
		if err != nil {
			r.drop(c)
			return
		}
		if c.out = c.out[n:]; len(c.out) == 0 {
			c.out = nil
			if r.interest(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLIN) != nil {
				r.drop(c)
				return
			}
		}
	}
	if ev.Events&^syscall.EPOLLOUT != 0 {
		r.readable(c)
	}
}

func (r *rawRelay) accept() {
	for range 64 {
		fd, _, err := syscall.Accept4(r.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return // none left, or no descriptor: the client's login fails and says so
		}
		// As Go and every server compared here does.
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		for fd >= len(r.conns) {
			r.conns = append(r.conns, make([]*relayConn, max(64, len(r.conns)))...)
		}
		r.conns[fd] = &relayConn{fd: fd, pair: -1}
		if r.interest(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN) != nil {
			r.drop(r.conns[fd])
		}
	}
}

func (r *rawRelay) readable(c *relayConn) {
	n, err := syscall.Read(c.fd, r.buf)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if err != nil || n <= 0 {
		r.drop(c)
		return
	}
	if c.peer == nil {
		r.greeting(c, r.buf[:n])
		return
	}
	r.forward(c.peer, r.buf[:n])
}

func (r *rawRelay) greeting(c *relayConn, data []byte) {
	c.hello = append(c.hello, data...)
	if len(c.hello) < helloLen {
		return
	}
	pair, err := parseHello(c.hello)
	if err != nil {
		r.drop(c)
		return
	}
	c.pair = pair
	if first := r.waiting[pair]; first != nil {
		delete(r.waiting, pair)
		c.peer, first.peer = first, c
	} else {
		r.waiting[pair] = c
	}
	line := c.hello
	c.hello = nil
	r.forward(c, line)
}

func (r *rawRelay) forward(to *relayConn, data []byte) {
	if to.fd < 0 {
		return // the other end has left
	}
	n := 0
	if len(to.out) == 0 {
		var err error
		if n, err = writeFD(to.fd, data); err != nil {
			r.drop(to)
			return
		}
	}
	if n == len(data) {
		return
	}
	if len(to.out)+len(data)-n > maxQueued || r.interest(syscall.EPOLL_CTL_MOD, to.fd, syscall.EPOLLIN|syscall.EPOLLOUT) != nil {
		r.drop(to)
		return
	}
	to.out = append(to.out, data[n:]...)
}

func (r *rawRelay) drop(c *relayConn) {
	if r.waiting[c.pair] == c {
		delete(r.waiting, c.pair)
	}
	r.conns[c.fd] = nil
	_ = closeFD(c.fd) // nothing is owed to it
	c.fd = -1
}
