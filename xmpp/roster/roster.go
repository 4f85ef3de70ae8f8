// SPDX-License-Identifier: Apache-2.0

// Package roster is the vocabulary of contact lists: fetching a roster, changing
// one item of it, and the pushes that tell every session of a change.
//
// RFC 6121 §2
//
// How to read this package: roster.go has the types and their XML, change.go what
// a client's change may look like.
package roster

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies <query/>. RFC 6121 §2.1.1
	NS = "jabber:iq:roster"
	// NSVersioning qualifies the stream feature <ver/>. RFC 6121 §2.6.1
	NSVersioning = "urn:xmpp:features:rosterver"
	// NSPreApproval qualifies the stream feature <sub/>. RFC 6121 §3.4
	NSPreApproval = "urn:xmpp:features:pre-approval"
)

// Subscription is the state of an item, as two flags and one value that stands
// alone: s&To != 0 says that the user sees the contact's presence, s&From != 0
// that the contact sees the user's. RFC 6121 §2.1.2.5
type Subscription uint8

// The subscription states. Remove is only part of changes and pushes.
const (
	None   Subscription = 0
	To     Subscription = 1
	From   Subscription = 2
	Both                = To | From
	Remove Subscription = 4
)

// String is the attribute's value.
func (s Subscription) String() string {
	switch s {
	case None:
		return "none"
	case To:
		return "to"
	case From:
		return "from"
	case Both:
		return "both"
	case Remove:
		return "remove"
	}
	return "invalid"
}

// Query is a roster, a change of it, or the request for it. It implements
// stanza.Payload. RFC 6121 §2.1.1
type Query struct {
	// Ver is the version known (request) or described (answer and push). A
	// request with Versioned and an empty Ver knows none but wants to; without
	// Versioned nothing is said of versions. RFC 6121 §2.6
	Ver       string
	Versioned bool

	Items []Item
}

// Item is one contact. RFC 6121 §2.1.2
type Item struct {
	JID          jid.JID
	Name         string // the user's name for the contact, or ""
	Groups       []string
	Subscription Subscription
	Ask          bool // an outbound subscription request is pending
	Approved     bool // a subscription request of the contact is approved beforehand
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	switch {
	case q.Versioned && q.Ver == "":
		dst = append(dst, " ver=''"...)
	case q.Versioned:
		dst = xmlstream.AppendAttr(dst, "ver", q.Ver)
	}
	if len(q.Items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range q.Items {
		dst = q.Items[i].append(dst)
	}
	return append(dst, "</query>"...)
}

func (i *Item) append(dst []byte) []byte {
	dst = append(dst, "<item"...)
	dst = xmlstream.AppendAttr(dst, "jid", i.JID.String())
	dst = xmlstream.AppendAttr(dst, "name", i.Name)
	dst = xmlstream.AppendAttr(dst, "subscription", i.Subscription.String())
	if i.Ask {
		dst = append(dst, " ask='subscribe'"...)
	}
	if i.Approved {
		dst = append(dst, " approved='true'"...)
	}
	if len(i.Groups) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, g := range i.Groups {
		dst = xmlstream.AppendText(dst, "group", g)
	}
	return append(dst, "</item>"...)
}

// DecodeXML implements stanza.Payload. An item without an address is bad-request,
// one with a bad address jid-malformed. What it reads is not a valid change yet:
// see Change.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	q.Ver, q.Versioned = r.LookupAttr("ver")
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: NS, Local: "item"}) {
			q.Items = append(q.Items, item(r))
		}
	}
	return r.Err()
}

func item(r *xmlstream.Reader) Item {
	i := Item{
		Name:         r.Attr("name"),
		Subscription: subscription(r.Attr("subscription")),
		Ask:          r.Attr("ask") == "subscribe",
		Approved:     r.Attr("approved") == "true" || r.Attr("approved") == "1",
	}
	address := r.Attr("jid")
	if address == "" {
		r.Fail(stanza.BadRequest.Err("a roster item needs a jid"))
	}
	var err error
	if i.JID, err = jid.Parse(address); err != nil {
		r.Fail(stanza.JIDMalformed.Err("the jid of a roster item is not valid"))
	}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: NS, Local: "group"}) {
			i.Groups = append(i.Groups, r.Text())
		}
	}
	return i
}

// subscription reads the attribute; what is missing or unknown is None, which in
// a change counts for nothing anyway. RFC 6121 §2.1.2.5
func subscription(s string) Subscription {
	switch s {
	case "to":
		return To
	case "from":
		return From
	case "both":
		return Both
	case "remove":
		return Remove
	}
	return None
}
