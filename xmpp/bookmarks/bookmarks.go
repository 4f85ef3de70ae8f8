// SPDX-License-Identifier: Apache-2.0

// Package bookmarks is the vocabulary of bookmarks of rooms: as clients keep them now, one item of a
// node for each room, and as they did, in one list.
//
// XEP-0402 (complete, 1.2.0), XEP-0048 (complete, 1.2)
//
// How to read this package: bookmarks.go has the element of today, storage.go the list of before
// and how the two are made of each other.
package bookmarks

import (
	"bytes"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <conference/> and is the name of the node. An item's id is the address of its room.
const NS = "urn:xmpp:bookmarks:1"

// Features of a server at which clients of both generations see the same rooms. XEP-0402 §4.3
const (
	NSCompat    = NS + "#compat"     // with those that use private XML
	NSCompatPEP = NS + "#compat-pep" // with those that use the node of XEP-0048
)

// Conference is a bookmark of a room. It implements stanza.Payload. XEP-0402 §2
type Conference struct {
	Name     string // that a person gave it; "" is none
	Autojoin bool   // clients join it when they log in
	Nick     string // "" is none
	Password string // "" is none
	// Extensions are whatever clients keep beside; whoever edits a bookmark keeps them.
	Extensions []stanza.Raw
}

// Equal reports whether two bookmarks say the same, in the same bytes of extensions.
func (c *Conference) Equal(o *Conference) bool {
	if c.Name != o.Name || c.Autojoin != o.Autojoin || c.Nick != o.Nick || c.Password != o.Password ||
		len(c.Extensions) != len(o.Extensions) {
		return false
	}
	for i := range c.Extensions {
		if !bytes.Equal(c.Extensions[i].Bytes, o.Extensions[i].Bytes) {
			return false
		}
	}
	return true
}

// XMLName implements stanza.Payload.
func (*Conference) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "conference"} }

// AppendXML implements stanza.Payload.
func (c *Conference) AppendXML(dst []byte) []byte {
	return c.append(append(dst, "<conference xmlns='"+NS+"'"...))
}

// append writes what follows the first attributes of the start tag.
func (c *Conference) append(dst []byte) []byte {
	dst = xmlstream.AppendAttr(dst, "name", c.Name)
	if c.Autojoin {
		dst = append(dst, " autojoin='true'"...)
	}
	start := len(dst)
	dst = append(dst, '>')
	for _, x := range []struct{ name, value string }{{"nick", c.Nick}, {"password", c.Password}} {
		if x.value != "" {
			dst = xmlstream.AppendText(dst, x.name, x.value)
		}
	}
	if len(c.Extensions) > 0 {
		dst = append(dst, "<extensions>"...)
		for i := range c.Extensions {
			dst = c.Extensions[i].AppendXML(dst)
		}
		dst = append(dst, "</extensions>"...)
	}
	if len(dst) == start+1 {
		return append(dst[:start], "/>"...)
	}
	return append(dst, "</conference>"...)
}

// DecodeXML implements stanza.Payload. Elements where the specification has none are taken for
// extensions.
func (c *Conference) DecodeXML(r *xmlstream.Reader) error {
	space := r.Name().Space
	*c = Conference{Name: r.Attr("name"), Autojoin: isTrue(r.Attr("autojoin"))}
	for n := range r.Children() {
		switch {
		case n == xmlstream.Name{Space: space, Local: "nick"}:
			c.Nick = r.Text()
		case n == xmlstream.Name{Space: space, Local: "password"}:
			c.Password = r.Text()
		case n.Local == "extensions" && (n.Space == space || n.Space == NS):
			for range r.Children() {
				c.extend(r)
			}
		case n.Space != space:
			c.extend(r)
		}
	}
	return r.Err()
}

func (c *Conference) extend(r *xmlstream.Reader) {
	var e stanza.Raw
	if err := e.DecodeXML(r); err == nil {
		c.Extensions = append(c.Extensions, e)
	}
}

// isTrue reads an xs:boolean. What is neither true nor false is false.
func isTrue(s string) bool { return s == "true" || s == "1" }
