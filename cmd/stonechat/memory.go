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
	// While many log in both are half of that: what they leave lies between what stays, and cannot go back to the system.
	// So many log in where what lives is a sixteenth more than the most that has lived in the last minute, about.
	growing = 16
	// Every trimEvery the memory that a storm of logins has left goes back to the system, if
	// less than quiet was allocated since: nobody is there to wait for the collection. That costs as much as lives, so that
	// it waits until a share of that was allocated: what is said now and then is no storm.
	trimEvery = 15 * time.Second
	trimShare = 4
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
	most := heap("/gc/heap/live:bytes")
	for {
		select {
		case <-ctx.Done():
			return
		case <-tune.C:
			live := heap("/gc/heap/live:bytes")
			if p := percentFor(live, most); p != percent {
				percent = p
				debug.SetGCPercent(p)
			}
			most = max(live, most-most/64)
		case <-trim.C:
			now := heap("/gc/heap/allocs:bytes")
			if isLeft(now-last, now-trimmed, heap("/gc/heap/live:bytes")) {
				debug.FreeOSMemory()
				trimmed = now
			}
			last = now
		}
	}
}

// isLeft reports whether memory may go back: so much was allocated lately, so much since it was trimmed last, and so much lives.
func isLeft(lately, since, live uint64) bool {
	return lately < quiet && since >= max(quiet, live/trimShare)
}

// percentFor is the GOGC for so many living bytes, where there were at most so many lately, in steps, so that it changes seldom.
func percentFor(live, most uint64) int {
	p, least := gcPercent, uint64(garbage)
	if live > most+most/growing {
		p, least = p/2, least/2
	}
	for p < 800 && live*uint64(p)/100 < least {
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
