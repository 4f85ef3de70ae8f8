// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: an Echo is a component (XEP-0114) that sends back what it gets; Component has sessions talk with
// it, so that each message goes through the server to the component and back.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Echo is a component whose addresses send back every message. It lasts until Close, or until the server ends it.
type Echo struct {
	conn  net.Conn
	m     *stream.ComponentClient
	ended chan struct{}
	err   error // why it ended; for who has seen ended
}

const echoTime = 30 * time.Second // to log in

// NewEcho attaches a component at a server's listener for components.
func NewEcho(ctx context.Context, address, domain, secret string) (*Echo, error) {
	d, err := jid.New("", domain, "")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("bench: component: %w", err)
	}
	e := &Echo{conn: conn, ended: make(chan struct{}), m: stream.NewComponentClient(&stream.ComponentClientConfig{Domain: d, Secret: secret}, time.Now())}
	e.m.Start()
	err = conn.SetDeadline(time.Now().Add(echoTime))
	if err == nil {
		err = e.run(true)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench: component %s: %w", domain, err), conn.Close())
	}
	go func() {
		defer close(e.ended)
		e.err = e.run(false)
	}()
	return e, nil
}

// run moves bytes until the component has logged in, if that is to be, or until the end. What one read brings is answered by
// one write.
func (e *Echo) run(login bool) error {
	in, out := make([]byte, 64<<10), []byte(nil)
	var s stanza.Stanza
	for {
		ev := e.m.Next()
		out = append(out, e.m.Out()...)
		switch ev.Kind {
		case stream.Login:
			if login {
				return nil
			}
			continue
		case stream.End:
			return fmt.Errorf("the stream has ended: %w", errors.Join(ev.Err, net.ErrClosed))
		case stream.Element:
			if err := s.FromElement(ev.Element, new(jid.Cache)); err == nil && s.Kind == stanza.Message && s.Type != stanza.TypeError {
				s.From, s.To = s.To, s.From
				out = s.Append(out, "")
			}
			continue
		}
		e.m.Keep()
		if len(out) > 0 {
			if _, err := e.conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		n, err := e.conn.Read(in)
		if n == 0 && err != nil {
			return err
		}
		e.m.Feed(in[:n])
	}
}

// Close ends it.
func (e *Echo) Close() error {
	err := e.conn.Close()
	<-e.ended
	return err
}

// ComponentOptions shape the workload of a component.
type ComponentOptions struct {
	Sessions int
	Window   int // messages in flight of each session
	Body     int // bytes
	Duration time.Duration
	Domain   func(*Target) string `json:"-"` // of the component
	Secret   string               `json:"-"`
}

// echoed is one target with its component and sessions.
type echoed struct {
	o      ComponentOptions
	target *Target
	echo   *Echo
	wires  []*wire
}

// Component measures what a message to a component and its way back cost a server.
func (r *Run) Component(ctx context.Context, targets []Target, o ComponentOptions) (*Report, error) {
	if o.Sessions < 1 || o.Window < 1 || o.Body < 1 || o.Duration <= 0 || o.Domain == nil {
		return nil, errors.New("bench: component: needs sessions, a window, a body, a duration and the component's domain")
	}
	rep := r.report("component", o, fmt.Sprintf("%d sessions, %d in flight each, bodies of %d bytes, to a component that sends them back; a message is both ways", o.Sessions, o.Window, o.Body), targets)
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*echoed, error) { return r.openEchoed(ctx, t, o) })
	defer func() {
		for _, s := range subjects {
			if s != nil {
				s.(*echoed).close()
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

func (r *Run) openEchoed(ctx context.Context, t *Target, o ComponentOptions) (w *echoed, err error) {
	if t.Kind != XMPP || t.Component == "" {
		return nil, fmt.Errorf("bench: %s has no components", t)
	}
	if _, err := r.ready(ctx, t, o.Sessions); err != nil {
		return nil, err
	}
	w = &echoed{o: o, target: t}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.echo, err = NewEcho(ctx, t.Component, o.Domain(t), o.Secret); err != nil {
		return nil, err
	}
	d := newDialer(*t, Session{})
	t.Version = d.version(ctx)
	for i := range o.Sessions {
		one, err := d.connect(ctx, i)
		if err != nil {
			return nil, err
		}
		w.wires = append(w.wires, one)
		if err := errors.Join(d.setUp(one), one.s.sock.SetDeadline(time.Time{})); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *echoed) close() {
	for _, one := range w.wires {
		_ = one.s.sock.Close() // all that matters has arrived
	}
	if w.echo != nil {
		_ = w.echo.Close()
	}
}

func (w *echoed) round(ctx context.Context) (sample Sample, err error) {
	before, unknown := cpuTime(w.target.PID)
	own, _ := cpuTime(os.Getpid()) // for orientation only
	began := time.Now()
	took := make([]histogram, len(w.wires))
	errs := make([]error, len(w.wires))
	var talking sync.WaitGroup
	for i, one := range w.wires {
		talking.Go(func() { errs[i] = w.talk(ctx, one, began.Add(w.o.Duration), &took[i]) })
	}
	talking.Wait()
	span := time.Since(began)
	after, gone := cpuTime(w.target.PID)
	spent, _ := cpuTime(os.Getpid())
	all := new(histogram)
	for i := range took {
		all.merge(&took[i])
	}
	err = errors.Join(errs...)
	if err == nil && all.n == 0 {
		err = errNothing
	}
	if err == nil && w.target.PID != 0 {
		err = errors.Join(unknown, gone)
	}
	if err != nil {
		return sample, fmt.Errorf("bench: %s: %w", w.target, err)
	}
	n := float64(all.n)
	if w.target.PID != 0 {
		sample.set(CPUPerMessage, "µs", micros(after-before)/n, true)
	}
	sample.set(Messages, "/s", n/span.Seconds(), false)
	sample.set(LatencyP50, "ms", micros(all.quantile(.5))/1000, false)
	sample.set(LatencyP99, "ms", micros(all.quantile(.99))/1000, false)
	sample.set(GeneratorCPU, "µs", micros(spent-own)/n, false)
	return sample, nil
}

// talk has one session keep its window full until a time, and then waits for what is under way.
func (w *echoed) talk(ctx context.Context, one *wire, until time.Time, took *histogram) error {
	defer context.AfterFunc(ctx, func() { _ = one.s.sock.SetDeadline(time.Unix(1, 0)) })()
	if err := one.s.sock.SetDeadline(until.Add(echoTime)); err != nil {
		return err
	}
	head := "<message to='echo@" + w.o.Domain(w.target) + "' type='chat' id='"
	tail := "'><body>" + strings.Repeat("x", w.o.Body) + "</body></message>"
	sent := make(map[string]time.Time, w.o.Window)
	for n := 0; ; {
		for now := time.Now(); len(sent) < w.o.Window && now.Before(until); n++ {
			id := strconv.Itoa(n)
			sent[id] = now
			if err := one.s.write([]byte(head + id + tail)); err != nil {
				return err
			}
		}
		if len(sent) == 0 {
			return nil
		}
		unit, err := one.next()
		if err != nil {
			return fmt.Errorf("%d messages did not come back: %w", len(sent), err)
		}
		if string(localName(unit)) != "message" {
			continue
		}
		id := string(attr(unit, "id"))
		at, ok := sent[id]
		if !ok || string(attr(unit, "type")) == "error" {
			return fmt.Errorf("the server answered %.300s", unit)
		}
		delete(sent, id)
		took.add(time.Since(at))
	}
}
