// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: news are the accounts that have to be told what has become of them; Run tells those that are there.
// What a thing has to be told is in the store, and stays there until the thing has answered.

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// news are accounts that have to be told something.
type news struct {
	mu     sync.Mutex
	untold map[jid.JID]uint64       // how often there was news of it
	bereft map[store.ThingName]bool // disowned by bereaved, and nobody's since
	queue  []jid.JID                // to be told now
	queued map[jid.JID]bool
	wake   chan struct{}
}

func (n *news) init() {
	n.untold, n.queued, n.wake = make(map[jid.JID]uint64), make(map[jid.JID]bool), make(chan struct{}, 1)
	n.bereft = make(map[store.ThingName]bool)
}

// add says that there is news of an account.
func (n *news) add(account jid.JID) {
	account = account.Clone()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.untold[account]++
	n.enqueue(account)
}

// again has all told again that are there and have not answered.
func (n *news) again() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for account := range n.untold {
		n.enqueue(account)
	}
}

// here says that an account is there now.
func (n *news) here(account jid.JID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.untold[account] > 0 {
		n.enqueue(account)
	}
}

func (n *news) enqueue(account jid.JID) {
	if n.queued[account] {
		return
	}
	n.queued[account] = true
	n.queue = append(n.queue, account)
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// next takes one to be told, and how often there was news of it.
func (n *news) next() (account jid.JID, times uint64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.queue = nil
		return account, 0, false
	}
	account, n.queue = n.queue[0], n.queue[1:]
	delete(n.queued, account)
	return account, n.untold[account], true
}

// told says that an account knows all that there was up to then.
func (n *news) told(account jid.JID, times uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.untold[account] == times {
		delete(n.untold, account)
	}
}

// parted reports whether a thing that is nobody's has been bereaved since it was somebody's, and says so for the next time.
func (n *news) parted(x store.ThingName) (before bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before = n.bereft[x]
	n.bereft[x] = true
	return before
}

// passed says that a thing gets another owner, or is registered anew.
func (n *news) passed(x store.ThingName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.bereft, x)
}

func (n *news) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.untold)
}

// resume reads at the start who has to be told something. What others keep for owners that are no more, a crash may have left.
func (m *Module) resume(ctx context.Context) error {
	list, err := m.store.ThingsToTell(ctx)
	if err != nil {
		return err
	}
	for _, account := range list {
		if err := m.bereaved(ctx, account); err != nil {
			return err
		}
		m.news.untold[account] = 1
	}
	return nil
}

// bereaved commits what else there is to do for those of an account's things that are nobody's since the account of their owner
// was deleted.
func (m *Module) bereaved(ctx context.Context, account jid.JID) error {
	for f := (store.ThingFilter{Account: account, Free: true}); ; {
		page, err := m.store.ListThings(ctx, f)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			x := &page[i]
			f.After = x.Row
			if x.Notice != store.NoticeDisowned || m.news.parted(x.ThingName) {
				continue
			}
			var ops []store.Op
			for _, g := range m.owners {
				ops = append(ops, g(x.JID, x.ThingNode, jid.JID{}, jid.JID{})...)
			}
			if err := m.store.Commit(ops...).Wait(ctx); err != nil {
				m.news.passed(x.ThingName)
				return err
			}
		}
	}
}

// deleted runs when an account was deleted: what it owned is nobody's now.
func (m *Module) deleted(_ *server.Turn, u *server.User) {
	ctx := context.Background()
	m.news.forget(u.JID)
	list, err := m.store.ThingsToTell(ctx)
	for _, account := range list {
		if e := m.bereaved(ctx, account); e != nil {
			err = e
		}
		m.news.add(account)
	}
	if err != nil {
		m.log.Error("things not told that their owner is gone", "jid", u.JID.String(), "err", err)
	}
}

// forget says that an account is no more.
func (n *news) forget(account jid.JID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.untold, account)
	for x := range n.bereft {
		if x.JID == account {
			delete(n.bereft, x)
		}
	}
}

// changed sees who comes.
func (m *Module) changed(_ *server.Turn, se *server.Session, was server.Presence) {
	if !was.Available && se.Presence().Available && m.Known(se.User.JID) {
		m.news.here(se.User.JID)
	}
}

// Run tells things what has become of them.
func (m *Module) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.news.wake:
		case <-time.After(max(m.config.Load().TellEvery, time.Second)):
			m.news.again()
		}
		for {
			account, times, ok := m.news.next()
			if !ok {
				break
			}
			if err := m.tell(ctx, account, times); err != nil && ctx.Err() == nil {
				m.log.Error("a thing was not told what has become of it", "jid", account.String(), "err", err)
			}
		}
	}
}

// tell asks the sessions of an account to take note, if there are any. Each thing that it is about is answered for once.
func (m *Module) tell(ctx context.Context, account jid.JID, times uint64) error {
	u, release, ok := m.server.Lookup(account)
	if !ok {
		return nil // it is told when it comes
	}
	defer release()
	there := slices.DeleteFunc(u.Sessions(nil), func(se *server.Session) bool { return !se.Presence().Available })
	if len(there) == 0 {
		return nil
	}
	var all []store.Thing
	for f := (store.ThingFilter{Account: account}); ; {
		page, err := m.store.ListThings(ctx, f)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, x := range page {
			if x.Notice != store.NoNotice {
				all = append(all, x)
			}
		}
		f.After = page[len(page)-1].Row
	}
	if len(all) == 0 {
		m.news.told(account, times)
		return nil
	}
	left := &remaining{n: len(all), done: func() { m.news.told(account, times) }}
	t := m.server.NewTurn()
	defer t.End()
	for i := range all {
		once := new(sync.Once)
		for _, se := range there {
			m.ask(t, se.JID, &all[i], func() { once.Do(left.one) })
		}
	}
	return nil
}

// remaining counts down.
type remaining struct {
	mu   sync.Mutex
	n    int
	done func()
}

func (r *remaining) one() {
	r.mu.Lock()
	r.n--
	last := r.n == 0
	r.mu.Unlock()
	if last {
		r.done()
	}
}

// ask tells one session what has become of a thing; noted is called when it has answered, and that is kept.
func (m *Module) ask(t *server.Turn, to jid.JID, x *store.Thing, noted func()) {
	iq := stanza.New(stanza.IQ, stanza.Set, to, notice(x))
	iq.From = m.Address(to.Domain())
	told := store.ToldThing{Name: x.ThingName, Owner: x.Owner, Notice: x.Notice}
	m.server.Ask(t, iq, m.config.Load().AnswerWithin, func(_ *server.Turn, answer *stanza.Stanza) {
		if answer == nil || answer.Type != stanza.Result {
			return
		}
		m.store.Commit(told).OnDone(func(err error) {
			if err == nil {
				noted()
			}
		})
	})
}

// notice is what a thing is told.
func notice(x *store.Thing) stanza.Payload {
	node := registry.Node(x.ThingNode)
	switch x.Notice {
	case store.NoticeClaimed:
		return &registry.Claimed{JID: x.Owner, Node: node, Private: !x.Public}
	case store.NoticeRemoved:
		return &registry.Removed{Node: node}
	}
	return &registry.Disowned{Node: node}
}
