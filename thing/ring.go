// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// inFlight is how many readings the client has that the server has not acknowledged; the others
// wait in the ring, where the oldest may go.
const inFlight = 16

// late is the age from which a reading says when it was taken, beside its fields.
const late = 10 * time.Second

// ring keeps the readings that are not told.
type ring struct {
	mu      sync.Mutex
	list    []reading // a ring of at most most
	first   int
	most    int
	last    []Field
	dropped int
	wake    chan struct{} // holds one: there is something
	taken   chan struct{} // holds one: something was handed over
	handing bool          // a reading is between the ring and the client
	room    chan struct{} // a place in flight each
}

// reading is what was reported at once.
type reading struct {
	at     time.Time
	fields []Field
}

func (r *ring) init(most int) {
	r.most = most
	r.wake = make(chan struct{}, 1)
	r.taken = make(chan struct{}, 1)
	r.room = make(chan struct{}, inFlight)
}

// put adds a reading.
func (r *ring) put(x reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = x.fields
	if len(r.list)-r.first >= r.most {
		r.list[r.first] = reading{}
		r.first++
		r.dropped++
	}
	if r.first > r.most {
		r.list = append([]reading(nil), r.list[r.first:]...)
		r.first = 0
	}
	r.list = append(r.list, x)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take takes the oldest reading out.
func (r *ring) take() (x reading, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == len(r.list) {
		r.list, r.first = nil, 0
		return reading{}, false
	}
	x = r.list[r.first]
	r.list[r.first] = reading{}
	r.first++
	r.handing = true
	return x, true
}

// handed says that the client has what was taken.
func (r *ring) handed() {
	r.mu.Lock()
	r.handing = false
	r.mu.Unlock()
	select {
	case r.taken <- struct{}{}:
	default:
	}
}

func (r *ring) isEmpty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first == len(r.list) && !r.handing
}

func (r *ring) latest() []Field {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Report tells a reading to the owner. It does not wait: without a connection the reading is kept.
func (t *Thing) Report(fields ...Field) error {
	if len(fields) == 0 {
		return errors.New("thing: nothing to report")
	}
	now := time.Now()
	own := make([]Field, len(fields))
	for i, f := range fields {
		if err := f.check(); err != nil {
			return err
		}
		if f.Time.IsZero() {
			f.Time = now
		}
		own[i] = f
	}
	t.ring.put(reading{now, own})
	return nil
}

// Dropped is how many readings were dropped because too many could not be told.
func (t *Thing) Dropped() int {
	t.ring.mu.Lock()
	defer t.ring.mu.Unlock()
	return t.ring.dropped
}

// Sync waits until no reading is left to tell and the server has acknowledged all that were told.
// It returns with an error when the thing has ended.
func (t *Thing) Sync(ctx context.Context) error {
	for !t.ring.isEmpty() {
		select {
		case <-t.ring.taken:
		case <-t.client.Done():
			return t.client.Err()
		case <-ctx.Done():
			return fmt.Errorf("thing: waiting for the server's acknowledgement: %w", context.Cause(ctx))
		}
	}
	return t.client.Sync(ctx)
}

// tell hands readings to the client, in order, a few at a time.
func (t *Thing) tell(ctx context.Context) {
	for {
		select {
		case t.ring.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		x, ok := t.ring.take()
		for !ok {
			select {
			case <-t.ring.wake:
			case <-ctx.Done():
				return
			}
			x, ok = t.ring.take()
		}
		t.send(ctx, x, func(error) { <-t.ring.room })
	}
}

// tellRest hands over what is left before the end.
func (t *Thing) tellRest() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what does not fit is not waited for
	for x, ok := t.ring.take(); ok; x, ok = t.ring.take() {
		if !t.send(ctx, x, nil) {
			return
		}
	}
}

// send tells one reading.
func (t *Thing) send(ctx context.Context, x reading, acked func(error)) bool {
	defer t.ring.handed()
	s, err := t.compose(x.fields)
	if err == nil {
		if time.Since(x.at) > late {
			s.Add(&delay.Delay{Stamp: x.at})
		}
		err = t.client.SendAcked(ctx, s, acked)
	}
	if err != nil {
		if !errors.Is(err, client.ErrClosed) {
			t.log.Error("reading not told", "err", err)
		}
		if acked != nil {
			acked(err)
		}
		return false
	}
	return true
}

// compose makes the message of a reading.
func (t *Thing) compose(fields []Field) (*stanza.Stanza, error) {
	p, err := payload(fields)
	if err != nil {
		return nil, err
	}
	s := stanza.Text(stanza.Chat, t.config.Owner, text(fields))
	s.Add(p)
	if t.config.Transient {
		h := hint.NoStore
		s.Add(&h)
	}
	return s, nil
}
