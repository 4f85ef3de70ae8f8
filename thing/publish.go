// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: whom a thing tells is its maker's choice (Telling). Where it publishes beside its messages, followers are told
// how it is now (publishLatest, of what put has left); where it publishes alone, they are told all that was measured
// (publishReadings, of the ring). Both end in publishAll and publishAt.

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Telling is whom a thing tells what it reports.
type Telling uint8

// Whom a thing tells; both together are ToOwner|ToFollowers.
const (
	// ToOwner sends the owner a message for each reading: his messenger shows it, his archive keeps it, and it waits for him while he
	// is away.
	ToOwner Telling = 1 << iota
	// ToFollowers publishes each field at a node of the account, PublishedAt, for whoever follows it and may (PEP, XEP-0163): the node
	// has the latest reading alone, and nothing waits for anybody. With ToOwner it is published how things are; alone, what could not be
	// published in time is published afterwards, in order, the readings of one field together.
	ToFollowers
)

// NodeOf is the node of a thing's account at which it publishes a field of its own: PublishedAt.
func NodeOf(field string) string { return PublishedAt(NodeID{}, field) }

// PublishedAt is the node of a thing's account at which it publishes a field of a node, or (the zero NodeID) its own: a pack of
// SenML, in XML, whose last record is the latest. XEP-0163
func PublishedAt(node NodeID, field string) string { return sensordata.PublishedAt(node, field) }

// itemCurrent is the one item of such a node.
const itemCurrent = "current"

const (
	mostTogether  = 64       // readings that are published together
	bytesTogether = 16 << 10 // about, of the longest
	atOnce        = 8        // fields that are being published
	publishTime   = 10 * time.Minute
	publishAgain  = 5 * time.Second
	publishSeldom = 5 * time.Minute
)

// spot is where something is published.
type spot struct {
	node  NodeID
	field string
}

func (a spot) compare(b spot) int {
	return cmp.Or(strings.Compare(a.node.ID, b.node.ID), strings.Compare(a.node.Source, b.node.Source),
		strings.Compare(a.node.Cache, b.node.Cache), strings.Compare(a.field, b.field))
}

// publisher has the latest value of each field that is not published yet.
type publisher struct {
	mu     sync.Mutex
	latest map[spot]waits
	made   map[spot]bool // published at in this session: the node is there, and as it should be
	full   map[spot]bool // the server had no room there for long
	former bool          // what is published is a former owner's
	// sending is held by whoever publishes, and by whoever deletes all of it alone.
	sending sync.RWMutex
}

// waits is a value that is not published yet, and for which owner it was measured.
type waits struct {
	Field
	owner int
}

// put has fields published. An older value that still waits is passed over: followers want to know how it is.
func (p *publisher) put(node NodeID, fields []Field, owner int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		p.latest = make(map[spot]waits)
	}
	for _, f := range fields {
		if at := (spot{node, f.Name}); p.latest[at].owner <= owner {
			p.latest[at] = waits{f, owner}
		}
	}
}

func (p *publisher) take() map[spot]waits {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.latest
	p.latest = nil
	return taken
}

// note notes that a place is there, or (false) that nothing is known.
func (p *publisher) note(at spot, made bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made = make(map[spot]bool)
	}
	if p.made[at] = made; made {
		delete(p.full, at)
	}
}

// noteFull notes that the server had no room at a place for long, until it has.
func (p *publisher) noteFull(at spot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full == nil {
		p.full = make(map[spot]bool)
	}
	p.full[at] = true
}

func (p *publisher) isFull(at spot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full[at]
}

func (p *publisher) isMade(at spot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[at]
}

// forget forgets what the last session knew.
func (p *publisher) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = nil
}

// servePublishing has what is published follow the sessions.
func (t *Thing) servePublishing() {
	if t.config.Tell&ToFollowers != 0 {
		t.client.HandleSession(func(context.Context) { t.publisher.forget() })
	}
}

