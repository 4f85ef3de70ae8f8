// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package drive

import "errors"

// Elsewhere sockets are read into a buffer that waits with them, and written by goroutines.
const canTry = false

func tryRead(uintptr, []byte) (int, bool, error) { return 0, true, errors.ErrUnsupported }
func tryWrite(uintptr, []byte) (int, error)      { return 0, errors.ErrUnsupported }
