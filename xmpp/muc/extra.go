// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces of what is not XEP-0045, all of them features too.
const (
	NSOccupantID = "urn:xmpp:occupant-id:0"
	NSHats       = "urn:xmpp:hats:0"
	NSConference = "jabber:x:conference"
)

// OccupantID tells the people in a room apart, whatever they call themselves. *OccupantID implements
// stanza.Payload. XEP-0421
type OccupantID string

// XMLName implements stanza.Payload.
func (*OccupantID) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSOccupantID, Local: "occupant-id"}
}

// AppendXML implements stanza.Payload.
func (o *OccupantID) AppendXML(dst []byte) []byte {
	dst = append(dst, "<occupant-id xmlns='"+NSOccupantID+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", string(*o))
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. An id that is missing or longer than 128 characters is
// bad-request.
func (o *OccupantID) DecodeXML(r *xmlstream.Reader) error {
	*o = OccupantID(r.Attr("id"))
	if n := len([]rune(string(*o))); n == 0 || n > 128 {
		r.Fail(stanza.BadRequest.Err("an occupant id has up to 128 characters"))
	}
	return r.Err()
}

// Hats are what an occupant is beside role and affiliation. It implements stanza.Payload. XEP-0317 §3.1
type Hats struct{ Hats []Hat }

// Hat is one of them.
type Hat struct {
	URI   string // which one, required
	Title string // for people, required
	Hue   string // the angle of its colour, a number of degrees; may be empty
}

// XMLName implements stanza.Payload.
func (*Hats) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSHats, Local: "hats"} }

// AppendXML implements stanza.Payload.
func (h *Hats) AppendXML(dst []byte) []byte {
	dst = append(dst, "<hats xmlns='"+NSHats+"'>"...)
	for _, hat := range h.Hats {
		dst = append(dst, "<hat"...)
		dst = xmlstream.AppendAttr(dst, "title", hat.Title)
		dst = xmlstream.AppendAttr(dst, "uri", hat.URI)
		dst = xmlstream.AppendAttr(dst, "hue", hat.Hue)
		dst = append(dst, "/>"...)
	}
	return append(dst, "</hats>"...)
}

// DecodeXML implements stanza.Payload. A hat without URI or title is bad-request.
func (h *Hats) DecodeXML(r *xmlstream.Reader) error {
	*h = Hats{}
	for n := range r.Children() {
		if n != (xmlstream.Name{Space: NSHats, Local: "hat"}) {
			continue
		}
		hat := Hat{URI: r.Attr("uri"), Title: r.Attr("title"), Hue: r.Attr("hue")}
		if hat.URI == "" || hat.Title == "" {
			r.Fail(stanza.BadRequest.Err("a hat has a URI and a title"))
		}
		h.Hats = append(h.Hats, hat)
	}
	return r.Err()
}

// Conference invites somebody directly. It implements stanza.Payload. XEP-0249
type Conference struct {
	JID      jid.JID // of the room
	Password string
	Reason   string
	Continue bool   // the room goes on with a chat of two
	Thread   string // of that chat
}

// XMLName implements stanza.Payload.
func (*Conference) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSConference, Local: "x"} }

// AppendXML implements stanza.Payload.
func (c *Conference) AppendXML(dst []byte) []byte {
	dst = append(dst, "<x xmlns='"+NSConference+"'"...)
	if c.Continue {
		dst = append(dst, " continue='true'"...)
	}
	dst = xmlstream.AppendAttr(dst, "jid", c.JID.String())
	dst = xmlstream.AppendAttr(dst, "password", c.Password)
	dst = xmlstream.AppendAttr(dst, "reason", c.Reason)
	dst = xmlstream.AppendAttr(dst, "thread", c.Thread)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. A missing address is bad-request, one that is none
// jid-malformed.
func (c *Conference) DecodeXML(r *xmlstream.Reader) error {
	*c = Conference{JID: address(r, "jid"), Password: r.Attr("password"), Reason: r.Attr("reason"), Thread: r.Attr("thread")}
	if c.JID.IsZero() {
		r.Fail(stanza.BadRequest.Err("an invitation names a room"))
	}
	if text, ok := r.LookupAttr("continue"); ok {
		var err error
		if c.Continue, err = strconv.ParseBool(text); err != nil {
			r.Fail(stanza.BadRequest.Err("continue is no boolean"))
		}
	}
	return r.Err()
}
