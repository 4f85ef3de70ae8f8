// SPDX-License-Identifier: Apache-2.0

// Package muc is the vocabulary of rooms: entering one, who is in it and what they may do, how a room
// is run, invitations, and what else a room adds to what goes through it.
//
// XEP-0045 (complete, 1.35.5), XEP-0249 (complete, 1.2), XEP-0421 (complete, 1.0.1),
// XEP-0317 (complete, 0.3.1)
//
// How to read this package: muc.go has the names, roles and affiliations, and how a room is entered;
// user.go what rooms say in presence and messages; admin.go how they are run; extra.go what is not
// XEP-0045: occupant ids, hats, direct invitations.
package muc

import (
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces. NS is the feature of services, rooms and clients too.
const (
	NS      = "http://jabber.org/protocol/muc"
	NSUser  = NS + "#user"
	NSAdmin = NS + "#admin"
	NSOwner = NS + "#owner"
)

// The FORM_TYPEs, which are also features. XEP-0045 §15.5
const (
	FormRegister = NS + "#register"
	FormRequest  = NS + "#request"
	FormConfig   = NS + "#roomconfig"
	FormInfo     = NS + "#roominfo"
)

// Features beside the namespaces.
const (
	FeatureStableID = NS + "#stable_id"              // XEP-0045 §7.4
	FeatureSelfPing = NS + "#self-ping-optimization" // XEP-0410 §3.3
)

// Nodes of service discovery. XEP-0045 §15.4
const (
	NodeRooms   = NS + "#rooms"     // of a client: the rooms it is in
	NodeTraffic = NS + "#traffic"   // of a room: which extensions pass
	NodeNick    = "x-roomuser-item" // of a room: the asking user's reserved nick
)

// Affiliation is what somebody is to a room for good. "" is that none is given. XEP-0045 §5.2
type Affiliation string

// The affiliations.
const (
	Owner        Affiliation = "owner"
	Admin        Affiliation = "admin"
	Member       Affiliation = "member"
	Unaffiliated Affiliation = "none"
	Outcast      Affiliation = "outcast"
)

// Level puts affiliations in their order: an owner has 3, whoever is unaffiliated 0, an outcast -1.
func (a Affiliation) Level() int {
	switch a {
	case Owner:
		return 3
	case Admin:
		return 2
	case Member:
		return 1
	case Outcast:
		return -1
	}
	return 0
}

// Valid reports whether there is such an affiliation.
func (a Affiliation) Valid() bool {
	switch a {
	case Owner, Admin, Member, Unaffiliated, Outcast:
		return true
	}
	return false
}

// Role is what somebody may do in a room during a visit. "" is that none is given. XEP-0045 §5.1
type Role string

// The roles.
const (
	Moderator   Role = "moderator"
	Participant Role = "participant"
	Visitor     Role = "visitor"
	NoRole      Role = "none" // who is not in the room
)

// Level puts roles in their order: a moderator has 3, whoever is not in the room 0.
func (r Role) Level() int {
	switch r {
	case Moderator:
		return 3
	case Participant:
		return 2
	case Visitor:
		return 1
	}
	return 0
}

// Valid reports whether there is such a role.
func (r Role) Valid() bool {
	switch r {
	case Moderator, Participant, Visitor, NoRole:
		return true
	}
	return false
}

// The status codes. XEP-0045 §15.6
const (
	StatusNonAnonymous     = 100 // anybody in the room sees the user's address
	StatusAffiliation      = 101 // changed while the user was not in the room
	StatusConfig           = 104 // changed in a way that does not touch privacy
	StatusSelf             = 110 // this presence is the receiver's own
	StatusLogging          = 170 // on, or now on
	StatusNoLogging        = 171 // now off
	StatusNowNonAnonymous  = 172
	StatusNowSemiAnonymous = 173
	StatusCreated          = 201
	StatusNick             = 210 // given or changed by the service
	StatusBanned           = 301
	StatusNewNick          = 303
	StatusKicked           = 307
	StatusAffiliationLost  = 321 // removed because of a change of affiliation
	StatusMembersOnly      = 322 // removed because the room is for members only now
	StatusShutdown         = 332 // removed because the service ends
	StatusTechnical        = 333 // removed because of an error
)

// Join is in the presence that enters a room. It implements stanza.Payload. XEP-0045 §7.2
type Join struct {
	Password string
	History  *History // nil: as much as the room likes to send
}

// History limits what is sent of earlier discussion. XEP-0045 §7.2.14
type History struct {
	MaxChars   *int // of whole stanzas
	MaxStanzas *int
	Seconds    *int
	Since      time.Time // zero: not limited
}

// XMLName implements stanza.Payload.
func (*Join) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "x"} }

// AppendXML implements stanza.Payload.
func (j *Join) AppendXML(dst []byte) []byte {
	dst = append(dst, "<x xmlns='"+NS+"'"...)
	if j.Password == "" && j.History == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if j.Password != "" {
		dst = xmlstream.AppendText(dst, "password", j.Password)
	}
	if h := j.History; h != nil {
		dst = append(dst, "<history"...)
		dst = appendNumber(dst, "maxchars", h.MaxChars)
		dst = appendNumber(dst, "maxstanzas", h.MaxStanzas)
		dst = appendNumber(dst, "seconds", h.Seconds)
		if !h.Since.IsZero() {
			dst = append(dst, " since='"...)
			dst = append(datetime.Append(dst, h.Since), '\'')
		}
		dst = append(dst, "/>"...)
	}
	return append(dst, "</x>"...)
}

func appendNumber(dst []byte, name string, n *int) []byte {
	if n == nil {
		return dst
	}
	return xmlstream.AppendAttr(dst, name, strconv.Itoa(*n))
}

// DecodeXML implements stanza.Payload. Limits of the history that are no numbers and no point in time
// are bad-request.
func (j *Join) DecodeXML(r *xmlstream.Reader) error {
	*j = Join{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "password"}:
			j.Password = r.Text()
		case xmlstream.Name{Space: NS, Local: "history"}:
			j.History = &History{
				MaxChars: number(r, "maxchars"), MaxStanzas: number(r, "maxstanzas"), Seconds: number(r, "seconds"),
			}
			if since, ok := r.LookupAttr("since"); ok {
				var err error
				if j.History.Since, err = datetime.Parse(since); err != nil {
					r.Fail(stanza.BadRequest.Err("since is no point in time"))
				}
			}
		}
	}
	return r.Err()
}

func number(r *xmlstream.Reader, name string) *int {
	text, ok := r.LookupAttr(name)
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		r.Fail(stanza.BadRequest.Err(name + " is no number"))
		return nil
	}
	i := int(n)
	return &i
}
