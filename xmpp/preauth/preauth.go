// SPDX-License-Identifier: Apache-2.0

// Package preauth is the vocabulary of tokens that let somebody register: the client shows one
// before it registers in-band (package register).
//
// XEP-0445 (complete, 0.2.0)
package preauth

import (
	"net/url"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies <preauth/>. XEP-0379
	NS = "urn:xmpp:pars:0"
	// NSFeature qualifies the stream feature <register/>. XEP-0445 §3
	NSFeature = "urn:xmpp:ibr-token:0"
)

// MaxToken is how many bytes a token may have.
const MaxToken = 256

// Preauth shows a token, in an IQ of type set. It implements stanza.Payload. XEP-0445 §4
type Preauth struct{ Token string }

// XMLName implements stanza.Payload.
func (*Preauth) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "preauth"} }

// AppendXML implements stanza.Payload.
func (p *Preauth) AppendXML(dst []byte) []byte {
	dst = append(dst, "<preauth xmlns='"+NS+"'"...)
	return append(xmlstream.AppendAttr(dst, "token", p.Token), "/>"...)
}

// DecodeXML implements stanza.Payload. One without a token, or with one that is longer than
// MaxToken, is bad-request.
func (p *Preauth) DecodeXML(r *xmlstream.Reader) error {
	*p = Preauth{Token: r.Attr("token")}
	if p.Token == "" || len(p.Token) > MaxToken {
		r.Fail(stanza.BadRequest.Err("there is no token, or a long one"))
	}
	return r.Err()
}

// URI is what tells a client to register at a domain, or under an address there, with a token.
// XEP-0445 §2
func URI(at jid.JID, token string) string {
	path := at.Domain()
	if at.Local() != "" {
		path = url.PathEscape(at.Local()) + "@" + path
	}
	return "xmpp:" + path + "?register;preauth=" + url.PathEscape(token)
}

// ParseURI reads one. ok is false where it is none.
func ParseURI(uri string) (at jid.JID, token string, ok bool) {
	rest, isXMPP := strings.CutPrefix(uri, "xmpp:")
	path, query, _ := strings.Cut(rest, "?")
	parts := strings.Split(query, ";")
	name, err := url.PathUnescape(path)
	if !isXMPP || err != nil || parts[0] != "register" {
		return at, "", false
	}
	for _, p := range parts[1:] {
		if value, found := strings.CutPrefix(p, "preauth="); found {
			token, err = url.PathUnescape(value)
		}
	}
	if err != nil || token == "" || len(token) > MaxToken {
		return at, "", false
	}
	at, err = jid.Parse(name)
	return at, token, err == nil && at.IsBare()
}
