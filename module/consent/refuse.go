// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: refuse says no, to who has some right that it is forbidden and to everybody else that nobody is there;
// refusals are what was refused and is not written yet.

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// refuse notes that s was refused, has the owner asked where no rule says so, and returns the error for the caller: to a headline
// nothing is answered. Who is met in a room is told that it is forbidden, too: a room puts out whom it takes for gone (XEP-0045 §18.1.2).
func (m *Module) refuse(t *server.Turn, thing jid.JID, s *stanza.Stanza, w *want, st *standing, d Decision) error {
	m.note(thing, w, st.caller)
	if !w.silent && w.need != needOwner && (d.Verdict == Unknown || len(d.Unknown) > 0) {
		m.ask(thing, w, st, s.Kind == stanza.Presence)
	}
	if s.Type == stanza.Headline {
		return server.Handled
	}
	var e *stanza.Error
	var beside []stanza.Payload // for who waits for that, and reads no errors
	switch {
	case !st.any() && !st.met:
		return stanza.ServiceUnavailable.Err("") // RFC 6121 §8.5
	case w.way == wayControl:
		e = control.Rejected(stanza.Forbidden, "nothing was done: not all of it is for you", denied(w, d)...)
		if s.Has(control.NS, (*control.Set)(nil).XMLName().Local) {
			beside = append(beside, control.RefusalOf(e))
		}
	case w.way == wayReadout:
		text := ""
		if d.Verdict == All { // everything, but
			text = "not everything is for you: ask for what you want by name"
		}
		e = sensordata.Rejected(stanza.Forbidden, text)
		if r := sensordata.RejectionOf(s, e); r != nil {
			beside = append(beside, r)
		}
	default:
		return stanza.Forbidden.Err("")
	}
	if s.Kind != stanza.IQ || len(beside) == 0 {
		return e
	}
	t.Refuse(s, e, beside...)
	return server.Handled
}

// denied are the parameters of a command that may not be set, where others may.
func denied(w *want, d Decision) (errs []control.ParamError) {
	if d.Verdict != Some {
		return nil
	}
	for _, name := range w.names {
		if !named(d.Names, name) && len(errs) < control.MaxParameters {
			errs = append(errs, control.ParamError{Name: name, Text: "it is not for you"})
		}
	}
	return errs
}

// note has a refusal written.
func (m *Module) note(thing jid.JID, w *want, caller jid.JID) {
	way := w.way
	if w.unproven {
		way = wayToken
	}
	m.metrics.refused[way].Inc()
	now := time.Now()
	nodes := w.nodes
	if len(nodes) == 0 {
		nodes = []store.ThingNode{{}}
	}
	right := w.right
	if w.need == needAny || w.need == needOwner {
		right = store.AnyRight
	}
	r := store.Refusal{
		Thing: store.ThingName{JID: thing.Clone(), ThingNode: clip(nodes[0])}, Caller: caller.Clone(), Right: right, Way: way,
		Names: cleaned(w.names), First: now, Last: now, Count: 1,
	}
	if !m.refusals.add(r, m.config.Load().Pending) {
		m.metrics.lost.Inc()
	}
}

// clip shortens what a stranger has said.
func clip(n store.ThingNode) store.ThingNode {
	const most = 256
	for _, s := range []*string{&n.ID, &n.Source, &n.Cache} {
		if len(*s) > most {
			*s = (*s)[:most]
		}
	}
	return n
}

// cleaned are names as the store takes them: not too many, and none that it refuses.
func cleaned(names []string) (list []string) {
	for _, x := range names {
		if x != "" && len(x) <= store.MaxConsentName && len(list) < 20 {
			list = append(list, x)
		}
	}
	return list
}

// refusals wait to be written. Those of one kind wait as one.
type refusals struct {
	mu   sync.Mutex
	list map[refusal]*store.Refusal
	wake chan struct{}
}

type refusal struct {
	thing  store.ThingName
	caller jid.JID
	right  store.Right
	way    string
}

func (x *refusals) init() {
	x.list, x.wake = make(map[refusal]*store.Refusal), make(chan struct{}, 1)
}

func (x *refusals) add(r store.Refusal, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := refusal{r.Thing, r.Caller, r.Right, r.Way}
	if old := x.list[key]; old != nil {
		old.Count++
		old.Last, old.Names = r.Last, r.Names
		return true
	}
	if len(x.list) >= most {
		return false
	}
	x.list[key] = &r
	awake(x.wake)
	return true
}

func (x *refusals) take() map[refusal]*store.Refusal {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.list
	x.list = make(map[refusal]*store.Refusal)
	return list
}

func awake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// writeRefusals writes what waits, and returns when it is stored: what comes meanwhile waits as one.
func (m *Module) writeRefusals(ctx context.Context) {
	keep := m.config.Load().RefusalsPerThing
	var ops []store.Op
	for _, r := range m.refusals.take() {
		ops = append(ops, store.AddRefusal{Refusal: *r, Within: time.Minute, Keep: max(keep, 1)})
	}
	for some := range slices.Chunk(ops, 100) {
		if err := m.store.Commit(some...).Wait(ctx); err == nil {
			continue
		}
		for _, op := range some { // one of an account that is gone is no reason to lose the others
			if err := m.store.Commit(op).Wait(ctx); err != nil {
				m.metrics.lost.Inc()
			}
		}
	}
}
