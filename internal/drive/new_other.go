// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package drive

import "log/slog"

// New returns the driver that serves many connections best on this system.
func New(log *slog.Logger) (Driver, error) { return NewGoroutines(log), nil }
