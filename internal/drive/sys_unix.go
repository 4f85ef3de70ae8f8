// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package drive

import "golang.org/x/sys/unix"

// sysRead and sysWrite are read(2) and write(2). Linux has others.

func sysRead(fd int, p []byte) (int, error) { return unix.Read(fd, p) }

func sysWrite(fd int, p []byte) (int, error) { return unix.Write(fd, p) }
