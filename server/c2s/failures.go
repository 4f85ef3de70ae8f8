// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"net/netip"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// failures counts failed logins per address and per account. Each count drains by itself at the
// permitted rate; while it is full, no login is tried. Logins under way count for their account, so
// that nobody guesses at one from many connections at once. They do not count for their
// address, or a thousand things behind one could not log in again after an outage: who guesses from
// there at once fills the count beyond full, and waits the longer.
type failures struct {
	mu        sync.Mutex
	perMinute int            // 0 or less: none are counted
	count     map[any]*tally // by netip.Prefix and jid.JID
}

// tally is a count that drains.
type tally struct {
	level float64
	at    time.Time // of level
	open  int       // logins under way
}

// maxTracked bounds the table. Beyond it what is not under way is forgotten, which errs on the
// side of letting people in.
const maxTracked = 100_000

// limit sets how many failures there may be. Logins under way are counted even where there is no
// limit, so that it can change at any time.
func (f *failures) limit(perMinute int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.perMinute = perMinute
}

// begin says that a login is about to be tried, and reports whether it may be. If so, end must
// follow.
func (f *failures) begin(from netip.Prefix, account jid.JID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.perMinute > 0 && (f.full(from, now) || f.full(account, now)) {
		return false
	}
	f.tally(account, now).open++
	return true
}

// full reports whether a count has no room for one failure more.
func (f *failures) full(key any, now time.Time) bool {
	t := f.count[key]
	if t == nil {
		return false
	}
	t.drain(now, f.perMinute)
	return t.level+float64(t.open) > float64(f.perMinute)-1
}

// end says how a login has ended. One that was given up has not failed: nothing was tried.
func (f *failures) end(from netip.Prefix, account jid.JID, now time.Time, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	address, name := f.tally(from, now), f.tally(account, now)
	name.open--
	if failed && f.perMinute > 0 {
		address.level++
		name.level++
	}
	for key, t := range map[any]*tally{from: address, account: name} {
		if t.level == 0 && t.open == 0 {
			delete(f.count, key)
		}
	}
}

// tally is what stands for key, drained until now. The caller holds mu.
func (f *failures) tally(key any, now time.Time) *tally {
	t := f.count[key]
	if t == nil {
		f.makeRoom(now)
		t = &tally{at: now}
		f.count[key] = t
	}
	t.drain(now, f.perMinute)
	return t
}

func (t *tally) drain(now time.Time, perMinute int) {
	t.level = max(0, t.level-now.Sub(t.at).Minutes()*float64(perMinute))
	t.at = now
}

// makeRoom forgets what need not be known any more, where the table is full.
func (f *failures) makeRoom(now time.Time) {
	if f.count == nil {
		f.count = make(map[any]*tally)
	}
	if len(f.count) < maxTracked {
		return
	}
	for key, t := range f.count {
		if t.drain(now, f.perMinute); t.level == 0 && t.open == 0 {
			delete(f.count, key)
		}
	}
	if len(f.count) < maxTracked {
		return
	}
	for key, t := range f.count {
		if t.level = 0; t.open == 0 {
			delete(f.count, key)
		}
	}
}
