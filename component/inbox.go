// SPDX-License-Identifier: Apache-2.0

package component

// How to read this file. What arrives is put into the lane of its sender; lanes that have something
// to do wait in line, and goroutines that come when there is work take one stanza of one lane each:
//
//	juliet@d │ 4 │ 7 │ 8 │ ◀─ push          ready: juliet@d, romeo@d
//	romeo@d  │ 5 │                          nurse@d is being handled
//	nurse@d  │ 6 │
//
// So a sender's stanzas keep their order, and one who sends much, or whose stanzas take long, delays
// nobody else. A lane has a bound, beyond which its sender is refused; all together have one, beyond
// which no more is read.

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// inbox is what arrived and is not handled.
type inbox struct {
	c   *Component
	ctx context.Context // the handlers'

	mu      sync.Mutex
	lanes   map[jid.JID]*lane // of senders with something to do
	ready   []*lane
	running int // goroutines
	stanzas int
	bytes   int
	stopped bool          // no handler is started any more
	lent    int           // who waits for what the reader has to bring: then the reader must not wait
	moved   chan struct{} // closed when there is more room, or less to do; nil: nobody waits
}

// lane is one sender's stanzas.
type lane struct {
	sender jid.JID
	queue  []job
}

// job is a stanza, or something to run in its turn.
type job struct {
	stanza *stanza.Stanza
	run    func(context.Context)
}

// count notes that a job is there (1), or not any more (-1); what is no stanza takes no room. The caller holds mu.
func (in *inbox) count(j *job, n int) {
	if j.stanza != nil {
		in.stanzas += n
		in.bytes += n * j.stanza.Size()
	}
}

func (in *inbox) init(c *Component) {
	in.c, in.lanes = c, make(map[jid.JID]*lane)
	in.ctx = link.Handling(c.link.Life(), in)
}

// errBusy refuses what there is no room for.
func errBusy() *stanza.Error {
	return stanza.ResourceConstraint.Err("too much waits to be handled")
}

// push queues a job of a sender. The error says that there is no room, for this sender or for anybody.
func (in *inbox) push(sender jid.JID, j job) *stanza.Error {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.lanes[sender]
	switch {
	case in.stopped:
		return stanza.RecipientUnavailable.Err("")
	case j.stanza != nil && (in.full() || l != nil && len(l.queue) >= in.c.config.SenderStanzas):
		return errBusy()
	case l == nil:
		l = &lane{sender: sender}
		in.lanes[sender] = l
		in.ready = append(in.ready, l)
		if in.running < in.c.config.Handlers {
			in.running++
			go in.work()
		}
	}
	l.queue = append(l.queue, j)
	in.count(&j, 1)
	return nil
}

// full reports whether there is no room. The caller holds mu.
func (in *inbox) full() bool {
	return in.stanzas >= in.c.config.InboxStanzas || in.bytes >= in.c.config.InboxBytes
}

// wait waits for room, but not where somebody waits for what comes next, nor after stop is closed.
func (in *inbox) wait(stop <-chan struct{}) {
	in.mu.Lock()
	for in.full() && in.lent == 0 && !in.stopped {
		moved := in.await()
		in.mu.Unlock()
		select {
		case <-moved:
		case <-stop:
			return
		case <-in.ctx.Done():
			return
		}
		in.mu.Lock()
	}
	in.mu.Unlock()
}

// await returns what is closed when something has changed. The caller holds mu.
func (in *inbox) await() <-chan struct{} {
	if in.moved == nil {
		in.moved = make(chan struct{})
	}
	return in.moved
}

// wake tells those who wait. The caller holds mu.
func (in *inbox) wake() {
	if in.moved != nil {
		close(in.moved)
		in.moved = nil
	}
}

// work handles what is ready, and ends when nothing is.
func (in *inbox) work() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.ready) > 0 && !in.stopped {
		l := in.ready[0]
		in.ready[0] = nil
		in.ready = in.ready[1:]
		j := l.queue[0]
		l.queue[0] = job{}
		l.queue = l.queue[1:] // it stays in lanes, so that nobody else takes what follows
		in.mu.Unlock()
		in.run(&j)
		in.mu.Lock()
		in.count(&j, -1)
		if len(l.queue) > 0 {
			in.ready = append(in.ready, l)
		} else {
			delete(in.lanes, l.sender)
		}
		in.wake()
	}
	in.running--
	in.wake()
}

// run handles one job. A panic costs no more than it.
func (in *inbox) run(j *job) {
	defer func() {
		if p := recover(); p != nil {
			in.c.log.Error("a handler panicked", "panic", p, "stack", string(debug.Stack()))
			if j.stanza != nil && answerable(j.stanza) {
				in.c.link.Reply(j.stanza.Refuse(stanza.InternalServerError.Err("")))
			}
		}
	}()
	if j.run != nil {
		j.run(in.ctx)
		return
	}
	in.c.dispatch(in.ctx, j.stanza)
}

// stop starts no more handlers. What is queued is answered.
func (in *inbox) stop() {
	in.mu.Lock()
	in.stopped = true
	var rest []*stanza.Stanza
	for _, l := range in.lanes {
		for _, j := range l.queue {
			if j.stanza != nil && answerable(j.stanza) {
				rest = append(rest, j.stanza)
			}
		}
		l.queue = nil
	}
	clear(in.lanes)
	in.ready = nil
	in.wake()
	in.mu.Unlock()
	for _, s := range rest {
		in.c.link.Reply(s.Refuse(stanza.RecipientUnavailable.Err("")))
	}
}

// settle waits until no handler runs.
func (in *inbox) settle(ctx context.Context) {
	in.mu.Lock()
	for in.running > 0 {
		moved := in.await()
		in.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
		in.mu.Lock()
	}
	in.mu.Unlock()
}

// Lend implements link.Lender.
func (in *inbox) Lend(n int) {
	in.mu.Lock()
	in.lent += n
	in.wake()
	in.mu.Unlock()
}
