// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"sync"
)

// Pending is the outcome, now or later, of one call of [Store.Commit]. The zero value is a Pending that is not done;
// it must not be copied. All methods may be called from any goroutine.
type Pending struct {
	mu    sync.Mutex
	done  bool
	err   error
	first func(error)   // most have one callback: no slice for it
	rest  []func(error) // the others, in order
	ready chan struct{} // made by the first Wait that has to wait, closed when done
}

// Resolved returns a Pending that is done with err.
func Resolved(err error) *Pending {
	return &Pending{done: true, err: err}
}

// OnDone has f called once with the outcome: nil means that the operations are on stable storage. When the Pending is
// done already, f is called before OnDone returns; otherwise later, on the goroutine that writes the store, after the
// callbacks of all earlier calls of Commit. f must not block: until it returns nothing else is committed. It may call
// Commit, and must not wait for a Pending.
func (p *Pending) OnDone(f func(error)) {
	p.mu.Lock()
	if !p.done {
		if p.first == nil {
			p.first = f
		} else {
			p.rest = append(p.rest, f)
		}
		p.mu.Unlock()
		return
	}
	err := p.err
	p.mu.Unlock()
	f(err)
}

// Wait blocks until the Pending is done and returns its outcome, or the error of ctx when that ends first; the
// operations go on regardless. It must not be called on a goroutine that others wait for, such as a loop of sessions.
func (p *Pending) Wait(ctx context.Context) error {
	p.mu.Lock()
	if p.done {
		defer p.mu.Unlock()
		return p.err
	}
	if p.ready == nil {
		p.ready = make(chan struct{})
	}
	ready := p.ready
	p.mu.Unlock()

	select {
	case <-ready:
		return p.err // written before ready was closed, never after
	case <-ctx.Done():
		return fmt.Errorf("store: waiting for a commit: %w", context.Cause(ctx))
	}
}

// Done says whether the outcome is known.
func (p *Pending) Done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Resolve makes the Pending done with err and calls what OnDone was given, in order. It is for engines; a second call
// is a programming error and panics, because the first outcome may have been acted upon.
func (p *Pending) Resolve(err error) {
	p.mu.Lock()
	if p.done {
		p.mu.Unlock()
		panic("store: pending resolved twice")
	}
	p.done, p.err = true, err
	first, rest := p.first, p.rest
	p.first, p.rest = nil, nil
	if p.ready != nil {
		close(p.ready)
	}
	p.mu.Unlock()

	if first != nil {
		first(err)
	}
	for _, f := range rest {
		f(err)
	}
}
