// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: requests of XEP-0323 come in at readRequest, which asks who may what and answers; readout does the
// reading and tells, after a wait if the request says when.

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

const (
	fieldsOfMessage = 100                 // of a readout
	maxWaiting      = 20                  // requests for later
	maxWait         = 31 * 24 * time.Hour // until then
)

// waiting are the readouts that were asked for later, until they begin.
type waiting struct {
	mu  sync.Mutex
	all map[string]context.CancelFunc // by requester and number
}

func (t *Thing) serveSensorData() {
	beside := func(s *stanza.Stanza, e *stanza.Error) stanza.Payload {
		if r := sensordata.RejectionOf(s, e); r != nil {
			return r
		}
		return nil
	}
	t.serve(stanza.Get, (*sensordata.Request)(nil).XMLName(), t.refusing(t.readRequest, beside))
	for _, typ := range []stanza.Type{stanza.Get, stanza.Set} { // COMPAT(slixmpp, 2013): set
		t.serve(typ, (*sensordata.Cancel)(nil).XMLName(), t.refusing(t.cancelRequest, beside))
	}
}

// part is what somebody may read of a node.
type part struct {
	*body
	grant
}

// readRequest accepts or refuses a request. XEP-0323 §3
func (t *Thing) readRequest(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q sensordata.Request
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	parts, err := t.readable(ctx, s.From, &q)
	if err != nil {
		return nil, err
	}
	accepted := &sensordata.Accepted{Seq: q.Seq}
	wait := time.Duration(0)
	if !q.When.IsZero() {
		wait = time.Until(q.When.In(time.Local))
	}
	if wait <= 0 {
		t.client.Answer(s, accepted, nil)
		t.readout(ctx, s.From, &q, parts)
		return nil, client.ErrLater
	}
	if wait > maxWait {
		return nil, sensordata.Rejected(stanza.PolicyViolation, "that is too far away")
	}
	key := s.From.String() + "\x00" + q.Seq
	later, cancel := context.WithCancel(t.life)
	if !t.waiting.add(key, cancel) {
		cancel()
		return nil, sensordata.Rejected(stanza.ResourceConstraint, "too much is to be read later")
	}
	accepted.Queued = true
	t.client.Answer(s, accepted, nil)
	t.background(func() {
		defer cancel()
		select {
		case <-later.Done():
			t.waiting.remove(key) // the thing ends
		case <-time.After(wait):
			if t.waiting.remove(key) {
				t.begin(t.life, s.From, &q)
			}
		}
	})
	return nil, client.ErrLater
}

// begin begins a readout that has waited: who may what may have changed meanwhile.
func (t *Thing) begin(ctx context.Context, to jid.JID, q *sensordata.Request) {
	parts, err := t.readable(ctx, to, q)
	if err != nil {
		t.tellReader(ctx, to, &sensordata.Failure{Seq: q.Seq, Done: true, Errors: []sensordata.NodeError{{Node: t.told(NodeID{}), At: xsd.At(time.Now()), Text: "it may not be read any more"}}})
		return
	}
	t.tellReader(ctx, to, &sensordata.Started{Seq: q.Seq})
	t.readout(ctx, to, q, parts)
}

func (w *waiting) add(key string, cancel context.CancelFunc) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[string]context.CancelFunc)
	}
	if w.all[key] != nil || len(w.all) >= maxWaiting {
		return false
	}
	w.all[key] = cancel
	return true
}

// remove takes a readout out, and reports whether it was there.
func (w *waiting) remove(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	cancel := w.all[key]
	delete(w.all, key)
	if cancel == nil {
		return false
	}
	cancel()
	return true
}

// cancelRequest has a readout that waits not begin. One that has begun is completed. XEP-0323 §3.7
func (t *Thing) cancelRequest(_ context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q sensordata.Cancel
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	if !t.waiting.remove(s.From.String() + "\x00" + q.Seq) {
		if !t.isTrusted(s.From) && !t.access.hasSome(s.From) {
			return nil, t.refuse(s.From)
		}
		return nil, sensordata.Rejected(stanza.ItemNotFound, "nothing of this number waits")
	}
	return &sensordata.Cancelled{Seq: q.Seq}, nil
}

// readable is what of a request somebody may have: of all nodes, if it names none.
func (t *Thing) readable(ctx context.Context, caller jid.JID, q *sensordata.Request) ([]part, error) {
	var parts []part
	shown := &showing{Tokens: q.Tokens}
	for _, b := range t.all() {
		if !q.WantsNode(t.told(b.NodeID)) && !slices.ContainsFunc(q.Nodes, b.isMeant) {
			continue
		}
		if g := t.mayBy(ctx, question{caller, toRead, b.NodeID, q.Names}, shown); !g.isNone() {
			parts = append(parts, part{b, g})
		}
	}
	for _, n := range q.Nodes {
		if t.find(n) == nil && (len(parts) > 0 || t.isTrusted(caller) || t.access.hasSome(caller)) {
			return nil, sensordata.Rejected(stanza.ItemNotFound, "there is no node "+nodeName(n))
		}
	}
	if len(parts) == 0 {
		return nil, t.refuse(caller)
	}
	return parts, nil
}

