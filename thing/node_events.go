// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: a concentrator's nodes come, change and go (SetNodes, SetState), and whoever has subscribed to their data source
// is told (watchers, events), as far as he may do anything with them: of what is to come, or of what he has missed as well, as far back as
// that is remembered. Subscriptions end with the session of either side.

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

const (
	maxWatchers     = 100  // subscriptions
	maxOfOne        = 20   // of them, of one account; then its oldest goes
	maxEvents       = 4096 // that wait to be told to one of them
	maxPast         = 1000 // that are remembered for who subscribes later
	eventsOfMessage = 20
	messagesOfANode = 20 // that are remembered
)

// watcher is somebody who has subscribed to a data source. XEP-0326 §3.2.4
type watcher struct {
	who      jid.JID // full
	source   string
	events   concentrator.Events
	messages bool   // he is told messages, too
	next     uint64 // the event that he is to be told next, if it is one of his
}

// event is something that has happened.
type event struct {
	concentrator.Event
	at time.Time
}

// watchers are all of them, the oldest first, and what they are to be told.
type watchers struct {
	task task

	mu     sync.Mutex
	list   []watcher
	events []event   // the latest, up to next
	next   uint64    // the number of the next
	begun  time.Time // all that has happened since is among events; zero: it has not begun
	lost   bool      // somebody was not told in time, and is not told any more
}

// begin has what happens from now on remembered, and nothing of before.
func (w *watchers) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.begun = nil, time.Now()
	for i := range w.list {
		w.list[i].next = w.next
	}
}

// change subscribes somebody, or takes that back.
func (w *watchers) change(who jid.JID, q *concentrator.Request) concentrator.Result {
	events := concentrator.AllEvents &^ q.Without
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.list, func(x watcher) bool { return x.who == who && x.source == q.Source })
	if q.Capability == concentrator.Unsubscribe {
		if i >= 0 {
			if w.list[i].events &^= events; w.list[i].events == 0 {
				w.list = slices.Delete(w.list, i, i+1)
			}
		}
		return concentrator.OK
	}
	next := w.next
	if !q.Since.IsZero() {
		var known bool
		if next, known = w.since(q.Since.In(time.UTC)); !known {
			return concentrator.NotImplemented // and nothing is subscribed. XEP-0326 §3.2.7
		}
	}
	if i < 0 {
		w.makeRoom(who)
	}
	switch {
	case i >= 0:
		x := &w.list[i]
		x.events, x.messages, x.next = events, q.Messages, min(x.next, next)
	case len(w.list) >= maxWatchers:
		return concentrator.OtherError
	case events != 0:
		w.list = append(w.list, watcher{who.Clone(), q.Source, events, q.Messages, next})
	}
	return concentrator.OK
}

// makeRoom ends the oldest subscription of an account that has as many as it may: whose presence is not seen does not end them by leaving.
// The caller holds mu.
func (w *watchers) makeRoom(who jid.JID) {
	oldest, has := -1, 0
	for i := range w.list {
		if w.list[i].who.Bare() != who.Bare() {
			continue
		}
		if has++; oldest < 0 {
			oldest = i
		}
	}
	if has >= maxOfOne {
		w.list = slices.Delete(w.list, oldest, oldest+1)
	}
}

// since is the first event since a point in time, unless not all since then is remembered. How long ago that is is said by the clock as it
// stands, and how long ago things happened by one that nobody sets: a device may have begun in 1970. The caller holds mu.
func (w *watchers) since(at time.Time) (first uint64, known bool) {
	now := time.Now()
	ago := now.Sub(at)
	if ago < 0 || ago >= now.Sub(w.begun) {
		return 0, false // who is ahead of this clock may have missed what he does not ask for
	}
	old := slices.IndexFunc(w.events, func(e event) bool { return now.Sub(e.at) <= ago })
	if old < 0 {
		return w.next, true
	}
	return w.next - uint64(len(w.events)-old), true
}

// gone ends the subscriptions of somebody who has left; the zero JID is everybody.
func (w *watchers) gone(who jid.JID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = slices.DeleteFunc(w.list, func(x watcher) bool { return who.IsZero() || x.who == who || who.IsBare() && x.who.Bare() == who })
}

// add notes what has happened.
func (w *watchers) add(events ...concentrator.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun.IsZero() {
		return
	}
	now := time.Now()
	for _, e := range events {
		w.events = append(w.events, event{e, now})
	}
	w.next += uint64(len(events))
	w.trim()
}

// trim forgets what is old, and who would have to be told too much. The caller holds mu.
func (w *watchers) trim() {
	waiting := uint64(0)
	w.list = slices.DeleteFunc(w.list, func(x watcher) bool {
		if w.next-x.next > maxEvents {
			w.lost = true // if he subscribes again he looks at all of it first
			return true
		}
		waiting = max(waiting, w.next-x.next)
		return false
	})
	if over := len(w.events) - max(int(waiting), maxPast); over > 0 {
		w.begun = w.events[over-1].at
		clear(w.events[:over])
		w.events = w.events[over:]
	}
}

// take is what there is to be told, which counts as told then: whom, and the events, of which the last is before number next.
func (w *watchers) take() (list []watcher, events []event, next uint64, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list, next, lost = slices.Clone(w.list), w.next, w.lost
	first := next
	for i := range w.list {
		first = min(first, w.list[i].next)
		w.list[i].next = next
	}
	events = slices.Clone(w.events[len(w.events)-int(next-first):])
	w.lost = false
	w.trim()
	return list, events, next, lost
}

