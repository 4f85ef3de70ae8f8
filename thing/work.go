// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"errors"
	"sync"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: what runs beside the reading of the stream. errands are what others want, in turn; a task is what is done
// whenever there is something to do.

// maxErrands is how much of what others want may wait.
const maxErrands = 100

// errands are what others than the owner want, one after the other: the service is asked about them first, and while it
// thinks the owner is heard all the same.
type errands struct {
	mu    sync.Mutex
	queue []func(context.Context)
	busy  bool
	calm  chan struct{} // closed when it is not busy any more
	over  bool          // nothing is begun any more
	work  sync.WaitGroup
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
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) >= maxErrands {
		t.log.Warn("too much is wanted at once", "from", s.From.String())
		return false
	}
	e.queue = append(e.queue, f)
	if !e.busy {
		if e.busy = e.start(t.run); e.busy {
			e.calm = make(chan struct{})
		}
	}
	return true
}

// idle waits until nothing waits.
func (e *errands) idle(ctx context.Context) error {
	e.mu.Lock()
	busy, calm := e.busy, e.calm
	e.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-calm:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run does what waits.
func (t *Thing) run() {
	e := &t.errands
	for {
		e.mu.Lock()
		if len(e.queue) == 0 || t.life.Err() != nil {
			e.queue, e.busy = nil, false
			close(e.calm)
			e.mu.Unlock()
			return
		}
		f := e.queue[0]
		e.queue[0] = nil
		e.queue = e.queue[1:]
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