// publishLatest publishes how things are.
func (t *Thing) publishLatest(ctx context.Context) {
	owner := t.ring.ownerNumber()
	packs := make(map[spot]senml.Pack)
	for at, f := range t.publisher.take() {
		if f.owner == owner {
			packs[at] = pack((&reading{node: at.node, fields: []Field{f.Field}}).named())
		}
	}
	t.publishAll(ctx, packs, owner)
}

// publishReadings publishes all that waits, in order.
func (t *Thing) publishReadings(ctx context.Context) {
	for ctx.Err() == nil {
		list, owner := t.ring.takeSome()
		if len(list) == 0 || !t.publishTogether(ctx, list, owner) {
			return
		}
	}
}

// publishRest publishes what is left before the end, as far as that goes without waiting long.
func (t *Thing) publishRest() {
	if !t.client.Online() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(t.config.Client.CloseTime, 5*time.Second))
	defer cancel()
	t.publishReadings(ctx)
}

// publishTogether publishes readings that were taken from the ring. It returns false, and puts them back, if ctx is over or the thing
// is before they are.
func (t *Thing) publishTogether(ctx context.Context, list []reading, owner int) bool {
	defer t.ring.handed()
	packs := make(map[spot]senml.Pack)
	for i := range list {
		x := &list[i]
		if !x.said {
			t.reportToRooms(ctx, x)
			x.said = true
		}
		records := pack(x.named())
		for k, f := range x.fields {
			at := spot{x.node, f.Name}
			packs[at] = append(packs[at], records[k])
		}
	}
	refused := t.publishAll(ctx, packs, owner)
	if ctx.Err() != nil || t.client.Err() != nil {
		t.ring.untake(list, owner)
		return false
	}
	for i := range list {
		x := &list[i]
		if err := t.ring.landed(x, true); err != nil {
			t.log.Error("reading not noted as told", "err", err)
		}
		if t.config.Told == nil {
			continue
		}
		var err error
		for _, f := range x.fields {
			if e := refused[spot{x.node, f.Name}]; e != nil {
				err = e
			}
		}
		t.config.Told(x.at, err)
	}
	return true
}

// publishAll publishes at several places in one round trip, and tells what was refused.
func (t *Thing) publishAll(ctx context.Context, packs map[spot]senml.Pack, owner int) (refused map[spot]error) {
	refused = make(map[spot]error)
	var mu sync.Mutex
	var work sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, at := range slices.SortedFunc(maps.Keys(packs), spot.compare) {
		room <- struct{}{}
		work.Go(func() {
			defer func() { <-room }()
			err := t.publishAt(ctx, at, packs[at], owner)
			if err == nil || ctx.Err() != nil || t.client.Err() != nil {
				return
			}
			t.log.Error("reading not published", "node", at.node.ID, "parameter", at.field, "err", err)
			mu.Lock()
			defer mu.Unlock()
			refused[at] = err
		})
	}
	work.Wait()
	return refused
}

