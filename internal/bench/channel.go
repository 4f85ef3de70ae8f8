// SPDX-License-Identifier: Apache-2.0

package bench

// What is sent to many proves itself as between two (check.go): the body bears
// the channel's number in the place of the pair's.

import (
	"fmt"
	"sync/atomic"
	"time"
)

// channel is a room, node or topic.
type channel struct {
	number uint16
	kept   bool // its items are
	out    template
	fans   int            // that receive each of its messages
	sent   uint32         // sequence numbers begin at 0
	left   []atomic.Int32 // by sequence number modulo the window: copies that have not come
}

// newChannel makes what is published in a place of that name.
func newChannel(number int, place Place, name string, from *session, text []byte, window int) *channel {
	ch := &channel{number: uint16(number), left: make([]atomic.Int32, window)}
	putHex(text[:seqAt-1], uint64(number))
	if from.kind == MQTT {
		ch.out = newTemplate(from, name, text)
		return ch
	}
	head, foot := "<message to='"+name+"' type='groupchat' id='", "</body></message>"
	middle := "0000'><body>"
	switch place {
	case Chat:
		head = "<message to='" + name + "' type='chat' id='"
	case Node:
		domain, node := cutNode(name)
		head = "<iq type='set' to='" + domain + "' id='"
		middle = "0000'><pubsub xmlns='" + nsPubSub + "'><publish node='" + node + "'><item id='current'><data xmlns='urn:stonechat:bench'><body>"
		foot = "</body></data></item></publish></pubsub></iq>"
	}
	t := template{bytes: []byte(head), id: len(head)}
	t.bytes = append(t.bytes, middle...)
	t.body = len(t.bytes)
	t.bytes = append(append(t.bytes, text...), foot...)
	t.plain = len(t.bytes)
	if from.sm {
		t.bytes = append(t.bytes, smRequest...)
	}
	ch.out = t
	return ch
}

// cutNode takes "SERVICE NODE" apart.
func cutNode(name string) (service, node string) {
	for i := range name {
		if name[i] == ' ' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

// newBody is the text of a body, with room for what proves it.
func newBody(size int) []byte {
	text := make([]byte, size)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	text[seqAt-1], text[stampAt-1], text[fillerAt-1] = ' ', ' ', ' '
	return text
}

// proof is what a body says of itself.
type proof struct {
	number uint16
	seq    uint32
	stamp  time.Duration
}

// readProof reads a body whose filler must be that of text.
func readProof(body, text []byte) (p proof, ok bool) {
	if len(body) != len(text) || string(body[fillerAt-1:]) != string(text[fillerAt-1:]) {
		return p, false
	}
	number, ok1 := getHex(body[:seqAt-1])
	seq, ok2 := getHex(body[seqAt : stampAt-1])
	nanos, ok3 := getHex(body[stampAt : fillerAt-1])
	return proof{uint16(number), uint32(seq), time.Duration(nanos)}, ok1 && ok2 && ok3
}

// arrived takes a body that a member received, under its lane's lock.
func (f *fan) arrived(m *member, body []byte, now time.Time) {
	l := m.lane
	p, ok := readProof(body, f.text)
	if !ok || int(p.number) >= len(f.channels) {
		l.bad.corrupt++
		if l.bad.stray == "" {
			l.bad.stray = string(body[:min(len(body), 80)])
		}
		return
	}
	due, mine := m.next[p.number]
	switch {
	case !mine:
		l.bad.misrouted++
		return
	case p.seq < due:
		l.bad.duplicate++ // or late
		return
	case p.seq > due:
		l.bad.lost += int(p.seq - due)
	}
	m.next[p.number] = p.seq + 1
	l.copies++
	l.latency.add(now.Sub(f.base) - p.stamp)
	ch := f.channels[p.number]
	if ch.left[int(p.seq)%len(ch.left)].Add(-1) == 0 {
		f.done <- struct{}{} // has room for all that are under way
	}
}

// settleUp ends a round: what has not come is lost. All has been told in faults.
func (f *fan) settleUp() []string {
	missing := 0
	f.crowd.each(func(m *member) {
		for number, due := range m.next {
			ch := f.channels[number]
			missing += int(ch.sent - due)
			m.next[number] = ch.sent
		}
	})
	out := f.crowd.settle()
	if missing > 0 {
		out = append(out, fmt.Sprintf("%d copies lost at the end", missing))
	}
	if n := f.asked - f.answered.Load(); n > 0 {
		out = append(out, fmt.Sprintf("%d publishes not answered", n))
		f.asked = f.answered.Load()
	}
	return out
}
