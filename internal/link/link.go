// SPDX-License-Identifier: Apache-2.0

// Package link keeps whoever is at the end of a stream connected to its server: what a client and a component
// have in common.
//
// An [Entity] lives as long as the program wants it, over as many connections ([Conn]) as that takes. What it sends waits in
// an [Outbox] until the server has it, what it asks among its [Requests] until it is answered; what arrives finds
// its handler by [Handlers]. Who lets it in, in which order handlers run, and what acknowledges what arrives,
// is each one's own.
//
// # How to read it
//
// link.go: an entity's life. conn.go: one connection. outbox.go: what the server has not taken; item.go: one stanza
// of it. requests.go, handlers.go: what programs use.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is what clients and components choose alike. All of it is needed but where another value is named.
type Config struct {
	Name    string  // of the package that programs know; errors begin with it
	JID     jid.JID // the account, or the component's domain
	Stamped bool    // the server says who sends: a client's does

	QueueStanzas, QueueBytes int           // sent and not known to be taken, at most
	MaxStanza                int           // bytes of a stanza to send
	ReadBytes                int           // at one time
	FenceStanzas             int           // so many are sent before the server is asked, and no more than that before it answers; 0: one, and any number
	FenceAfter               time.Duration // and for so long; 0: no time
	StampAfter               time.Duration // after which a message that waited here bears <delay/>
	AtMostOnce               bool          // what was on its way when a connection broke is not sent again

	HandlersFail bool // a handler that sends never waits for room

	Keepalive, AnswerTime, RequestTime, CloseTime, BackoffMin, BackoffMax time.Duration

	Requests int // that wait for an answer, at most; 0: any number

	// Errors that programs look for. Unsure is needed with AtMostOnce.
	Closed, Full, Lost, Silent, Rejected, Size, Unsure error
	// Later is what a handler returns that answers later. nil: none does.
	Later error

	Log *slog.Logger
}

// Way is how stanzas go between an entity and its server.
type Way interface {
	// Serve brings stanzas to and fro until the way is over, and says why it is; nil: the next is to be made at once.
	Serve() error
	// Farewell ends it, and returns when it is over or ctx is.
	Farewell(ctx context.Context)
}

// Entity is a client or a component.
type Entity struct {
	Config   Config
	Out      Outbox
	Requests Requests
	Handlers Handlers

	// Item serialises a stanza that is to be sent.
	Item func(s *stanza.Stanza) (Item, error)
	// Attempt makes a way to the server.
	Attempt func(ctx context.Context) (Way, error)
	// Final reports whether err, of an attempt or (was) of a way, will not go away by trying again.
	Final func(err error, was bool) bool

	// life ends with Stop, or with an error that no further try would mend.
	life context.Context
	end  context.CancelCauseFunc
	work sync.WaitGroup

	mu      sync.Mutex
	started bool
	way     Way // nil while it is not connected
}

// Init makes an entity that is not connected. The functions are set before Start.
func (e *Entity) Init(config Config) {
	e.Config = config
	e.life, e.end = context.WithCancelCause(context.Background())
	e.Out.config = &e.Config
	e.Requests.init(e)
	e.Handlers.init()
}

// Life is over when the entity will not connect any more.
func (e *Entity) Life() context.Context { return e.life }

// Err is nil while the entity lives, Config.Closed after Stop, else why it gave up.
func (e *Entity) Err() error { return context.Cause(e.life) }

// Online reports whether there is a way to the server now.
func (e *Entity) Online() bool { return e.Way() != nil }

// Way is that, or nil.
func (e *Entity) Way() Way {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.way
}

// Connect starts the entity, and returns when there is a way or when there cannot be one: the first failure is
// returned, and is final. ctx counts for that attempt only. beside, which may be nil, runs until Life is over.
func (e *Entity) Connect(ctx context.Context, beside func(ctx context.Context)) error {
	first := make(chan error, 1)
	if err := e.start(ctx, first, beside); err != nil {
		return err
	}
	return <-first
}

// Start is Connect in the background, with as many attempts as it takes.
func (e *Entity) Start(beside func(ctx context.Context)) error { return e.start(e.life, nil, beside) }

func (e *Entity) start(ctx context.Context, first chan<- error, beside func(ctx context.Context)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.Err(); err != nil {
		return err
	}
	if e.started {
		return fmt.Errorf("%s: it is started already", e.Config.Name)
	}
	e.started = true
	e.work.Go(func() { e.supervise(ctx, first) })
	if beside != nil {
		e.work.Go(func() { beside(e.life) })
	}
	return nil
}

