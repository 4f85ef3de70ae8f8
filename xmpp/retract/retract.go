// SPDX-License-Identifier: Apache-2.0

// Package retract is the vocabulary of messages that are taken back, by who sent them or by a moderator of the room in which
// they stood.
//
// A retraction is to be believed only of the message's sender, or, where a moderator is named in it, of the room itself.
// Nobody is bound by it: what was sent was sent.
//
// How to read this package: retract.go has what senders and archives write, moderate.go what moderators do.
//
// XEP-0424 (complete, 0.4.2)
package retract

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies Retract and Retracted; it is the feature of clients that understand them and of servers that archive them.
// NSTombstone is that of archives which put a Retracted in the place of what was taken back.
const (
	NS          = "urn:xmpp:message-retract:1"
	NSTombstone = NS + "#tombstone"
)

// Retract takes a message back. It implements stanza.Payload. XEP-0424 §3, XEP-0425 §3
type Retract struct {
	ID        string     // of the message; in a room the one that the room has given it
	Moderated *Moderated // by whom, where it was a moderator; then the room says it
	Reason    string     // of the moderator, for people
}

// XMLName implements stanza.Payload.
func (*Retract) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "retract"} }

// AppendXML implements stanza.Payload.
func (x *Retract) AppendXML(dst []byte) []byte {
	dst = append(dst, "<retract xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", x.ID)
	return appendModerated(dst, "retract", x.Moderated, x.Reason)
}

// DecodeXML implements stanza.Payload. One without an id is bad-request.
func (x *Retract) DecodeXML(r *xmlstream.Reader) error {
	*x = Retract{ID: r.Attr("id")}
	if x.ID == "" {
		r.Fail(stanza.BadRequest.Err("a retraction names the message"))
	}
	x.Moderated, x.Reason = readModerated(r)
	return r.Err()
}

// Retracted stands in the place of what was taken back: a tombstone. It implements stanza.Payload. XEP-0424 §4, XEP-0425 §4
type Retracted struct {
	ID        string    // of the message that took it back; "" where a moderator did
	Stamp     time.Time // when, in UTC; zero: it does not say
	Moderated *Moderated
	Reason    string
}

// XMLName implements stanza.Payload.
func (*Retracted) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "retracted"} }

// AppendXML implements stanza.Payload.
func (x *Retracted) AppendXML(dst []byte) []byte {
	dst = append(dst, "<retracted xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", x.ID)
	if !x.Stamp.IsZero() {
		dst = append(dst, " stamp='"...)
		dst = append(datetime.Append(dst, x.Stamp), '\'')
	}
	return appendModerated(dst, "retracted", x.Moderated, x.Reason)
}

// DecodeXML implements stanza.Payload. A bad stamp is bad-request.
func (x *Retracted) DecodeXML(r *xmlstream.Reader) error {
	*x = Retracted{ID: r.Attr("id")}
	if stamp, ok := r.LookupAttr("stamp"); ok {
		var err error
		if x.Stamp, err = datetime.Parse(stamp); err != nil {
			r.Fail(stanza.BadRequest.Err("the stamp of a tombstone is no time"))
		}
	}
	x.Moderated, x.Reason = readModerated(r)
	return r.Err()
}

// appendModerated ends the element local with what a moderator has said.
func appendModerated(dst []byte, local string, by *Moderated, reason string) []byte {
	if by == nil && reason == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if by != nil {
		dst = by.AppendXML(dst)
	}
	if reason != "" {
		dst = xmlstream.AppendText(dst, "reason", reason)
	}
	return xmlstream.AppendEnd(dst, local)
}

func readModerated(r *xmlstream.Reader) (by *Moderated, reason string) {
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSModerate, Local: "moderated"}:
			by = new(Moderated)
			if err := by.DecodeXML(r); err != nil {
				return by, reason
			}
		case xmlstream.Name{Space: NS, Local: "reason"}:
			reason = r.Text()
		}
	}
	return by, reason
}
