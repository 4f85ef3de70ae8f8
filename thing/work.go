// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"errors"
	"sync"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: what runs beside the reading of the stream. errands are what others want, in turn; a task is what is done
// whenever there is something to do.

const (
	maxErrands = 100 // that wait, in each line
	maxShowing = 4   // that wait in the line of those with tokens, of one account
)

// errands are what others than the owner want, one after the other: the service is asked about them first, and while it
// thinks the owner is heard all the same. Who shows tokens is asked to prove them meanwhile, and may take his time: what comes with
// tokens has a line of its own, so that he holds up nobody who shows none. In that they come one after the other too: the service,
// when it doubts a token, does not say whose showing of it.
type errands struct {
	mu    sync.Mutex
	plain line
	shown line // what came with tokens
	over  bool // nothing is begun any more
	work  sync.WaitGroup
}

// line is errands in turn.
type line struct {
	queue []errand
	busy  bool
	calm  chan struct{} // closed when it is not busy any more
}

type errand struct {
	from jid.JID // bare
	do   func(context.Context)
}

// add has f done in its turn, and reports whether there is room. The caller holds mu.
func (l *line) add(from jid.JID, most int, f func(context.Context)) bool {
	his := 0
	for i := range l.queue {
		if l.queue[i].from == from {
			his++
		}
	}
	if len(l.queue) >= maxErrands || his >= most {
		return false
	}
	l.queue = append(l.queue, errand{from.Clone(), f})
	return true
}

// background runs f on a goroutine that Run waits for, unless it is ending, and reports whether it does.
func (t *Thing) background(f func()) bool {
	t.errands.mu.Lock()
	defer t.errands.mu.Unlock()
	return t.errands.start(f)
}

// finish waits until all that was begun is over.
func (e *errands) finish() {
	e.mu.Lock()
	e.over = true
	e.mu.Unlock()
	e.work.Wait()
}

// do runs f at once if the owner or the service has sent s, and else in its turn. It reports whether there is room.
func (t *Thing) do(ctx context.Context, s *stanza.Stanza, f func(context.Context)) bool {
	if t.isPrompt(s.From) {
		f(ctx)
		return true
	}
	e := &t.errands
	l, most := &e.plain, maxErrands
	if shownBy(s) != (provisioning.Tokens{}) {
		l, most = &e.shown, maxShowing
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !l.add(s.From.Bare(), most, f) {
		t.log.Warn("too much is wanted at once", "from", s.From.String())
		return false
	}
	if !l.busy {
		if l.busy = e.start(func() { t.run(l) }); l.busy {
			l.calm = make(chan struct{})
		}
	}
	return true
}

// idle waits until nothing waits.
func (e *errands) idle(ctx context.Context) error {
	for _, l := range []*line{&e.plain, &e.shown} {
		e.mu.Lock()
		busy, calm := l.busy, l.calm
		e.mu.Unlock()
		if !busy {
			continue
		}
		select {
		case <-calm:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// run does what waits in a line.
func (t *Thing) run(l *line) {
	e := &t.errands
	for {
		e.mu.Lock()
		if len(l.queue) == 0 || t.life.Err() != nil {
			l.queue, l.busy = nil, false
			close(l.calm)
			e.mu.Unlock()
			return
		}
		f := l.queue[0].do
		l.queue[0] = errand{}
		l.queue = l.queue[1:]
		e.mu.Unlock()
		f(t.life)
	}
}

// serve has requests answered, in their turn.
func (t *Thing) serve(typ stanza.Type, name xmlstream.Name, f client.IQHandler) {
	t.client.HandleIQ(typ, name, func(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
		return inTurn(ctx, t, s, f)
	})
}

// inTurn answers a request at once, if the owner has sent it, or later.
func inTurn[P stanza.Payload](ctx context.Context, t *Thing, s *stanza.Stanza, f func(context.Context, *stanza.Stanza) (P, error)) (P, error) {
	var none P
	if t.isPrompt(s.From) {
		return f(ctx, s)
	}
	taken := t.do(ctx, s, func(ctx context.Context) {
		switch p, err := f(ctx, s); {
		case errors.Is(err, client.ErrLater):
		case err != nil:
			t.client.Answer(s, nil, err)
		default:
			t.client.Answer(s, p, nil)
		}
	})
	if !taken {
		return none, stanza.ResourceConstraint.Err("")
	}
	return none, client.ErrLater
}

// refusing has f's errors answered with what beside makes of them, for those who do not read errors; nil adds nothing.
func (t *Thing) refusing(f client.IQHandler, beside func(s *stanza.Stanza, e *stanza.Error) stanza.Payload) client.IQHandler {
	return func(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
		p, err := f(ctx, s)
		if err == nil || errors.Is(err, client.ErrLater) {
			return p, err
		}
		refused, known := stanza.AsError(err)
		if !known {
			t.log.Error("request failed", "from", s.From.String(), "err", err)
		}
		answer := s.Refuse(refused)
		if refused.Condition != stanza.ServiceUnavailable { // which says that there is no thing
			if more := beside(s, refused); more != nil {
				answer.Add(more)
			}
		}
		t.client.Reply(answer)
		return nil, client.ErrLater
	}
}

// isPrompt reports whether somebody is answered without a question to the service.
func (t *Thing) isPrompt(from jid.JID) bool {
	return t.isTrusted(from) || from.Bare() == t.config.Registry
}

// fail makes what a caller is told of an error that the program's own functions have returned.
func fail(err error) error {
	var refused *stanza.Error
	if errors.As(err, &refused) {
		return err
	}
	return stanza.UndefinedCondition.Err(err.Error())
}
