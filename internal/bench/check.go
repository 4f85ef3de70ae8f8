// SPDX-License-Identifier: Apache-2.0

package bench

// Messages that prove themselves: pair.message stamps the next one into a
// template, pair.check tells whether what arrived is the next one due, and
// settleUp lists what went wrong.

import (
	"fmt"
	"time"
)

// A body is "PPPP SSSSSSSS TTTTTTTTTTTTTTTT " in hexadecimal — pair, sequence
// number, nanoseconds since the run began — and then filler up to its size.
const (
	seqAt    = 5
	stampAt  = 14
	fillerAt = 31
	// MinBody is the least size of a body in bytes: what checking needs.
	MinBody = fillerAt + 1
	// MaxPairs is how many pairs the number of a pair can tell apart.
	MaxPairs = 1 << 16
)

// pair is a sender and its receiver, and the proof that each message of the
// one came to the other exactly once and in order.
type pair struct {
	number   uint16
	from, to *session
	out      template

	sent    uint32 // messages sent; sequence numbers begin at 0
	next    uint32 // the sequence number due at the receiver
	missing map[uint32]bool
	filler  []byte
	faults  faults
}

// faults counts what went wrong with messages.
type faults struct {
	lost, duplicate, reordered, corrupt, misrouted, unacked int
	stray                                                   string // the first body that no receiver expected
}

func (f *faults) add(o faults) {
	f.lost += o.lost
	f.duplicate += o.duplicate
	f.reordered += o.reordered
	f.corrupt += o.corrupt
	f.misrouted += o.misrouted
	f.unacked += o.unacked
	if f.stray == "" {
		f.stray = o.stray
	}
}

// list names the faults, none when there were none.
func (f faults) list() []string {
	var out []string
	for _, v := range []struct {
		n    int
		name string
	}{{f.lost, "lost"}, {f.duplicate, "duplicate"}, {f.reordered, "out of order"}, {f.corrupt, "changed"}, {f.misrouted, "to a wrong session"}, {f.unacked, "not acked"}} {
		if v.n > 0 {
			out = append(out, fmt.Sprintf("%d messages %s", v.n, v.name))
		}
	}
	if f.stray != "" {
		out = append(out, fmt.Sprintf("first stray body: %q", f.stray))
	}
	return out
}

func newPair(number int, from, to *session, body int) *pair {
	p := &pair{number: uint16(number), from: from, to: to}
	text := make([]byte, body)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	putHex(text[:seqAt-1], uint64(number))
	text[seqAt-1], text[stampAt-1], text[fillerAt-1] = ' ', ' ', ' '
	p.filler = text[fillerAt-1:]
	p.out = newTemplate(from, to.address, text)
	from.pair, to.pair = p, p
	return p
}

// message is the next message as bytes for the wire, valid until the next
// call; askAck adds a request for an ack, where the session uses them.
func (p *pair) message(stamp time.Duration, askAck bool) []byte {
	p.out.stamp(p.sent, stamp)
	p.sent++
	p.from.countSent(1)
	if askAck && p.from.sm {
		return p.out.bytes
	}
	return p.out.bytes[:p.out.plain]
}

// check takes a body that arrived at s. It returns when it was sent, and
// whether it is one more message delivered.
func (p *pair) check(s *session, body []byte) (stamp time.Duration, ok bool) {
	if s != p.to {
		p.faults.misrouted++
		p.stray(body)
		return 0, false
	}
	if len(body) != fillerAt-1+len(p.filler) || string(body[fillerAt-1:]) != string(p.filler) {
		p.faults.corrupt++
		p.stray(body)
		return 0, false
	}
	number, ok1 := getHex(body[:seqAt-1])
	seq64, ok2 := getHex(body[seqAt : stampAt-1])
	nanos, ok3 := getHex(body[stampAt : fillerAt-1])
	seq := uint32(seq64)
	switch {
	case !ok1 || !ok2 || !ok3 || seq >= p.sent:
		p.faults.corrupt++
	case uint16(number) != p.number:
		p.faults.misrouted++
	case seq == p.next:
		p.next++
		return time.Duration(nanos), true
	case seq > p.next:
		if p.missing == nil {
			p.missing = make(map[uint32]bool)
		}
		for ; p.next < seq; p.next++ {
			p.missing[p.next] = true
		}
		p.next++
		return time.Duration(nanos), true
	case p.missing[seq]:
		delete(p.missing, seq)
		p.faults.reordered++
		return time.Duration(nanos), true
	default:
		p.faults.duplicate++
	}
	return 0, false
}

// stray keeps the first body that nobody expected, for the report.
func (p *pair) stray(body []byte) {
	if p.faults.stray == "" {
		p.faults.stray = string(body[:min(len(body), 80)])
	}
}

// inFlight is how many messages were sent and are neither received nor known
// to be missing.
func (p *pair) inFlight() int { return int(p.sent - p.next) }

// unacked is how many messages were sent and not acked, where there are acks.
func (p *pair) unacked() int { return int(p.from.sent - p.from.acked) }

// settleUp ends a round: what has not come is lost. It returns the faults of
// the round and forgets them.
func (p *pair) settleUp() faults {
	f := p.faults
	f.lost += len(p.missing) + p.inFlight()
	f.unacked += p.unacked()
	p.next, p.missing, p.faults = p.sent, nil, faults{}
	return f
}

// template is a message whose changing parts have fixed places.
type template struct {
	bytes    []byte // with the request for an ack
	plain    int    // length without it
	id, body int    // offsets; id is 0 when there is none
	idBinary bool   // two bytes (MQTT) instead of four digits
}

func newTemplate(from *session, to string, body []byte) template {
	var t template
	if from.kind == MQTT {
		t.bytes = appendPublish(nil, to, from.qos, body)
		t.plain = len(t.bytes)
		t.body = t.plain - len(body)
		if from.qos > 0 {
			t.id, t.idBinary = t.body-2, true
		}
		return t
	}
	t.bytes = append(t.bytes, "<message to='"+to+"' type='chat' id='"...)
	t.id = len(t.bytes)
	t.bytes = append(t.bytes, "0000'><body>"...)
	t.body = len(t.bytes)
	t.bytes = append(append(t.bytes, body...), "</body></message>"...)
	t.plain = len(t.bytes)
	if from.sm {
		t.bytes = append(t.bytes, smRequest...)
	}
	return t
}

func (t *template) stamp(seq uint32, at time.Duration) {
	switch {
	case t.idBinary:
		id := seq%0xffff + 1 // 0 is no packet identifier
		t.bytes[t.id], t.bytes[t.id+1] = byte(id>>8), byte(id)
	case t.id > 0:
		putHex(t.bytes[t.id:t.id+4], uint64(seq))
	}
	putHex(t.bytes[t.body+seqAt:t.body+stampAt-1], uint64(seq))
	putHex(t.bytes[t.body+stampAt:t.body+fillerAt-1], uint64(at))
}

const digits = "0123456789abcdef"

// putHex fills dst with the lowest digits of v.
func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&15]
		v >>= 4
	}
}

// getHex reads at most sixteen lower-case digits.
func getHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint64(c)
	}
	return v, true
}
