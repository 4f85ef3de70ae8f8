// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Most of a server's memory is connections that say nothing. These settings keep what they cost
// near what they hold, and what collecting costs low while there is little to collect from.

const (
	// gcPercent lets garbage be half of what lives, not as much as lives,
	gcPercent = 50
	// but for what a small server may let lie: collecting every 2 MB cost it a tenth of its time. Four
	// times as much would cost each of 4,000 sessions 2 KB, for what a login leaves lies between them.
	garbage = 4 << 20
	// Every trimEvery the memory that a storm of logins has left goes back to the system, if
	// less than quiet was allocated since: nobody is there to wait for the collection.
	trimEvery = 15 * time.Second
	quiet     = 2 << 20
	tuneEvery = time.Second
)

// keepMemoryLow runs until ctx ends. An operator's GOGC is left alone.
func keepMemoryLow(ctx context.Context) {
	trim, tune := time.NewTicker(trimEvery), time.NewTicker(tuneEvery)
	defer trim.Stop()
	defer tune.Stop()
	if os.Getenv("GOGC") != "" {
		tune.Stop()
	}
	last, trimmed, percent := heap("/gc/heap/allocs:bytes"), uint64(0), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tune.C:
			if p := percentFor(heap("/gc/heap/live:bytes")); p != percent {
				percent = p
				debug.SetGCPercent(p)
			}
		case <-trim.C:
			now := heap("/gc/heap/allocs:bytes")
			if now-last < quiet && now-trimmed >= quiet {
				debug.FreeOSMemory()
				trimmed = now
			}
			last = now
		}
	}
}

// percentFor is the GOGC for so many living bytes, in steps, so that it changes seldom.
func percentFor(live uint64) int {
	p := gcPercent
	for p < 800 && live*uint64(p)/100 < garbage {
		p *= 2
	}
	return p
}

// heap is one of the runtime's metrics.
func heap(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
