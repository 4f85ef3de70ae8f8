// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: the methods of stanza.Payload for each type, in the order of provisioning.go. What is
// too long or too much is policy-violation, an address that is none jid-malformed, all else that is wrong
// bad-request.

import (
	"strconv"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// XMLName implements stanza.Payload.
func (*IsFriend) XMLName() xmlstream.Name { return xep.name("isFriend") }

// AppendXML implements stanza.Payload.
func (p *IsFriend) AppendXML(dst []byte) []byte {
	return append(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "isFriend", xep.space), "jid", p.JID.String()), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *IsFriend) DecodeXML(r *xmlstream.Reader) error {
	*p = IsFriend{attr.JID(r, "jid", false)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*IsFriendResponse) XMLName() xmlstream.Name { return xep.name("isFriendResponse") }

// AppendXML implements stanza.Payload.
func (p *IsFriendResponse) AppendXML(dst []byte) []byte {
	dst = appendResult(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "isFriendResponse", xep.space), "jid", p.JID.String()), p.Result)
	if p.SecondaryTrust {
		dst = appendTrue(dst, "secondaryTrustAllowed")
	}
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *IsFriendResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = IsFriendResponse{JID: attr.JID(r, "jid", false), Result: readResult(r), SecondaryTrust: attr.Bool(r, "secondaryTrustAllowed", false)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Friend) XMLName() xmlstream.Name { return xep.name("friend") }

// AppendXML implements stanza.Payload.
func (p *Friend) AppendXML(dst []byte) []byte {
	return append(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "friend", xep.space), "jid", p.JID.String()), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Friend) DecodeXML(r *xmlstream.Reader) error {
	*p = Friend{attr.JID(r, "jid", false)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Unfriend) XMLName() xmlstream.Name { return xep.name("unfriend") }

// AppendXML implements stanza.Payload.
func (p *Unfriend) AppendXML(dst []byte) []byte {
	return append(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "unfriend", xep.space), "jid", p.JID.String()), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Unfriend) DecodeXML(r *xmlstream.Reader) error {
	*p = Unfriend{attr.JID(r, "jid", false)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanRead) XMLName() xmlstream.Name { return xep.name("canRead") }

// AppendXML implements stanza.Payload.
func (p *CanRead) AppendXML(dst []byte) []byte {
	dst = xep.appendTokens(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "canRead", xep.space), "jid", p.JID.String()), p.Tokens)
	return xep.appendScope(dst, "canRead", xep.field, &p.Scope)
}

// DecodeXML implements stanza.Payload.
func (p *CanRead) DecodeXML(r *xmlstream.Reader) error {
	*p = CanRead{JID: attr.JID(r, "jid", false), Tokens: xep.readTokens(r)}
	p.Scope = xep.readScope(r, xep.field)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanReadResponse) XMLName() xmlstream.Name { return xep.name("canReadResponse") }

// AppendXML implements stanza.Payload.
func (p *CanReadResponse) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, "canReadResponse", xep.space), "jid", p.JID.String())
	return xep.appendGrant(dst, "canReadResponse", xep.field, &p.Grant)
}

// DecodeXML implements stanza.Payload. The scope of what is refused is not kept.
func (p *CanReadResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = CanReadResponse{JID: attr.JID(r, "jid", false)}
	p.Grant = xep.readGrant(r, xep.field)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanControl) XMLName() xmlstream.Name { return xep.name("canControl") }

// AppendXML implements stanza.Payload.
func (p *CanControl) AppendXML(dst []byte) []byte {
	dst = xep.appendTokens(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "canControl", xep.space), "jid", p.JID.String()), p.Tokens)
	return xep.appendScope(dst, "canControl", parameter, &p.Scope)
}

// DecodeXML implements stanza.Payload.
func (p *CanControl) DecodeXML(r *xmlstream.Reader) error {
	*p = CanControl{JID: attr.JID(r, "jid", false), Tokens: xep.readTokens(r)}
	p.Scope = xep.readScope(r, parameter)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*CanControlResponse) XMLName() xmlstream.Name { return xep.name("canControlResponse") }

// AppendXML implements stanza.Payload.
func (p *CanControlResponse) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, "canControlResponse", xep.space), "jid", p.JID.String())
	return xep.appendGrant(dst, "canControlResponse", parameter, &p.Grant)
}

// DecodeXML implements stanza.Payload. The scope of what is refused is not kept.
func (p *CanControlResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = CanControlResponse{JID: attr.JID(r, "jid", false)}
	p.Grant = xep.readGrant(r, parameter)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*ClearCache) XMLName() xmlstream.Name { return xep.name("clearCache") }

// AppendXML implements stanza.Payload.
func (*ClearCache) AppendXML(dst []byte) []byte {
	return append(xmlstream.AppendStart(dst, "clearCache", xep.space), "/>"...)
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
	return append(xmlstream.AppendStart(dst, "clearCacheResponse", xep.space), "/>"...)
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
	return appendBytes(xmlstream.AppendStart(dst, "getToken", xep.space), "getToken", p.Certificate)
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
	dst = appendSeq(xmlstream.AppendStart(dst, "getTokenChallenge", xep.space), p.Seq)
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
	dst = appendSeq(xmlstream.AppendStart(dst, "getTokenChallengeResponse", xep.space), p.Seq)
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
	return append(xmlstream.AppendAttr(xmlstream.AppendStart(dst, "getTokenResponse", xep.space), "token", p.Token), "/>"...)
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
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, "tokenChallenge", xep.space), "token", p.Token)
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
	return appendBytes(xmlstream.AppendStart(dst, "tokenChallengeResponse", xep.space), "tokenChallengeResponse", p.Response)
}

// DecodeXML implements stanza.Payload.
func (p *TokenChallengeResponse) DecodeXML(r *xmlstream.Reader) error {
	*p = TokenChallengeResponse{readBytes(r, MaxChallenge)}
	return r.Err()
}
