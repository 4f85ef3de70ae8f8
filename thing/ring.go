// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// inFlight is how many readings the client has that the server has not acknowledged; the others
// wait in the ring, where the oldest may go.
const inFlight = 16

// late is the age from which a reading says when it was taken, beside its fields.
const late = 10 * time.Second

// ring keeps the readings that are not told.
type ring struct {
	mu      sync.Mutex
	list    []reading // a ring of at most most
	first   int
	most    int
	flying  []reading // that the client has, and the server has not acknowledged
	left    []reading // that will not be told before the next start, for which the file keeps them
	next    uint64    // number of the next
	file    *journal  // nil: they are in memory alone
	last    map[NodeID][]Field
	past    map[NodeID][]reading // what was reported, the latest last; at most long of each node
	long    int
	dropped int
	owners  int           // how many there were: what was taken for one is not put back for the next
	taken   chan struct{} // holds one: something was handed over
	handing bool          // readings are between the ring and the client, or being published
	room    chan struct{} // a place in flight each
}

// reading is what was reported at once.
type reading struct {
	number uint64
	id     string // of its message, the same when it is told again after a restart
	at     time.Time
	node   NodeID // zero: the thing itself
	fields []Field
	said   bool // in rooms
}

func (r *ring) init(most, long int) {
	r.most, r.long = most, long
	r.last, r.past = make(map[NodeID][]Field), make(map[NodeID][]reading)
	r.taken = make(chan struct{}, 1)
	r.room = make(chan struct{}, inFlight)
}

// keep has the readings kept in a file, and takes up those that are in it.
func (r *ring) keep(file *journal, list []reading) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file = file
	if over := len(list) - r.most; over > 0 {
		r.dropped += over
		list = list[over:]
		if err := file.rewrite(list); err != nil {
			return err
		}
	}
	r.list = list
	for i := range list {
		r.next = max(r.next, list[i].number+1)
		r.last[list[i].node] = list[i].fields
		r.remember(list[i])
	}
	return nil
}

// reopen forgets all that was measured for one owner, and begins with the file of another; of nobody there is none.
func (r *ring) reopen(state string, owner jid.JID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.first, r.flying, r.left, r.file = nil, 0, nil, nil, nil
	r.owners++
	clear(r.past)
	clear(r.last)
	if state == "" {
		return nil
	}
	if err := os.Remove(journalFile(state)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("thing: readings of a former owner: %w", err)
	}
	if owner.IsZero() {
		return nil
	}
	file, _, _, err := openJournal(journalFile(state), owner)
	r.file = file
	return err
}

// note notes what was measured, for nobody to be told, unless an owner has come or gone meanwhile.
func (r *ring) note(node NodeID, fields []Field, owner int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners == owner {
		r.last[node] = fields
	}
}

// forget forgets what was measured of a node that is not there any more. What is not told of it will be.
func (r *ring) forget(gone NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, gone)
	delete(r.past, gone)
}

// put adds a reading, if the owner for whom it was measured is here still. An error of the file is told; the reading is in the ring all the
// same.
func (r *ring) put(x reading, owner int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners != owner {
		return nil
	}
	x.number = r.next
	r.next++
	r.last[x.node] = x.fields
	r.remember(x)
	var err error
	if r.file != nil {
		err = r.file.add(&x)
	}
	r.list = append(r.list, x) // before another goes: the file may be written anew then, from this
	if len(r.list)-r.first > r.most {
		old := r.list[r.first]
		r.list[r.first] = reading{}
		r.first++
		r.dropped++
		err = errors.Join(err, r.void(&old))
	}
	if r.first > r.most {
		r.list = append([]reading(nil), r.list[r.first:]...)
		r.first = 0
	}
	return err
}

// remember keeps a reading for whoever asks what was. The caller holds mu.
func (r *ring) remember(x reading) {
	if r.long <= 0 {
		return
	}
	past := r.past[x.node]
	if len(past) >= 2*r.long {
		past = append([]reading(nil), past[len(past)-r.long+1:]...)
	}
	r.past[x.node] = append(past, x)
}

