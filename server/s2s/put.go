// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"slices"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// put sends s or has it wait. taken is false where the route is forgotten.
func (r *route) put(t *server.Turn, s *stanza.Stanza) (taken bool, err error) {
	k := kindOf(s, r.rs.Kept)
	l := r.rs.limits.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired {
		return false, nil
	}
	if s == r.ping {
		return true, r.putFence(t, s)
	}
	r.used = t.Now
	room := r.room(l)
	if r.mem+s.Size() > room || (k == kept && r.keeps >= l.SpoolStanzas) {
		r.rs.metrics.full.Inc()
		return true, r.unwanted(k, stanza.ResourceConstraint.Err("too much waits for the other server"))
	}
	// What would fill the memory with what is not confirmed waits on the disk.
	if r.out != nil && !r.behind() && (k != kept || r.mem <= room/2) {
		if sent, followed := r.out.send(t, r, s, k); sent {
			if followed {
				r.flying++
			}
			return true, nil
		}
	}
	return true, r.wait(t, s, k)
}

// allTogether is how many times limits.federation_queue_bytes all routes together may have in memory; each has that part of it
// then, so that one who has many names does not fill the memory, and all others are served on.
const allTogether = 64

// room is how many bytes may wait in memory for the route.
func (r *route) room(l *routeLimits) int {
	if r.rs.bytes.Load() > allTogether*int64(l.QueueBytes) {
		return l.QueueBytes / allTogether
	}
	return l.QueueBytes
}

// unwanted is what is returned for a stanza that is not taken.
func (r *route) unwanted(k kind, e *stanza.Error) error {
	if !k.answers() {
		r.rs.metrics.dropped.Inc()
		return nil
	}
	r.rs.metrics.bounced.WithLabelValues(string(e.Condition)).Inc()
	return e
}

// wait keeps s until there is a connection. The caller holds mu.
func (r *route) wait(t *server.Turn, s *stanza.Stanza, k kind) error {
	if o := r.outage; o != nil && t.Now.Before(r.lastTry.Add(retrySoon)) {
		switch {
		case o.Permanent:
			return r.unwanted(k, o.Err)
		case k != kept && r.nextTry.After(t.Now.Add(requestWait)):
			return r.unwanted(k, o.Err)
		}
	}
	if r.rs.closed.Load() {
		if k != kept {
			return r.unwanted(k, timeout("the server is stopping").Err)
		}
		e := r.entry(t, s, k)
		e.row = rowWritten
		r.rs.commit([]*entry{e})
		return nil
	}
	e := r.entry(t, s, k)
	if k == latest {
		r.replace(s, e)
	}
	r.tail = append(r.tail, e)
	e.way.Note(trace.Queued, "until "+r.key.To.Domain()+" is connected")
	l := r.rs.limits.Load()
	switch due := t.Now.Add(requestWait); {
	case k == kept && r.mem > r.room(l)/2:
		r.rs.sweeper.arm(r, t.Now)
	case k == kept:
		r.rs.sweeper.arm(r, t.Now.Add(l.SpoolAfter))
	default:
		r.rs.sweeper.arm(r, due)
	}
	r.connect(t.Now)
	return nil
}

// replace makes e the presence of its sender to its receiver, but for what enters a room: that asks for more than
// what comes after it says. The caller holds mu.
func (r *route) replace(s *stanza.Stanza, e *entry) {
	who := pair{s.From, s.To}
	if old := r.latest[who]; old != nil && !old.done {
		r.grow(-len(old.b))
		r.drop(old)
		old.b = nil
		if r.stale++; r.stale > 32+len(r.tail)/2 {
			r.tail, r.stale = slices.DeleteFunc(r.tail, func(e *entry) bool { return e.done }), 0
		}
	}
	if s.Has(muc.NS, "x") {
		delete(r.latest, who)
		return
	}
	if r.latest == nil {
		r.latest = make(map[pair]*entry)
	}
	r.latest[pair{s.From.Clone(), s.To.Clone()}] = e
}

// entry makes the entry of s. The caller holds mu.
func (r *route) entry(t *server.Turn, s *stanza.Stanza, k kind) *entry {
	e := &entry{r: r, b: s.Append(make([]byte, 0, s.Size()), ""), kind: k, at: t.Now, way: t.Way()}
	if k == kept {
		e.id = r.rs.lastID.Add(1) // the order of a route's rows is that in which they were put
		e.receipt = t.Receipt()
		e.receipt.Hold()
		r.keeps++
	}
	r.grow(len(e.b))
	return e
}
