// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: ask notes that an owner is to be asked, and does not wait; askAll asks, one after the other. What an owner
// is asked is what he was told last: it becomes no more until he is told again, so that his answer means what he has read.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// asking is what owners are to be asked, which things are to forget what they remember, and who was put into other groups.
type asking struct {
	mu     sync.Mutex
	list   []store.Question // without number and owner
	stale  map[jid.JID]struct{}
	moved  map[move][][]string // in which groups the contact was before, of each change since it was looked at; no more than mostMoves
	recent map[about]moments   // so that not every refusal reads the store
	spoken map[about]time.Time // that had words which want to control nothing
	wake   chan struct{}
}

// about is what there is one question of.
type about struct {
	thing  store.ThingName
	caller jid.JID
	right  store.Right
}

// moments are when it was wanted last, and when it was looked up last whether the owner is asked.
type moments struct{ wanted, looked time.Time }

func (x *asking) init() { x.recent, x.wake = make(map[about]moments), make(chan struct{}, 1) }

// add reports whether there was room.
func (x *asking) add(q store.Question, again time.Duration, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := about{q.Thing, q.Caller, q.Right}
	if at, ok := x.recent[key]; ok && q.Asked.Sub(at.looked) < min(again, recently) && !q.Subscribe {
		x.recent[key] = moments{q.Asked, at.looked}
		return true
	}
	if len(x.list) >= most {
		return false
	}
	if len(x.recent) >= most {
		clear(x.recent)
	}
	x.recent[key] = moments{q.Asked, q.Asked}
	x.list = append(x.list, q)
	awake(x.wake)
	return true
}

// recently is how long it is not looked up again whether a question was asked.
const recently = time.Minute

// heard notes that somebody's words, which want to control nothing, have come to a thing.
func (x *asking) heard(thing, caller jid.JID, now time.Time, most int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.spoken == nil || len(x.spoken) >= most {
		x.spoken = make(map[about]time.Time)
	}
	x.spoken[about{thing: store.ThingName{JID: thing.Clone()}, caller: caller.Clone()}] = now
}

// curious reports whether that was just now.
func (x *asking) curious(thing, caller jid.JID, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	at, ok := x.spoken[about{thing: store.ThingName{JID: thing}, caller: caller}]
	return ok && now.Sub(at) < aside
}

// lately reports whether somebody has wanted something of a thing just now.
func (x *asking) lately(thing store.ThingName, caller jid.JID, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for right := store.RightFriend; right <= store.RightUse; right++ {
		if at, ok := x.recent[about{thing, caller, right}]; ok && now.Sub(at.wanted) < aside {
			return true
		}
	}
	return false
}

// aside is how long what a thing asks by the way counts as being about what somebody has wanted.
const aside = 5 * time.Second

// answered lets it be asked again at once.
func (x *asking) answered(q *store.Question) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.recent, about{q.Thing, q.Caller, q.Right})
}

func (x *asking) refresh(thing jid.JID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stale == nil {
		x.stale = make(map[jid.JID]struct{})
	}
	x.stale[thing.Clone()] = struct{}{}
	awake(x.wake)
}

func (x *asking) take() (list []store.Question, stale map[jid.JID]struct{}, moved map[move][][]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	list, stale, moved = x.list, x.stale, x.moved
	x.list, x.stale, x.moved = nil, nil, nil
	return list, stale, moved
}

// ask has the owners of what is wanted asked about what no rule speaks of.
func (m *Module) ask(thing jid.JID, w *want, st *standing, subscribe bool) {
	nodes := w.nodes
	if len(nodes) == 0 {
		nodes = []store.ThingNode{{}}
	}
	c := m.config.Load()
	for _, n := range nodes {
		d := st.decide(n, w.right, w.names)
		names := d.Unknown
		if d.Verdict != Unknown && len(names) == 0 {
			continue
		}
		if len(w.names) == 0 {
			names = nil
		} else if names = cleaned(names); len(names) == 0 {
			continue
		}
		q := store.Question{
			Thing: store.ThingName{JID: thing.Clone(), ThingNode: n}, Caller: st.caller.Clone(), Right: w.right,
			Names: names, Subscribe: subscribe, Asked: time.Now(),
		}
		if !m.asking.add(q, time.Duration(c.AskAgain), c.Pending) {
			m.metrics.unasked.Inc()
		}
	}
}

