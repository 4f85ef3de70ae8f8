// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/stonechat-im/stonechat/xmpp/jid"
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

// dials are the routes that are being connected: few at one time, the others in the order in which they came. A quarter of
// them at most goes to the domains of one owner, who may have any number, and servers that do not answer.
//
// None that is queued could run: so one more is looked at alone, and one that is over makes room for one.
type dials struct {
	rs      *routes
	mu      sync.Mutex
	running int
	owners  map[string]int // how many of those run for each
	queue   []*route
	closed  bool
}

// ownerOf is whose a domain seems to be: what its registry has given to somebody, as example.org or example.co.uk. What a
// provider gives to its customers, as names in its own domain, is its own: they cost nothing, as addresses do, which are all
// one owner's.
func ownerOf(domain jid.JID) string {
	name := domain.ASCIIDomain()
	if _, err := netip.ParseAddr(name); err == nil {
		return "addresses"
	}
	suffix, registry := publicsuffix.PublicSuffix(name)
	for !registry && strings.Contains(suffix, ".") {
		_, suffix, _ = strings.Cut(suffix, ".")
		suffix, registry = publicsuffix.PublicSuffix(suffix)
	}
	below, found := strings.CutSuffix(name, "."+suffix)
	if !found {
		return name
	}
	return name[strings.LastIndexByte(below, '.')+1:]
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
	if d.room(r, d.rs.limits.Load().Dials) {
		d.start(r)
	} else {
		d.queue = append(d.queue, r)
	}
}

// done says that a dial of r that ran is over.
func (d *dials) done(r *route) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.owners[r.owner]--; d.owners[r.owner] == 0 {
		delete(d.owners, r.owner)
	}
	d.next()
}

// more begins what the limits let run now.
func (d *dials) more() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.next() {
	}
}

// next begins the first that may run, and reports whether there is one. The caller holds mu.
func (d *dials) next() bool {
	most := d.rs.limits.Load().Dials
	if d.running >= most {
		return false
	}
	i := slices.IndexFunc(d.queue, func(r *route) bool { return d.room(r, most) })
	if i < 0 {
		return false
	}
	d.start(d.queue[i])
	if d.queue = slices.Delete(d.queue, i, i+1); len(d.queue) == 0 {
		d.queue = nil
	}
	return true
}

// room reports whether r may run, of so many. The caller holds mu.
func (d *dials) room(r *route, most int) bool {
	return d.running < most && d.owners[r.owner] < (most+3)/4
}

// start begins a dial. The caller holds mu.
func (d *dials) start(r *route) {
	d.running++
	d.owners[r.owner]++
	go r.beginDial()
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
		r.rs.dials.done(r)
		return
	}
	r.rs.Dialer.dial(r)
}
