// SPDX-License-Identifier: Apache-2.0

// Package delay is the vocabulary of delayed delivery: when a stanza that was
// stored on its way was sent, and who stored it.
//
// XEP-0203 (complete, 2.0)
package delay

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <delay/> and is the feature that announces it.
const NS = "urn:xmpp:delay"

// Delay stamps a stanza. It implements stanza.Payload. XEP-0203 §2
type Delay struct {
	From   jid.JID   // who sent the stanza first, or delayed it; may be zero
	Stamp  time.Time // when it was sent, in UTC, written down to microseconds
	Reason string    // for people; may be empty
}

// XMLName implements stanza.Payload.
func (*Delay) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "delay"} }

// AppendXML implements stanza.Payload.
func (d *Delay) AppendXML(dst []byte) []byte {
	dst = append(dst, "<delay xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "from", d.From.String())
	dst = append(dst, " stamp='"...)
	dst = datetime.Append(dst, d.Stamp)
	if d.Reason == "" {
		return append(dst, "'/>"...)
	}
	dst = append(dst, "'>"...)
	dst = xmlstream.AppendEscaped(dst, d.Reason)
	return append(dst, "</delay>"...)
}

// DecodeXML implements stanza.Payload. A missing or bad stamp is bad-request, a
// bad address jid-malformed.
func (d *Delay) DecodeXML(r *xmlstream.Reader) error {
	*d = Delay{}
	var err error
	if d.Stamp, err = datetime.Parse(r.Attr("stamp")); err != nil {
		r.Fail(stanza.BadRequest.Err("a delay needs a stamp"))
	}
	if from := r.Attr("from"); from != "" {
		if d.From, err = jid.Parse(from); err != nil {
			r.Fail(stanza.JIDMalformed.Err("the address in a delay is not valid"))
		}
	}
	d.Reason = r.Text()
	return r.Err()
}
