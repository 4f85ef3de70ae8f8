// SPDX-License-Identifier: Apache-2.0

package bookmarks

import (
	"bytes"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NSStorage qualifies <storage/>. It is the name of the node of XEP-0048, too, whose one item has
// the id Current.
const (
	NSStorage = "storage:bookmarks"
	Current   = "current"
)

// Storage is a list of bookmarks, all in one. It implements stanza.Payload. XEP-0048 §2
type Storage struct {
	Rooms []Room
	// Others are what is no bookmark of a room: those of URLs, and what nobody understands.
	Others []stanza.Raw
}

// Room is a bookmark and where it leads.
type Room struct {
	JID jid.JID
	Conference
}

// Find returns the bookmark of a room, or nil.
func (s *Storage) Find(room jid.JID) *Conference {
	i := slices.IndexFunc(s.Rooms, func(r Room) bool { return r.JID == room })
	if i < 0 {
		return nil
	}
	return &s.Rooms[i].Conference
}

// XMLName implements stanza.Payload.
func (*Storage) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: NSStorage, Local: "storage"}
}

// AppendXML implements stanza.Payload.
func (s *Storage) AppendXML(dst []byte) []byte {
	dst = append(dst, "<storage xmlns='"+NSStorage+"'>"...)
	for i := range s.Rooms {
		r := &s.Rooms[i]
		dst = xmlstream.AppendAttr(append(dst, "<conference"...), "jid", r.JID.String())
		dst = r.append(dst)
	}
	for i := range s.Others {
		dst = s.Others[i].AppendXML(dst)
	}
	return append(dst, "</storage>"...)
}

// DecodeXML implements stanza.Payload. A bookmark of a room without a valid address is one of the
// others; of two of one room the last counts, in the place of the first.
func (s *Storage) DecodeXML(r *xmlstream.Reader) error {
	*s = Storage{}
	conference := xmlstream.Name{Space: NSStorage, Local: "conference"}
	for n := range r.Children() {
		room, err := jid.Parse(r.Attr("jid"))
		if n != conference || err != nil || room.IsZero() {
			var e stanza.Raw
			if err := e.DecodeXML(r); err != nil {
				return err
			}
			s.Others = append(s.Others, e)
			continue
		}
		var c Conference
		if err := c.DecodeXML(r); err != nil {
			return err
		}
		if known := s.Find(room); known != nil {
			*known = c
		} else {
			s.Rooms = append(s.Rooms, Room{room, c})
		}
	}
	return r.Err()
}

// Edit is what a bookmark becomes when a client that uses the list writes it as edited: such clients
// know nothing of extensions, so that none is lost; those that are there are put in place of the ones
// of their name. changed says whether that is another bookmark.
func (c *Conference) Edit(edited *Conference) (next *Conference, changed bool) {
	n := *edited
	n.Extensions = slices.Clone(c.Extensions)
	for _, e := range edited.Extensions {
		same := func(x stanza.Raw) bool { return x.Name == e.Name && bytes.Equal(x.Bytes, e.Bytes) }
		if slices.ContainsFunc(n.Extensions, same) {
			continue
		}
		if i := slices.IndexFunc(n.Extensions, func(x stanza.Raw) bool { return x.Name == e.Name }); i >= 0 {
			n.Extensions[i] = e
		} else {
			n.Extensions = append(n.Extensions, e)
		}
	}
	return &n, !n.Equal(c)
}
