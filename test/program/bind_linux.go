// SPDX-License-Identifier: Apache-2.0

package program

import (
	"os/exec"
	"syscall"
)

// Bind has a command that is not started yet end with this program, however that ends: a test that panics, or is killed, cleans nothing up.
// To the kernel it is the thread that starts it: no goroutine of a test may end locked to its thread, which would end that.
// Elsewhere than on Linux it does nothing.
func Bind(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = new(syscall.SysProcAttr)
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
