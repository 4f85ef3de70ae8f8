// SPDX-License-Identifier: Apache-2.0

//go:build unix

package drive

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

const canTry = true

// tryRead reads what is there without waiting; ok is false if nothing is.
func tryRead(fd uintptr, p []byte) (n int, ok bool, err error) {
	for {
		n, err := sysRead(int(fd), p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, false, nil
		case err == nil && n == 0:
			return 0, true, io.EOF
		case err != nil:
			return 0, true, fmt.Errorf("drive: read: %w", err)
		default:
			return n, true, nil
		}
	}
}

// tryWrite writes what the socket takes without waiting.
func tryWrite(fd uintptr, p []byte) (int, error) {
	for {
		n, err := sysWrite(int(fd), p)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		case nil:
			return n, nil
		default:
			return 0, fmt.Errorf("drive: write: %w", err)
		}
	}
}
