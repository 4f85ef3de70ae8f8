// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// User is what a room says in presence and messages, and what is said to it of invitations. It
// implements stanza.Payload. XEP-0045 §17.2
type User struct {
	Items    []Item // at most one in presence
	Statuses []int  // the constants Status…
	Invites  []Invite
	Decline  *Decline
	Destroy  *Destroy
	Password string // in an invitation: of the room
}

// Item is one party to a room: in presence who the occupant is, in requests of moderators and admins
// what is asked for or to be changed. XEP-0045 §17.2, §17.3
type Item struct {
	Affiliation Affiliation // "": not given
	Role        Role        // "": not given
	JID         jid.JID     // the real address; may be zero
	Nick        string
	ClearNick   bool // the nick is given, and empty: none is to be reserved any more. XEP-0045 §9.5
	Actor       *Actor
	Reason      string
}

// Actor is who did it.
type Actor struct {
	JID  jid.JID // may be zero
	Nick string
}

// Invite invites somebody to a room: To is set on the way to the room, From on the way to the invitee.
// XEP-0045 §7.8.2
type Invite struct {
	From, To jid.JID
	Reason   string
	Continue *Continue
}

// Continue says that the room goes on with a chat of two. XEP-0045 §7.9
type Continue struct{ Thread string }

// Decline answers an invitation: To is set on the way to the room, From on the way to the inviter.
type Decline struct {
	From, To jid.JID
	Reason   string
}

// Destroy ends a room, and says that it is over. XEP-0045 §10.9
type Destroy struct {
	JID      jid.JID // of the room to go to instead; may be zero
	Password string  // of that room
	Reason   string
}

// Has reports whether there is that status code.
func (u *User) Has(status int) bool {
	for _, s := range u.Statuses {
		if s == status {
			return true
		}
	}
	return false
}

// XMLName implements stanza.Payload.
func (*User) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSUser, Local: "x"} }

// AppendXML implements stanza.Payload.
func (u *User) AppendXML(dst []byte) []byte {
	dst = append(dst, "<x xmlns='"+NSUser+"'"...)
	start := len(dst)
	dst = append(dst, '>')
	for i := range u.Items {
		dst = u.Items[i].append(dst)
	}
	for _, s := range u.Statuses {
		dst = append(dst, "<status code='"...)
		dst = strconv.AppendInt(dst, int64(s), 10)
		dst = append(dst, "'/>"...)
	}
	for _, i := range u.Invites {
		dst = appendParty(dst, "invite", i.From, i.To)
		dst = appendReason(append(dst, '>'), i.Reason)
		if i.Continue != nil {
			dst = append(dst, "<continue"...)
			dst = xmlstream.AppendAttr(dst, "thread", i.Continue.Thread)
			dst = append(dst, "/>"...)
		}
		dst = append(dst, "</invite>"...)
	}
	if d := u.Decline; d != nil {
		dst = appendParty(dst, "decline", d.From, d.To)
		dst = appendReason(append(dst, '>'), d.Reason)
		dst = append(dst, "</decline>"...)
	}
	if u.Destroy != nil {
		dst = u.Destroy.append(dst)
	}
	if u.Password != "" {
		dst = xmlstream.AppendText(dst, "password", u.Password)
	}
	if len(dst) == start+1 {
		return append(dst[:start], "/>"...)
	}
	return append(dst, "</x>"...)
}

func appendParty(dst []byte, name string, from, to jid.JID) []byte {
	dst = append(append(dst, '<'), name...)
	dst = xmlstream.AppendAttr(dst, "from", from.String())
	return xmlstream.AppendAttr(dst, "to", to.String())
}

func appendReason(dst []byte, reason string) []byte {
	if reason == "" {
		return dst
	}
	return xmlstream.AppendText(dst, "reason", reason)
}

