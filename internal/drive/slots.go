// SPDX-License-Identifier: Apache-2.0

package drive

import "runtime"

// slots bounds how many handshakes compute at one time, so that established connections keep
// their share of the processors in a storm of logins. A handshake holds a slot only while it
// has bytes to work on: a peer that stalls holds none.
type slots chan struct{}

func newSlots() slots { return make(slots, 2*runtime.GOMAXPROCS(0)) }

func (s slots) acquire() { s <- struct{}{} }
func (s slots) release() { <-s }
