// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"bytes"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// kind is what is owed to the sender of a stanza.
type kind uint8

const (
	loose    kind = iota // nothing: dropped where it cannot leave
	latest               // as loose; of those that wait, the last of a sender to a receiver is enough
	reply                // to a request of theirs: sent again once, since nobody can be told that it is lost
	answered             // an error, where no connection can be made now
	request              // an answer in bounded time (RFC 6120 §8.2.3)
	kept                 // it survives, or is answered after federation.give_up
)

// answers reports whether somebody is told where the stanza cannot be sent.
func (k kind) answers() bool { return k >= answered }

// counts reports whether somebody waits for the confirmation.
func (k kind) counts() bool { return k.followed() || k.answers() }

// followed reports whether it is known of every connection that it was confirmed.
func (k kind) followed() bool { return k == kept || k == request || k == reply }

// kindOf tells them apart; survives is module/message.Kept.
func kindOf(s *stanza.Stanza, survives func(*stanza.Stanza) bool) kind {
	switch {
	case s.Kind == stanza.IQ && s.Type.IsRequest():
		return request
	case s.Kind == stanza.IQ && (s.First() >= 0 || !pongs(s)):
		return reply
	case s.Kind == stanza.IQ, s.Type == stanza.TypeError:
		return loose
	case s.Kind == stanza.Presence:
		switch s.Type {
		case stanza.Available, stanza.Unavailable:
			return latest
		case stanza.Probe:
			return loose
		}
		return kept
	case s.Type == stanza.Headline:
		return loose
	case s.Type == stanza.Groupchat && s.To.IsBare():
		// To a room of others, which has not kept it yet: a message as any other.
		s.Type = stanza.Normal
		survive := survives(s)
		s.Type = stanza.Groupchat
		if survive {
			return kept
		}
	case survives(s):
		return kept
	}
	if s.Type == stanza.Groupchat || s.Has(stanza.NSClient, "body") {
		return answered
	}
	return loose
}

// pongs reports whether s, an empty result, may answer a fence: two servers would fence each other's answers for ever.
func pongs(s *stanza.Stanza) bool {
	return s.From.IsDomain() && s.From.IsBare() && s.To.IsDomain() && s.To.IsBare()
}

// rowState says whether an entry is on the disk.
type rowState uint8

const (
	noRow rowState = iota
	rowWritten
	rowKept
)

// entry is one stanza of a route that waits, or was sent and is not confirmed. What changes is guarded by its
// route's mutex.
type entry struct {
	r    *route
	b    []byte // as written, with no namespace
	kind kind
	at   time.Time // when it was taken
	id   int64     // of its row, if it gets one; ascending within its route. 0: never
	way  *trace.Way

	receipt server.Receipt // held until it is kept
	row     rowState
	sends   uint8 // on how many connections
	excused uint8 // of them, those that the peer has ended because of another
	faults  uint8 // and those that it has ended with an error while this was in front
	old     bool  // it came from the disk
	done    bool  // confirmed or answered

	sent time.Time // last; guarded by the connection's mutex
}

// confirmed says that the peer has e.
func (e *entry) confirmed(t *server.Turn) {
	r := e.r
	r.mu.Lock()
	if e.done {
		r.mu.Unlock()
		return
	}
	r.flying--
	r.proved, r.tries = true, 0
	r.grow(-len(e.b))
	r.drop(e)
	receipt := e.receipt
	e.receipt = server.Receipt{}
	if len(r.gone) > 0 {
		r.rs.sweeper.arm(r, t.Now.Add(deleteAfter))
	}
	if r.flying <= page/2 {
		r.goOn(t)
	}
	r.mu.Unlock()
	e.way.Note(trace.Acked, "")
	receipt.Release(t)
}

// pair is whose presence to whom.
type pair struct{ from, to jid.JID }

// shownAfter is how late a stanza is before it says so (XEP-0203), where it was not sent before.
const shownAfter = 5 * time.Second

// wire is what is written for e: it says that it is late where it is, or may have come before.
func (e *entry) wire(now time.Time) []byte {
	if e.kind != kept || (e.sends == 0 && !e.old && now.Sub(e.at) < shownAfter) {
		return e.b
	}
	return withDelay(e.b, &delay.Delay{From: e.r.key.From, Stamp: e.at})
}

// withDelay returns a copy of b, a stanza as Append writes it, with d as its last child.
func withDelay(b []byte, d *delay.Delay) []byte {
	out := make([]byte, 0, len(b)+120)
	if open, empty := bytes.CutSuffix(b, []byte("/>")); empty && bytes.Count(b, []byte("<")) == 1 {
		name := open[1 : 1+bytes.IndexAny(open[1:], " /")]
		out = d.AppendXML(append(append(out, open...), '>'))
		return append(append(append(out, "</"...), name...), '>')
	}
	i := bytes.LastIndex(b, []byte("</"))
	out = d.AppendXML(append(out, b[:i]...))
	return append(out, b[i:]...)
}

// bareOf is the inverse of stanza.Standalone, which rows are.
func bareOf(row []byte) []byte {
	return bytes.Replace(row, []byte(" xmlns='"+stanza.NSClient+"'"), nil, 1)
}
