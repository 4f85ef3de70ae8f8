// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: the methods of stanza.Payload for each type, in the order of provisioning.go. What is
// too long or too much is policy-violation, an address that is none jid-malformed, all else that is wrong
// bad-request.

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// XMLName implements stanza.Payload.
func (*IsFriend) XMLName() xmlstream.Name { return xep.name("isFriend") }

// AppendXML implements stanza.Payload.
func (p *IsFriend) AppendXML(dst []byte) []byte {
	return append(appendJID(xep.appendStart(dst, "isFriend"), p.JID), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *IsFriend) DecodeXML(r *xmlstream.Reader) error {
	*p = IsFriend{readJID(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*IsFriendResponse) XMLName() xmlstream.Name { return xep.name("isFriendResponse") }

// AppendXML implements stanza.Payload.
func (p *IsFriendResponse) AppendXML(dst []byte) []byte {
	dst = appendResult(appendJID(xep.appendStart(dst, "isFriendResponse"), p.JID), p.Result)
	if p.SecondaryTrust {
		dst = appendTrue(dst, "secondaryTrustAllowed")
	}
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *IsFriendResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = IsFriendResponse{JID: readJID(r), Result: readResult(r), SecondaryTrust: readBool(r, "secondaryTrustAllowed")}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Friend) XMLName() xmlstream.Name { return xep.name("friend") }

// AppendXML implements stanza.Payload.
func (p *Friend) AppendXML(dst []byte) []byte {
	return append(appendJID(xep.appendStart(dst, "friend"), p.JID), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Friend) DecodeXML(r *xmlstream.Reader) error {
	*p = Friend{readJID(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Unfriend) XMLName() xmlstream.Name { return xep.name("unfriend") }

// AppendXML implements stanza.Payload.
func (p *Unfriend) AppendXML(dst []byte) []byte {
	return append(appendJID(xep.appendStart(dst, "unfriend"), p.JID), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Unfriend) DecodeXML(r *xmlstream.Reader) error {
	*p = Unfriend{readJID(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanRead) XMLName() xmlstream.Name { return xep.name("canRead") }

// AppendXML implements stanza.Payload.
func (p *CanRead) AppendXML(dst []byte) []byte {
	dst = xep.appendTokens(appendJID(xep.appendStart(dst, "canRead"), p.JID), p.Tokens)
	return xep.appendScope(dst, "canRead", xep.field, &p.Scope)
}

// DecodeXML implements stanza.Payload.
func (p *CanRead) DecodeXML(r *xmlstream.Reader) error {
	*p = CanRead{JID: readJID(r), Tokens: xep.readTokens(r)}
	p.Scope = xep.readScope(r, xep.field)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanReadResponse) XMLName() xmlstream.Name { return xep.name("canReadResponse") }

// AppendXML implements stanza.Payload.
func (p *CanReadResponse) AppendXML(dst []byte) []byte {
	dst = appendJID(xep.appendStart(dst, "canReadResponse"), p.JID)
	return xep.appendGrant(dst, "canReadResponse", xep.field, &p.Grant)
}

// DecodeXML implements stanza.Payload. The scope of what is refused is not kept.
func (p *CanReadResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = CanReadResponse{JID: readJID(r)}
	p.Grant = xep.readGrant(r, xep.field)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanControl) XMLName() xmlstream.Name { return xep.name("canControl") }

// AppendXML implements stanza.Payload.
func (p *CanControl) AppendXML(dst []byte) []byte {
	dst = xep.appendTokens(appendJID(xep.appendStart(dst, "canControl"), p.JID), p.Tokens)
	return xep.appendScope(dst, "canControl", parameter, &p.Scope)
}

// DecodeXML implements stanza.Payload.
func (p *CanControl) DecodeXML(r *xmlstream.Reader) error {
	*p = CanControl{JID: readJID(r), Tokens: xep.readTokens(r)}
	p.Scope = xep.readScope(r, parameter)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanControlResponse) XMLName() xmlstream.Name { return xep.name("canControlResponse") }

// AppendXML implements stanza.Payload.
func (p *CanControlResponse) AppendXML(dst []byte) []byte {
	dst = appendJID(xep.appendStart(dst, "canControlResponse"), p.JID)
	return xep.appendGrant(dst, "canControlResponse", parameter, &p.Grant)
}

// DecodeXML implements stanza.Payload. The scope of what is refused is not kept.
func (p *CanControlResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = CanControlResponse{JID: readJID(r)}
	p.Grant = xep.readGrant(r, parameter)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*ClearCache) XMLName() xmlstream.Name { return xep.name("clearCache") }

// AppendXML implements stanza.Payload.
func (*ClearCache) AppendXML(dst []byte) []byte {
	return append(xep.appendStart(dst, "clearCache"), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (*ClearCache) DecodeXML(r *xmlstream.Reader) error {
	r.Skip()
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*ClearCacheResponse) XMLName() xmlstream.Name { return xep.name("clearCacheResponse") }

// AppendXML implements stanza.Payload.
func (*ClearCacheResponse) AppendXML(dst []byte) []byte {
	return append(xep.appendStart(dst, "clearCacheResponse"), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (*ClearCacheResponse) DecodeXML(r *xmlstream.Reader) error {
	r.Skip()
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*GetToken) XMLName() xmlstream.Name { return xep.name("getToken") }

// AppendXML implements stanza.Payload.
func (p *GetToken) AppendXML(dst []byte) []byte {
	return appendBytes(xep.appendStart(dst, "getToken"), "getToken", p.Certificate)
}

// DecodeXML implements stanza.Payload.
func (p *GetToken) DecodeXML(r *xmlstream.Reader) error {
	*p = GetToken{readBytes(r, MaxCertificate)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*GetTokenChallenge) XMLName() xmlstream.Name { return xep.name("getTokenChallenge") }

// AppendXML implements stanza.Payload.
func (p *GetTokenChallenge) AppendXML(dst []byte) []byte {
	dst = appendSeq(xep.appendStart(dst, "getTokenChallenge"), p.Seq)
	return appendBytes(dst, "getTokenChallenge", p.Challenge)
}

// DecodeXML implements stanza.Payload.
func (p *GetTokenChallenge) DecodeXML(r *xmlstream.Reader) error {
	*p = GetTokenChallenge{Seq: readSeq(r)}
	p.Challenge = readBytes(r, MaxChallenge)
	return r.Err()
}

func appendSeq(dst []byte, seq int32) []byte {
	return xmlstream.AppendAttr(dst, "seqnr", strconv.Itoa(int(seq)))
}

// XMLName implements stanza.Payload.
func (*GetTokenChallengeResponse) XMLName() xmlstream.Name {
	return xep.name("getTokenChallengeResponse")
}

// AppendXML implements stanza.Payload.
func (p *GetTokenChallengeResponse) AppendXML(dst []byte) []byte {
	dst = appendSeq(xep.appendStart(dst, "getTokenChallengeResponse"), p.Seq)
	return appendBytes(dst, "getTokenChallengeResponse", p.Response)
}

// DecodeXML implements stanza.Payload.
func (p *GetTokenChallengeResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = GetTokenChallengeResponse{Seq: readSeq(r)}
	p.Response = readBytes(r, MaxChallenge)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*GetTokenResponse) XMLName() xmlstream.Name { return xep.name("getTokenResponse") }

// AppendXML implements stanza.Payload.
func (p *GetTokenResponse) AppendXML(dst []byte) []byte {
	return append(xmlstream.AppendAttr(xep.appendStart(dst, "getTokenResponse"), "token", p.Token), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *GetTokenResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = GetTokenResponse{readToken(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*TokenChallenge) XMLName() xmlstream.Name { return xep.name("tokenChallenge") }

// AppendXML implements stanza.Payload.
func (p *TokenChallenge) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendAttr(xep.appendStart(dst, "tokenChallenge"), "token", p.Token)
	return appendBytes(dst, "tokenChallenge", p.Challenge)
}

// DecodeXML implements stanza.Payload.
func (p *TokenChallenge) DecodeXML(r *xmlstream.Reader) error {
	*p = TokenChallenge{Token: readToken(r)}
	p.Challenge = readBytes(r, MaxChallenge)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*TokenChallengeResponse) XMLName() xmlstream.Name { return xep.name("tokenChallengeResponse") }

// AppendXML implements stanza.Payload.
func (p *TokenChallengeResponse) AppendXML(dst []byte) []byte {
	return appendBytes(xep.appendStart(dst, "tokenChallengeResponse"), "tokenChallengeResponse", p.Response)
}

// DecodeXML implements stanza.Payload.
func (p *TokenChallengeResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = TokenChallengeResponse{readBytes(r, MaxChallenge)}
	return r.Err()
}
