// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"time"

	"golang.org/x/sys/unix"
)

// econn is a connection of the epoll driver.
//
// F1: its descriptor is used by the loop, which alone frees it, or with wire held and closed false.
// So nobody touches a descriptor whose number has become another connection's.
type econn struct {
	conn
	loop   *loop
	fd     int32
	events uint32 // as epoll has them; guarded by wire
}

// absent in econn.events says that epoll does not watch the descriptor. Its value is no event's.
const absent = 1 << 27

// wanted is what epoll is to tell of. The caller holds wire.
func (c *econn) wanted() (events uint32) {
	if c.listens() {
		events |= unix.EPOLLIN
	}
	if c.full {
		events |= unix.EPOLLOUT
	}
	return events
}

// enter makes epoll watch the descriptor. It runs on the loop, before others know of c.
func (c *econn) enter() error {
	c.events = c.wanted()
	return c.loop.control(unix.EPOLL_CTL_ADD, c.fd, c.events)
}

// ready handles what epoll says. It runs on the loop.
func (c *econn) ready(w *work, events uint32) {
	c.wire.Lock()
	if events&unix.EPOLLOUT != 0 {
		c.push(c.write)
	}
	listens := c.listens()
	if !listens && events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.full {
		// These cannot be turned off, and would be told again and again: changed puts the
		// descriptor back when it is read again, and then they are told.
		_ = c.loop.control(unix.EPOLL_CTL_DEL, c.fd, 0)
		c.events = absent
	}
	c.wire.Unlock()
	if !listens || events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	n, ok, err := tryRead(uintptr(c.fd), w.read[:])
	switch {
	case err != nil:
		c.hangUp(err)
	case ok:
		c.take(w, w.read[:n])
	}
}

// changed implements socket.
func (c *econn) changed() {
	was, now := c.events, c.wanted()
	switch {
	case was == absent && now == 0, was == now:
		return
	case was == absent:
		_ = c.loop.control(unix.EPOLL_CTL_ADD, c.fd, now)
	default:
		_ = c.loop.control(unix.EPOLL_CTL_MOD, c.fd, now)
	}
	c.events = now
}

// watch implements socket.
func (c *econn) watch() {
	if c.timed || c.nextDeadline() == 0 {
		return
	}
	c.timed = true
	l := c.loop
	l.post(func(*work) {
		if c.over {
			return
		}
		if len(l.timed) == 0 {
			l.look = time.Now().Add(l.times.tick)
		}
		l.timed[c] = struct{}{}
	})
}

// isDue reports whether due is to be called, and lets the loop forget c if there is no deadline.
func (c *econn) isDue(now instant) bool {
	c.wire.Lock()
	defer c.wire.Unlock()
	d := c.nextDeadline()
	if d == 0 {
		c.timed = false
		delete(c.loop.timed, c)
	}
	return d != 0 && now >= d
}

// post implements socket.
func (c *econn) post(f func(*work)) { c.loop.post(f) }

// write implements socket.
func (c *econn) write(p []byte) (int, error) { return tryWrite(uintptr(c.fd), p) }

// finish implements socket.
func (c *econn) finish() { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

// sever implements socket.
func (c *econn) sever() { _ = unix.Shutdown(int(c.fd), unix.SHUT_RDWR) }

// free implements socket: the connection is in no table any more before its descriptor is free
// for another.
func (c *econn) free() {
	delete(c.loop.conns, c.fd)
	delete(c.loop.timed, c)
	_ = unix.Close(int(c.fd))
}
