// SPDX-License-Identifier: Apache-2.0

// Package ping is the vocabulary of XMPP ping: does the other side, or the way to
// it, still live? An empty result says so.
//
// XEP-0199 (complete, 2.0.1)
package ping

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// NS qualifies <ping/> and is the feature that announces it.
const NS = "urn:xmpp:ping"

// Ping is the request. It implements stanza.Payload. XEP-0199 §3
type Ping struct{}

// XMLName implements stanza.Payload.
func (*Ping) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "ping"} }

// AppendXML implements stanza.Payload.
func (*Ping) AppendXML(dst []byte) []byte { return append(dst, "<ping xmlns='"+NS+"'/>"...) }

// DecodeXML implements stanza.Payload. There is nothing to decode.
func (*Ping) DecodeXML(r *xmlstream.Reader) error { return r.Err() }
