// SPDX-License-Identifier: Apache-2.0

// Package provisioning is the vocabulary of asking somebody else who may do what: a thing asks a server that it
// trusts whom to befriend, what of it he may read and what he may control, and keeps the answers until it is
// told to forget them.
//
// Its specification was Retracted at its author's request. It is offered because the libraries that speak of things
// (Smack for one) speak it.
//
// XEP-0324 (partial, 0.5.1): friendship, reading, control, tokens and the cache; no access of users to services on the web, and no privileges there (§3.6.2, §3.7)
package provisioning

// How to read this package: this file has what is sent; grant.go what may be read or controlled, and how that
// is narrowed and looked at; xml.go writes and reads.

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// NS qualifies all elements and is the feature that announces a provisioning server. XEP-0324 §4
const NS = "urn:xmpp:iot:provisioning"

// Bounds of what is read, all of them ours.
const (
	MaxNode        = 1024  // bytes of each part of a Node
	MaxNodes       = 256   // of one question or answer
	MaxName        = 1024  // bytes of the name of a field or parameter
	MaxNames       = 1024  // of one question or answer
	MaxTokens      = 4096  // bytes of all tokens of one kind
	MaxCertificate = 16384 // bytes of a certificate
	MaxChallenge   = 4096  // bytes of a challenge, and of what is answered
)

// Node says which of the things behind an address is meant; the zero Node is the address itself.
type Node = sensordata.Node

// Tokens are what whoever asks has been given by provisioning servers; several of one kind, of several servers,
// stand with spaces between them. XEP-0324 §3.1.5, §5.6
type Tokens = sensordata.Tokens

// Category is a set of what kinds of value a field has. XEP-0323 §5.6
type Category = sensordata.Category

// IsFriend asks whether a thing may be friends with somebody. It implements stanza.Payload. XEP-0324 §3.2.1
type IsFriend struct{ JID jid.JID }

// IsFriendResponse is the answer. It implements stanza.Payload. XEP-0324 §3.2.1
type IsFriendResponse struct {
	JID    jid.JID
	Result bool
	// SecondaryTrust lets the thing make friends of its own, and trust other servers as well. XEP-0324 §3.1.4
	SecondaryTrust bool
}

// Friend recommends a friend to a thing, in a message. It implements stanza.Payload. A thing heeds it from
// whom it trusts alone. XEP-0324 §3.2.4
type Friend struct{ JID jid.JID }

// Unfriend has a thing give up a friend, in a message. It implements stanza.Payload. A thing heeds it from
// whom it trusts alone. XEP-0324 §3.2.3
type Unfriend struct{ JID jid.JID }

// CanRead asks what somebody may read of what he has asked for. It implements stanza.Payload. XEP-0324 §3.3
type CanRead struct {
	JID    jid.JID // who reads; his resource does not count
	Tokens Tokens  // that came with what he asked for
	Scope  Scope   // what he asked for; its names are of fields
}

// Answer is the answer of who has this grant for who asks.
func (p *CanRead) Answer(g *Grant) *CanReadResponse {
	return &CanReadResponse{JID: p.JID, Grant: g.Limit(&p.Scope)}
}

// CanReadResponse is the answer. It implements stanza.Payload. XEP-0324 §3.3
type CanReadResponse struct {
	JID   jid.JID
	Grant Grant
}

// CanControl asks what somebody may set of what he wants to set. It implements stanza.Payload. XEP-0324 §3.4
type CanControl struct {
	JID    jid.JID // who sets; his resource does not count
	Tokens Tokens  // that came with what he wants
	Scope  Scope   // what he wants; its names are of parameters, and it has no categories
}

// Answer is the answer of who has this grant for who asks. Where no nodes are named the thing itself is to be
// controlled, which is none of the nodes that a grant names. XEP-0325 §3.1
func (p *CanControl) Answer(g *Grant) *CanControlResponse {
	if len(p.Scope.Nodes) == 0 && len(g.Scope.Nodes) > 0 {
		return &CanControlResponse{JID: p.JID}
	}
	return &CanControlResponse{JID: p.JID, Grant: g.Limit(&p.Scope)}
}

// CanControlResponse is the answer. It implements stanza.Payload. XEP-0324 §3.4
type CanControlResponse struct {
	JID   jid.JID
	Grant Grant
}

// ClearCache has a thing forget all answers: rights have changed. It implements stanza.Payload. XEP-0324 §3.5
type ClearCache struct{}

// ClearCacheResponse says that it has. It implements stanza.Payload. XEP-0324 §3.5
type ClearCacheResponse struct{}

// GetToken asks for the token of a certificate. It implements stanza.Payload. XEP-0324 §3.1.3
type GetToken struct{ Certificate []byte } // X.509, DER

// GetTokenChallenge wants proof that the key of the certificate is at hand. It implements stanza.Payload.
// XEP-0324 §3.1.3
type GetTokenChallenge struct {
	Seq       int32  // which challenge this is
	Challenge []byte // random bytes, encrypted for the certificate's key
}

// GetTokenChallengeResponse is the proof. It implements stanza.Payload. XEP-0324 §3.1.3
type GetTokenChallengeResponse struct {
	Seq      int32
	Response []byte // the random bytes
}

// GetTokenResponse is the token. It implements stanza.Payload. XEP-0324 §3.1.3
type GetTokenResponse struct{ Token string }

// TokenChallenge wants proof that whoever has sent a token is the one who was given it. It implements
// stanza.Payload. It is answered to whom the token was sent within the last minute alone: see §6.2.
// XEP-0324 §3.1.3
type TokenChallenge struct {
	Token     string
	Challenge []byte // random bytes, encrypted for the key of the token's certificate
}

// ChallengeTime is how long whom a token was sent to may have it proven. XEP-0324 §3.1.3, §6.2
const ChallengeTime = time.Minute

// TokenChallengeResponse is the proof. It implements stanza.Payload. XEP-0324 §3.1.3
type TokenChallengeResponse struct{ Response []byte }
