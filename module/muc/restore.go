// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"crypto/subtle"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// restore makes the room of what the store has of it.
func (m *Module) restore(kept store.Room) (*room, error) {
	r := m.newRoom(kept.JID.Clone(), kept.Creator, kept.Created)
	var f form.Form
	if err := f.DecodeXML(xmlstream.NewReader(kept.Config, stanza.NSClient)); err != nil {
		return nil, fmt.Errorf("muc: configuration of %s: %w", r.jid, err)
	}
	c := m.config.Load()
	next, err := m.defaults().submitted(&f, c.MaxOccupants, c.MaxHistory)
	if err != nil {
		return nil, fmt.Errorf("muc: configuration of %s: %w", r.jid, err)
	}
	r.options = next
	r.kept.Store(true)
	for _, a := range kept.Affiliations {
		r.put(a.User, person{affiliation: muc.Affiliation(a.Affiliation), nick: a.Nick, reason: a.Reason})
	}
	if b := kept.Extras[extraSubject]; b != nil {
		if r.subject, err = stanza.Parse(b); err != nil {
			return nil, fmt.Errorf("muc: subject of %s: %w", r.jid, err)
		}
	}
	if b := kept.Extras[extraVCard]; b != nil {
		r.setVCard(b)
	}
	if r.wardrobe, err = decodeWardrobe(kept.Extras[extraHats], kept.Extras[extraWorn]); err != nil {
		return nil, fmt.Errorf("muc: hats of %s: %w", r.jid, err)
	}
	if r.wardrobe, err = m.outlived(context.Background(), r.wardrobe); err != nil {
		return nil, fmt.Errorf("muc: hats of %s: %w", r.jid, err)
	}
	return r, nil
}

// blank reports whether a nick shows nothing.
func blank(nick string) bool {
	return strings.IndexFunc(nick, func(c rune) bool { return unicode.IsGraphic(c) && !unicode.IsSpace(c) }) < 0
}

// same compares passwords without telling how much of one is right.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
