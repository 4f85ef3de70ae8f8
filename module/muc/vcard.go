// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"crypto/sha1" // XEP-0153 §3.1 wants it
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// nsVCard qualifies vCards. XEP-0054
const nsVCard = "vcard-temp"

// extraVCard is the name under which a room's vCard is kept.
const extraVCard = "vcard"

// vCardName is the element's.
func vCardName() xmlstream.Name { return xmlstream.Name{Space: nsVCard, Local: "vCard"} }

// vCardGet answers the room's vCard to whoever may know of the room (XEP-0486 §3.4).
func (m *Module) vCardGet(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() || r.locked {
		return nil, errNoRoom()
	}
	b := r.vcard
	if b == nil {
		b = []byte("<vCard xmlns='" + nsVCard + "'/>")
	}
	return &stanza.Raw{Name: vCardName(), Bytes: b}, nil
}

// vCardSet changes it, for owners (XEP-0486 §3.2); an empty one removes it.
func (m *Module) vCardSet(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	var raw stanza.Raw
	if err := raw.DecodeXML(q.Reader(q.First())); err != nil {
		return nil, stanza.BadRequest.Err("the vCard is not as its specification says")
	}
	if len(raw.Bytes) > int(m.config.Load().VCardBytes) {
		return nil, m.limited("vcard_bytes", stanza.PolicyViolation.Err("the vCard is too long"))
	}
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	owner, gone := r.affiliationOf(q.From) == muc.Owner, r.gone.Load()
	r.mu.Unlock()
	switch {
	case gone:
		return nil, errNoRoom()
	case !owner:
		return nil, errNotOwner()
	}
	value := raw.Bytes
	if !strings.Contains(string(value), "</") { // nothing is in it
		value = nil
	}
	if r.kept.Load() {
		op := store.SetRoomExtra{Room: r.jid, Name: extraVCard, Value: value}
		if err := r.keep(op); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	r.setVCard(value)
	r.tellStatus(t, muc.StatusConfig)
	return nil, r.answerThen(t, q)
}

// setVCard takes a vCard, and the hashes of its pictures (XEP-0486 §3.3). The caller holds mu, or has the
// room alone.
func (r *room) setVCard(b []byte) {
	r.vcard, r.avatar = b, nil
	if b == nil {
		return
	}
	x := xmlstream.NewReader(b, stanza.NSClient)
	for n := range x.Children() {
		if n != (xmlstream.Name{Space: nsVCard, Local: "PHOTO"}) {
			continue
		}
		for n := range x.Children() {
			if n.Local != "BINVAL" {
				continue
			}
			text := strings.Join(strings.Fields(x.Text()), "")
			if picture, err := base64.StdEncoding.DecodeString(text); err == nil && len(picture) > 0 {
				sum := sha1.Sum(picture)
				r.avatar = append(r.avatar, hex.EncodeToString(sum[:]))
			}
		}
	}
}
