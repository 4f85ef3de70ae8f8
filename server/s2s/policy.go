// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/bucket"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Policy says with whom this server talks, and how (config.Federation). It is replaced whole.
type Policy struct {
	Required     bool     // a certificate that is valid; else dialback over TLS may do
	Allow, Block []string // prepared domains; with a dot in front, all below them too. Allow empty: all
	Idle         time.Duration
	GiveUp       time.Duration
	FenceStanzas int
	FenceAfter   time.Duration
	Confirm      time.Duration // 0 or less: for ever
	Domains      map[string]Peer
}

// Peer is what differs for one domain.
type Peer struct {
	Connect          string // host:port, instead of what DNS says
	DirectTLS        bool   // at Connect
	Certificates     string // required, preferred, or as for all
	StanzasPerSecond int    // 0: as for all
}

// allows reports whether anybody here may talk with domain.
func (p *Policy) allows(domain string) bool {
	return !anyOf(p.Block, domain) && (len(p.Allow) == 0 || anyOf(p.Allow, domain))
}

// anyOf reports whether domain is one of those that names stand for.
func anyOf(names []string, domain string) bool {
	for _, n := range names {
		if n == domain || strings.HasPrefix(n, ".") && (n[1:] == domain || strings.HasSuffix(domain, n)) {
			return true
		}
	}
	return false
}

// required reports whether the server of domain must have a certificate that is valid.
func (p *Policy) required(domain string) bool {
	switch p.Domains[domain].Certificates {
	case "required":
		return true
	case "preferred":
		return false
	}
	return p.Required
}

// peers count what comes from each domain, over all its connections.
type peers struct {
	mu      sync.Mutex
	policy  *Policy
	domains map[jid.JID]*peer
}

type peer struct {
	pace  *bucket.Shared
	conns int
}

func (ps *peers) set(p *Policy) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.policy = p
	for domain, x := range ps.domains {
		x.pace.Set(p.Domains[domain.Domain()].StanzasPerSecond)
	}
}

// enter counts a connection of domain; leave undoes it.
func (ps *peers) enter(domain jid.JID) *bucket.Shared {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	x := ps.domains[domain]
	if x == nil {
		if ps.domains == nil {
			ps.domains = make(map[jid.JID]*peer)
		}
		x = &peer{pace: bucket.NewShared(ps.policy.Domains[domain.Domain()].StanzasPerSecond)}
		ps.domains[domain] = x
	}
	x.conns++
	return x.pace
}

func (ps *peers) leave(domain jid.JID) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if x := ps.domains[domain]; x != nil {
		if x.conns--; x.conns == 0 {
			delete(ps.domains, domain)
		}
	}
}

func (ps *peers) count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.domains)
}
