// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// inbox is what arrived and is not handled. The reader pushes, one goroutine of the client runs
// the handlers.
//
// The server is told what is handled, so that it keeps what a killed program had not; when it
// resumes a session it is told what has arrived, which this program will still handle.
type inbox struct {
	config *Config
	handle func(context.Context, *stanza.Stanza)
	behind func() // the server was told less than is handled now

	mu       sync.Mutex
	queue    []arrival
	busy     *arrival // being handled
	bytes    int
	arrived  uint32 // counted in this session: XEP-0198 §4
	told     uint32 // what of it the server was told last
	session  int    // how many there were
	bad      spot   // where something could not be read
	stopped  bool   // no handler is started any more
	owed     bool   // the server has asked, and was told less than has arrived
	withheld bool   // it was told nothing yet, for there is nothing new
	patience *time.Timer
	waits    bool // the reader waits for room
	asking   int  // handlers that wait for an answer: then the reader must not wait for them
	pushed   chan struct{}
	roomMade chan struct{}
	settled  chan struct{}
}

// spot is a place in what arrives.
type spot struct {
	session int
	arrived uint32
}

// arrival is a stanza, or something to run in its turn.
type arrival struct {
	stanza  *stanza.Stanza
	run     func(context.Context)
	counted bool
	number  uint32 // how many were counted before it
	session int
}

func (a *arrival) size() int {
	if a.stanza == nil {
		return 0
	}
	return a.stanza.Size()
}

func (in *inbox) init(c *Client) {
	in.config, in.handle, in.behind = &c.config, c.dispatch, c.behind
	in.pushed = make(chan struct{}, 1)
	in.roomMade = make(chan struct{}, 1)
	in.settled = make(chan struct{}, 1)
}

// renew begins a new session: counting starts at zero.
func (in *inbox) renew() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.session++
	in.arrived, in.told, in.owed = 0, 0, false
	in.answered()
}

// skip counts a stanza that needs no handler.
func (in *inbox) skip(counted bool) {
	if counted {
		in.mu.Lock()
		in.arrived++
		in.mu.Unlock()
	}
}

// unreadable notes that what came next is beyond what we read: too large, or no XML. When a
// resumed session brings it again it is counted as if it had been taken, or whoever sent it could
// keep us from all that follows.
func (in *inbox) unreadable() {
	in.mu.Lock()
	defer in.mu.Unlock()
	here := spot{in.session, in.arrived}
	if in.bad == here {
		in.arrived++
	}
	in.bad = here
}

// wait waits until there is room, and reports whether there is: not if stop or end is closed.
func (in *inbox) wait(stop, end <-chan struct{}) bool {
	for {
		in.mu.Lock()
		room := 1
		if in.asking > 0 {
			room = 8
		}
		in.waits = len(in.queue) >= room*in.config.InboxStanzas || in.bytes > room*in.config.InboxBytes
		full := in.waits
		in.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-in.roomMade:
		case <-stop:
			return false
		case <-end:
			return false
		}
	}
}

// push queues an arrival.
func (in *inbox) push(a arrival) {
	in.mu.Lock()
	a.number, a.session = in.arrived, in.session
	if a.counted {
		in.arrived++
	}
	in.queue = append(in.queue, a)
	in.bytes += a.size()
	in.mu.Unlock()
	signal(in.pushed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dispatch runs handlers until ctx is over.
func (in *inbox) dispatch(ctx context.Context) {
	ctx = link.Handling(ctx, in)
	for {
		a := in.pop()
		switch {
		case ctx.Err() != nil:
			return
		case a == nil:
			select {
			case <-in.pushed:
			case <-ctx.Done():
				return
			}
		case a.run != nil:
			a.run(ctx)
		default:
			in.handle(ctx, a.stanza)
		}
	}
}

// stop starts no more handlers. What is queued is not handled.
func (in *inbox) stop() {
	in.mu.Lock()
	in.stopped = true
	in.mu.Unlock()
	signal(in.pushed) // so that whoever waits for handlers hears of it
}

// settle waits until no handler runs.
func (in *inbox) settle(ctx context.Context) {
	for {
		in.mu.Lock()
		busy := in.busy != nil
		in.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-in.settled:
		case <-ctx.Done():
			return
		}
	}
}

// sync waits until what is queued now is handled, if it will be.
func (in *inbox) sync(ctx context.Context) error {
	in.mu.Lock()
	idle := in.stopped || len(in.queue) == 0 && in.busy == nil
	in.mu.Unlock()
	if idle || link.InHandler(ctx) {
		return nil
	}
	done := make(chan struct{})
	in.push(arrival{run: func(context.Context) { close(done) }})
	for {
		select {
		case <-done:
			return nil
		case <-in.settled:
			if in.isStopped() {
				signal(in.settled) // there may be others
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("client: waiting for the handlers: %w", context.Cause(ctx))
		}
	}
}

func (in *inbox) isStopped() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stopped
}

// pop notes that the last arrival is handled and takes the next one.
func (in *inbox) pop() *arrival {
	in.mu.Lock()
	in.busy = nil
	if in.waits {
		signal(in.roomMade)
	}
	if in.stopped {
		signal(in.settled)
		in.mu.Unlock()
		return nil
	}
	var next *arrival
	behind := in.withheld && in.done() != in.told
	if len(in.queue) == 0 {
		behind = in.owed
		in.queue = nil
	} else {
		a := in.queue[0]
		in.queue[0] = arrival{}
		in.queue = in.queue[1:]
		in.bytes -= a.size()
		in.busy = &a
		next = &a
	}
	in.mu.Unlock()
	if behind {
		in.behind()
	}
	return next
}

// answerWait is how long a handler may keep the server from an answer that would tell it nothing new.
const answerWait = time.Second

// ask takes the server's question how much is handled, and reports whether it is answered at once: not with a count that the
// server knows already while a handler is about to raise it, for that would be a packet more, and another one soon.
func (in *inbox) ask() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.done() != in.told || in.told == in.arrived {
		return true
	}
	if in.withheld {
		return false
	}
	in.owed, in.withheld = true, true
	if in.patience == nil {
		in.patience = time.AfterFunc(answerWait, in.behind)
	} else {
		in.patience.Reset(answerWait)
	}
	return false
}

// answered notes that the server is being told. The caller holds mu.
func (in *inbox) answered() {
	if in.withheld {
		in.withheld = false
		in.patience.Stop()
	}
}

// count is what has arrived in this session. The server is going to be told, and from then on
// nothing less: counts that go back end the stream on some servers.
func (in *inbox) count() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.told = in.arrived
	in.answered()
	return in.arrived
}

// handled is what is handled of it, up to the first that is not. The server is going to be told.
func (in *inbox) handled() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	h := in.done()
	in.told, in.owed = h, h != in.arrived
	in.answered()
	return h
}

// done is what handled would be, and no less than the server was told. The caller holds mu.
func (in *inbox) done() uint32 {
	h := in.arrived
	if in.busy != nil && in.busy.session == in.session {
		h = in.busy.number
	} else {
		for i := range in.queue { // those of former sessions come first
			if in.queue[i].session == in.session {
				h = in.queue[i].number
				break
			}
		}
	}
	if int32(h-in.told) < 0 {
		h = in.told
	}
	return h
}

// Lend implements link.Lender.
func (in *inbox) Lend(n int) {
	in.mu.Lock()
	in.asking += n
	in.mu.Unlock()
	signal(in.roomMade)
}