// tellWatchers tells what has happened. XEP-0326 §3.8
func (t *Thing) tellWatchers(ctx context.Context) {
	list, events, next, lost := t.watchers.take()
	if lost {
		t.log.Warn("nodes change faster than it is told: somebody is told no more who does not subscribe again")
	}
	// The owner first: about the others a service is asked that may be slow.
	slices.SortStableFunc(list, func(a, b watcher) int {
		switch first, second := t.isTrusted(a.who), t.isTrusted(b.who); {
		case first == second:
			return 0
		case first:
			return -1
		}
		return 1
	})
	for i := range list {
		var message []stanza.Payload
		send := func() {
			if len(message) > 0 {
				// A headline: what is told to nobody is not kept.
				if err := t.client.Send(ctx, stanza.New(stanza.Message, stanza.Headline, list[i].who, message...)); err != nil {
					t.log.Error("change of nodes not told", "to", list[i].who.String(), "err", err)
				}
			}
			message = nil
		}
		for _, e := range events[len(events)-int(next-list[i].next):] {
			if !t.tailor(ctx, &list[i], &e.Event) {
				continue
			}
			if message = append(message, &e.Event); len(message) == eventsOfMessage {
				send()
			}
		}
		send()
	}
}

// tailor makes an event what a watcher is told of it, and reports whether he is told at all.
func (t *Thing) tailor(ctx context.Context, w *watcher, e *concentrator.Event) bool {
	i := &e.Info
	if w.source != i.Node.Source || w.events&e.Kind == 0 || !t.sees(ctx, w.who, unsourced(i.Node)) {
		return false
	}
	if !w.messages {
		i.Messages = nil
	}
	if i.Parent.ID != "" && !t.sees(ctx, w.who, unsourced(NodeID{ID: i.Parent.ID, Source: i.Node.Source})) {
		i.Parent = concentrator.Node{} // who may not see it is not told that there is one
	}
	i.HasChildren = slices.ContainsFunc(t.all()[1:], func(b *body) bool {
		return b.Parent == i.Node.ID && sourceOf(b.NodeID) == i.Node.Source && t.sees(ctx, w.who, b.NodeID)
	})
	return true
}

// unsourced is the address of a node as programs and rules have it, of one as it is told.
func unsourced(n NodeID) NodeID {
	if n.Source == concentrator.Topology {
		n.Source = ""
	}
	return n
}

// replace puts other nodes in the place of those that are there, and returns what has happened by that. The caller holds mu.
func (t *Thing) replace(nodes []Node) (events []concentrator.Event) {
	before := make(map[NodeID]*body)
	for _, b := range t.bodies {
		before[b.NodeID] = b
	}
	list := []*Node{t.config.own()}
	for i := range nodes {
		n := nodes[i]
		list = append(list, &n)
	}
	old := t.bodies
	t.bodies = nil
	for _, n := range list {
		b := &body{Node: n, reading: new(sync.Mutex), latest: func() []Field { return t.ring.latest(n.NodeID) }, state: concentrator.None}
		was := before[n.NodeID]
		if was != nil {
			b.reading, b.state, b.messages, b.changed = was.reading, was.state, was.messages, was.changed
		}
		if t.bodies = append(t.bodies, b); isOwn(n.NodeID) || was != nil && was.looks() == b.looks() {
			delete(before, n.NodeID)
			continue
		}
		kind := concentrator.NodeAdded
		if was != nil {
			kind = concentrator.NodeUpdated
			delete(before, n.NodeID)
		}
		if t.running.Load() {
			b.changed = xsd.At(time.Now())
		}
		events = append(events, concentrator.Event{Kind: kind, Info: b.told()})
	}
	var gone []concentrator.Event
	for _, b := range old {
		if before[b.NodeID] != nil {
			t.ring.forget(b.NodeID)
			gone = append(gone, concentrator.Event{Kind: concentrator.NodeRemoved, Info: concentrator.Info{Node: b.told().Node}})
		}
	}
	return append(gone, events...)
}

// looks is what of a node is seen in events.
func (b *body) looks() (x struct {
	name, parent                     string
	readable, controllable, commands bool
}) {
	i := b.told()
	x.name, x.parent, x.readable, x.controllable, x.commands = i.Name, i.Parent.ID, i.Readable, i.Controllable, i.HasCommands
	return x
}

// SetState says how a node is, and why: whoever watches it is told, and whoever asks later. The latest messages are kept. It fails if
// there is no such node.
func (t *Thing) SetState(id NodeID, state concentrator.State, messages ...concentrator.Message) error {
	if !state.Valid() {
		return fmt.Errorf("thing: %q is no state of a node", state)
	}
	now := xsd.At(time.Now())
	messages = slices.Clone(messages)
	for i := range messages {
		if m := &messages[i]; m.At.IsZero() {
			m.At = now
		}
		if messages[i].Grade == "" {
			messages[i].Grade = concentrator.Notice
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var b *body // as it is now: SetNodes makes others
	if list := meantOf(t.bodies, id, t.told(NodeID{})); len(list) > 0 {
		b = list[0]
	}
	switch {
	case b == nil || isOwn(b.NodeID):
		return fmt.Errorf("thing: there is no node %s to be %s", nodeName(id), state)
	case b.state == state && len(messages) == 0:
		return nil
	}
	b.state, b.changed = state, now
	b.messages = append(slices.Clone(b.messages), messages...) // who asks has the slice of before
	b.messages = b.messages[max(0, len(b.messages)-messagesOfANode):]
	e := concentrator.Event{Kind: concentrator.NodeStatusChanged, Info: concentrator.Info{Node: b.told().Node, State: state, Messages: messages}}
	t.watchers.add(e)
	t.wake(&t.watchers.task, t.tellWatchers)
	return nil
}
