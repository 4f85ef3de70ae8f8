// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Listen listens for TCP connections at address, as net.Listen does. A peer whose network has been
// silent for deadAfter is given up: idle connections are probed with TCP keep-alives, four of
// them in the second half of that time, so that a device that sleeps is woken seldom. 0 leaves
// dead peers to whoever writes to them.
//
// Linux gives up unanswered data after the same time, and what a socket takes ahead of what the
// network has sent is bounded, so that Conn.Queued is what a slow reader has waiting.
func Listen(address string, deadAfter time.Duration) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive(deadAfter), Control: control(deadAfter)}
	if deadAfter <= 0 {
		lc.KeepAlive = -1
	}
	lc.SetMultipathTCP(false) // its connections would not inherit the options
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("drive: %w", err)
	}
	return l, nil
}

// Listeners accept connections. The zero value is ready.
type Listeners struct {
	mu        sync.Mutex
	list      []net.Listener
	accepting sync.WaitGroup
}

// Accept gives take what comes in at l, until Close.
func (x *Listeners) Accept(l net.Listener, log *slog.Logger, take func(net.Conn)) {
	x.mu.Lock()
	x.list = append(x.list, l)
	x.mu.Unlock()
	x.accepting.Go(func() {
		for {
			nc, err := l.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				// Out of descriptors, most likely: connections that end will free some.
				log.Error("connection not accepted", "err", err)
				time.Sleep(50 * time.Millisecond)
				continue
			}
			take(nc)
		}
	})
}

// Close closes them. Connections go on.
func (x *Listeners) Close() {
	x.mu.Lock()
	for _, l := range x.list {
		_ = l.Close()
	}
	x.mu.Unlock()
	x.accepting.Wait()
}

// Dialer makes connections that are kept as those of Listen are.
func Dialer(deadAfter time.Duration) *net.Dialer {
	d := &net.Dialer{Timeout: dialTime, KeepAliveConfig: keepAlive(deadAfter), Control: control(deadAfter)}
	if deadAfter <= 0 {
		d.KeepAlive = -1
	}
	return d
}

// dialTime is how long an address may take to answer.
const dialTime = 10 * time.Second

func keepAlive(deadAfter time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{
		Enable: deadAfter > 0, Idle: max(deadAfter/2, time.Second), Interval: max(deadAfter/8, time.Second), Count: 4,
	}
}

func control(deadAfter time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var optErr error
		if err := raw.Control(func(fd uintptr) { optErr = setOptions(fd, deadAfter) }); err != nil {
			return err
		}
		return optErr
	}
}
