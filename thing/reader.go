// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: a Reader is the other side of a thing, for programs: Read puts an answer together from as many
// messages as it comes in, Set and Form control. Things are found where they are by their presence (at). reader_watch.go is what happens
// to nodes.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Bounds of a reader.
const (
	maxReadouts = 1000   // under way
	maxSeen     = 10_000 // things whose resource is known
	comeTime    = 5 * time.Second
)

// Reader reads and sets things as a client. Its methods may be called from any goroutine, but not in a handler of the client,
// which would keep the answers out.
type Reader struct {
	client *client.Client

	mu       sync.Mutex
	sequence sensordata.Sequence
	readouts *sensordata.Readouts
	came     map[*sensordata.Readout]chan struct{} // holds one: something came
	seen     map[jid.JID]jid.JID                   // bare address to full one
	arrived  chan struct{}                         // closed when somebody comes
	watches  watching
	held     *tokens.Tokens // of which token is one; nil: it bears none
	token    string
}

// NewReader makes a reader of a client: before it connects, since the reader hears the client's presence (Presence) and what
// things tell.
func NewReader(c *client.Client) *Reader {
	r := &Reader{
		client: c, readouts: sensordata.NewReadouts(maxReadouts), came: make(map[*sensordata.Readout]chan struct{}),
		seen: make(map[jid.JID]jid.JID), arrived: make(chan struct{}),
	}
	c.Handle(stanza.Presence, xmlstream.Name{}, r.Presence)
	for _, make := range []func() stanza.Payload{
		func() stanza.Payload { return new(sensordata.Started) }, func() stanza.Payload { return new(sensordata.Fields) },
		func() stanza.Payload { return new(sensordata.Failure) }, func() stanza.Payload { return new(sensordata.Done) },
	} {
		c.Handle(stanza.Message, make().XMLName(), func(_ context.Context, s *stanza.Stanza) {
			if p := make(); s.Type != stanza.TypeError {
				if found, err := s.Decode(p); found && err == nil {
					r.take(s.From, p)
				}
			}
		})
	}
	r.watch()
	return r
}

// Bear has all that is asked from now on bear a token of held's, which is of the reader's client: see package tokens.
func (r *Reader) Bear(held *tokens.Tokens, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.token = held, token
}

// bear adds the token to those that a request to a thing bears.
func (r *Reader) bear(to jid.JID, t *sensordata.Tokens) {
	r.mu.Lock()
	held, token := r.held, r.token
	r.mu.Unlock()
	if held == nil {
		return
	}
	held.Show(token, to)
	t.Device = strings.TrimPrefix(t.Device+" "+token, " ")
}

