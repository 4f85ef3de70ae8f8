// SPDX-License-Identifier: Apache-2.0

package drive

import "sync"

// buffer is memory for what is queued. It is lent for the time between Queue and Flush, so that
// an idle connection has none. nil is an empty one.
type buffer struct {
	b    []byte
	sent int // of b
}

const bufferSize = 4096

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, bufferSize)} }} // no state, only memory

// rest is what has not been sent.
func (b *buffer) rest() []byte {
	if b == nil {
		return nil
	}
	return b.b[b.sent:]
}

// add appends a copy of p and returns the buffer, a borrowed one if b is nil.
func (b *buffer) add(p []byte) *buffer {
	if b == nil {
		b = buffers.Get().(*buffer)
	}
	if b.sent > len(b.b)/2 {
		b.b = b.b[:copy(b.b, b.b[b.sent:])]
		b.sent = 0
	}
	b.b = append(b.b, p...)
	return b
}

// giveBack ends the use of b. What has grown large is left to the garbage collector.
func (b *buffer) giveBack() {
	if b == nil || cap(b.b) > 16*bufferSize {
		return
	}
	b.b, b.sent = b.b[:0], 0
	buffers.Put(b)
}
