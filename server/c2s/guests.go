// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"net/netip"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// guests counts those who logged in without an account. Anybody may, so that they are few: per
// address, and in all. XEP-0175 §3.
type guests struct {
	mu                sync.Mutex
	perAddress, total int // 0 or less: no limit

	n         int
	addresses map[netip.Prefix]int
}

// limit changes the limits, for those who come from now on.
func (g *guests) limit(perAddress, total int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.perAddress, g.total = perAddress, total
}

// enter counts one more, if there is room for it.
func (g *guests) enter(from netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total > 0 && g.n >= g.total || g.perAddress > 0 && g.addresses[from] >= g.perAddress {
		return false
	}
	if g.addresses == nil {
		g.addresses = make(map[netip.Prefix]int)
	}
	g.addresses[from]++
	g.n++
	return true
}

// leave undoes one enter.
func (g *guests) leave(from netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.addresses[from]--; g.addresses[from] == 0 {
		delete(g.addresses, from)
	}
}

func (g *guests) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// stranger decides whether a client without an account may come in. The caller holds in.
func (c *conn) stranger() {
	s := c.service
	if c.guest || !s.guests.enter(prefix(c.Remote().Addr())) {
		s.metrics.guestsLimited.Inc()
		c.machine.Resolve(nil, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "there are too many guests, try again later"})
		return
	}
	c.guest = true
	c.machine.Resolve(nil, nil)
}

// departed gives up the place that stranger took. The caller holds in.
func (c *conn) departed() {
	if c.guest {
		c.guest = false
		c.service.guests.leave(prefix(c.Remote().Addr()))
	}
}
