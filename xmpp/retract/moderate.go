// SPDX-License-Identifier: Apache-2.0

package retract

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NSModerate (XEP-0425) qualifies Moderate and Moderated, and is the feature of rooms whose moderators can take messages back.
const NSModerate = "urn:xmpp:message-moderate:1"

// nsOccupant qualifies the id of an occupant (XEP-0421).
const nsOccupant = "urn:xmpp:occupant-id:0"

// Moderate is a moderator's request to its room. It implements stanza.Payload. XEP-0425 §3
type Moderate struct {
	ID      string // that the room has given the message
	Retract bool   // to take it back: nothing else is defined
	Reason  string // for people; may be empty
}

// XMLName implements stanza.Payload.
func (*Moderate) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSModerate, Local: "moderate"}
}

// AppendXML implements stanza.Payload.
func (m *Moderate) AppendXML(dst []byte) []byte {
	dst = append(dst, "<moderate xmlns='"+NSModerate+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", m.ID)
	dst = append(dst, '>')
	if m.Retract {
		dst = append(dst, "<retract xmlns='"+NS+"'/>"...)
	}
	if m.Reason != "" {
		dst = xmlstream.AppendText(dst, "reason", m.Reason)
	}
	return append(dst, "</moderate>"...)
}

// DecodeXML implements stanza.Payload. A request without an id is bad-request.
func (m *Moderate) DecodeXML(r *xmlstream.Reader) error {
	*m = Moderate{ID: r.Attr("id")}
	if m.ID == "" {
		r.Fail(stanza.BadRequest.Err("which message is to be moderated"))
	}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "retract"}:
			m.Retract = true
		case xmlstream.Name{Space: NSModerate, Local: "reason"}:
			m.Reason = r.Text()
		}
	}
	return r.Err()
}

// Moderated says which moderator it was. It implements stanza.Payload. XEP-0425 §3.1
type Moderated struct {
	By       jid.JID // zero: it is not told
	Occupant string  // the moderator's occupant id (XEP-0421); "": none
}

// XMLName implements stanza.Payload.
func (*Moderated) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSModerate, Local: "moderated"}
}

// AppendXML implements stanza.Payload.
func (m *Moderated) AppendXML(dst []byte) []byte {
	dst = append(dst, "<moderated xmlns='"+NSModerate+"'"...)
	dst = xmlstream.AppendAttr(dst, "by", m.By.String())
	if m.Occupant == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, "><occupant-id xmlns='"+nsOccupant+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", m.Occupant)
	return append(dst, "/></moderated>"...)
}

// DecodeXML implements stanza.Payload. A bad address is jid-malformed.
func (m *Moderated) DecodeXML(r *xmlstream.Reader) error {
	*m = Moderated{}
	if by := r.Attr("by"); by != "" {
		var err error
		if m.By, err = jid.Parse(by); err != nil {
			r.Fail(stanza.JIDMalformed.Err("the address of a moderator is not valid"))
		}
	}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: nsOccupant, Local: "occupant-id"}) {
			m.Occupant = r.Attr("id")
		}
	}
	return r.Err()
}
