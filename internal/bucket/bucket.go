// SPDX-License-Identifier: Apache-2.0

// Package bucket tells how long a sender must wait that sends too fast.
package bucket

import "time"

// Bucket fills at the permitted rate and holds ten seconds' worth. The zero value is full; it is used by one
// goroutine at a time. Each session has one, which is why it is small. A clock that is set back refills nothing,
// one that is set forward at most all of it.
type Bucket struct {
	last int64   // unix nanoseconds
	used float64 // of the bucket
}

// Take takes one and returns how long to wait before the next. perSecond of 0 or less is no limit.
func (b *Bucket) Take(now time.Time, perSecond int) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	at := now.UnixNano()
	b.used = max(0, b.used-max(0, time.Duration(at-b.last).Seconds())*float64(perSecond)) + 1
	b.last = at
	if over := b.used - 10*float64(perSecond); over > 0 {
		return time.Duration(over / float64(perSecond) * float64(time.Second))
	}
	return 0
}