// publishAt publishes at one place, until the server has that or refuses it for good, or the owner for whom it was is gone. Where the
// server says for long that it has no room, that is given up, or the other places would wait for ever; there it is not waited for again.
func (t *Thing) publishAt(ctx context.Context, at spot, list senml.Pack, owner int) error {
	var since time.Time // when the server has refused it first
	for wait := publishAgain; ; wait = min(2*wait, publishSeldom) {
		err := t.publishFor(ctx, at, list, owner)
		var refused *stanza.Error
		switch isRefused := errors.As(err, &refused); {
		case err == nil || isRefused && refused.Type != stanza.Wait || ctx.Err() != nil || t.client.Err() != nil:
			return err
		case errors.Is(err, errNoPack), errors.Is(err, errNotHis):
			return err
		case isRefused && since.IsZero():
			if t.publisher.isFull(at) {
				return err
			}
			since = time.Now()
			t.log.Warn("reading not published now: it is tried again", "node", at.node.ID, "parameter", at.field, "err", err)
		case isRefused && time.Since(since) > publishTime:
			t.publisher.noteFull(at)
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var (
	errNoPack = errors.New("thing: it cannot be written")
	errNotHis = errors.New("thing: the owner for whom it was measured has given the thing up")
)

// publishFor is one attempt, if the owner for whom that was measured is here. Of one before him nothing is there any more.
func (t *Thing) publishFor(ctx context.Context, at spot, list senml.Pack, owner int) error {
	if err := t.unpublishFormer(ctx); err != nil {
		return err
	}
	t.publisher.sending.RLock()
	defer t.publisher.sending.RUnlock()
	if t.ring.ownerNumber() != owner {
		return errNotHis
	}
	return t.publishOnce(ctx, at, list)
}

// publishOnce is one attempt. What the node should be like is said once in a session.
func (t *Thing) publishOnce(ctx context.Context, at spot, list senml.Pack) error {
	if err := list.Check(); err != nil {
		return errors.Join(errNoPack, err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime) // it waits in the client for a connection
	defer cancel()
	q := &pubsub.Request{Publish: &pubsub.Items{Node: PublishedAt(at.node, at.field), Items: []pubsub.Item{{ID: itemCurrent, Payload: list.AppendXML(nil)}}}}
	if !t.publisher.isMade(at) {
		q.PublishOptions = form.New(form.Submit, pubsub.FormPublish, form.Bool("pubsub#persist_items", true), form.Value("pubsub#max_items", "1"))
	}
	_, err := t.client.IQ(ctx, jid.JID{}, stanza.Set, q)
	var refused *stanza.Error
	if errors.As(err, &refused) && refused.Condition == stanza.Conflict && q.PublishOptions != nil {
		q.PublishOptions = nil // somebody has made it another way, and wants it so
		_, err = t.client.IQ(ctx, jid.JID{}, stanza.Set, q)
	}
	if err == nil {
		t.publisher.note(at, true)
	}
	return err
}

// outdate notes that what is published is a former owner's (true), or not any more.
func (p *publisher) outdate(former bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.former = former
}

func (p *publisher) isFormer() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.former
}

// unpublishFormer is unpublish where something is a former owner's still.
func (t *Thing) unpublishFormer(ctx context.Context) error {
	if !t.publisher.isFormer() {
		return nil
	}
	t.publisher.sending.Lock()
	defer t.publisher.sending.Unlock()
	if !t.publisher.isFormer() { // done meanwhile
		return nil
	}
	return t.deletePublished(ctx)
}

// unpublish deletes what was published: the last readings of one owner are not the next one's.
func (t *Thing) unpublish(ctx context.Context) error {
	t.publisher.sending.Lock()
	defer t.publisher.sending.Unlock()
	return t.deletePublished(ctx)
}

// deletePublished is unpublish for one who has sending.
func (t *Thing) deletePublished(ctx context.Context) error {
	t.publisher.forget()
	for {
		var list disco.Items // a page of them, it may be
		err := t.client.Ask(ctx, t.account(), &disco.Items{}, &list)
		if refused := (*stanza.Error)(nil); errors.As(err, &refused) && refused.Type == stanza.Cancel {
			t.noFormer()
			return nil // the account has no nodes
		}
		if err != nil {
			return err
		}
		gone := 0
		for _, item := range list.Items {
			if _, _, ours := sensordata.ParsePublishedAt(item.Node); !ours {
				continue
			}
			if _, err := t.client.IQ(ctx, jid.JID{}, stanza.Set, &pubsub.OwnerRequest{Delete: &pubsub.Delete{Node: item.Node}}); err != nil {
				return err
			}
			gone++
		}
		if gone == 0 {
			t.noFormer()
			return nil
		}
	}
}

// noFormer notes that nothing that is published is a former owner's. Who has sending calls it.
func (t *Thing) noFormer() {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.publisher.isFormer()
	if t.publisher.outdate(false); !before {
		return
	}
	if err := t.keepLife(); err != nil {
		t.log.Error("that nothing of a former owner is published is not kept", "err", err)
	}
}
