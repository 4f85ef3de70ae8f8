// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Requests are those that wait for an answer.
type Requests struct {
	e      *Entity
	prefix string // of their ids

	mu    sync.Mutex
	count uint64
	byID  map[string]*request
	err   error
}

// request is one of them.
type request struct {
	id       string
	typ      stanza.Type
	from, to jid.JID // from is zero where the server stamps it
	own      bool    // our own account is asked
	b        []byte
	answer   chan answer // holds one
	taken    atomic.Bool // the server has the request
}

type answer struct {
	stanza *stanza.Stanza
	err    error
}

// reply gives the one answer; what comes later is dropped.
func (r *request) reply(s *stanza.Stanza, err error) {
	select {
	case r.answer <- answer{s, err}:
	default:
	}
}

// Do sends a request and returns the answer of type result. One of type error is returned as a *stanza.Error.
func (rs *Requests) Do(ctx context.Context, s *stanza.Stanza) (*stanza.Stanza, error) {
	config := &rs.e.Config
	if !s.Type.IsRequest() {
		return nil, fmt.Errorf("%s: an IQ of type %s is no request", config.Name, s.Type)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, config.RequestTime)
		defer cancel()
	}
	r, err := rs.add(s)
	if err != nil {
		return nil, err
	}
	defer rs.remove(r)
	it, err := rs.e.Item(s)
	if err != nil {
		return nil, err
	}
	it.request, r.b = r, it.b
	if err := rs.e.Out.put(ctx, it); err != nil {
		return nil, err
	}
	defer Lend(ctx)()
	select {
	case a := <-r.answer:
		switch {
		case a.err != nil:
			return nil, a.err
		case a.stanza.Type == stanza.TypeError:
			return nil, a.stanza.Refusal()
		}
		return a.stanza, nil
	case <-ctx.Done():
		rs.e.Out.withdraw(r)
		who := "the server"
		if !r.own {
			who = r.to.String()
		}
		return nil, fmt.Errorf("%s: no answer from %s: %w", config.Name, who, context.Cause(ctx))
	}
}

// Ask is Do for a request whose answer is decoded into answer.
func (rs *Requests) Ask(ctx context.Context, s *stanza.Stanza, answer stanza.Payload) error {
	a, err := rs.Do(ctx, s)
	if err != nil {
		return err
	}
	found, err := a.Decode(answer)
	switch {
	case err != nil:
		return fmt.Errorf("%s: the answer of %s: %w", rs.e.Config.Name, a.From, err)
	case !found:
		return fmt.Errorf("%s: the answer of %s is something else", rs.e.Config.Name, a.From)
	}
	return nil
}

func (rs *Requests) init(e *Entity) {
	rs.e, rs.prefix, rs.byID = e, rand.Text()[:10]+"-", make(map[string]*request)
}

// add gives s an id and waits for its answer.
func (rs *Requests) add(s *stanza.Stanza) (*request, error) {
	config := &rs.e.Config
	rs.mu.Lock()
	defer rs.mu.Unlock()
	switch {
	case rs.err != nil:
		return nil, rs.err
	case config.Requests > 0 && len(rs.byID) >= config.Requests:
		return nil, fmt.Errorf("%w: %d requests wait for their answers", config.Full, config.Requests)
	}
	rs.count++
	r := &request{
		id: rs.prefix + strconv.FormatUint(rs.count, 36), typ: s.Type, from: s.From, to: s.To,
		own: config.Stamped && (s.To.IsZero() || s.To == config.JID.Bare()), answer: make(chan answer, 1),
	}
	s.ID = []byte(r.id)
	rs.byID[r.id] = r
	return r, nil
}

func (rs *Requests) remove(r *request) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.byID, r.id)
}

// Answered gives s to whoever has asked. What answers nothing is dropped.
func (rs *Requests) Answered(s *stanza.Stanza) {
	if r := rs.take(s); r != nil {
		r.reply(s, nil)
	} else {
		rs.e.Config.Log.Debug("answer to nothing that was asked", "from", s.From.String())
	}
}

// take finds the request that s answers. RFC 6120 §8.2.3 wants the id; the sender must be whom we
// asked, or anybody could answer. Our account is answered for by our server, whose answer has no
// 'from', or our bare address: RFC 6120 §8.1.2.1.
func (rs *Requests) take(s *stanza.Stanza) *request {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.byID[string(s.ID)]
	switch {
	case r == nil:
		return nil
	case r.own && !s.From.IsZero() && s.From != rs.e.Config.JID.Bare(), !r.own && s.From != r.to:
		return nil
	case !rs.e.Config.Stamped && s.To != r.from:
		return nil
	}
	delete(rs.byID, r.id)
	return r
}

// Renew looks at the requests whose answer the last connection, or a former session, would have brought: who only
// asks asks again.
func (rs *Requests) Renew() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for id, r := range rs.byID {
		switch {
		case !r.taken.Load():
			// It will be sent again.
		case r.typ == stanza.Get:
			r.taken.Store(false)
			rs.e.Out.Force(Item{b: r.b, request: r})
		default:
			delete(rs.byID, id)
			r.reply(nil, rs.e.Config.Lost)
		}
	}
}

// end answers all requests with cause.
func (rs *Requests) end(cause error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.err = cause
	for id, r := range rs.byID {
		delete(rs.byID, id)
		r.reply(nil, cause)
	}
}
