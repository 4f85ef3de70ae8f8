// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"math/rand/v2"
	"sync"
	"time"
)

// The patience of routes.
const (
	backoffLeast = time.Second
	backoffMost  = 5 * time.Minute
	// retrySoon is how long a failure is believed: what comes later is worth another try, whatever the backoff.
	retrySoon = 30 * time.Second
)

// backoff is how long to wait after so many tries without success. Half of it is chance, so that those who have lost
// the same server do not come back as one.
func backoff(tries int) time.Duration {
	d := min(backoffLeast<<min(max(tries-1, 0), 10), backoffMost)
	return d/2 + rand.N(d/2)
}

// dials are the routes that are being connected: few at one time, the others in the order in which they came.
type dials struct {
	rs      *routes
	mu      sync.Mutex
	running int
	queue   []*route
	closed  bool
}

// dialState says how far a route's dial is; guarded by its mutex.
type dialState uint8

const (
	notDialing dialState = iota
	dialQueued
	dialing
)

// want has r dialed. The caller holds r.mu, and has set its state to dialQueued.
func (d *dials) want(r *route) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.queue = append(d.queue, r)
	d.start()
}

// done says that a dial that ran is over.
func (d *dials) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	d.start()
}

// start begins dials while there is room. The caller holds mu.
func (d *dials) start() {
	for most := d.rs.limits.Load().Dials; len(d.queue) > 0 && d.running < most && !d.closed; {
		r := d.queue[0]
		d.queue[0] = nil
		d.queue = d.queue[1:]
		d.running++
		go r.beginDial()
	}
	if len(d.queue) == 0 {
		d.queue = nil
	}
}

func (d *dials) close() {
	d.mu.Lock()
	d.closed, d.queue = true, nil
	d.mu.Unlock()
}

// beginDial hands r to the dialer, unless it has got a way out meanwhile.
func (r *route) beginDial() {
	r.mu.Lock()
	wanted := r.dial == dialQueued && r.out == nil && !r.rs.closed.Load()
	switch {
	case wanted:
		r.dial, r.lastTry = dialing, time.Now()
	case r.dial == dialQueued:
		r.dial = notDialing
	}
	r.mu.Unlock()
	if !wanted {
		r.rs.dials.done()
		return
	}
	r.rs.Dialer.dial(r)
}
