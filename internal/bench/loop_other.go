// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import (
	"syscall"
	"time"
)

// loop is what there is without epoll: an error from newLoop, before anything
// else of it could be used.
type loop struct {
	count   int
	message func(s *session, body []byte, now time.Time)
	ended   func(s *session, err error)
}

func newLoop() (*loop, error)          { return nil, ErrUnsupported }
func (*loop) add(*session)             {}
func (*loop) turn(time.Duration) error { return ErrUnsupported }
func (*loop) wait(time.Duration) error { return ErrUnsupported }
func (*loop) handle()                  {}
func (*loop) write(*session, []byte)   {}
func (*loop) leave(*session, bool)     {}
func (*loop) all() []*session          { return nil }
func (*loop) leaveAll(bool)            {}
func (*loop) close() error             { return nil }
func writeFD(int, []byte) (int, error) { return 0, ErrUnsupported }
func closeFD(int) error                { return ErrUnsupported }

func sharePort(_, _ string, _ syscall.RawConn) error { return nil }