// history is what was reported of a node, the latest last.
func (r *ring) history(node NodeID) []reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	past := r.past[node]
	return slices.Clone(past[max(0, len(past)-r.long):])
}

// void has the file forget a reading. The caller holds mu.
func (r *ring) void(x *reading) error {
	if r.file == nil {
		return nil
	}
	return r.file.drop(x, len(r.left)+len(r.flying)+len(r.list)-r.first, func() []reading {
		all := slices.Concat(r.left, r.flying, r.list[r.first:])
		slices.SortFunc(all, func(a, b reading) int { return cmp.Compare(a.number, b.number) })
		return all
	})
}

// take takes the oldest reading out.
func (r *ring) take() (x reading, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == len(r.list) {
		r.list, r.first = nil, 0
		return reading{}, false
	}
	return r.pull(), true
}

// pull takes the oldest reading out, which there is. The caller holds mu.
func (r *ring) pull() reading {
	x := r.list[r.first]
	r.list[r.first] = reading{}
	r.first++
	r.handing = true
	r.flying = append(r.flying, x)
	return x
}

// takeSome takes the oldest readings out, as many as may be published together, and tells for which owner they are.
func (r *ring) takeSome() (list []reading, owner int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for size := 0; r.first < len(r.list) && len(list) < mostTogether && size < bytesTogether; {
		x := r.pull()
		for i := range x.fields {
			size += x.fields[i].size()
		}
		list = append(list, x)
	}
	return list, r.owners
}

// ownerNumber is which owner there is.
func (r *ring) ownerNumber() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owners
}

// untake puts readings back that were taken last, for the owner who is here still.
func (r *ring) untake(list []reading, owner int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners != owner {
		return
	}
	r.list = append(slices.Clone(list), r.list[r.first:]...)
	r.first, r.flying, r.handing = 0, nil, false
}

// landed says what became of a reading that was taken: it is told, or it never will be; else the
// file keeps it for the next start.
func (r *ring) landed(x *reading, over bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.flying, func(f reading) bool { return f.number == x.number })
	if i < 0 {
		return nil // it was of a former owner, whose file is gone
	}
	r.flying = slices.Delete(r.flying, i, i+1)
	if !over {
		r.left = append(r.left, *x)
		return nil
	}
	return r.void(x)
}

// handed says that the client has what was taken.
func (r *ring) handed() {
	r.mu.Lock()
	r.handing = false
	r.mu.Unlock()
	select {
	case r.taken <- struct{}{}:
	default:
	}
}

func (r *ring) isEmpty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first == len(r.list) && !r.handing
}

func (r *ring) latest(node NodeID) []Field {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[node]
}

// Report tells a reading, as Config.Tell says; while there is no owner it is not kept. It does not wait: without a connection the reading
// is kept. With Config.State it returns when a power cut does not take the reading any more; an error of the
// disk is returned, though the reading is told all the same if the thing lives.
func (t *Thing) Report(fields ...Field) error {
	return t.report(NodeID{}, fields, t.ring.ownerNumber())
}

// ReportNode is Report for one of the nodes that the thing speaks for.
func (t *Thing) ReportNode(id NodeID, fields ...Field) error {
	owner := t.ring.ownerNumber()
	b := t.find(id)
	if b == nil {
		return fmt.Errorf("thing: there is no node %s to report of", nodeName(id))
	}
	return t.report(b.NodeID, fields, owner)
}

// report tells what was measured for the owner of that number, and nobody after him.
func (t *Thing) report(node NodeID, fields []Field, owner int) error {
	if len(fields) == 0 {
		return errors.New("thing: nothing to report")
	}
	now := time.Now()
	own := make([]Field, len(fields))
	for i, f := range fields {
		if err := f.check(); err != nil {
			return err
		}
		if f.Time.IsZero() {
			f.Time = now
		}
		own[i] = f
	}
	if t.Owner().IsZero() {
		t.ring.note(node, own, owner)
		return nil
	}
	err := t.ring.put(reading{id: rand.Text()[:16], at: now, node: node, fields: own}, owner)
	if t.config.Tell == ToOwner|ToFollowers {
		t.publisher.put(node, own, owner)
	}
	t.wakeTelling()
	return err
}

