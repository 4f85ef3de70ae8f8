// SPDX-License-Identifier: Apache-2.0

// Package register is the vocabulary of in-band registration: making an account
// with a server or service, changing its password, and giving it up. The obsolete
// key of §7 is ignored.
//
// XEP-0077 (complete, 2.4)
//
// How to read this package: register.go has the types and what is asked of them,
// xml.go writes and reads them.
package register

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	// NS qualifies <query/>, is the feature that announces it and the FORM_TYPE
	// of its form.
	NS = "jabber:iq:register"
	// NSFeature qualifies the stream feature <register/>. XEP-0077 §8
	NSFeature = "http://jabber.org/features/iq-register"
	// NSRedirect qualifies the link to a page to register at. XEP-0077 §5, XEP-0066
	NSRedirect = "jabber:x:oob"

	// FormCancel and FormPassword are the FORM_TYPEs of the forms that a refused
	// cancellation or change of password may ask to fill in. XEP-0077 §3.2, §3.3
	FormCancel   = "jabber:iq:register:cancel"
	FormPassword = "jabber:iq:register:changepassword"
)

// The names of the fields every server knows of; Known lists all of them.
const (
	Username = "username"
	Password = "password"
	Email    = "email"
)

// Known reports whether a field is one of those XEP-0077 §14.1 defines. There will
// be no others: what else is needed is asked in a form.
func Known(name string) bool {
	switch name {
	case "username", "nick", "password", "name", "first", "last", "email", "address",
		"city", "state", "zip", "phone", "url", "date", "misc", "text":
		return true
	}
	return false
}

// Query asks for the fields to fill in, says them, is filled in, or cancels a
// registration. It implements stanza.Payload. XEP-0077 §3
type Query struct {
	Registered   bool    // the asking entity is registered already
	Remove       bool    // cancel the registration; excludes all else
	Instructions string  // for people
	Fields       []Field // asked for, or filled in, in order
	Form         *form.Form
	URL          string // where to register instead. XEP-0077 §5
}

// Field is one of the fixed fields.
type Field struct{ Name, Value string }

// Get returns the value of a field and whether it is there at all.
func (q *Query) Get(name string) (string, bool) {
	for _, f := range q.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Answer returns what was filled in under a name, in the form if there is one, or
// "": a form has fields of the same names. XEP-0077 §4
func (q *Query) Answer(name string) string {
	if q.Form != nil {
		return q.Form.Get(name)
	}
	value, _ := q.Get(name)
	return value
}

// Validate compares a submission with q, which asked for it. A form takes
// precedence over fields; then every field asked for must be filled in.
//
// The error is a *stanza.Error: bad-request for both a form and fields,
// not-acceptable for what is missing. XEP-0077 §3.1, §4, §6
func (q *Query) Validate(submission *Query) error {
	if submission.Form != nil {
		switch {
		case len(submission.Fields) > 0:
			return stanza.BadRequest.Err("fill in the form or the fields, not both")
		case q.Form == nil:
			return stanza.NotAcceptable.Err("no form was asked for")
		}
		return q.Form.Validate(submission.Form)
	}
	if len(q.Fields) == 0 {
		return stanza.NotAcceptable.Err("fill in the form")
	}
	for _, asked := range q.Fields {
		if value, _ := submission.Get(asked.Name); value == "" {
			return stanza.NotAcceptable.Err("the field " + asked.Name + " is required")
		}
	}
	return nil
}
