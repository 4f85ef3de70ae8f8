// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: what things and owners do, by sessions of a broker: each thing publishes at a topic of its own beneath
// its owner's, who subscribes to all of these. Both acknowledge (QoS 1).

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// mqttPart is the things, or the owners, of one process.
type mqttPart struct {
	o        ThingsOptions
	things   bool // else owners
	first    int
	count    int
	accounts Accounts
	dialer   *dialer
	bad      *notes
	book     *book
	work     sync.WaitGroup
	life     context.Context
	end      context.CancelFunc

	mu       sync.Mutex // held while the loop handles input
	loop     *loop
	span     *span
	reported int64
	sessions []*mqttThing
}

// mqttThing is one session that publishes.
type mqttThing struct {
	s     *session
	topic string
	name  string
	count uint64
	next  time.Time
}

func newMQTTPart(t Target, o *thingsOrder, bad *notes) (*mqttPart, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	if t.Accounts.Pattern == "" {
		t.Accounts.Pattern = "bench%d"
	}
	p := &mqttPart{o: o.Options, things: o.Part == partThings, first: o.First, count: o.Count, accounts: t.Accounts, dialer: newDialer(t, Session{QoS: 1}),
		bad: bad, book: newBook(), loop: l}
	p.life, p.end = context.WithCancel(context.Background())
	l.message = func(_ *session, body []byte, now time.Time) { p.hear(body, now) }
	l.ended = func(s *session, err error) { bad.fault("session %d ended: %v", s.index, err) }
	p.work.Go(p.turn)
	return p, nil
}

// turn turns the loop.
func (p *mqttPart) turn() {
	for p.life.Err() == nil {
		err := p.loop.wait(laneWait)
		p.mu.Lock()
		if err == nil {
			p.loop.handle()
		}
		p.mu.Unlock()
		if err != nil {
			p.bad.fault("%v", err)
			return
		}
	}
}

// topic is where a thing publishes, and with + in its place all of an owner's.
func topicOf(owner int, thing string) string { return fmt.Sprintf("bench/%d/%s", owner, thing) }

func (p *mqttPart) obey(ctx context.Context, o *thingsOrder, a *thingsAnswer) error {
	switch o.Do {
	case "start":
		if p.things {
			return p.publishers(ctx)
		}
		return parallel(ctx, p.count, connecting, func(i int) error {
			_, err := p.login(ctx, p.first+i, func(w *wire) error { return w.subscribe(topicOf(i, "+")) })
			return err
		})
	case "measure":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.span, p.reported = &span{o.From, o.To}, 0
		p.book.measure(p.span)
	case "finish":
		if !p.things {
			return p.book.finish(ctx, p.o.drain(), o.Expected, a)
		}
		return p.finish(ctx, a)
	default:
		return unknownOrder(o)
	}
	return nil
}

// login makes a session of the loop's.
func (p *mqttPart) login(ctx context.Context, index int, prepare func(*wire) error) (*session, error) {
	d := *p.dialer
	d.prepare = prepare
	s, err := d.login(ctx, index)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loop.add(s)
	return s, s.err
}

// subscribe subscribes to one more topic.
func (w *wire) subscribe(topic string) error {
	if err := w.s.write(appendSubscribe(nil, 2, topic, w.s.qos)); err != nil {
		return err
	}
	ack, err := w.next()
	if err == nil {
		err = w.s.packet(ack, time.Time{}, func(*session, []byte, time.Time) {})
	}
	return err
}

// publishers come one after the other, and publish from then on.
func (p *mqttPart) publishers(ctx context.Context) error {
	begun, ramp := time.Now(), p.o.ramp()
	came := make(chan *mqttThing, p.count)
	p.work.Go(func() { p.publish(came) })
	return parallel(ctx, p.count, connecting, func(i int) error {
		if err := pause(ctx, time.Until(begun.Add(ramp*time.Duration(i)/time.Duration(p.count)))); err != nil {
			return err
		}
		n := p.first + i
		s, err := p.login(ctx, n, nil)
		if err != nil {
			return err
		}
		name := p.accounts.name(n)
		came <- &mqttThing{s: s, name: name, topic: topicOf(p.o.ownerOf(n), name)}
		return nil
	})
}

// publish has those that came publish at once, and then each when it is its turn: as all do so equally often, whoever has
// published is behind all others.
func (p *mqttPart) publish(came <-chan *mqttThing) {
	var queue []*mqttThing
	for {
		var due <-chan time.Time
		var timer *time.Timer
		if len(queue) > 0 {
			timer = time.NewTimer(time.Until(queue[0].next))
			due = timer.C
		}
		var t *mqttThing
		select {
		case <-p.life.Done():
			return
		case t = <-came:
			p.mu.Lock()
			p.sessions = append(p.sessions, t)
			p.mu.Unlock()
			t.next = time.Now()
		case <-due:
			t, queue = queue[0], queue[1:]
		}
		if timer != nil {
			timer.Stop()
		}
		p.tell(t)
		t.next = t.next.Add(p.o.Every)
		queue = append(queue, t)
	}
}

// tell publishes a reading, unless the measured time is over.
func (p *mqttPart) tell(t *mqttThing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.span != nil && !now.Before(p.span.to) {
		return
	}
	t.count++
	body, err := reading(t.name, t.count, now)
	if err != nil {
		p.bad.fault("%v", err)
		return
	}
	packet := appendPublish(nil, t.topic, t.s.qos, body)
	binary.BigEndian.PutUint16(packet[len(packet)-len(body)-2:], uint16(t.count%0xffff)+1)
	if p.span.has(now) {
		p.reported++
	}
	t.s.countSent(1)
	p.loop.write(t.s, packet)
}

// hear takes what an owner gets.
func (p *mqttPart) hear(body []byte, now time.Time) {
	pack, err := senml.ParseJSON(body)
	if err != nil || len(pack) != 1 {
		p.bad.fault("this is no reading: %.100q (%v)", body, err)
		return
	}
	name, _, _ := strings.Cut(pack[0].Name, ":")
	thing, ours := p.accounts.number(name)
	if !ours {
		p.bad.fault("this is of no thing: %.100q", body)
		return
	}
	n, at := readMeter(pack[0].Value.Number().Float64(), pack[0].Time.Date(now))
	p.book.note(thing, n, at, now)
}

// finish waits until the broker has acknowledged all.
func (p *mqttPart) finish(ctx context.Context, a *thingsAnswer) error {
	open := func() (n int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, t := range p.sessions {
			n += int64(t.s.sent - t.s.acked)
		}
		return n
	}
	if err := await(ctx, p.o.drain(), func() bool { return open() == 0 }); ctx.Err() != nil {
		return err
	}
	left := open()
	p.mu.Lock()
	defer p.mu.Unlock()
	a.Reported, a.Acked = p.reported, p.reported-left
	return nil
}

func (p *mqttPart) close() error {
	p.end()
	p.work.Wait()
	p.loop.leaveAll(true)
	return p.loop.close()
}
