// SPDX-License-Identifier: Apache-2.0

//go:build invariants

package drive

// poison overwrites a read buffer after its turn, so that a test which keeps borrowed bytes fails.
func poison(p []byte) {
	for i := range p {
		p[i] = 0xFF
	}
}
