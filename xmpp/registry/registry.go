// SPDX-License-Identifier: Apache-2.0

// Package registry is the vocabulary of finding things and becoming their owner: a thing says what it is,
// whoever holds the same data with the key in it claims the thing, and all may search what is public.
// It comes with the text that stands in the QR code of a thing.
//
// Its specification is Deferred: nobody works on it any more. It is offered because the libraries that speak of things
// (Smack for one) speak it.
//
// XEP-0347 (partial, 0.5.1): the payloads and codes, for clients, things and registries; no search for a server by DHCP, mDNS or UPnP
package registry

// How to read this package: this file has what is sent and what is asked of it; tag.go the data that things
// are known by; xml.go writes and reads; search.go has the operators and what they match; uri.go the codes.

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// NS qualifies all elements and is the feature that announces a registry. XEP-0347 §4
const NS = "urn:xmpp:iot:discovery"

// Bounds of what is read. Those of a tag are the specification's (§5.2), the others are ours.
const (
	MaxTagName   = 32   // characters of a tag's name
	MaxTagValue  = 128  // characters of a tag that is text
	MaxTags      = 64   // of one thing
	MaxNode      = 1024 // bytes of each part of a Node
	MaxOperators = 32   // of one search
	MaxThings    = 1024 // of one answer
)

// Node says which of the things behind an address is meant; the zero Node is the address itself. XEP-0347 §3.8
type Node = sensordata.Node

// Register tells the registry what a thing is, before it has an owner. It implements stanza.Payload.
// XEP-0347 §3.6 to §3.8
type Register struct {
	Node      Node
	SelfOwned bool // it needs no owner, and is public
	Tags      Tags
}

// Mine claims the thing that has registered exactly these tags. It implements stanza.Payload. XEP-0347 §3.9
type Mine struct {
	Node    Node
	Private bool // it shall not be found by searching
	Tags    Tags
}

// Claimed tells an owner which thing is his now, or a thing who its owner is. It implements stanza.Payload.
// XEP-0347 §3.6, §3.9
//
// Deviation: the schema's default would make every thing private that §3.9 calls public; Private is
// what says public='false'.
type Claimed struct {
	JID     jid.JID // of the thing to its owner, of the owner to the thing
	Node    Node
	Private bool
}

// Update changes tags of a thing that has an owner: those named, and no others. It implements stanza.Payload.
// XEP-0347 §3.13, §3.14
type Update struct {
	JID  jid.JID // of the thing, from its owner; the zero JID is the sender
	Node Node
	Tags Tags
}

// Remove has an owner's thing no longer found by searching. It implements stanza.Payload. XEP-0347 §3.10
type Remove struct {
	JID  jid.JID
	Node Node
}

// Removed tells a thing that its owner has removed it. It implements stanza.Payload. XEP-0347 §3.10
type Removed struct{ Node Node }

// Unregister is a thing that leaves. It implements stanza.Payload. XEP-0347 §3.16
type Unregister struct{ Node Node }

// Disown gives up a thing, so that another can claim it. It implements stanza.Payload. XEP-0347 §3.17
type Disown struct {
	JID  jid.JID
	Node Node
}

// Disowned tells a thing that it has no owner, and has to register anew. It implements stanza.Payload.
// XEP-0347 §3.13, §3.17
type Disowned struct{ Node Node }

// Search asks for the public things for which all operators hold. It implements stanza.Payload. XEP-0347 §3.15
type Search struct {
	Offset    int // how many to pass over
	Max       int // how many to tell at most; 0 leaves it to the registry
	Operators []Operator
}

// Found is one page of what was searched for. It implements stanza.Payload. XEP-0347 §3.15
type Found struct {
	More   bool // there are others behind these
	Things []Thing
}

// Thing is one thing that was found. XEP-0347 §3.15
type Thing struct {
	Owner jid.JID // the schema wants one; the zero JID is none
	JID   jid.JID
	Node  Node
	Tags  Tags
}
