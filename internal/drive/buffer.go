// SPDX-License-Identifier: Apache-2.0

package drive

import "sync"

// Buffers for what is queued are lent for the time between Queue and Flush, so that an idle
// connection holds none.

const bufferSize = 4096

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferSize); return &b }} // no state, only memory

// grow appends p to b, which is borrowed first if it is nil.
func grow(b, p []byte) []byte {
	if b == nil {
		b = (*buffers.Get().(*[]byte))[:0]
	}
	return append(b, p...)
}

// giveBack ends the use of b. Buffers that have grown large are left to the garbage collector.
func giveBack(b []byte) {
	if cap(b) >= bufferSize && cap(b) <= 16*bufferSize {
		b = b[:0]
		buffers.Put(&b)
	}
}
