// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package program

import "os/exec"

// Bind has a command that is not started yet end with this program, however that ends: a test that panics, or is killed, cleans nothing up.
// To the kernel it is the thread that starts it: no goroutine of a test may end locked to its thread, which would end that.
// Elsewhere than on Linux it does nothing.
func Bind(*exec.Cmd) {}
