// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"fmt"
	"net"
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
