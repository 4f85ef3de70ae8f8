// SPDX-License-Identifier: Apache-2.0

package command

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Condition is why a command is refused, beside the condition of the stanza error. It implements stanza.Payload.
// XEP-0050 §4.4
type Condition string

// The conditions.
const (
	MalformedAction Condition = "malformed-action" // there is no such action
	BadAction       Condition = "bad-action"       // it is not allowed at this stage
	BadLocale       Condition = "bad-locale"       // the language is not spoken
	BadPayload      Condition = "bad-payload"      // the form is not filled in as it must be
	BadSessionID    Condition = "bad-sessionid"    // there is no such session
	SessionExpired  Condition = "session-expired"  // it is over
)

// XMLName implements stanza.Payload.
func (c *Condition) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: string(*c)} }

// AppendXML implements stanza.Payload.
func (c *Condition) AppendXML(dst []byte) []byte {
	return append(append(append(dst, '<'), *c...), " xmlns='"+NS+"'/>"...)
}

// DecodeXML implements stanza.Payload.
func (c *Condition) DecodeXML(r *xmlstream.Reader) error {
	*c = Condition(r.Name().Local)
	return r.Err()
}

// Err makes the stanza error that goes with a condition; text is for people.
func Err(c Condition, text string) *stanza.Error {
	e := stanza.BadRequest.Err(text)
	if c == SessionExpired {
		e = stanza.NotAllowed.Err(text)
	}
	e.App = &c
	return e
}

// ConditionOf is the condition in a stanza of type error, "" where it has none that is known.
func ConditionOf(s *stanza.Stanza) Condition {
	i := s.Find(stanza.NSClient, "error")
	if i < 0 {
		return ""
	}
	r := s.Reader(i)
	var found Condition
	for n := range r.Children() {
		if n.Space != NS || found != "" {
			continue
		}
		switch c := Condition(n.Local); c {
		case MalformedAction, BadAction, BadLocale, BadPayload, BadSessionID, SessionExpired:
			found = c
		}
	}
	if r.Err() != nil {
		return ""
	}
	return found
}
