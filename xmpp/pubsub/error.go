// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Condition is an application-specific condition of an error. It implements stanza.Payload. §18.2
type Condition struct {
	Local   string // the name of the element
	Feature string // of unsupported
}

// The conditions.
const (
	ClosedNode                   = "closed-node"
	InvalidJID                   = "invalid-jid"
	InvalidOptions               = "invalid-options"
	InvalidPayload               = "invalid-payload"
	InvalidSubID                 = "invalid-subid"
	ItemForbidden                = "item-forbidden"
	ItemRequired                 = "item-required"
	JIDRequired                  = "jid-required"
	MaxItemsExceeded             = "max-items-exceeded"
	MaxNodesExceeded             = "max-nodes-exceeded"
	NodeIsFull                   = "node-full"
	NodeIDRequired               = "nodeid-required"
	NotInRosterGroup             = "not-in-roster-group"
	NotSubscribed                = "not-subscribed"
	PayloadTooBig                = "payload-too-big"
	PayloadRequired              = "payload-required"
	PendingSubscription          = "pending-subscription"
	PreconditionNotMet           = "precondition-not-met"
	PresenceSubscriptionRequired = "presence-subscription-required"
	TooManySubscriptions         = "too-many-subscriptions"
	Unsupported                  = "unsupported"
	UnsupportedAccessModel       = "unsupported-access-model"
)

// XMLName implements stanza.Payload.
func (c *Condition) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSErrors, Local: c.Local} }

// AppendXML implements stanza.Payload.
func (c *Condition) AppendXML(dst []byte) []byte {
	dst = append(append(append(dst, '<'), c.Local...), " xmlns='"+NSErrors+"'"...)
	dst = xmlstream.AppendAttr(dst, "feature", c.Feature)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload.
func (c *Condition) DecodeXML(r *xmlstream.Reader) error {
	*c = Condition{Local: r.Name().Local, Feature: r.Attr("feature")}
	return r.Err()
}

// ConditionOf is the condition in a stanza of type error; ok is false where it has none.
func ConditionOf(s *stanza.Stanza) (c Condition, ok bool) {
	i := s.Find(stanza.NSClient, "error")
	if i < 0 {
		return c, false
	}
	r := s.Reader(i)
	for n := range r.Children() {
		if n.Space == NSErrors && !ok {
			c, ok = Condition{Local: n.Local, Feature: r.Attr("feature")}, true
		}
	}
	return c, ok && r.Err() == nil
}

// Err makes a stanza error with a condition; text is for people.
func Err(condition stanza.Condition, local, text string) *stanza.Error {
	e := condition.Err(text)
	e.App = &Condition{Local: local}
	return e
}

// ErrUnsupported says that a service does not have a feature, named without its namespace.
func ErrUnsupported(feature string) *stanza.Error {
	e := stanza.FeatureNotImplemented.Err("")
	e.App = &Condition{Local: Unsupported, Feature: feature}
	return e
}
