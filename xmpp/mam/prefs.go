// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Policy says whose messages are archived where nothing else is said. XEP-0441 §2.1.1
type Policy string

// The policies.
const (
	Always Policy = "always"
	Roster Policy = "roster" // those of contacts
	Never  Policy = "never"
)

// Valid reports whether it is one of them.
func (p Policy) Valid() bool { return p == Always || p == Roster || p == Never }

// Prefs are an account's preferences, or without Default a request for them. It implements stanza.Payload. XEP-0441 §2.1
type Prefs struct {
	Default       Policy
	Always, Never []jid.JID // who is archived, and who is not, whatever Default says
}

// Of says what is to be done with messages to or from other: an entry with a resource is for that one alone. Where both lists
// have it, what names it most closely decides, and of two that name it alike Never. XEP-0441 §2.3
func (p *Prefs) Of(other jid.JID) Policy {
	for _, j := range []jid.JID{other, other.Bare()} {
		switch {
		case slices.Contains(p.Never, j):
			return Never
		case slices.Contains(p.Always, j):
			return Always
		}
	}
	return p.Default
}

// XMLName implements stanza.Payload.
func (*Prefs) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "prefs"} }

// AppendXML implements stanza.Payload.
func (p *Prefs) AppendXML(dst []byte) []byte {
	dst = append(dst, "<prefs xmlns='"+NS+"'"...)
	if p.Default == "" {
		return append(dst, "/>"...)
	}
	dst = xmlstream.AppendAttr(dst, "default", string(p.Default))
	dst = append(dst, '>')
	dst = appendList(dst, "always", p.Always)
	dst = appendList(dst, "never", p.Never)
	return append(dst, "</prefs>"...)
}

func appendList(dst []byte, local string, list []jid.JID) []byte {
	dst = append(append(append(dst, '<'), local...), '>')
	for _, j := range list {
		dst = xmlstream.AppendText(dst, "jid", j.String())
	}
	return xmlstream.AppendEnd(dst, local)
}

// DecodeXML implements stanza.Payload. A policy that is none is bad-request, a bad address jid-malformed.
func (p *Prefs) DecodeXML(r *xmlstream.Reader) error {
	*p = Prefs{Default: Policy(r.Attr("default"))}
	if p.Default != "" && !p.Default.Valid() {
		r.Fail(stanza.BadRequest.Err("the default is always, roster or never"))
	}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "always"}:
			p.Always = readList(r)
		case xmlstream.Name{Space: NS, Local: "never"}:
			p.Never = readList(r)
		}
	}
	return r.Err()
}

func readList(r *xmlstream.Reader) (list []jid.JID) {
	for n := range r.Children() {
		if n != (xmlstream.Name{Space: NS, Local: "jid"}) {
			continue
		}
		j, err := jid.Parse(r.Text())
		if err != nil {
			r.Fail(stanza.JIDMalformed.Err("an address in the preferences is not valid"))
			return list
		}
		list = append(list, j)
	}
	return list
}
