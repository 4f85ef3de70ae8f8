// SPDX-License-Identifier: Apache-2.0

// Package hint is the vocabulary of message processing hints: what a sender would
// like servers to do, or not to do, with a message on its way.
//
// XEP-0334 (complete, 1.0.0)
package hint

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies every hint and is the feature that announces them.
const NS = "urn:xmpp:hints"

// Hint is one hint, by its element's name. *Hint implements stanza.Payload.
type Hint string

// The hints. XEP-0334 §4
const (
	NoPermanentStore Hint = "no-permanent-store" // no archive, no logs
	NoStore          Hint = "no-store"           // not even until the recipient is online
	NoCopy           Hint = "no-copy"            // to the addressed resource alone
	Store            Hint = "store"              // worth storing, whatever it looks like
)

// Set is several hints.
type Set uint8

func (h Hint) bit() Set {
	switch h {
	case NoPermanentStore:
		return 1
	case NoStore:
		return 2
	case NoCopy:
		return 4
	case Store:
		return 8
	}
	return 0
}

// Has reports whether a hint is in the set.
func (s Set) Has(h Hint) bool { return s&h.bit() != 0 }

// Of returns the hints of a message. Those in an error are the original message's,
// and do not count. XEP-0334 §5
func Of(s *stanza.Stanza) Set {
	if s.Kind != stanza.Message || s.Type == stanza.TypeError {
		return 0
	}
	var out Set
	for i := range s.Len() {
		if space, local, ok := s.Child(i); ok && string(space) == NS {
			out |= Hint(local).bit()
		}
	}
	return out
}

// XMLName implements stanza.Payload.
func (h *Hint) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: string(*h)} }

// AppendXML implements stanza.Payload.
func (h *Hint) AppendXML(dst []byte) []byte {
	dst = append(append(dst, '<'), *h...)
	return append(dst, " xmlns='"+NS+"'/>"...)
}

// DecodeXML implements stanza.Payload. It fails on an element that is no hint.
func (h *Hint) DecodeXML(r *xmlstream.Reader) error {
	*h = Hint(r.Name().Local)
	if h.bit() == 0 {
		return fmt.Errorf("hint: <%s/> is no hint", r.Name().Local)
	}
	return r.Err()
}