// askAll does what waits.
func (m *Module) askAll(ctx context.Context) {
	list, stale, moved := m.asking.take()
	m.regroupAll(ctx, moved)
	for thing := range stale {
		m.clear(ctx, thing)
	}
	for _, q := range list {
		if err := m.askOne(ctx, q); err != nil && ctx.Err() == nil {
			m.log.Error("an owner was not asked", "jid", q.Thing.JID.String(), "err", err)
		}
	}
}

func (m *Module) askOne(ctx context.Context, q store.Question) error {
	owner, label, err := m.things.Thing(ctx, q.Thing.JID, q.Thing.ThingNode)
	if errors.Is(err, store.ErrNotFound) || err == nil && owner.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	q.Owner = owner
	c := m.config.Load()
	old, err := m.store.QuestionAbout(ctx, q.Thing, q.Caller, q.Right)
	switch {
	case err == nil && old.Owner == owner:
		again := q.Asked.Sub(old.Asked) >= time.Duration(c.AskAgain)
		waits := q.Subscribe && !old.Subscribe
		if !again && !waits {
			return nil
		}
		q.Subscribe = q.Subscribe || old.Subscribe
		if !again {
			q.Names, q.Asked = old.Names, old.Asked
			return m.store.Commit(store.AskQuestion{Question: q}).Wait(ctx)
		}
		q.Names = union(old.Names, q.Names)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	default:
		ofThing, ofCaller, err := m.store.QuestionCount(ctx, q.Thing.JID, q.Caller)
		if err != nil {
			return err
		}
		if ofThing >= c.QuestionsPerThing || ofCaller >= c.QuestionsPerCaller {
			m.metrics.unasked.Inc()
			return nil
		}
	}
	if len(q.Names) > c.Names {
		q.Names = q.Names[:max(c.Names, 1)]
		m.metrics.unasked.Inc()
	}
	if err := m.store.Commit(store.AskQuestion{Question: q}).Wait(ctx); err != nil {
		return err
	}
	if q, err = m.store.QuestionAbout(ctx, q.Thing, q.Caller, q.Right); err != nil {
		return err
	}
	m.metrics.asked.Inc()
	m.tell(owner, q.Thing.JID.Domain(), m.asks(&q, label))
	return nil
}

// tell sends an owner a message of the service's, which waits for him where he is away.
func (m *Module) tell(owner jid.JID, domain, text string) {
	s := stanza.Text(stanza.Chat, owner, text)
	s.From, s.ID = m.service.Voice(domain), []byte(rand.Text())
	t := m.server.NewTurn()
	t.Route(s)
	t.End()
}

// asks is a question in words.
func (m *Module) asks(q *store.Question, label string) string {
	text := fmt.Sprintf("%s wants to %s. Say \"yes %d\" or \"no %d\"", q.Caller, does(q.Right, q.Names, called(q.Thing, label)), q.Number, q.Number)
	if len(q.Names) > 1 {
		text += fmt.Sprintf("; \"yes %d %s\" allows only that", q.Number, chat.Quote(printable(q.Names[0])))
	}
	return text + fmt.Sprintf("; \"yes %d for domain\" allows it to all of %s.", q.Number, q.Caller.Domain())
}

// does is what is wanted, or allowed, in words.
func does(right store.Right, names []string, thing string) string {
	if right == store.RightFriend {
		return "see whether " + thing + " is there"
	}
	if len(names) == 0 {
		return verbs(right) + " " + thing
	}
	quoted := make([]string, len(names))
	for i, x := range names {
		quoted[i] = chat.Quote(printable(x)) // as it is said; whoever has chosen it says nothing beside it
	}
	return verbs(right) + " " + strings.Join(quoted, ", ") + " of " + thing
}

// verbs are what a right to do something is to do.
func verbs(right store.Right) string {
	if right == store.RightUse {
		return "read and control"
	}
	return right.String()
}

// called is a thing for people: what its owner calls it, and its address.
func called(n store.ThingName, label string) string {
	at := n.JID.String()
	if n.ID != "" {
		at = printable(n.ID) + " of " + at
	}
	if label == "" || label == at {
		return at
	}
	return printable(label) + " (" + at + ")"
}

// printable is a name that a stranger may have chosen, as it may stand in a line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// union is both lists, of which an empty one is everything.
func union(a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	all := slices.Clone(a)
	for _, x := range b {
		if !named(all, x) {
			all = append(all, x)
		}
	}
	return all
}
