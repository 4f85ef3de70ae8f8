// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"container/list"
	"context"
	"errors"
	"net"
	"time"

	wire "github.com/miekg/dns"
)

const (
	// maxKept is how long an answer is kept at most, whatever it says. RFC 8767 §4 has a week.
	maxKept = 24 * time.Hour
	// maxMissing is the same for an answer that there is nothing. RFC 2308 §5 would allow hours; an operator who
	// has just written his records waits for this.
	maxMissing = 15 * time.Minute
	// failureKept is for how long nobody asks again what no server could answer. RFC 9520 §3.2
	failureKept = 5 * time.Second
	// askTime is for all servers together to answer.
	askTime = 20 * time.Second
	// maxAliases bounds a chain of aliases, and maxAnswer the records of an answer that are looked at.
	maxAliases = 10
	maxAnswer  = 200
)

// question is what is asked.
type question struct {
	name string // canonical
	kind uint16
}

// answer is what DNS says to a question. It never changes.
type answer struct {
	records []wire.RR // at the end of all aliases
	alias   string    // the name there, if it is another
	proven  bool      // by DNSSEC, says a server that is trusted
	err     error     // that there is nothing (isNotFound), or that nobody knows
	ttl     time.Duration
}

// kept is an answer and until when it is good.
type kept struct {
	question
	*answer
	ends time.Time
}

// call is a question that is being asked.
type call struct {
	done   chan struct{}
	answer *answer
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// ask returns the answer to a question: one that is kept, that somebody is waiting for already, or a new one. There
// is none where the name cannot be one, or ctx ends; then and where it is that there is nothing, there is an error.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (*answer, error) {
	name, ok := canonical(name)
	if !ok {
		return nil, notFound(name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q := question{name, kind}
	r.mu.Lock()
	if e := r.kept[q]; e != nil {
		k := e.Value.(*kept)
		if time.Now().Before(k.ends) {
			r.order.MoveToFront(e)
			r.mu.Unlock()
			r.hits.Add(1)
			return k.answer, k.err
		}
		r.drop(e)
	}
	c := r.open[q]
	if c == nil {
		if r.life.Err() != nil {
			r.mu.Unlock()
			return nil, net.ErrClosed
		}
		c = &call{done: make(chan struct{})}
		r.open[q] = c
		r.work.Go(func() { r.run(q, c) })
	}
	r.mu.Unlock()
	select {
	case <-c.done:
		return c.answer, c.answer.err
	case <-ctx.Done():
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: name, IsTimeout: true, IsTemporary: true}
	}
}

// run asks, for whoever waits: that one of them goes away ends nothing.
func (r *Resolver) run(q question, c *call) {
	select {
	case r.slots <- struct{}{}:
		ctx, cancel := context.WithTimeout(r.life, askTime)
		c.answer = r.resolve(ctx, q)
		cancel()
		<-r.slots
	case <-r.life.Done():
		c.answer = &answer{err: net.ErrClosed}
	}
	if c.answer.err != nil && !isNotFound(c.answer.err) {
		r.failed.Add(1)
	}
	r.mu.Lock()
	delete(r.open, q)
	r.keep(q, c.answer)
	r.mu.Unlock()
	close(c.done)
}

// keep notes an answer. The one that was not used for longest gives way.
func (r *Resolver) keep(q question, a *answer) {
	ttl := min(a.ttl, maxKept)
	if ttl <= 0 || r.life.Err() != nil {
		return
	}
	if old := r.kept[q]; old != nil {
		r.drop(old)
	}
	r.kept[q] = r.order.PushFront(&kept{q, a, time.Now().Add(ttl)})
	for r.order.Len() > r.config.Names {
		r.drop(r.order.Back())
		r.displaced.Add(1)
	}
}

func (r *Resolver) drop(e *list.Element) { delete(r.kept, r.order.Remove(e).(*kept).question) }

// resolve finds the answer, over several messages where an alias leads out of the first.
func (r *Resolver) resolve(ctx context.Context, q question) *answer {
	whole := &answer{proven: true, ttl: maxKept}
	at := q
	for range maxAliases {
		msg, trusted, err := r.exchange(ctx, at)
		if err != nil {
			return &answer{err: err, ttl: failureKept}
		}
		part, open := read(msg, at)
		whole.records, whole.err = part.records, part.err
		whole.proven = whole.proven && trusted && msg.AuthenticatedData
		whole.ttl = min(whole.ttl, part.ttl)
		if part.alias != "" {
			whole.alias, at.name = part.alias, part.alias
		}
		if !open {
			return whole
		}
	}
	return &answer{err: &net.DNSError{Err: "too many aliases", Name: q.name}, ttl: failureKept}
}
