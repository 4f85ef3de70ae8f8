// SPDX-License-Identifier: Apache-2.0

// Package attr reads attributes of payloads, each by its local name. What is no value of its type fails the reader with bad-request or
// jid-malformed, what is too long or too many with policy-violation.
package attr

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Required reads one that must be there; it may be empty.
func Required(r *xmlstream.Reader, local string) string {
	v, ok := r.LookupAttr(local)
	if !ok {
		r.Fail(stanza.BadRequest.Err("the attribute " + local + " is missing"))
	}
	return v
}

// Bool reads an xs:boolean. Where there is none it is as absent says.
func Bool(r *xmlstream.Reader, local string, absent bool) bool {
	v, ok := r.LookupAttr(local)
	if !ok {
		return absent
	}
	return True(r, local, v)
}

// True reads the value of an attribute or element as an xs:boolean.
func True(r *xmlstream.Reader, local, value string) bool {
	v, err := xsd.ParseBoolean(value)
	if err != nil {
		r.Fail(stanza.BadRequest.Err(local + " is true or false"))
	}
	return v
}

// DateTime reads an xs:dateTime. The zero DateTime is none.
func DateTime(r *xmlstream.Reader, local string) xsd.DateTime {
	v := r.Attr(local)
	if v == "" {
		return xsd.DateTime{}
	}
	return Time(r, local, v)
}

// Time reads the value of an attribute as an xs:dateTime.
func Time(r *xmlstream.Reader, local, value string) xsd.DateTime {
	at, err := xsd.ParseDateTime(value)
	if err != nil {
		r.Fail(stanza.BadRequest.Err("the attribute " + local + " is no time"))
	}
	return at
}

// JID reads an address. Where it is optional the zero JID stands for none.
func JID(r *xmlstream.Reader, local string, optional bool) jid.JID {
	v := r.Attr(local)
	if v == "" {
		if !optional {
			r.Fail(stanza.BadRequest.Err("the attribute " + local + " is missing"))
		}
		return jid.JID{}
	}
	j, err := jid.Parse(v)
	if err != nil {
		r.Fail(stanza.JIDMalformed.Err("the attribute " + local + " is no address"))
	}
	return j
}

// Short is text itself, which may have so many bytes.
func Short(r *xmlstream.Reader, text string, most int) string {
	if len(text) > most {
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a name has more than %d bytes", most)))
	}
	return text
}

// Bounded says that there are n of what, of which there may be so many.
func Bounded(r *xmlstream.Reader, n, most int, what string) {
	if n > most {
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d %s", most, what)))
	}
}
