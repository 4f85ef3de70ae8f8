// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: each room has one timer, by which look is called: outside, to enter; inside, to ask (selfPing) when the room
// was silent for long. noteIn and noteOut are the only ones that change whether the thing is in. A timer that is overtaken does no harm: what it
// would do, look finds not due.

import (
	"context"
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// checkTime is Room.Check where nobody says otherwise. XEP-0410 §3.2
const checkTime = 15 * time.Minute

// Why a thing is in a room no more, beside what rooms say.
var (
	errNewSession = errors.New("thing: the session in which it was there is over")
	errSentOut    = errors.New("thing: the room has sent it out")
)

// RoomState is how a thing stands in a room.
type RoomState struct {
	JID   jid.JID
	Nick  string
	In    bool
	Since time.Time // when it came in or was lost; zero: it was never in
	Lost  int       // how often it was in and then was not
}

// Rooms tells how the thing stands in its rooms, in the order of Config.Rooms.
func (t *Thing) Rooms() []RoomState {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	list := make([]RoomState, len(t.rooms.list))
	for i, r := range t.rooms.list {
		list[i] = RoomState{r.JID, r.nick, r.in, r.since, r.lost}
	}
	return list
}

// noteIn notes that the thing is in a room, by that nick. The caller holds rooms.mu.
func (t *Thing) noteIn(r *room, nick string) {
	if !r.in {
		r.since = time.Now()
		t.log.Info("room entered", "from", r.JID.String())
	}
	r.in, r.nick, r.wait = true, nick, enterAgain
	if r.Check > 0 {
		t.lookAfter(r, r.Check)
	} else {
		t.stopLooking(r)
	}
}

// noteOut notes that it is in a room no more, where it obeys nobody then. The caller holds rooms.mu.
func (t *Thing) noteOut(r *room, why error) {
	if r.in {
		r.since = time.Now()
		r.lost++
		t.log.Warn("room lost", "from", r.JID.String(), "err", why)
	}
	r.in, r.occupants = false, make(map[string]occupant)
}

// lookAfter has look called after a while, and not before. The caller holds rooms.mu.
func (t *Thing) lookAfter(r *room, wait time.Duration) {
	switch {
	case t.life.Err() != nil:
	case r.timer == nil:
		r.timer = time.AfterFunc(wait, func() { t.background(func() { t.look(t.life, r) }) })
	default:
		r.timer.Reset(wait)
	}
}

// stopLooking has it not called. The caller holds rooms.mu.
func (t *Thing) stopLooking(r *room) {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// leaveAlone ends looking after rooms. Life is over.
func (t *Thing) leaveAlone() {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	for _, r := range t.rooms.list {
		t.stopLooking(r)
	}
}

// heardOf notes that something has come from a room.
func (t *Thing) heardOf(r *room) {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	r.heard = time.Now()
}

// look does what is due.
func (t *Thing) look(ctx context.Context, r *room) {
	t.rooms.mu.Lock()
	in, nick, silent := r.in, r.nick, time.Since(r.heard)
	switch {
	case r.banished:
		t.rooms.mu.Unlock()
	case !t.client.Online(): // a new session will enter; of one that goes on it is found out then
		t.lookAfter(r, enterTime)
		t.rooms.mu.Unlock()
	case !in:
		t.rooms.mu.Unlock()
		t.enter(ctx, r)
	case r.Check < 0: // it is never asked
		t.rooms.mu.Unlock()
	case silent < r.Check:
		t.lookAfter(r, r.Check-silent)
		t.rooms.mu.Unlock()
	default:
		t.rooms.mu.Unlock()
		t.selfPing(ctx, r, nick)
	}
}

// selfPing asks a room whether the thing is in it still. XEP-0410 §3.2
func (t *Thing) selfPing(ctx context.Context, r *room, nick string) {
	to, err := r.JID.WithResource(nick)
	if err != nil {
		return
	}
	within, cancel := context.WithTimeout(ctx, enterTime)
	defer cancel()
	_, err = t.client.IQ(within, to, stanza.Get, &ping.Ping{})
	var refused *stanza.Error
	isRefused := errors.As(err, &refused)
	if isRefused {
		switch refused.Condition {
		case stanza.ServiceUnavailable, stanza.FeatureNotImplemented, stanza.ItemNotFound:
			err = nil // somebody of ours was asked, who knows no pings
		case stanza.RemoteServerNotFound, stanza.RemoteServerTimeout:
			isRefused = false
		}
	}
	switch {
	case ctx.Err() != nil:
	case isRefused && err != nil:
		t.lose(ctx, r, nick, refused)
	default:
		t.rooms.mu.Lock()
		defer t.rooms.mu.Unlock()
		if !r.in || r.nick != nick {
			return // that was found out meanwhile, and is looked after
		}
		if err == nil {
			r.heard, r.wait = time.Now(), enterAgain
			t.lookAfter(r, r.Check)
			return
		}
		t.log.Warn("room not reached: whether the thing is in it is not known", "from", r.JID.String(), "err", err)
		t.lookAfter(r, r.wait)
		r.wait = min(2*r.wait, enterLatest)
	}
}

// lose notes that a room does not know the thing by that nick, and enters it again.
func (t *Thing) lose(ctx context.Context, r *room, nick string, why error) {
	t.rooms.mu.Lock()
	if !r.in || nick != "" && r.nick != nick {
		t.rooms.mu.Unlock()
		return
	}
	t.noteOut(r, why)
	t.rooms.mu.Unlock()
	t.enter(ctx, r)
}
