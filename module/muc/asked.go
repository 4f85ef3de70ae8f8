// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"maps"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// asked is who has asked, of late, for what others decide on. It outlives the rooms in memory: those in which nobody is are asked, too.
type asked struct {
	mu   sync.Mutex
	last map[petition]time.Time
}

// petition is somebody's, by the type of the form in which it is told.
type petition struct {
	room, user jid.JID
	form       string
}

// mayAsk notes that somebody asks, or refuses where he has done so a moment ago.
func (r *room) mayAsk(user jid.JID, form string) error {
	m, now := r.module, time.Now()
	limits := m.config.Load()
	x := &m.asked
	x.mu.Lock()
	defer x.mu.Unlock()
	key := petition{r.jid, user, form}
	if last, again := x.last[key]; again && now.Sub(last) < limits.RequestAgain {
		return m.limited("request_again", stanza.ResourceConstraint.Err("you have asked already; wait for an answer"))
	}
	if len(x.last) >= limits.MaxRooms {
		maps.DeleteFunc(x.last, func(_ petition, last time.Time) bool { return now.Sub(last) >= limits.RequestAgain })
	}
	if x.last == nil || len(x.last) >= limits.MaxRooms { // then some may ask again too soon
		x.last = make(map[petition]time.Time)
	}
	key.user = user.Clone()
	x.last[key] = now
	return nil
}

// forget is for an account that goes: the next of its address has not asked.
func (x *asked) forget(user jid.JID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.DeleteFunc(x.last, func(p petition, _ time.Time) bool { return p.user == user })
}
