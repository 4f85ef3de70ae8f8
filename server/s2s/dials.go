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
	d.queue = append(d.queue, r)
	d.start()
}

// done says that a dial of r that ran is over.
func (d *dials) done(r *route) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	owner := ownerOf(r.key.To)
	if d.owners[owner]--; d.owners[owner] == 0 {
		delete(d.owners, owner)
	}
	d.start()
}

// start begins dials while there is room. The caller holds mu.
func (d *dials) start() {
	most := d.rs.limits.Load().Dials
	if d.owners == nil {
		d.owners = make(map[string]int)
	}
	for i := 0; i < len(d.queue) && d.running < most && !d.closed; {
		r := d.queue[i]
		owner := ownerOf(r.key.To)
		if d.owners[owner] >= (most+3)/4 {
			i++
			continue
		}
		d.queue = slices.Delete(d.queue, i, i+1)
		d.running++
		d.owners[owner]++
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
		r.rs.dials.done(r)
		return
	}
	r.rs.Dialer.dial(r)
}
