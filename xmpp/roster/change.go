// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Limits bounds what a client may put into one item; lengths are in octets. Every
// field must be positive.
type Limits struct {
	Name   int // length of a name
	Group  int // length of a group's name
	Groups int // groups of one item
}

// Change returns the one item that a client's roster set changes or, with
// Subscription Remove, removes. Of an item that is not removed only JID, Name and
// Groups are the client's to set; the rest is reset. The item is a copy that keeps
// nothing of the stanza alive.
//
// The error is the *stanza.Error that RFC 6121 §2.3.3 asks for: bad-request for
// any number of items but one and for duplicate groups; not-acceptable for an
// empty group and for what exceeds the limits.
func (q *Query) Change(l Limits) (Item, error) {
	if len(q.Items) != 1 {
		return Item{}, stanza.BadRequest.Err("a roster set has exactly one item")
	}
	in := q.Items[0]
	if in.Subscription == Remove {
		return Item{JID: in.JID.Clone(), Subscription: Remove}, nil
	}
	switch {
	case len(in.Name) > l.Name:
		return Item{}, stanza.NotAcceptable.Err(fmt.Sprintf("a name has at most %d bytes", l.Name))
	case len(in.Groups) > l.Groups:
		return Item{}, stanza.NotAcceptable.Err(fmt.Sprintf("an item has at most %d groups", l.Groups))
	}
	out := Item{JID: in.JID.Clone(), Name: strings.Clone(in.Name)}
	seen := make(map[string]bool, len(in.Groups))
	for _, g := range in.Groups {
		switch {
		case g == "":
			return Item{}, stanza.NotAcceptable.Err("a group needs a name")
		case len(g) > l.Group:
			return Item{}, stanza.NotAcceptable.Err(fmt.Sprintf("a group's name has at most %d bytes", l.Group))
		}
		key := canonical(g)
		if seen[key] {
			return Item{}, stanza.BadRequest.Err("an item is in a group twice")
		}
		seen[key] = true
		out.Groups = append(out.Groups, strings.Clone(g))
	}
	return out, nil
}

// canonical brings a group's name into the form that is compared: as a resourcepart
// is (RFC 6121 §2.3.3), where that is possible.
func canonical(group string) string {
	if c, err := jid.PrepareResource(group); err == nil {
		return c
	}
	return group
}
