// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// fence is a ping (XEP-0199) sent to a server without stream management. Its answer, whatever it says, comes
// after all was read that was sent before it on that connection.
type fence struct {
	o     *out
	r     *route // whose domains it is between
	at    time.Time
	wait  time.Duration
	sent  bool
	until uint64 // window.next when it was sent
}

// askFence asks for a fence, unless one is asked for or none is needed: with a route, one is needed in any case. The caller
// holds no lock.
func (o *out) askFence(t *server.Turn, r *route) {
	o.mu.Lock()
	if o.over || o.managed || o.fence != nil || o.unfenced == 0 && r == nil {
		o.mu.Unlock()
		return
	}
	for _, e := range o.window.all() {
		if e != nil {
			r = e.r
		}
	}
	if r == nil {
		o.unfenced = 0
		o.mu.Unlock()
		return
	}
	f := &fence{o: o, r: r, at: t.Now, wait: o.rs.limits.Load().Confirm}
	o.fence, o.unfenced = f, 0
	o.mu.Unlock()

	iq := stanza.New(stanza.IQ, stanza.Get, r.key.To, &ping.Ping{})
	iq.From = r.key.From
	r.mu.Lock()
	r.ping, r.fence = iq, f
	r.mu.Unlock()
	o.rs.Server.Ask(t, iq, f.wait, f.answered) // by way of route.put
	r.mu.Lock()
	if r.ping == iq {
		r.ping, r.fence = nil, nil
	}
	r.mu.Unlock()
}

// putFence sends the ping, on the connection for which it is meant or not at all. The caller holds mu.
func (r *route) putFence(t *server.Turn, s *stanza.Stanza) error {
	f := r.fence
	if r.out != f.o || !f.o.sendFence(t, s, f) {
		return timeout("").Err // nobody hears of it: fence.answered knows that it was not sent
	}
	r.rs.metrics.fences.Inc()
	return nil
}

// sendFence reports whether f was sent.
func (o *out) sendFence(t *server.Turn, s *stanza.Stanza, f *fence) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.fence != f {
		return false
	}
	f.sent, f.until = true, o.window.next()
	o.scratch = s.Append(o.scratch[:0], "")
	o.write(t, o.scratch)
	return true
}

// answered takes the answer, nil where there was none.
func (f *fence) answered(t *server.Turn, answer *stanza.Stanza) {
	o := f.o
	o.mu.Lock()
	if o.fence != f {
		o.mu.Unlock()
		return
	}
	o.fence = nil
	if answer == nil && f.sent && t.Now.Sub(f.at) >= f.wait/2 {
		o.mu.Unlock()
		o.rs.metrics.stalled.Inc()
		o.fail(errSilent)
		return
	}
	if answer != nil || !f.sent {
		o.doubted = time.Time{}
	}
	var gone []*entry
	if answer != nil && f.until > o.window.base {
		gone = o.window.pop(int(f.until-o.window.base), nil)
		o.unsure = 0
	}
	if answer == nil || !f.sent {
		o.refence(t.Now.Add(time.Second)) // it could not be asked
	} else if o.unfenced > 0 {
		o.refence(t.Now.Add(o.rs.limits.Load().FenceAfter))
	}
	o.mu.Unlock()
	for _, e := range gone {
		e.confirmed(t)
	}
}

// doubtWait is how long a connection has to show that it works when its peer has come on another.
const doubtWait = 10 * time.Second

// doubt has the peer asked whether it is still there, for r: a connection whose end was lost on its way looks like one that works.
func (o *out) doubt(t *server.Turn, r *route) {
	o.mu.Lock()
	if o.over || !o.doubted.IsZero() {
		o.mu.Unlock()
		return
	}
	o.doubted = t.Now.Add(min(doubtWait, o.rs.limits.Load().Confirm))
	o.rs.sweeper.arm(o, o.doubted)
	if o.managed {
		o.conn.Queue([]byte(sm.RequestXML))
		o.conn.Flush()
	}
	o.mu.Unlock()
	o.rs.metrics.doubted.Inc()
	o.askFence(t, r)
}

// refence has a fence asked for, where anything in the window needs one. The caller holds mu.
func (o *out) refence(at time.Time) {
	o.unfenced = 0
	for _, e := range o.window.all() {
		if e != nil {
			o.unfenced++
		}
	}
	if o.unfenced > 0 {
		o.fenceAt = at
		o.rs.sweeper.arm(o, at)
	}
}
