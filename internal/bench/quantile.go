// SPDX-License-Identifier: Apache-2.0

package bench

import "time"

// Histogram counts lengths of time, for other commands that tell quantiles. It is not safe for concurrent use.
type Histogram struct{ h histogram }

// Add counts one.
func (h *Histogram) Add(d time.Duration) { h.h.add(d) }

// Quantile is the length that a share q of all is not longer than; 1 is the longest.
func (h *Histogram) Quantile(q float64) time.Duration { return h.h.quantile(q) }
