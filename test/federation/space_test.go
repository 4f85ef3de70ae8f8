// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/space"
)

// What a wire is like.
const (
	wireDelay = 100 * time.Millisecond
	wireLoss  = 0.05
)

// newSpace makes a namespace at a wire; it lasts until the test ends.
func newSpace(t *testing.T, w *space.Wire, address string) *space.Space {
	t.Helper()
	s, err := w.Attach(address)
	if err != nil {
		t.Skipf("SKIPPED: needs a network namespace: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}
