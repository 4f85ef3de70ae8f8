// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Item is one stanza that is sent.
type Item struct {
	b       []byte
	n       uint64
	at      time.Time   // when it was queued
	stamp   bool        // it is to bear <delay/> if it is late
	all     bool        // a client's presence to all: of these only the last counts
	taken   func(error) // may be nil
	request *request    // that it is, or nil
	faults  int         // how often the server has ended the stream with it in front
}

// NewItem checks and serialises s.
func (c *Config) NewItem(s *stanza.Stanza) (Item, error) {
	it := Item{b: s.Append(make([]byte, 0, s.Size()), "")}
	if len(it.b) > c.MaxStanza {
		return it, fmt.Errorf("%w: %d bytes, and %d are allowed", c.Size, len(it.b), c.MaxStanza)
	}
	// What a program has put together by hand must not cost it the stream, again and again.
	if _, err := stanza.Parse(stanza.Standalone(it.b)); err != nil {
		return it, fmt.Errorf("%s: the stanza is not valid: %w", c.Name, err)
	}
	it.stamp = s.Kind == stanza.Message && s.Type != stanza.TypeError && !s.Has(delay.NS, "delay")
	it.all = s.Kind == stanza.Presence && s.To.IsZero() && (s.Type == stanza.Available || s.Type == stanza.Unavailable)
	return it, nil
}

// Stanza is what the item sends.
func (it *Item) Stanza() (*stanza.Stanza, error) { return stanza.Parse(stanza.Standalone(it.b)) }

// append writes the item, stamped if it has waited here. XEP-0203 §2
func (it *Item) append(b []byte, now time.Time, stampAfter time.Duration) []byte {
	const end = "</message>"
	if body, ok := bytes.CutSuffix(it.b, []byte(end)); ok && it.stamp && now.Sub(it.at) > stampAfter {
		b = append(b, body...)
		b = (&delay.Delay{Stamp: it.at}).AppendXML(b)
		return append(b, end...)
	}
	return append(b, it.b...)
}

// tell says to those who want to know what became of the items: taken, or err.
func tell(gone []Item, err error) {
	for i := range gone {
		if f := gone[i].taken; f != nil {
			f(err)
		}
		if r := gone[i].request; r != nil && err != nil {
			r.reply(nil, err)
		}
	}
}
