// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much a socket takes beyond what it has sent.
const unsentBytes = 128 << 10

// setOptions sets a listening socket's options, which its connections inherit.
func setOptions(fd uintptr, deadAfter time.Duration) error {
	if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes); err != nil {
		return fmt.Errorf("drive: TCP_NOTSENT_LOWAT: %w", err)
	}
	if deadAfter <= 0 {
		return nil
	}
	if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds())); err != nil {
		return fmt.Errorf("drive: TCP_USER_TIMEOUT: %w", err)
	}
	return nil
}
