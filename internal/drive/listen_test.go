// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// tired is a listener that fails before each connection.
type tired struct {
	net.Listener
	fails  bool
	closed chan struct{}
}

func (l *tired) Accept() (net.Conn, error) {
	if l.fails = !l.fails; l.fails {
		return nil, errors.New("too many open files")
	}
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case <-time.After(time.Minute):
		here, _ := net.Pipe()
		return here, nil
	}
}

func (l *tired) Close() error {
	close(l.closed)
	return nil
}

// A listener that fails is listened to again, and Close ends all of them.
func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x drive.Listeners
		got := make(chan net.Conn, 10)
		for range 2 {
			x.Accept(&tired{closed: make(chan struct{})}, slog.New(slog.DiscardHandler), func(nc net.Conn) { got <- nc })
		}
		for range 4 {
			_ = (<-got).Close()
		}
		x.Close()
		if n := len(got); n != 0 {
			t.Errorf("%d connections more", n)
		}
		synctest.Wait() // all has ended
	})
}
