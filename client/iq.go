// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// IQ sends a request (stanza.Get or stanza.Set) and returns the answer of type result, which is
// the caller's. An answer of type error is returned as a *stanza.Error. The zero to asks one's own
// account. An answer counts if its id is the request's and its sender is who was asked.
//
// A request is sent again, like any stanza, until the server has it. If the session is lost
// before the answer came, a get is asked again; a set ends with ErrLost. Without a deadline ctx
// is given Config.RequestTime.
func (c *Client) IQ(ctx context.Context, to jid.JID, typ stanza.Type, payload stanza.Payload) (*stanza.Stanza, error) {
	if !typ.IsRequest() {
		return nil, fmt.Errorf("client: an IQ of type %s is no request", typ)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.RequestTime)
		defer cancel()
	}
	s := stanza.New(stanza.IQ, typ, to, payload)
	k := c.calls.add(c.config.Account.Bare(), s)
	defer c.calls.remove(k)
	it, err := newItem(s, c.config.MaxStanza)
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
		return nil, fmt.Errorf("client: no answer from %s: %w", k.who(), context.Cause(ctx))
	}
}

// Ask is IQ for a get whose answer is decoded into answer.
func (c *Client) Ask(ctx context.Context, to jid.JID, request, answer stanza.Payload) error {
	s, err := c.IQ(ctx, to, stanza.Get, request)
	if err != nil {
		return err
	}
	found, err := s.Decode(answer)
	switch {
	case err != nil:
		return fmt.Errorf("client: the answer of %s: %w", s.From, err)
	case !found:
		return fmt.Errorf("client: the answer of %s is something else", s.From)
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
	id     string
	typ    stanza.Type
	to     jid.JID // who was asked
	own    bool    // that is our account
	b      []byte
	answer chan reply
	taken  atomic.Bool // the server has acknowledged the request
}

type reply struct {
	stanza *stanza.Stanza
	err    error
}

func (k *call) who() string {
	if k.own {
		return "the server"
	}
	return k.to.String()
}

func (cs *calls) init() {
	cs.prefix = rand.Text()[:10] + "-"
	cs.byID = make(map[string]*call)
}

// add gives s an id and waits for its answer.
func (cs *calls) add(account jid.JID, s *stanza.Stanza) *call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.count++
	k := &call{
		id: cs.prefix + strconv.FormatUint(cs.count, 36), typ: s.Type, to: s.To,
		own: s.To.IsZero() || s.To == account, answer: make(chan reply, 1),
	}
	s.ID = []byte(k.id)
	if cs.err != nil {
		k.answer <- reply{err: cs.err}
		return k
	}
	cs.byID[k.id] = k
	return k
}

func (cs *calls) remove(k *call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.byID, k.id)
}

// take finds the request that s answers. RFC 6120 §8.2.3 wants the id; the sender must be whom we
// asked, or anybody could answer. Our account is answered for by our server, whose answer has no
// 'from', or our bare address: RFC 6120 §8.1.2.1.
func (cs *calls) take(account jid.JID, s *stanza.Stanza) *call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	k := cs.byID[string(s.ID)]
	switch {
	case k == nil:
		return nil
	case k.own && !s.From.IsZero() && s.From != account, !k.own && s.From != k.to:
		return nil
	}
	delete(cs.byID, k.id)
	return k
}

// answered takes an answer.
func (c *Client) answered(s *stanza.Stanza) {
	if c.out.pong(s) {
		return
	}
	if k := c.calls.take(c.config.Account.Bare(), s); k != nil {
		k.answer <- reply{stanza: s}
	} else {
		c.log.Debug("answer to nothing that was asked", "from", s.From.String())
	}
}

// renew looks at the requests whose answer a former session would have got.
func (cs *calls) renew(o *outbox) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id, k := range cs.byID {
		switch {
		case !k.taken.Load():
			// It will be sent again.
		case k.typ == stanza.Get:
			k.taken.Store(false)
			o.force(item{b: k.b, call: k, at: time.Now()})
		default:
			delete(cs.byID, id)
			k.answer <- reply{err: ErrLost}
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
		k.answer <- reply{err: cause}
	}
}
