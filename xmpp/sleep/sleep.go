// SPDX-License-Identifier: Apache-2.0

// Package sleep is what a thing says in its last presence when it goes to save power: it is away
// because it sleeps, and it wakes by itself. Whoever does not know the element sees that it is away.
//
//	<presence type='unavailable'><sleep xmlns='urn:stonechat:sleep:0' until='2026-05-01T12:00:00Z'/></presence>
package sleep

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <sleep/>.
const NS = "urn:stonechat:sleep:0"

// Sleep is in presence of type unavailable. It implements stanza.Payload.
type Sleep struct{ Until time.Time } // in UTC, when it means to be back

// XMLName implements stanza.Payload.
func (*Sleep) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "sleep"} }

// AppendXML implements stanza.Payload.
func (s *Sleep) AppendXML(dst []byte) []byte {
	dst = append(dst, "<sleep xmlns='"+NS+"' until='"...)
	return append(datetime.Append(dst, s.Until), "'/>"...)
}

// DecodeXML implements stanza.Payload. A bad time, or none, is bad-request.
func (s *Sleep) DecodeXML(r *xmlstream.Reader) error {
	*s = Sleep{}
	var err error
	if s.Until, err = datetime.Parse(r.Attr("until")); err != nil {
		r.Fail(stanza.BadRequest.Err("until when it sleeps is no time"))
	}
	return r.Err()
}

// Of reads the element of a presence, and reports whether there is one that can be read.
func Of(s *stanza.Stanza) (until time.Time, ok bool) {
	if s.Kind != stanza.Presence || s.Type != stanza.Unavailable {
		return until, false
	}
	i := s.Find(NS, "sleep")
	if i < 0 {
		return until, false
	}
	var x Sleep
	if err := x.DecodeXML(s.Reader(i)); err != nil {
		return until, false
	}
	return x.Until, true
}
