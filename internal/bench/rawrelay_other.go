// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import "io"

// RawRelay is the raw relay process; it needs epoll.
func RawRelay(io.Reader, io.Writer) error { return ErrUnsupported }
