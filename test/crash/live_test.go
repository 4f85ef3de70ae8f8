// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// live is traffic between two sessions that are online, one message at a time in each direction, whose times are
// measured: from sending to arriving, and from asking for an ack to getting it.
type live struct {
	a, b *session

	mu      sync.Mutex
	sent    map[message]time.Time
	count   int
	arrived []time.Duration
	acks    []time.Duration
	err     error
	stop    chan struct{}
	done    chan struct{}
}

// startLive begins the traffic between two accounts.
func startLive(t *testing.T, srv *server, left, right string) *live {
	t.Helper()
	l := &live{sent: map[message]time.Time{}, stop: make(chan struct{}), done: make(chan struct{})}
	h := habits{managed: true, ackEvery: 1}
	l.a, l.b = newSession(left, "live", h), newSession(right, "live", h)
	for _, s := range []*session{l.a, l.b} {
		s.taken = func(m message, delayed bool) {
			l.mu.Lock()
			l.count++
			l.arrived = append(l.arrived, time.Since(l.sent[m]))
			delete(l.sent, m)
			l.mu.Unlock()
		}
		if _, err := s.connect(srv); err != nil {
			t.Fatal(err)
		}
		if err := s.available(); err != nil {
			t.Fatal(err)
		}
		if err := s.drained(); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		defer close(l.done)
		for n := 0; l.err == nil; n++ {
			select {
			case <-l.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if l.err = l.one(l.a, l.b, n); l.err == nil {
				l.err = l.one(l.b, l.a, n)
			}
		}
	}()
	return l
}

func (l *live) one(from, to *session, n int) error {
	m := message{from.user, to.user, n}
	began := time.Now()
	l.mu.Lock()
	l.sent[m] = began
	before := l.count
	l.mu.Unlock()
	if err := from.send(m.xml(to.user+"@"+domain, 100), nil); err != nil {
		return err
	}
	if err := from.demand(); err != nil {
		return err
	}
	if err := from.await("ack of a live message", func() bool { return len(from.out) == 0 }); err != nil {
		return err
	}
	l.mu.Lock()
	l.acks = append(l.acks, time.Since(began))
	l.mu.Unlock()
	return to.await("live message", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.count > before
	})
}

// so takes the times so far.
func (l *live) so() (arrived, acks times) {
	l.mu.Lock()
	defer l.mu.Unlock()
	arrived, acks = l.arrived, l.acks
	l.arrived, l.acks = nil, nil
	return arrived, acks
}

func (l *live) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	<-l.done
	if l.err != nil {
		t.Errorf("live traffic: %v", l.err)
	}
}

type times []time.Duration

// at is a quantile.
func (d times) at(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

func (d times) String() string {
	return fmt.Sprintf("%d: median %.1f ms, 95 %% %.1f ms, most %.1f ms", len(d), ms(d.at(0.5)), ms(d.at(0.95)), ms(d.at(1)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