// wakeTelling has all that waits told.
func (t *Thing) wakeTelling() {
	if t.config.Tell&ToOwner != 0 {
		t.wake(&t.telling, t.tell)
	}
	switch t.config.Tell {
	case ToOwner | ToFollowers:
		t.wake(&t.publishing, t.publishLatest)
	case ToFollowers:
		t.wake(&t.publishing, t.publishReadings)
	}
}

// Dropped is how many readings were dropped because too many could not be told.
func (t *Thing) Dropped() int {
	t.ring.mu.Lock()
	defer t.ring.mu.Unlock()
	return t.ring.dropped
}

// Sync waits until no reading is left to tell and the server has acknowledged all that were told.
// It returns with an error when the thing has ended.
func (t *Thing) Sync(ctx context.Context) error {
	for !t.ring.isEmpty() {
		select {
		case <-t.ring.taken:
		case <-t.client.Done():
			return t.client.Err()
		case <-ctx.Done():
			return fmt.Errorf("thing: waiting for the server's acknowledgement: %w", context.Cause(ctx))
		}
	}
	return t.client.Sync(ctx)
}

// tell hands the readings that wait to the client, in order, a few at a time.
func (t *Thing) tell(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case t.ring.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		x, ok := t.ring.take()
		if !ok {
			<-t.ring.room
			return
		}
		t.send(ctx, x, func() { <-t.ring.room })
	}
}

// tellRest hands over what is left before the end.
func (t *Thing) tellRest() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what does not fit is not waited for
	for x, ok := t.ring.take(); ok; x, ok = t.ring.take() {
		if !t.send(ctx, x, nil) {
			return
		}
	}
}

// send tells one reading. landed may be nil.
func (t *Thing) send(ctx context.Context, x reading, landed func()) bool {
	defer t.ring.handed()
	land := func(over bool) {
		if err := t.ring.landed(&x, over); err != nil {
			t.log.Error("reading not noted as told", "err", err)
		}
		if landed != nil {
			landed()
		}
	}
	t.reportToRooms(ctx, &x)
	s, err := t.compose(&x)
	if err != nil {
		t.log.Error("reading not told", "err", err)
		land(true)
		return false
	}
	s.ID = []byte(x.id)
	if time.Since(x.at) > late {
		s.Add(&delay.Delay{Stamp: x.at})
	}
	err = t.client.SendAcked(ctx, s, func(err error) {
		if errors.Is(err, client.ErrRejected) {
			t.log.Error("reading not told", "err", err)
		}
		land(err == nil || errors.Is(err, client.ErrRejected))
		if t.config.Told != nil {
			t.config.Told(x.at, err)
		}
	})
	if err != nil {
		kept := errors.Is(err, client.ErrFull) || errors.Is(err, client.ErrClosed) || t.client.Err() != nil
		if !errors.Is(err, client.ErrClosed) {
			t.log.Error("reading not told", "err", err)
		}
		land(!kept)
		return false
	}
	return true
}

// named are the fields of a reading, by the names that they have among those of all nodes.
func (x *reading) named() []Field {
	if isOwn(x.node) {
		return x.fields
	}
	list := slices.Clone(x.fields)
	for i := range list {
		list[i].Name = sensordata.RecordName(x.node, list[i].Name)
	}
	return list
}

// text is a reading for people.
func (x *reading) text() string {
	if isOwn(x.node) {
		return text(x.fields)
	}
	return nodeName(x.node) + ": " + text(x.fields)
}

// compose makes the message of a reading.
func (t *Thing) compose(x *reading) (*stanza.Stanza, error) {
	p, err := payload(x.named())
	if err != nil {
		return nil, err
	}
	owner := t.Owner()
	if owner.IsZero() {
		return nil, errors.New("thing: it has no owner any more")
	}
	s := stanza.Text(stanza.Chat, owner, x.text())
	s.Add(p)
	if t.config.Transient {
		h := hint.NoStore
		s.Add(&h)
	}
	return s, nil
}
