// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// book is one account's contacts: as they are stored, with the changes that are on their way to
// the disk.
type book struct {
	asking sync.Mutex // held before mu: see Module.Asking

	mu       sync.Mutex
	items    map[jid.JID]store.RosterItem
	requests int32 // items with In
	related  int32 // items with Related
	version  int64 // given last, perhaps to a change that failed
	removed  int64 // see store.Roster

	commits sync.Mutex // held for a moment, also within mu
	stored  int64      // the version that is committed; guarded by commits
	pending int32      // commits under way; guarded by commits
	failed  bool       // one of them failed, or see distrust: what is in items is not what is stored; guarded by commits
}

func newBook(kept store.Roster) *book {
	b := new(book)
	b.fill(kept)
	return b
}

// fill makes the book what is stored. The caller holds mu, or has not shared b yet.
func (b *book) fill(kept store.Roster) {
	b.items, b.requests, b.related = nil, 0, 0
	if len(kept.Items) > 0 {
		b.items = make(map[jid.JID]store.RosterItem, len(kept.Items))
	}
	for _, it := range kept.Items {
		b.items[it.Contact] = it
		b.count(it, 1)
	}
	b.version = max(b.version, kept.Version) // no version is given twice
	b.removed = kept.Removed
	b.commits.Lock()
	b.stored, b.failed = kept.Version, false
	b.commits.Unlock()
}

// item is one contact; a hidden one where there is none. The caller holds mu.
func (b *book) item(contact jid.JID) store.RosterItem {
	it, ok := b.items[contact]
	if !ok {
		it = store.RosterItem{Contact: contact, Hidden: true}
	}
	return it
}

// next is the version of a change made now. Versions are milliseconds of the clock, or one more
// than the last where that is not more: so they also ascend from an account that was deleted to
// the next one of its name. The caller holds mu.
func (b *book) next(now time.Time) int64 {
	v := max(b.version+1, now.UnixMilli())
	if b.version == 0 {
		b.removed = v // as in the store: of what came before nothing is known
	}
	b.version = v
	return v
}

// put replaces an item by its next state, which may be that it is gone. The caller holds mu.
func (b *book) put(was, it store.RosterItem, gone bool) {
	if _, there := b.items[it.Contact]; there {
		b.count(was, -1)
	}
	if gone {
		delete(b.items, it.Contact)
		if !was.Hidden {
			b.removed = it.Version
		}
		return
	}
	b.count(it, 1)
	if b.items == nil {
		b.items = make(map[jid.JID]store.RosterItem)
	}
	b.items[it.Contact] = it
}

// count counts an item, or no more.
func (b *book) count(it store.RosterItem, n int32) {
	if it.In != nil {
		b.requests += n
	}
	if it.Related {
		b.related += n
	}
}

// own is how many contacts are the account's own affair, which those are not that come of what it owns. The caller holds mu.
func (b *book) own() int { return len(b.items) - int(b.related) }

func (b *book) begin() {
	b.commits.Lock()
	b.pending++
	b.commits.Unlock()
}

// end says how a commit ended, and reports whether the book must be read again: when the last of
// those under way has ended, since a later one may have been made of what an earlier, failed one
// left in memory.
func (b *book) end(version int64, err error) (again bool) {
	b.commits.Lock()
	defer b.commits.Unlock()
	b.pending--
	if err != nil {
		b.failed = true
	} else {
		b.stored = max(b.stored, version)
	}
	return b.failed && b.pending == 0
}

// distrust says that the book must be read again.
func (b *book) distrust() {
	b.commits.Lock()
	b.failed = true
	b.commits.Unlock()
}

// state reports whether changes are under way, and whether one has failed since the book was read.
func (b *book) state() (pending, failed bool) {
	b.commits.Lock()
	defer b.commits.Unlock()
	return b.pending > 0, b.failed
}

// committed is the version that is stored.
func (b *book) committed() int64 {
	b.commits.Lock()
	defer b.commits.Unlock()
	return b.stored
}
