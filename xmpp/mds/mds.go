// SPDX-License-Identifier: Apache-2.0

// Package mds is the vocabulary of displayed states that the devices of a person share: up to which
// message each conversation has been seen.
//
// XEP-0490 (complete, 1.0.1)
package mds

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <displayed/> and is the name of the node. An item's id is the address of whom the
// conversation is with.
const NS = "urn:xmpp:mds:displayed:0"

// NSAssist is the feature of accounts whose server publishes a <displayed/> that it finds in a
// message. XEP-0490 §3.4.2
const NSAssist = "urn:xmpp:mds:server-assist:0"

// nsID qualifies <stanza-id/>. XEP-0359
const nsID = "urn:xmpp:sid:0"

// Displayed says up to which message. It implements stanza.Payload. XEP-0490 §3.1
type Displayed struct {
	ID string  // in the archive of
	By jid.JID // the account, or the room
}

// XMLName implements stanza.Payload.
func (*Displayed) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "displayed"} }

// AppendXML implements stanza.Payload.
func (d *Displayed) AppendXML(dst []byte) []byte {
	dst = append(dst, "<displayed xmlns='"+NS+"'><stanza-id xmlns='"+nsID+"'"...)
	dst = xmlstream.AppendAttr(dst, "by", d.By.String())
	dst = xmlstream.AppendAttr(dst, "id", d.ID)
	return append(dst, "/></displayed>"...)
}

// DecodeXML implements stanza.Payload. Without the id of a stanza it is bad-request, with a bad
// address jid-malformed.
func (d *Displayed) DecodeXML(r *xmlstream.Reader) error {
	*d = Displayed{}
	for n := range r.Children() {
		if (n != xmlstream.Name{Space: nsID, Local: "stanza-id"}) {
			continue
		}
		by, err := jid.Parse(r.Attr("by"))
		if err != nil || by.IsZero() {
			r.Fail(stanza.JIDMalformed.Err("the id of a stanza names who has given it"))
			break
		}
		d.ID, d.By = r.Attr("id"), by
	}
	if d.ID == "" {
		r.Fail(stanza.BadRequest.Err("displayed needs the id of a stanza"))
	}
	return r.Err()
}
