// SPDX-License-Identifier: Apache-2.0

package sensordata

// How to read this file: Readout is the reader's side of one request, Readouts that of all that are under way; Sequence numbers
// them, and Split is the thing's side.

import (
	"errors"
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Bounds of a readout for those that Bounds leaves 0.
const (
	DefaultMessages = 1024
	DefaultFields   = 65536
	DefaultBytes    = 8 << 20
)

// Errors of readouts.
var (
	ErrUnknown  = errors.New("sensordata: no readout of this address and number is under way")
	ErrOver     = errors.New("sensordata: the readout is over")
	ErrTooMuch  = errors.New("sensordata: the readout exceeds its bounds")
	ErrTooMany  = errors.New("sensordata: too many readouts are under way")
	ErrNumbered = errors.New("sensordata: a readout of this address and number is under way")
)

// State is how far a readout has come.
type State uint8

// The states. From Finished on it is over.
const (
	Asked     State = iota // and not answered
	Queued                 // it will be read later
	Reading                // it is being read
	Finished               // all is there, or has failed: see Errors
	Refused                // the request was
	Withdrawn              // it was cancelled
	Broken                 // its bounds were exceeded; the thing is to be told to cancel
)

// IsOver reports whether nothing more comes.
func (s State) IsOver() bool { return s >= Finished }

// Bounds are how much a thing may answer to one request. 0 is the default.
type Bounds struct {
	Messages int // of fields and failures
	Fields   int // that the request wants, and errors
	Bytes    int // of names and values
}

// Readout puts together what answers one request. It keeps what the request wants, whatever comes, and for each node, time and
// name one field: of several the best. Nodes are not looked at, as those below a node come with it. It is not safe for concurrent
// use; who sent what it is given, is for the caller to know: see Readouts. XEP-0323 §3 and §5.3
type Readout struct {
	request Request
	bounds  Bounds
	used    Bounds
	state   State
	nodes   []NodeFields
	at      map[place]int // of nodes and timestamps in the slices that have them
	fields  map[place]int
	errors  []NodeError
	err     *stanza.Error
}

// place is where a field stands; without a name it is a timestamp, without a time a node.
type place struct {
	node Node
	at   xsd.DateTime
	name string
}

// NewReadout waits for what answers a request.
func NewReadout(q Request, b Bounds) *Readout {
	if b.Messages == 0 {
		b.Messages = DefaultMessages
	}
	if b.Fields == 0 {
		b.Fields = DefaultFields
	}
	if b.Bytes == 0 {
		b.Bytes = DefaultBytes
	}
	return &Readout{request: q, bounds: b, at: map[place]int{}, fields: map[place]int{}}
}

// Seq is the number of the readout.
func (o *Readout) Seq() string { return o.request.Seq }

// State is how far it has come.
func (o *Readout) State() State { return o.state }

// Nodes are the fields so far, in the order in which nodes and times came. They are the Readout's while it is not over.
func (o *Readout) Nodes() []NodeFields { return o.nodes }

// Errors are what could not be read so far.
func (o *Readout) Errors() []NodeError { return o.errors }

// Err is why the request was refused, or nil.
func (o *Readout) Err() *stanza.Error { return o.err }

// Take takes an answer: Accepted, Started, Fields, Failure, Done, Cancelled, Rejection or, for an IQ of type error, its
// *stanza.Error. All that is of another readout is ErrUnknown. After ErrTooMuch the readout is Broken, and keeps what it has.
func (o *Readout) Take(p stanza.Payload) error {
	e, refused := p.(*stanza.Error)
	seq, of := seqOf(p)
	switch {
	case !refused && (!of || seq != o.request.Seq):
		return ErrUnknown
	case o.state.IsOver():
		return ErrOver
	case refused:
		o.state, o.err = Refused, e
		return nil
	}
	switch p := p.(type) {
	case *Accepted:
		if p.Queued && o.state == Asked {
			o.state = Queued
		} else {
			o.state = Reading
		}
	case *Started:
		o.state = Reading
	case *Cancelled:
		o.state = Withdrawn
	case *Rejection:
		o.state, o.err = Refused, stanza.UndefinedCondition.Err(p.Text)
	case *Done:
		o.state = Finished
	case *Fields:
		return o.take(p.Done, func() error { return o.addFields(p) })
	case *Failure:
		return o.take(p.Done, func() error { return o.addErrors(p.Errors) })
	}
	return nil
}

// seqOf is the number of an element of a readout.
func seqOf(p stanza.Payload) (seq string, ok bool) {
	switch p := p.(type) {
	case *Accepted:
		return p.Seq, true
	case *Started:
		return p.Seq, true
	case *Fields:
		return p.Seq, true
	case *Failure:
		return p.Seq, true
	case *Done:
		return p.Seq, true
	case *Cancelled:
		return p.Seq, true
	case *Rejection:
		return p.Seq, true
	}
	return "", false
}

// take counts a message, and ends the readout after it if it is the last.
func (o *Readout) take(last bool, add func() error) error {
	o.used.Messages++
	err := add()
	switch {
	case err != nil || o.used.Messages > o.bounds.Messages:
		o.state = Broken
		return ErrTooMuch
	case last:
		o.state = Finished
	default:
		o.state = Reading
	}
	return nil
}

// spend counts a field, and its size.
func (o *Readout) spend(size int) error {
	o.used.Fields++
	if o.used.Bytes += size; o.used.Fields > o.bounds.Fields || o.used.Bytes > o.bounds.Bytes {
		return ErrTooMuch
	}
	return nil
}

func (o *Readout) addErrors(errs []NodeError) error {
	for _, e := range errs {
		if err := o.spend(len(e.Node.ID) + len(e.Node.Source) + len(e.Node.Cache) + len(e.Text)); err != nil {
			return err
		}
		o.errors = append(o.errors, e)
	}
	return nil
}

func (o *Readout) addFields(f *Fields) error {
	for i := range f.Nodes {
		n := &f.Nodes[i]
		for j := range n.Timestamps {
			t := &n.Timestamps[j]
			for k := range t.Fields {
				if !o.request.Wants(&t.Fields[k], t.At) {
					continue
				}
				if err := o.addField(n.Node, t.At, &t.Fields[k]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (o *Readout) addField(n Node, at xsd.DateTime, f *Field) error {
	size := len(n.ID) + len(n.Source) + len(n.Cache) + len(f.Name) + len(f.Value) + len(f.Unit) + len(f.DataType) + len(f.Module) + len(f.StringIDs)
	if err := o.spend(size); err != nil {
		return err
	}
	t := o.timestamp(n, at)
	key := place{n, at, f.Name}
	if i, twice := o.fields[key]; twice {
		if f.Quality.Better(t.Fields[i].Quality) {
			t.Fields[i] = *f
		}
		return nil
	}
	o.fields[key] = len(t.Fields)
	t.Fields = append(t.Fields, *f)
	return nil
}

// timestamp finds the fields of a node and a time, or makes place for them.
func (o *Readout) timestamp(n Node, at xsd.DateTime) *Timestamp {
	i, ok := o.at[place{node: n}]
	if !ok {
		i = len(o.nodes)
		o.at[place{node: n}] = i
		o.nodes = append(o.nodes, NodeFields{Node: n})
	}
	of := &o.nodes[i]
	key := place{node: n, at: at, name: "\x00"} // no name of a field, so that a time of none is no node
	j, ok := o.at[key]
	if !ok {
		j = len(of.Timestamps)
		o.at[key] = j
		of.Timestamps = append(of.Timestamps, Timestamp{At: at})
	}
	return &of.Timestamps[j]
}

// Readouts are those of one reader that are under way, by the address that was asked and the number: a number is only to be
// believed of who was asked. Not safe for concurrent use.
type Readouts struct {
	most int
	way  map[underWay]*Readout
}

type underWay struct {
	peer jid.JID
	seq  string
}

// NewReadouts makes place for that many.
func NewReadouts(most int) *Readouts { return &Readouts{most: most, way: map[underWay]*Readout{}} }

// Add adds one, of the address that its request goes to.
func (r *Readouts) Add(peer jid.JID, o *Readout) error {
	key := underWay{peer, o.Seq()}
	switch {
	case r.way[key] != nil:
		return ErrNumbered
	case len(r.way) >= r.most:
		return ErrTooMany
	}
	r.way[key] = o
	return nil
}

// Take gives an answer to its readout, which is forgotten once it is over. An error without a number is for Drop.
func (r *Readouts) Take(peer jid.JID, p stanza.Payload) (*Readout, error) {
	seq, _ := seqOf(p)
	key := underWay{peer, seq}
	o := r.way[key]
	if o == nil {
		return nil, ErrUnknown
	}
	err := o.Take(p)
	if o.state.IsOver() {
		delete(r.way, key)
	}
	return o, err
}

// Drop forgets a readout, as one that nobody waits for any longer, and returns it; nil if there is none.
func (r *Readouts) Drop(peer jid.JID, seq string) *Readout {
	key := underWay{peer, seq}
	o := r.way[key]
	delete(r.way, key)
	return o
}

// Len is how many are under way.
func (r *Readouts) Len() int { return len(r.way) }

// Sequence gives requests their numbers, which one reader never has twice among those that are under way. The zero Sequence begins
// with 1. Not safe for concurrent use.
type Sequence struct{ last int32 }

// Next is the next number.
func (s *Sequence) Next() string {
	if s.last++; s.last <= 0 {
		s.last = 1
	}
	return strconv.Itoa(int(s.last))
}

// Split puts fields into messages of at most so many fields each, of which the last is Done: one at least.
//
// COMPAT(slixmpp, 2013; Smack, 2016): neither knows Done as an element, so that a readout is best ended like this.
func Split(seq string, nodes []NodeFields, most int) []*Fields {
	most = min(max(most, 1), MaxParts/3) // each field may be of another node and time
	out := []*Fields{{Seq: seq}}
	room := most
	for _, n := range nodes {
		for _, t := range n.Timestamps {
			for rest := t.Fields; len(rest) > 0; {
				if room == 0 {
					out, room = append(out, &Fields{Seq: seq}), most
				}
				take := min(room, len(rest))
				out[len(out)-1].add(n.Node, t.At, rest[:take])
				rest, room = rest[take:], room-take
			}
		}
	}
	out[len(out)-1].Done = true
	return out
}

// add adds fields of a node and time that is the last or a new one.
func (f *Fields) add(n Node, at xsd.DateTime, fields []Field) {
	if len(f.Nodes) == 0 || f.Nodes[len(f.Nodes)-1].Node != n {
		f.Nodes = append(f.Nodes, NodeFields{Node: n})
	}
	of := &f.Nodes[len(f.Nodes)-1]
	if len(of.Timestamps) == 0 || of.Timestamps[len(of.Timestamps)-1].At != at {
		of.Timestamps = append(of.Timestamps, Timestamp{At: at})
	}
	t := &of.Timestamps[len(of.Timestamps)-1]
	t.Fields = append(t.Fields, fields...)
}
