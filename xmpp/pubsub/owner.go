// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// OwnerRequest is what owners ask about their nodes, and the answer to it: one field is set. It
// implements stanza.Payload. §18.4
type OwnerRequest struct {
	Configure     *NodeForm
	Default       *NodeForm
	Delete        *Delete
	Purge         *Node
	Subscriptions *Subscriptions
	Affiliations  *Affiliations
}

// Node is the name of one.
type Node struct{ Node string }

// Delete removes a node. §8.4
type Delete struct {
	Node     string
	Redirect string // the URI of the one that replaces it, or ""
}

// XMLName implements stanza.Payload.
func (*OwnerRequest) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSOwner, Local: "pubsub"}
}

// AppendXML implements stanza.Payload.
func (q *OwnerRequest) AppendXML(dst []byte) []byte {
	dst = append(dst, "<pubsub xmlns='"+NSOwner+"'>"...)
	if q.Configure != nil {
		dst = q.Configure.append(dst, "configure")
	}
	if q.Default != nil {
		dst = q.Default.append(dst, "default")
	}
	if q.Delete != nil {
		dst = q.Delete.append(dst)
	}
	if q.Purge != nil {
		dst = appendNode(dst, "purge", q.Purge.Node, "/>")
	}
	if q.Subscriptions != nil {
		dst = q.Subscriptions.append(dst, false)
	}
	if q.Affiliations != nil {
		dst = q.Affiliations.append(dst)
	}
	return append(dst, "</pubsub>"...)
}

func (d *Delete) append(dst []byte) []byte {
	if d.Redirect == "" {
		return appendNode(dst, "delete", d.Node, "/>")
	}
	dst = appendNode(dst, "delete", d.Node, "><redirect")
	dst = xmlstream.AppendAttr(dst, "uri", d.Redirect)
	return append(dst, "/></delete>"...)
}

// DecodeXML implements stanza.Payload; see Request.DecodeXML.
func (q *OwnerRequest) DecodeXML(r *xmlstream.Reader) error {
	*q = OwnerRequest{}
	for n := range r.Children() {
		if n.Space != NSOwner {
			continue
		}
		switch n.Local {
		case "configure":
			q.Configure = nodeForm(r)
		case "default":
			q.Default = nodeForm(r)
		case "delete":
			q.Delete = deletion(r)
		case "purge":
			q.Purge = &Node{r.Attr("node")}
		case "subscriptions":
			q.Subscriptions = subscriptions(r)
		case "affiliations":
			q.Affiliations = affiliations(r)
		}
	}
	return r.Err()
}

func deletion(r *xmlstream.Reader) *Delete {
	d, space := &Delete{Node: r.Attr("node")}, r.Name().Space
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: space, Local: "redirect"}) {
			d.Redirect = r.Attr("uri")
		}
	}
	return d
}
