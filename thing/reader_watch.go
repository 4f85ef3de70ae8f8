// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: Watch subscribes a Reader to what happens to the nodes of a concentrator, and happened hears of it. A
// subscription ends with the session of either side.

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// maxWatches is how many data sources a reader may watch.
const maxWatches = 1000

// Watch says what is to be told of the nodes of a concentrator. XEP-0326 §3.2.4
type Watch struct {
	Source   string              // of the nodes; "" is concentrator.Topology
	Without  concentrator.Events // what is not to be told
	Messages bool                // why a node is as it is, too
	// Since has what happened since then told first, by the clock of the concentrator: what it has told bears times of that. The zero
	// time: only what is to come.
	Since time.Time
	// Told is told what happens, in order; from is the concentrator's full address. It runs as handlers of the client do.
	Told func(from jid.JID, e *concentrator.Event)
}

// ErrForgotten says that a concentrator does not remember what has happened since Watch.Since. Nothing is subscribed by that: whoever wants
// to know how things are looks at all of the nodes, and watches without Since.
var ErrForgotten = errors.New("thing: it is not remembered what has happened since then")

// watched is what somebody watches.
type watched struct {
	from   jid.JID // full
	source string
}

// watching are the watches of a reader; its lock guards them.
type watching map[watched]Watch

// Watch has a thing tell what happens to its nodes, until the session of either side ends; then it is asked again, with Since, by who
// wants to miss nothing. The thing is named as for Read. To watch the same once more changes what is told. What the thing refuses is a
// *stanza.Error. XEP-0326 §3.2.4, §3.2.7
func (r *Reader) Watch(ctx context.Context, thing jid.JID, w Watch) error {
	to, err := r.at(ctx, thing)
	if err != nil {
		return err
	}
	q := &concentrator.Request{
		Capability: concentrator.Subscribe, Source: cmp.Or(w.Source, concentrator.Topology), Without: w.Without, Messages: w.Messages, Since: xsd.At(w.Since),
	}
	r.bear(to, &q.Tokens)
	key := watched{to, q.Source}
	r.mu.Lock()
	before, again := r.watches[key]
	if !again && len(r.watches) >= maxWatches {
		r.mu.Unlock()
		return errors.New("thing: too much is watched")
	}
	r.watches[key] = w // what is told may be here before the answer
	r.mu.Unlock()
	if err = r.subscribe(ctx, to, q); err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.watches, key); again {
		r.watches[key] = before
	}
	return err
}

// Unwatch has a thing tell no more of the nodes of a source; "" is concentrator.Topology. That it was not watched is no error.
func (r *Reader) Unwatch(ctx context.Context, thing jid.JID, source string) error {
	to, err := r.at(ctx, thing)
	if err != nil {
		return err
	}
	q := &concentrator.Request{Capability: concentrator.Unsubscribe, Source: cmp.Or(source, concentrator.Topology)}
	r.bear(to, &q.Tokens)
	r.mu.Lock()
	delete(r.watches, watched{to, q.Source})
	r.mu.Unlock()
	return r.subscribe(ctx, to, q)
}

// subscribe asks for a subscription, or its end.
func (r *Reader) subscribe(ctx context.Context, to jid.JID, q *concentrator.Request) error {
	s, err := r.client.IQ(ctx, to, stanza.Set, q)
	if err != nil {
		return err
	}
	a := concentrator.Response{Capability: q.Capability}
	if _, err := s.Decode(&a); err != nil {
		return err
	}
	switch {
	case a.Result == concentrator.OK:
		return nil
	case a.Result == concentrator.NotImplemented && !q.Since.IsZero():
		return ErrForgotten
	case a.Result == concentrator.NotImplemented:
		return stanza.FeatureNotImplemented.Err("")
	case a.Result == concentrator.NotFound:
		return stanza.ItemNotFound.Err("")
	case a.Result == concentrator.InsufficientPrivileges:
		return stanza.Forbidden.Err("")
	}
	return stanza.UndefinedCondition.Err(string(a.Result))
}

// watch has the reader hear of what it watches.
func (r *Reader) watch() {
	r.watches = make(watching)
	for kind := concentrator.NodeAdded; kind&concentrator.AllEvents != 0; kind <<= 1 {
		r.client.Handle(stanza.Message, (&concentrator.Event{Kind: kind}).XMLName(), r.happened)
	}
	r.client.HandleSession(func(context.Context) { r.unwatched(jid.JID{}) })
}

// unwatched forgets what is watched of somebody who has left; the zero JID is everybody.
func (r *Reader) unwatched(who jid.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.watches, func(w watched, _ Watch) bool { return who.IsZero() || w.from == who })
}

// happened hears what has happened, of who is watched.
func (r *Reader) happened(_ context.Context, s *stanza.Stanza) {
	for i := range s.Len() {
		var e concentrator.Event
		if space, _, _ := s.Child(i); string(space) != concentrator.NS || e.DecodeXML(s.Reader(i)) != nil {
			continue
		}
		r.mu.Lock()
		w, ok := r.watches[watched{s.From, e.Info.Node.Source}]
		r.mu.Unlock()
		if ok && w.Told != nil {
			w.Told(s.From.Clone(), &e)
		}
	}
}
