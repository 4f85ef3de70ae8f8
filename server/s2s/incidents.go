// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"log/slog"
	"sync"
	"time"
)

// incidents is the log of what other servers did that they may not: of each kind and peer a line a minute,
// with the number left out since.
type incidents struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[incident]*told
}

// incident is what happened and by whom. The kind is one of few, the peer whatever it calls itself.
type incident struct{ kind, peer string }

type told struct {
	at   time.Time
	held int
}

const (
	incidentEvery = time.Minute
	maxIncidents  = 1000 // peers that are told apart; the rest are counted (metrics) and not logged
	maxPeerName   = 100  // bytes of its name in the log
)

// report logs what peer did.
func (x *incidents) report(now time.Time, kind, peer string, args ...any) {
	if len(peer) > maxPeerName {
		peer = peer[:maxPeerName]
	}
	x.tell(now, incident{kind, peer}, func(more int) {
		args = append([]any{"kind", kind, "peer", peer}, args...)
		x.log.Warn("another server did what it may not", append(args, "more", more)...)
	})
}

// tell calls write, at most once a minute for each key, with the number of calls left out since.
func (x *incidents) tell(now time.Time, key incident, write func(more int)) {
	x.mu.Lock()
	t := x.last[key]
	switch {
	case t != nil && now.Sub(t.at) < incidentEvery:
		t.held++
		x.mu.Unlock()
		return
	case t == nil:
		if !x.room(now) {
			x.mu.Unlock()
			return
		}
		t = new(told)
		x.last[key] = t
	}
	more := t.held
	t.at, t.held = now, 0
	x.mu.Unlock()
	write(more)
}

// room makes room for one more. The caller holds mu.
func (x *incidents) room(now time.Time) bool {
	if x.last == nil {
		x.last = make(map[incident]*told)
	}
	if len(x.last) < maxIncidents {
		return true
	}
	for key, t := range x.last {
		if now.Sub(t.at) >= incidentEvery {
			delete(x.last, key)
		}
	}
	return len(x.last) < maxIncidents
}

// reach logs that a server could not be reached.
func (x *incidents) reach(now time.Time, peer string, err error) {
	x.tell(now, incident{"unreachable", peer}, func(more int) {
		x.log.Warn("another server could not be reached", "peer", peer, "err", err, "more", more)
	})
}
