// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"strings"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// stops are the emergency stops that were begun as soon as they were heard, until their words have their turn and are
// answered.
type stops struct {
	mu    sync.Mutex
	begun map[string]*halt // by sender and id
}

// halt is one run of Config.Stop.
type halt struct {
	done chan struct{}
	err  error
}

// maxStops is how many may wait for their words' turn.
const maxStops = 32

// halt runs Config.Stop.
func (t *Thing) halt() *halt {
	h := &halt{done: make(chan struct{})}
	t.background(func() {
		defer close(h.done)
		t.log.Warn("emergency stop")
		if h.err = t.config.Stop(t.life); h.err != nil {
			t.log.Error("the emergency stop failed", "err", h.err)
		}
	})
	return h
}

// early hears "stop" before its turn, from whoever is obeyed without a question: what is being done may take long. It does
// not wait.
func (t *Thing) early(s *stanza.Stanza) {
	if t.life.Err() != nil || s.Find(delay.NS, "delay") >= 0 || !isStop(stanza.BodyOf(s)) {
		return
	}
	switch s.Type {
	case stanza.Groupchat:
		if !t.mayStop(s.From) {
			return
		}
	case stanza.Chat, stanza.Normal:
		if !t.isTrusted(s.From) {
			return
		}
	default:
		return
	}
	key := s.From.String() + "\x00" + string(s.ID)
	t.stops.mu.Lock()
	defer t.stops.mu.Unlock()
	if t.stops.begun[key] != nil {
		return // it came again
	}
	if t.stops.begun == nil || len(t.stops.begun) >= maxStops {
		t.stops.begun = make(map[string]*halt)
	}
	t.stops.begun[key] = t.halt()
}

func isStop(said string) bool {
	return len(said) < 64 && strings.EqualFold(strings.Trim(said, " \t\r\n!."), "stop")
}

// chatStop answers "stop", and stops if that was not begun when it was heard.
func (t *Thing) chatStop(ctx context.Context, k *talk) {
	if !k.may(ctx, toControl, NodeID{}, []string{"stop"}).allows("stop") {
		t.decline(ctx, k, "You may not do that.")
		return
	}
	t.stops.mu.Lock()
	h := t.stops.begun[k.id]
	delete(t.stops.begun, k.id)
	t.stops.mu.Unlock()
	if h == nil {
		h = t.halt()
	}
	select {
	case <-h.done:
	case <-ctx.Done():
		return
	}
	if h.err != nil {
		k.answer(ctx, nil, "stop: "+h.err.Error())
		return
	}
	k.answer(ctx, nil, "stopped")
}
