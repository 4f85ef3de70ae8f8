// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysRead and sysWrite are read(2) and write(2) on sockets that never wait. They do without what
// the scheduler does around a system call that may: it hands the processor over when one takes
// more than some microseconds, which a write to a loopback peer often does, and a wake-up of
// another thread costs more than the rest of the call.

func sysRead(fd int, p []byte) (int, error) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// sysEvents is epoll_pwait(2) that does not wait, for the same reason and another one: the first system call of an idle process
// that tells the scheduler wakes a thread that looks after system calls, every 20 µs at first, which is most of what it costs
// to handle one packet now and then.
func sysEvents(epfd int, events []unix.EpollEvent) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysWrite(fd int, p []byte) (int, error) {
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