// Stop ends the way, if there is one, and then the entity.
func (e *Entity) Stop(ctx context.Context) {
	if w := e.Way(); w != nil {
		w.Farewell(ctx)
	}
	e.end(e.Config.Closed)
	e.work.Wait()
}

// Over ends what still waits for the server. Its error tells how much that was.
func (e *Entity) Over(cause error) error {
	e.Requests.end(cause)
	if n := e.Out.end(cause); n > 0 {
		return fmt.Errorf("%s: closed with %d stanzas that the server is not known to have taken", e.Config.Name, n)
	}
	return nil
}

// supervise makes connections and keeps each until it breaks. With first the outcome of the first attempt goes there.
func (e *Entity) supervise(ctx context.Context, first chan<- error) {
	for failures := 0; ; {
		w, err := e.Attempt(ctx)
		if err == nil {
			e.enter(w)
		}
		if first != nil {
			if err != nil {
				e.end(err)
			}
			first <- err
			first, ctx = nil, e.life
		}
		if err == nil {
			began := time.Now()
			err = w.Serve()
			e.leave()
			if err == nil || time.Since(began) > e.Config.BackoffMax {
				failures = 0
			}
		}
		switch {
		case e.life.Err() != nil:
			return
		case err == nil:
			continue
		case e.Final(err, w != nil):
			e.Config.Log.Error("gave up", "jid", e.Config.JID.String(), "err", err)
			_ = e.Over(err) // Err tells why
			e.end(err)
			return
		}
		failures++
		delay := e.backoff(failures)
		e.Config.Log.Warn("connection lost", "jid", e.Config.JID.String(), "err", err, "retry", delay)
		select {
		case <-e.life.Done():
			return
		case <-time.After(delay):
		}
	}
}

// backoff is how long to wait after so many failures in a row: any time up to a bound that
// doubles, so that those who lost one server do not come back as one.
func (e *Entity) backoff(failures int) time.Duration {
	most := e.Config.BackoffMax
	if shift := failures - 1; shift < 16 {
		most = min(most, e.Config.BackoffMin<<shift)
	}
	return rand.N(most) //nolint:gosec // spread, not secrecy
}

// enter makes w the way to the server; leave undoes it.
func (e *Entity) enter(w Way) {
	e.mu.Lock()
	e.way = w
	e.mu.Unlock()
}

func (e *Entity) leave() {
	e.mu.Lock()
	e.way = nil
	e.mu.Unlock()
}

// Send queues s as soon as there is room. taken, which may be nil, is called once when the server has s (nil) or never will.
func (e *Entity) Send(ctx context.Context, s *stanza.Stanza, taken func(error)) error {
	it, err := e.Item(s)
	if err != nil {
		return err
	}
	it.taken = taken
	return e.Out.put(ctx, it)
}

// Serve answers the request s by its handler. RFC 6120 §8.2.3: every one gets its answer.
func (e *Entity) Serve(ctx context.Context, s *stanza.Stanza) {
	f := e.Handlers.request(s)
	if f == nil {
		e.Reply(s.Refuse(stanza.ServiceUnavailable.Err("")))
		return
	}
	p, err := f(ctx, s)
	if e.Config.Later != nil && errors.Is(err, e.Config.Later) {
		return
	}
	e.Answer(s, p, err)
}

// Answer answers the request s with p, or by err.
func (e *Entity) Answer(s *stanza.Stanza, p stanza.Payload, err error) {
	if err == nil {
		e.Reply(s.Result(p))
		return
	}
	refused, told := stanza.AsError(err)
	if !told {
		e.Config.Log.Error("request failed", "from", s.From.String(), "err", err)
	}
	e.Reply(s.Refuse(refused))
}

// Reply sends an answer, which never waits for room.
func (e *Entity) Reply(s *stanza.Stanza) {
	if e.Config.Stamped {
		s.From = jid.JID{}
	}
	it, err := e.Item(s)
	if errors.Is(err, e.Config.Size) && s.Type == stanza.Result {
		large := &stanza.Stanza{Kind: s.Kind, Type: stanza.TypeError, From: s.From, To: s.To, ID: s.ID}
		large.Add(stanza.ResourceConstraint.Err("the answer is too large"))
		it, err = e.Item(large)
	}
	switch {
	case err != nil:
		e.Config.Log.Error("answer not sent", "to", s.To.String(), "err", err)
	case !e.Out.answer(it):
		e.Config.Log.Warn("answer dropped: the server takes nothing", "to", s.To.String())
	}
}

// Default gives n its default where it has no value.
func Default[T int | time.Duration](n *T, fallback T) {
	if *n <= 0 {
		*n = fallback
	}
}
