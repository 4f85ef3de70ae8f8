// SPDX-License-Identifier: Apache-2.0

//go:build unix

package drive

import "golang.org/x/sys/unix"

const canTry = true

// tryWrite writes what the socket takes without waiting. Errors count as nothing taken: the
// waiting write that follows reports them.
func tryWrite(fd uintptr, p []byte) int {
	for {
		n, err := unix.Write(int(fd), p)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0)
	}
}
