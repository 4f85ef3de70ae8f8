// SPDX-License-Identifier: Apache-2.0

package stanza

// How to read this file: the kinds and types of stanzas, then FromElement, which
// reads an envelope and says what is wrong with it.

import (
	"errors"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Kind tells the three stanzas apart.
type Kind uint8

// The kinds of stanza (RFC 6120 §8.2).
const (
	Message Kind = iota + 1
	Presence
	IQ
)

// String is the element's name.
func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "invalid"
}

// Type is a stanza's type attribute. The zero value is the one that is not written: a normal
// message, available presence.
type Type uint8

// The types of all kinds (RFC 6121 §5.2.2, §4.7.1, RFC 6120 §8.2.3).
const (
	Normal    Type = 0
	Available Type = 0

	TypeError Type = iota // of any kind; starts after the two zeros
	Chat
	Groupchat
	Headline
	Unavailable
	Subscribe
	Subscribed
	Unsubscribe
	Unsubscribed
	Probe
	Get
	Set
	Result
)

func (t Type) attr() string {
	switch t {
	case TypeError:
		return "error"
	case Chat:
		return "chat"
	case Groupchat:
		return "groupchat"
	case Headline:
		return "headline"
	case Unavailable:
		return "unavailable"
	case Subscribe:
		return "subscribe"
	case Subscribed:
		return "subscribed"
	case Unsubscribe:
		return "unsubscribe"
	case Unsubscribed:
		return "unsubscribed"
	case Probe:
		return "probe"
	case Get:
		return "get"
	case Set:
		return "set"
	case Result:
		return "result"
	}
	return ""
}

// String is the attribute's value, "normal" or "available" spelled out for logs.
func (t Type) String() string {
	if t == 0 {
		return "normal"
	}
	return t.attr()
}

// IsRequest reports whether an IQ of this type must be answered.
func (t Type) IsRequest() bool { return t == Get || t == Set }

// parseType maps an attribute's value. ok is false where the kind does not know the value.
func parseType(k Kind, v []byte) (t Type, ok bool) {
	if string(v) == "error" {
		return TypeError, true
	}
	switch k {
	case Message:
		switch string(v) {
		case "chat":
			return Chat, true
		case "groupchat":
			return Groupchat, true
		case "headline":
			return Headline, true
		}
		// "normal", and whatever we do not know, is normal (RFC 6121 §5.2.2).
		return Normal, true
	case Presence:
		switch string(v) {
		case "unavailable":
			return Unavailable, true
		case "subscribe":
			return Subscribe, true
		case "subscribed":
			return Subscribed, true
		case "unsubscribe":
			return Unsubscribe, true
		case "unsubscribed":
			return Unsubscribed, true
		case "probe":
			return Probe, true
		}
	case IQ:
		switch string(v) {
		case "get":
			return Get, true
		case "set":
			return Set, true
		case "result":
			return Result, true
		}
	}
	return 0, false
}

// What is wrong with a stanza besides a *Error: these are stream errors, or our own mistakes.
var (
	// ErrNotStanza says that an element is no message, presence or IQ of a content namespace.
	ErrNotStanza = errors.New("stanza: not a stanza")
	errNotWhole  = errors.New("stanza: bytes end within the stanza")
)

// FromElement makes s the stanza that e is, borrowing e's bytes. Addresses go through the
// sender's cache. The error is ErrNotStanza, or a *Error that says how to refuse the stanza; in
// that case s still has all that could be read of its envelope, for the answer.
func (s *Stanza) FromElement(e *xmlstream.Element, addresses *jid.Cache) error {
	*s = Stanza{raw: e.Raw[:e.Content.End], start: e.Content.Start, children: e.Children}
	switch string(e.Local) {
	case "message":
		s.Kind = Message
	case "presence":
		s.Kind = Presence
	case "iq":
		s.Kind = IQ
	default:
		return ErrNotStanza
	}
	switch string(e.Space) {
	case NSClient:
		s.plain()
	case NSServer, NSComponent:
		again, err := s.inClient(e)
		if err != nil {
			return ErrNotStanza
		}
		if again != nil {
			return s.FromElement(again, addresses)
		}
		s.plain()
	default:
		return ErrNotStanza
	}
	var refused *Error
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if len(a.Space) != 0 {
			if string(a.Local) == "lang" && string(a.Space) == xmlstream.NSXML {
				s.Lang = a.Value
			}
			// Deviation: other qualified attributes of the envelope are dropped. No
			// specification uses them, and keeping them would need declarations there.
			continue
		}
		switch string(a.Local) {
		case "to":
			var err error
			if s.To, err = addresses.Parse(a.Value); err != nil {
				refused = JIDMalformed.Err("the address in 'to' is not valid")
			}
		case "from":
			var err error
			if s.From, err = addresses.Parse(a.Value); err != nil {
				refused = JIDMalformed.Err("the address in 'from' is not valid")
			}
		case "id":
			s.ID = a.Value
		case "type":
			t, ok := parseType(s.Kind, a.Value)
			if !ok {
				refused = BadRequest.Err("unknown type")
			}
			s.Type = t
		default:
			s.extra = xmlstream.AppendAttr(s.extra, string(a.Local), a.Value)
		}
	}
	if refused != nil {
		return refused
	}
	return s.checkIQ()
}

// checkIQ holds an IQ to RFC 6120 §8.2.3: an id, a type, and one child in a request, at most
// one in a result.
func (s *Stanza) checkIQ() error {
	if s.Kind != IQ {
		return nil
	}
	switch {
	case len(s.ID) == 0:
		return BadRequest.Err("an iq needs an id")
	case s.Type == 0:
		return BadRequest.Err("an iq needs a type")
	case s.Type.IsRequest() && len(s.children) != 1:
		return BadRequest.Err("a request has exactly one child")
	case s.Type == Result && len(s.children) > 1:
		return BadRequest.Err("a result has at most one child")
	}
	return nil
}