func (i *Item) append(dst []byte) []byte {
	dst = append(dst, "<item"...)
	dst = xmlstream.AppendAttr(dst, "affiliation", string(i.Affiliation))
	dst = xmlstream.AppendAttr(dst, "jid", i.JID.String())
	dst = xmlstream.AppendAttr(dst, "nick", i.Nick)
	if i.ClearNick {
		dst = append(dst, " nick=''"...)
	}
	dst = xmlstream.AppendAttr(dst, "role", string(i.Role))
	if i.Actor == nil && i.Reason == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if a := i.Actor; a != nil {
		dst = append(dst, "<actor"...)
		dst = xmlstream.AppendAttr(dst, "jid", a.JID.String())
		dst = xmlstream.AppendAttr(dst, "nick", a.Nick)
		dst = append(dst, "/>"...)
	}
	dst = appendReason(dst, i.Reason)
	return append(dst, "</item>"...)
}

func (d *Destroy) append(dst []byte) []byte {
	dst = append(dst, "<destroy"...)
	dst = xmlstream.AppendAttr(dst, "jid", d.JID.String())
	if d.Password == "" && d.Reason == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if d.Password != "" {
		dst = xmlstream.AppendText(dst, "password", d.Password)
	}
	dst = appendReason(dst, d.Reason)
	return append(dst, "</destroy>"...)
}

// DecodeXML implements stanza.Payload. An address that is none is jid-malformed; an affiliation, role
// or status code that is none is bad-request.
func (u *User) DecodeXML(r *xmlstream.Reader) error {
	*u = User{}
	for n := range r.Children() {
		if n.Space != NSUser {
			continue
		}
		switch n.Local {
		case "item":
			u.Items = append(u.Items, decodeItem(r, NSUser))
		case "status":
			code, err := strconv.ParseUint(r.Attr("code"), 10, 15)
			if err != nil {
				r.Fail(stanza.BadRequest.Err("a status has a code"))
			}
			u.Statuses = append(u.Statuses, int(code))
		case "invite":
			u.Invites = append(u.Invites, decodeInvite(r))
		case "decline":
			u.Decline = &Decline{From: address(r, "from"), To: address(r, "to")}
			for n := range r.Children() {
				if n.Space == NSUser && n.Local == "reason" {
					u.Decline.Reason = r.Text()
				}
			}
		case "destroy":
			u.Destroy = decodeDestroy(r, NSUser)
		case "password":
			u.Password = r.Text()
		}
	}
	return r.Err()
}

func decodeInvite(r *xmlstream.Reader) Invite {
	i := Invite{From: address(r, "from"), To: address(r, "to")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSUser, Local: "reason"}:
			i.Reason = r.Text()
		case xmlstream.Name{Space: NSUser, Local: "continue"}:
			i.Continue = &Continue{Thread: r.Attr("thread")}
		}
	}
	return i
}

func decodeItem(r *xmlstream.Reader, ns string) Item {
	i := Item{Affiliation: Affiliation(r.Attr("affiliation")), Role: Role(r.Attr("role")), JID: address(r, "jid")}
	nick, given := r.LookupAttr("nick")
	i.Nick, i.ClearNick = nick, given && nick == ""
	if i.Affiliation != "" && !i.Affiliation.Valid() {
		r.Fail(stanza.BadRequest.Err("no such affiliation"))
	}
	if i.Role != "" && !i.Role.Valid() {
		r.Fail(stanza.BadRequest.Err("no such role"))
	}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: ns, Local: "actor"}:
			i.Actor = &Actor{JID: address(r, "jid"), Nick: r.Attr("nick")}
		case xmlstream.Name{Space: ns, Local: "reason"}:
			i.Reason = r.Text()
		}
	}
	return i
}

func decodeDestroy(r *xmlstream.Reader, ns string) *Destroy {
	d := &Destroy{JID: address(r, "jid")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: ns, Local: "password"}:
			d.Password = r.Text()
		case xmlstream.Name{Space: ns, Local: "reason"}:
			d.Reason = r.Text()
		}
	}
	return d
}

// address reads an attribute that may be missing.
func address(r *xmlstream.Reader, name string) (j jid.JID) {
	text := r.Attr(name)
	if text == "" {
		return j
	}
	j, err := jid.Parse(text)
	if err != nil {
		r.Fail(stanza.JIDMalformed.Err("the address in '" + name + "' is not valid"))
	}
	return j
}
