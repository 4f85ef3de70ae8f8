// SPDX-License-Identifier: Apache-2.0

package server

// spared is what a session may have beyond limits.queue_bytes and limits.window_bytes: what a resumption queues at once,
// and one answer to a request of its client's own, the longest. A roster that is longer than them would otherwise end
// the session at each login. There is no room for a second one before the client has taken the first, or asking
// would be a way around the bounds. Each session has one of these: they are as small as can be.
type spared struct {
	queued uint32 // since less than limits.queue_bytes waited
	window uint32 // since less than limits.window_bytes was not acked
}

// spare makes room for e, if it is an answer. The caller holds mu.
func (o *outbound) spare(e sent) {
	if e.answer {
		o.spared.queued = max(o.spared.queued, uint32(len(e.b)))
		o.spared.window = max(o.spared.window, uint32(len(e.b)))
	}
}

// unacked is what may be in the window beyond its bound. The caller holds mu, and has counted what it adds.
func (o *outbound) unacked(l *Limits) int {
	if o.bytes <= l.WindowBytes {
		o.spared.window = 0
	}
	return int(o.spared.window)
}

// lone reports whether all that is not acked is one message whose fate somebody must know. Its client is asked in the same
// packet: the sweeper would ask in one of its own, and its ack would leave in one of its own just so. Where more is on its way
// fewer acks do. The caller holds mu.
func (o *outbound) lone() bool {
	return o.window.Len() == 1 && o.asked == o.acked && o.window.All()[0].d != nil
}

// longUnasked reports whether so much is not acked that the client is to be asked at once: others wait
// for it (Outbox.Pace), and few stanzas may follow a long answer. The caller holds mu.
func (o *outbound) longUnasked() bool {
	return o.asked != o.sentCount() && o.bytes > o.se.server.limits.Load().WindowBytes/2
}
