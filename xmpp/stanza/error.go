// SPDX-License-Identifier: Apache-2.0

package stanza

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NSStanzas qualifies the defined conditions and the text of stanza errors.
const NSStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

// ErrorType says what the sender may do about an error (RFC 6120 §8.3.2).
type ErrorType string

// The error types.
const (
	Auth     ErrorType = "auth"     // retry after providing credentials
	Cancel   ErrorType = "cancel"   // do not retry
	Continue ErrorType = "continue" // a warning
	Modify   ErrorType = "modify"   // retry after changing the data sent
	Wait     ErrorType = "wait"     // retry after waiting
)

// Condition is a defined condition (RFC 6120 §8.3.3).
type Condition string

// The defined conditions.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// errorType is the type RFC 6120 §8.3.3 gives or recommends for a condition.
func (c Condition) errorType() ErrorType {
	switch c {
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect:
		return Modify
	case Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired:
		return Auth
	case RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest:
		return Wait
	}
	return Cancel
}

// Err makes an error of the condition's usual type. text is for people, may be empty, and is
// sent to the peer: it must not tell of configuration or internals.
func (c Condition) Err(text string) *Error {
	return &Error{Type: c.errorType(), Condition: c, Text: text}
}

// Error is a stanza error. It is a Payload, the error child of a stanza of type error, and a
// Go error, so that handlers return it. It is not changed once it is handed on.
type Error struct {
	Type      ErrorType
	Condition Condition
	Text      string  // for people; may be empty
	By        jid.JID // who found the error; may be zero
	App       Payload // application-specific condition, or nil
	URI       string  // of Gone and Redirect: where it is now; may be empty. RFC 6120 §8.3.3.5
}

// Error makes *Error a Go error.
func (e *Error) Error() string {
	if e.Text == "" {
		return "stanza error: " + string(e.Condition)
	}
	return fmt.Sprintf("stanza error: %s: %s", e.Condition, e.Text)
}

// XMLName implements Payload.
func (e *Error) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSClient, Local: "error"}
}

// AppendXML implements Payload.
func (e *Error) AppendXML(dst []byte) []byte {
	dst = append(dst, "<error"...)
	dst = xmlstream.AppendAttr(dst, "type", string(e.Type))
	dst = xmlstream.AppendAttr(dst, "by", e.By.String())
	dst = append(dst, "><"...)
	dst = append(dst, e.Condition...)
	dst = append(dst, " xmlns='"+NSStanzas+"'"...)
	if e.URI == "" {
		dst = append(dst, "/>"...)
	} else {
		dst = xmlstream.AppendEscaped(append(dst, '>'), e.URI)
		dst = xmlstream.AppendEnd(dst, e.Condition)
	}
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+NSStanzas+"' xml:lang='en'>"...)
		dst = xmlstream.AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	if e.App != nil {
		dst = e.App.AppendXML(dst)
	}
	return append(dst, "</error>"...)
}

// DecodeXML implements Payload. App stays nil: its reader knows its own type.
func (e *Error) DecodeXML(r *xmlstream.Reader) error {
	*e = Error{Type: ErrorType(r.Attr("type")), Condition: UndefinedCondition}
	if by := r.Attr("by"); by != "" {
		e.By, _ = jid.Parse(by) // an error with a bad 'by' is an error all the same
	}
	for n := range r.Children() {
		switch {
		case n.Space != NSStanzas:
		case n.Local == "text":
			e.Text = r.Text()
		default:
			e.Condition = Condition(n.Local)
			if e.Condition == Gone || e.Condition == Redirect {
				e.URI = strings.TrimSpace(r.Text())
			}
		}
	}
	if e.Type == "" {
		e.Type = e.Condition.errorType()
	}
	return r.Err()
}

// AsError gives the stanza error that err is or wraps; anything else becomes
// internal-server-error, of which the peer learns nothing more. ok is false in that case: the
// caller logs err.
func AsError(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	return InternalServerError.Err(""), false
}
