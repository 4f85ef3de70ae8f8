// SPDX-License-Identifier: Apache-2.0

// Package bind is the vocabulary of resource binding: a client asks for a
// resource and learns the full address of its session.
//
// RFC 6120 §7
package bind

import (
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <bind/>, in IQs and as the stream feature.
const NS = "urn:ietf:params:xml:ns:xmpp-bind"

// Bind is the request and its answer. It implements stanza.Payload.
type Bind struct {
	Resource string  // asked for, not prepared; "": the server's choice. RFC 6120 §7.6, §7.7
	JID      jid.JID // in the answer: the full address
}

// XMLName implements stanza.Payload.
func (*Bind) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "bind"} }

// AppendXML implements stanza.Payload.
func (b *Bind) AppendXML(dst []byte) []byte {
	dst = append(dst, "<bind xmlns='"+NS+"'"...)
	if b.Resource == "" && b.JID.IsZero() {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if b.Resource != "" {
		dst = xmlstream.AppendText(dst, "resource", b.Resource)
	}
	if !b.JID.IsZero() {
		dst = xmlstream.AppendText(dst, "jid", b.JID.String())
	}
	return append(dst, "</bind>"...)
}

// DecodeXML implements stanza.Payload. A bad address is jid-malformed, an address
// without a resourcepart bad-request.
func (b *Bind) DecodeXML(r *xmlstream.Reader) error {
	*b = Bind{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "resource"}:
			b.Resource = r.Text()
		case xmlstream.Name{Space: NS, Local: "jid"}:
			var err error
			// RFC 6120 §7.6.1 itself shows it indented.
			b.JID, err = jid.Parse(strings.TrimSpace(r.Text()))
			switch {
			case err != nil:
				r.Fail(stanza.JIDMalformed.Err("the bound address is not valid"))
			case !b.JID.IsFull():
				r.Fail(stanza.BadRequest.Err("the bound address has no resourcepart"))
			}
		}
	}
	return r.Err()
}
