// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// worth reports whether a message belongs into the archives of accounts: what people or things have said to each other, and
// what changes how that is shown. XEP-0313 §6.1.1, XEP-0334 §4
func worth(s *stanza.Stanza) bool {
	if s.Kind != stanza.Message || s.Type != stanza.Chat && s.Type != stanza.Normal {
		return false
	}
	is := false
	for i := range s.Len() {
		space, local, ok := s.Child(i)
		if !ok {
			continue
		}
		switch string(space) {
		case stanza.NSClient:
			is = is || string(local) == "body"
		case hint.NS:
			switch hint.Hint(local) {
			case hint.NoStore, hint.NoPermanentStore:
				return false
			case hint.Store:
				is = true
			}
		case retract.NS:
			is = is || string(local) == "retract" // XEP-0424 §5: it must be stored
		case nsReceipts:
			is = is || string(local) == "received"
		case nsMarkers:
			is = is || string(local) != "markable"
		case nsOMEMO, nsOMEMOOld:
			is = is || string(local) == "encrypted"
		case nsInvitation:
			is = true
		}
	}
	return is
}

// What else is kept without a body, because a client that was away shows it: receipts (XEP-0184), markers (XEP-0333),
// encrypted messages (XEP-0384) and invitations to rooms (XEP-0249).
const (
	nsReceipts   = "urn:xmpp:receipts"
	nsMarkers    = "urn:xmpp:chat-markers:0"
	nsOMEMO      = "urn:xmpp:omemo:2"
	nsOMEMOOld   = "eu.siacs.conversations.axolotl"
	nsInvitation = "jabber:x:conference"
)
