// SPDX-License-Identifier: Apache-2.0

// Package caps is the vocabulary of entity capabilities: a hash in presence that
// stands for an answer of service discovery, so that one answer serves for all
// entities of the same program. The legacy format is read but never verified.
//
// XEP-0115 (complete, 1.6.0)
//
// How to read this package: caps.go has the element, hash.go how a hash is made
// and checked.
package caps

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies <c/> and is the feature that announces it.
	NS = "http://jabber.org/protocol/caps"
	// NSOptimize is the feature of a server that strips repeated capabilities. XEP-0115 §8.4
	NSOptimize = NS + "#optimize"
)

// Caps is what presence or a stream feature says of its sender. It implements
// stanza.Payload. XEP-0115 §4
type Caps struct {
	Hash string // SHA1 or SHA256, or one we do not know; "" is the legacy format
	Node string // a URI that names the program
	Ver  string // the verification string
}

// InfoNode is the node to ask for the service discovery information that the
// capabilities stand for. XEP-0115 §6.2
func (c *Caps) InfoNode() string { return c.Node + "#" + c.Ver }

// XMLName implements stanza.Payload.
func (*Caps) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "c"} }

// AppendXML implements stanza.Payload.
func (c *Caps) AppendXML(dst []byte) []byte {
	dst = append(dst, "<c xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "hash", c.Hash)
	dst = xmlstream.AppendAttr(dst, "node", c.Node)
	dst = xmlstream.AppendAttr(dst, "ver", c.Ver)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. Without node or ver it is bad-request.
func (c *Caps) DecodeXML(r *xmlstream.Reader) error {
	*c = Caps{Hash: r.Attr("hash"), Node: r.Attr("node"), Ver: r.Attr("ver")}
	if c.Node == "" || c.Ver == "" {
		r.Fail(stanza.BadRequest.Err("capabilities need a node and a ver"))
	}
	return r.Err()
}
