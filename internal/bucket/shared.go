// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"sync"
	"time"
)

// Shared is a Bucket of one sender who comes by several ways, each used by a goroutine of its own. The zero value is full.
type Shared struct {
	mu        sync.Mutex
	bucket    Bucket
	perSecond int // 0: as Take is told
}

// NewShared makes one of so many a second, whatever Take is told; 0 is as Take is told.
func NewShared(perSecond int) *Shared { return &Shared{perSecond: perSecond} }

// Set changes it, from the next on.
func (s *Shared) Set(perSecond int) {
	s.mu.Lock()
	s.perSecond = perSecond
	s.mu.Unlock()
}

// Take is Bucket.Take, of usual a second where none was set.
func (s *Shared) Take(now time.Time, usual int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perSecond > 0 {
		usual = s.perSecond
	}
	return s.bucket.Take(now, usual)
}
