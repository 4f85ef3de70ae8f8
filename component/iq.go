// SPDX-License-Identifier: Apache-2.0

package component

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

// IQ sends a request (stanza.Get or stanza.Set) from an address of the domain, the zero one for the
// domain itself, and returns the answer of type result, which is the caller's. An answer of type error is
// returned as a *stanza.Error. An answer counts if its id is the request's, its sender is who was asked,
// and its receiver who asked.
//
// A request is sent again, like any stanza, until the server has it. If the connection broke after that
// and before the answer came, a get is asked again; a set ends with ErrLost. Without a deadline ctx is
// given Config.RequestTime.
func (c *Component) IQ(ctx context.Context, from, to jid.JID, typ stanza.Type, payload stanza.Payload) (*stanza.Stanza, error) {
	if !typ.IsRequest() {
		return nil, fmt.Errorf("component: an IQ of type %s is no request", typ)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.RequestTime)
		defer cancel()
	}
	if from.IsZero() {
		from = c.config.Domain
	}
	s := stanza.New(stanza.IQ, typ, to, payload)
	s.From = from
	k, err := c.calls.add(s, c.config.Requests)
	if err != nil {
		return nil, err
	}
	defer c.calls.remove(k)
	it, err := c.newItem(s)
	if err != nil {
		return nil, err
	}
	it.call, k.b = k, it.b
	if err := c.out.put(ctx, it); err != nil {
		return nil, err
	}
	defer lend(ctx)()
	select {
	case a := <-k.answer:
		switch {
		case a.err != nil:
			return nil, a.err
		case a.stanza.Type == stanza.TypeError:
			return nil, a.stanza.Refusal()
		}
		return a.stanza, nil
	case <-ctx.Done():
		c.out.withdraw(k)
		return nil, fmt.Errorf("component: no answer from %s: %w", to, context.Cause(ctx))
	}
}

// Ask is IQ for a get whose answer is decoded into answer.
func (c *Component) Ask(ctx context.Context, from, to jid.JID, request, answer stanza.Payload) error {
	s, err := c.IQ(ctx, from, to, stanza.Get, request)
	if err != nil {
		return err
	}
	found, err := s.Decode(answer)
	switch {
	case err != nil:
		return fmt.Errorf("component: the answer of %s: %w", s.From, err)
	case !found:
		return fmt.Errorf("component: the answer of %s is something else", s.From)
	}
	return nil
}

// calls are the requests that wait for an answer.
type calls struct {
	mu     sync.Mutex
	prefix string
	count  uint64
	byID   map[string]*call
	err    error
}

// call is one of them.
type call struct {
	id       string
	typ      stanza.Type
	from, to jid.JID
	b        []byte
	answer   chan answer // holds one
	taken    atomic.Bool // the server has the request
}

type answer struct {
	stanza *stanza.Stanza
	err    error
}

// reply gives the one answer; what comes later is dropped.
func (k *call) reply(s *stanza.Stanza, err error) {
	select {
	case k.answer <- answer{s, err}:
	default:
	}
}

func (cs *calls) init() {
	cs.prefix = rand.Text()[:10] + "-"
	cs.byID = make(map[string]*call)
}

// add gives s an id and waits for its answer.
func (cs *calls) add(s *stanza.Stanza, most int) (*call, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case cs.err != nil:
		return nil, cs.err
	case len(cs.byID) >= most:
		return nil, fmt.Errorf("%w: %d requests wait for their answers", ErrFull, most)
	}
	cs.count++
	k := &call{
		id: cs.prefix + strconv.FormatUint(cs.count, 36), typ: s.Type, from: s.From, to: s.To,
		answer: make(chan answer, 1),
	}
	s.ID = []byte(k.id)
	cs.byID[k.id] = k
	return k, nil
}

func (cs *calls) remove(k *call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.byID, k.id)
}

// take finds the request that s answers. RFC 6120 §8.2.3 wants the id; the sender must be whom we asked, or
// anybody could answer.
func (cs *calls) take(s *stanza.Stanza) *call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	k := cs.byID[string(s.ID)]
	if k == nil || s.From != k.to || s.To != k.from {
		return nil
	}
	delete(cs.byID, k.id)
	return k
}

// renew looks at the requests whose answer may have been lost with the last connection.
func (cs *calls) renew(o *outbox) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id, k := range cs.byID {
		switch {
		case !k.taken.Load():
			// It will be sent again.
		case k.typ == stanza.Get:
			k.taken.Store(false)
			o.force(item{b: k.b, call: k})
		default:
			delete(cs.byID, id)
			k.reply(nil, ErrLost)
		}
	}
}

// end answers all requests with cause.
func (cs *calls) end(cause error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.err = cause
	for id, k := range cs.byID {
		delete(cs.byID, id)
		k.reply(nil, cause)
	}
}