// Presence notes who is where. A program that handles presence by itself passes it on.
func (r *Reader) Presence(_ context.Context, s *stanza.Stanza) {
	if s.Type == stanza.Unavailable {
		r.unwatched(s.From)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	bare := s.From.Bare().Clone()
	switch s.Type {
	case stanza.Available:
		if len(r.seen) < maxSeen {
			r.seen[bare] = s.From.Clone()
		}
		close(r.arrived)
		r.arrived = make(chan struct{})
	case stanza.Unavailable:
		if r.seen[bare] == s.From {
			delete(r.seen, bare)
		}
	}
}

// at is where a thing is: its full address. A bare one is looked for among those whose presence has come, or comes soon.
func (r *Reader) at(ctx context.Context, thing jid.JID) (jid.JID, error) {
	if thing.IsFull() {
		return thing, nil
	}
	wait := time.NewTimer(comeTime)
	defer wait.Stop()
	for {
		r.mu.Lock()
		full, ok := r.seen[thing]
		arrived := r.arrived
		r.mu.Unlock()
		if ok {
			return full, nil
		}
		select {
		case <-arrived:
		case <-wait.C:
			return jid.JID{}, fmt.Errorf("thing: %s is not there, or does not show it: subscribe to its presence, or give a full address", thing)
		case <-ctx.Done():
			return jid.JID{}, context.Cause(ctx)
		}
	}
}

// Answer is what was read of a thing.
type Answer struct {
	From   jid.JID
	Nodes  []sensordata.NodeFields
	Errors []sensordata.NodeError // what could not be read
}

// Fields are all fields of the answer in the model of measurements, by the names that package sensordata gives those of nodes.
func (a *Answer) Fields() []Field {
	m := sensordata.Mapping{Now: time.Now()}
	list, _ := m.Pack(a.Nodes)
	return unpack(senml.Pack(list))
}

// Read reads a thing, by its full address or a bare one whose presence the client sees. q needs no number. If the thing does not tell all
// before ctx is over, it is told to cancel, and the answer has what came, beside an error. What the thing refuses is a
// *stanza.Error. XEP-0323
func (r *Reader) Read(ctx context.Context, thing jid.JID, q sensordata.Request) (*Answer, error) {
	to, err := r.at(ctx, thing)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	q.Seq = r.sequence.Next()
	o := sensordata.NewReadout(q, sensordata.Bounds{})
	came := make(chan struct{}, 1)
	if err = r.readouts.Add(to, o); err == nil {
		r.came[o] = came
	}
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer r.drop(to, o)
	r.bear(to, &q.Tokens)
	s, err := r.client.IQ(ctx, to, stanza.Get, &q)
	if err != nil {
		return nil, err
	}
	r.first(to, s)
	for {
		r.mu.Lock()
		state := o.State()
		r.mu.Unlock()
		if state.IsOver() {
			return r.result(to, o)
		}
		select {
		case <-came:
		case <-r.client.Done():
			return nil, r.client.Err()
		case <-ctx.Done():
			r.cancel(to, q.Seq)
			a, _ := r.result(to, o)
			return a, fmt.Errorf("thing: %s does not tell all: %w", to, context.Cause(ctx))
		}
	}
}

// first takes the answer to the request itself.
func (r *Reader) first(from jid.JID, s *stanza.Stanza) {
	for _, p := range []stanza.Payload{new(sensordata.Accepted), new(sensordata.Fields), new(sensordata.Rejection)} {
		if found, err := s.Decode(p); found && err == nil {
			r.take(from, p)
		}
	}
}

// take takes a part of an answer.
func (r *Reader) take(from jid.JID, p stanza.Payload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, _ := r.readouts.Take(from, p) // what is too much is seen by its state
	if o == nil {
		return
	}
	select {
	case r.came[o] <- struct{}{}:
	default:
	}
}

func (r *Reader) drop(to jid.JID, o *sensordata.Readout) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readouts.Drop(to, o.Seq())
	delete(r.came, o)
}

// cancel has a thing not go on.
func (r *Reader) cancel(to jid.JID, seq string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = r.client.IQ(ctx, to, stanza.Get, &sensordata.Cancel{Seq: seq}) // what it had begun it may complete
}

func (r *Reader) result(from jid.JID, o *sensordata.Readout) (*Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &Answer{From: from, Nodes: o.Nodes(), Errors: o.Errors()}
	for i := range a.Nodes {
		if n := &a.Nodes[i].Node; *n == (NodeID{ID: from.Local()}) {
			*n = NodeID{} // the thing itself, by the name of its account
		}
	}
	switch o.State() {
	case sensordata.Refused:
		if err := o.Err(); err != nil {
			return nil, err
		}
		return nil, stanza.UndefinedCondition.Err("refused")
	case sensordata.Broken:
		return a, sensordata.ErrTooMuch
	case sensordata.Withdrawn:
		return a, errors.New("thing: the readout was cancelled")
	}
	return a, nil
}

// Set has a thing set parameters, of the nodes given or its own, and returns what it says of that: empty means that all is set. What
// it refuses is a *stanza.Error, whose control.ErrorsOf tells of which parameters. XEP-0325
func (r *Reader) Set(ctx context.Context, thing jid.JID, set *control.Set) (*control.SetResponse, error) {
	to, err := r.at(ctx, thing)
	if err != nil {
		return nil, err
	}
	borne := *set
	r.bear(to, &borne.Tokens)
	s, err := r.client.IQ(ctx, to, stanza.Set, &borne)
	if err != nil {
		return nil, err
	}
	answer := new(control.SetResponse)
	_, err = s.Decode(answer)
	return answer, err
}

// Form asks a thing what may be set. XEP-0325 §3.3
func (r *Reader) Form(ctx context.Context, thing jid.JID, nodes ...NodeID) (*form.Form, error) {
	to, err := r.at(ctx, thing)
	if err != nil {
		return nil, err
	}
	ask, answer := &control.GetForm{Nodes: nodes}, new(form.Form)
	r.bear(to, &ask.Tokens)
	return answer, r.client.Ask(ctx, to, ask, answer)
}
