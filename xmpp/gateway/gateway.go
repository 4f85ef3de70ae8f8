// SPDX-License-Identifier: Apache-2.0

// Package gateway is the vocabulary of a gateway's prompts: what people are asked for when they add a
// contact on its other side, and which address here somebody has whose name there they give.
//
// XEP-0100 (partial, 1.0): of gateways: prompts, registration, contacts; no agent information
package gateway

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// NS qualifies <query/> and is the feature that announces it.
const NS = "jabber:iq:gateway"

// Query is empty in the request for a prompt, of type get. In the answer it has Prompt, what is asked for, such as
// "Phone number", and perhaps Description, a sentence. The request of type set has the name that was given in Prompt, and
// the answer to it JID. It implements stanza.Payload. XEP-0100 §6.3
type Query struct {
	Description string
	Prompt      string
	JID         string // not parsed
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	if *q == (Query{}) {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, x := range []struct{ name, value string }{{"desc", q.Description}, {"prompt", q.Prompt}, {"jid", q.JID}} {
		if x.value != "" {
			dst = xmlstream.AppendText(dst, x.name, x.value)
		}
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "desc"}:
			q.Description = r.Text()
		case xmlstream.Name{Space: NS, Local: "prompt"}:
			q.Prompt = r.Text()
		case xmlstream.Name{Space: NS, Local: "jid"}:
			q.JID = r.Text()
		}
	}
	return r.Err()
}
