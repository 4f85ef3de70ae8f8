// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd

package main

import "syscall"

// freeBytes is how much the disk of a folder has left for who is not root.
func freeBytes(folder string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return uint64(max(s.Bavail, 0)) * uint64(s.Bsize), nil //nolint:unconvert // their types differ by system
}