// readout reads, and tells what was read.
func (t *Thing) readout(ctx context.Context, to jid.JID, q *sensordata.Request, parts []part) {
	var nodes []sensordata.NodeFields
	var errs []sensordata.NodeError
	for _, p := range parts {
		fields, err := t.answers(ctx, p, q)
		if err != nil {
			errs = append(errs, sensordata.NodeError{Node: t.told(p.NodeID), At: xsd.At(time.Now()), Text: err.Error()})
		}
		if len(fields) > 0 {
			nodes = append(nodes, sensordata.NodeFields{Node: t.told(p.NodeID), Timestamps: fields})
		}
	}
	if len(errs) > sensordata.MaxErrors {
		errs = errs[:sensordata.MaxErrors]
	}
	if len(errs) > 0 {
		t.tellReader(ctx, to, &sensordata.Failure{Seq: q.Seq, Done: len(nodes) == 0, Errors: errs})
		if len(nodes) == 0 {
			return
		}
	}
	for _, m := range sensordata.Split(q.Seq, nodes, fieldsOfMessage) {
		t.tellReader(ctx, to, m)
	}
}

// told is the address of a node as readers are told it: readers want one of a thing without nodes, too, and that is the name of
// its account. They may ask by it.
func (t *Thing) told(n NodeID) NodeID {
	if isOwn(n) {
		n.ID = t.account().Local()
	}
	return n
}

// tellReader sends a message of a readout.
func (t *Thing) tellReader(ctx context.Context, to jid.JID, p stanza.Payload) {
	if err := t.client.Send(ctx, stanza.New(stanza.Message, stanza.Normal, to, p)); err != nil {
		t.log.Error("readout not told", "to", to.String(), "err", err)
	}
}

// answers are the fields of a node that a request wants and that are granted, the latest time first.
func (t *Thing) answers(ctx context.Context, p part, q *sensordata.Request) (list []sensordata.Timestamp, err error) {
	add := func(f Field, c sensordata.Category) {
		field, at := p.field(f, c), xsd.At(f.Time)
		if !p.allows(f.Name) || !q.Wants(&field, at) {
			return
		}
		if n := len(list); n > 0 && list[n-1].At == at {
			list[n-1].Fields = append(list[n-1].Fields, field)
			return
		}
		list = append(list, sensordata.Timestamp{At: at, Fields: []sensordata.Field{field}})
	}
	if c := q.Categories & sensordata.All; c == 0 || c&^sensordata.Historical != 0 {
		var fields []Field
		fields, err = t.readings(ctx, p.body, p.grant, q.Names)
		for _, f := range fields {
			add(f, 0)
		}
	}
	if c := q.Categories & sensordata.All; c == 0 || c&sensordata.Historical != 0 {
		for _, x := range slices.Backward(t.ring.history(p.NodeID)) {
			for _, f := range x.fields {
				add(f, sensordata.HistoricalOther)
			}
		}
	}
	return list, err
}

// field is a field as XEP-0323 has it. more are categories beside its own, in the place of Momentary.
func (b *body) field(f Field, more sensordata.Category) sensordata.Field {
	var out sensordata.Field
	format, category := Format(0), sensordata.Category(0)
	p := b.parameter(f.Name)
	if p != nil {
		format, category = p.Format, sensordata.Momentary|sensordata.Status
	}
	if m := b.declared(f.Name); m != nil && m.Category != 0 {
		category = m.Category
	}
	switch v := f.Value.SenML(); f.Value.Kind() {
	case Numeric:
		out = sensordata.Numeric(f.Name, v.Number(), symbol(f.Unit))
		if f.Unit == "" && isInt(v.Number()) {
			out.Type = sensordata.TypeInt // COMPAT(Smack, 4.4): it knows no other numbers
		}
	case Boolean:
		out = sensordata.Boolean(f.Name, v.Bool())
	default:
		out = sensordata.String(f.Name, v.Text())
		if format.fits(v.Text()) == nil {
			out.Type = format.fieldType()
		}
	}
	switch {
	case more != 0:
		out.Categories = category&^sensordata.Momentary | more
	case category != 0:
		out.Categories = category
	default:
		out.Categories = sensordata.Momentary
	}
	out.Quality |= sensordata.AutomaticReadout
	if p != nil {
		out.Writable = sensordata.WritableYes
	}
	return out
}

// isInt reports whether a number is written as an integer, of 32 bits.
func isInt(n senml.Number) bool {
	i, ok := n.Int64()
	return ok && i >= math.MinInt32 && i <= math.MaxInt32 && strings.Trim(n.String(), "-0123456789") == ""
}

func (f Format) fieldType() sensordata.Type {
	switch f {
	case Date:
		return sensordata.TypeDate
	case TimeOfDay:
		return sensordata.TypeTime
	case DateTime:
		return sensordata.TypeDateTime
	case Duration:
		return sensordata.TypeDuration
	}
	return sensordata.TypeString
}
