// SPDX-License-Identifier: Apache-2.0

package drive

import "log/slog"

// New returns the driver that serves many connections best on this system.
func New(log *slog.Logger) (Driver, error) { return NewEpoll(log) }
