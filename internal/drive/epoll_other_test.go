// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package drive_test

const epollSize = uintptr(0)
