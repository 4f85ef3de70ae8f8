// SPDX-License-Identifier: Apache-2.0

package pep

import (
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// elsewhere are the clients of contacts that are no accounts of ours: of each account that has such
// contacts, those from which it was sent presence. It is kept whether or not the account is online: what
// is published does not depend on that (XEP-0163 §3).
type elsewhere struct {
	mu sync.Mutex
	m  map[pair]map[jid.JID]*interest // by full address
	n  int
}

// pair is an account and one of its contacts.
type pair struct{ owner, contact jid.JID }

func (e *elsewhere) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// get returns the client, nil for none.
func (e *elsewhere) get(owner, who jid.JID) *interest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m[pair{owner, who.Bare()}][who]
}

// of are the clients of a contact.
func (e *elsewhere) of(owner, contact jid.JID) (all []*interest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.m[pair{owner, contact}] {
		all = append(all, x)
	}
	return all
}

// join returns the client, which is made where it is new: nil where the contact, or all together, have
// too many.
func (e *elsewhere) join(owner, who jid.JID, each, all int) (x *interest, isNew bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := pair{owner, who.Bare()}
	if x := e.m[key][who]; x != nil {
		return x, false
	}
	if len(e.m[key]) >= each || e.n >= all {
		return nil, false
	}
	if e.m == nil {
		e.m = make(map[pair]map[jid.JID]*interest)
	}
	if e.m[key] == nil {
		e.m[key] = make(map[jid.JID]*interest)
	}
	x = &interest{who: who, owner: owner}
	e.m[key][who] = x
	e.n++
	return x, true
}

// leave forgets a client; a bare address is all of a contact's.
func (e *elsewhere) leave(owner, who jid.JID) {
	if who.IsBare() {
		e.forget(owner, who)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := pair{owner, who.Bare()}
	if x := e.m[key][who]; x != nil {
		x.leave()
		delete(e.m[key], who)
		e.n--
	}
	if len(e.m[key]) == 0 {
		delete(e.m, key)
	}
}

// forget forgets all clients of a contact.
func (e *elsewhere) forget(owner, contact jid.JID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(pair{owner, contact})
}

// drop forgets what was kept for an account.
func (e *elsewhere) drop(owner jid.JID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.m {
		if key.owner == owner {
			e.remove(key)
		}
	}
}

// remove is forget for one who holds mu.
func (e *elsewhere) remove(key pair) {
	for _, x := range e.m[key] {
		x.leave()
	}
	e.n -= len(e.m[key])
	delete(e.m, key)
}

// interested appends the clients of a contact that ask for a node.
func (e *elsewhere) interested(dst []jid.JID, owner, contact jid.JID, node string, moment uint64) []jid.JID {
	for _, x := range e.of(owner, contact) {
		if x.wanted(node, moment) {
			dst = append(dst, x.who)
		}
	}
	return dst
}
