// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Most of a server's memory is connections that say nothing. Two settings keep what they cost
// near what they hold; neither is felt under load, where hardly anything is allocated.

const (
	// gcPercent lets garbage be half of what lives, not as much as lives.
	gcPercent = 50
	// Every trimEvery the memory that a storm of logins has left goes back to the system, if
	// less than quiet was allocated since: nobody is there to wait for the collection.
	trimEvery = 15 * time.Second
	quiet     = 2 << 20
)

// keepMemoryLow runs until ctx ends. An operator's GOGC is left alone.
func keepMemoryLow(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	last, trimmed := allocated(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		if now-last < quiet && now-trimmed >= quiet {
			debug.FreeOSMemory()
			trimmed = now
		}
		last = now
	}
}

// allocated is how many bytes the program has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
