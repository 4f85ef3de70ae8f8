// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Rooms reads the topic "rooms": the persistent rooms of conference services (XEP-0045). They belong to no account; what
// an account is in them goes with the account.
type Rooms interface {
	// Room returns all of a room, or ErrNotFound.
	Room(ctx context.Context, room jid.JID) (Room, error)
	// PublicRooms returns a page of the public rooms of a service, in the order of their local parts, those greater
	// than after. An empty page is the end.
	PublicRooms(ctx context.Context, service, after string, limit int) ([]RoomName, error)
	// RoomCount returns how many rooms the service has, public or not.
	RoomCount(ctx context.Context, service string) (int, error)
	// RoomsOf returns how many rooms of the service the creator has made.
	RoomsOf(ctx context.Context, service string, creator jid.JID) (int, error)
	// FindRooms returns a page of the rooms of a service, public or not, in the order of their local parts. An empty page
	// is the end.
	FindRooms(ctx context.Context, q RoomQuery) ([]RoomEntry, error)
}

// RoomQuery says which rooms.
type RoomQuery struct {
	Service   string
	After     string // those whose local parts are greater
	Find      string // those with this text in the local part or the name, the case of ASCII letters apart; "" is all
	Ownerless bool   // those that have no owner, whose last one's account was deleted
	Limit     int
}

// RoomEntry is what an operator's list has of a room.
type RoomEntry struct {
	JID          jid.JID
	Creator      jid.JID
	Created      time.Time
	Name         string
	Public       bool
	Owners       int
	Affiliations int // owners, admins, members and outcasts
}

// Room is one persistent room.
type Room struct {
	JID     jid.JID
	Creator jid.JID   // bare
	Created time.Time // kept to the microsecond
	Name    string    // for people; may be empty
	Public  bool      // listed by PublicRooms
	Config  []byte    // as its module writes it

	Affiliations []RoomAffiliation // in no particular order
	Extras       map[string][]byte // by name; nil where there are none
}

// RoomName is what lists have of a room.
type RoomName struct {
	JID  jid.JID
	Name string
}

// RoomAffiliation is what somebody is to a room.
type RoomAffiliation struct {
	User        jid.JID // bare, or a domain
	Affiliation string  // a word of XEP-0045, "none" for a nick alone
	Nick        string  // reserved; may be empty
	Reason      string
}

// SetRoom makes a room or changes it; its affiliations and extras stay as they are. Creator and Created count when it
// is made. Room.Affiliations and Room.Extras are not looked at.
type SetRoom struct{ Room Room }

// SetRoomAffiliation sets what a user is to a room; "none" without a nick removes it. It fails with ErrNotFound when
// there is no such room.
type SetRoomAffiliation struct {
	Room        jid.JID
	Affiliation RoomAffiliation
}

// SetRoomExtra sets one of the room's extras; nil removes it. It fails with ErrNotFound when there is no such room.
type SetRoomExtra struct {
	Room  jid.JID
	Name  string
	Value []byte
}

// DeleteRoom removes a room and all that belongs to it; that there is none is no error.
type DeleteRoom struct{ Room jid.JID }

func (SetRoom) Topic() string            { return "rooms" }
func (SetRoomAffiliation) Topic() string { return "rooms" }
func (SetRoomExtra) Topic() string       { return "rooms" }
func (DeleteRoom) Topic() string         { return "rooms" }

func (op SetRoom) Size() int {
	return opBytes + len(op.Room.JID.String()) + len(op.Room.Creator.String()) + len(op.Room.Name) + len(op.Room.Config)
}

func (op SetRoomAffiliation) Size() int {
	a := op.Affiliation
	return opBytes + len(op.Room.String()) + len(a.User.String()) + len(a.Affiliation) + len(a.Nick) + len(a.Reason)
}

func (op SetRoomExtra) Size() int {
	return opBytes + len(op.Room.String()) + len(op.Name) + len(op.Value)
}

func (op DeleteRoom) Size() int { return opBytes + len(op.Room.String()) }

func (op SetRoom) Validate() error {
	if err := CheckUser(op.Room.JID); err != nil {
		return err
	}
	return CheckUser(op.Room.Creator)
}

func (op SetRoomAffiliation) Validate() error {
	if err := CheckUser(op.Room); err != nil {
		return err
	}
	if u := op.Affiliation.User; u.IsZero() || u.IsFull() {
		return fmt.Errorf("affiliation of %q: %w", u, ErrInvalid)
	}
	switch op.Affiliation.Affiliation {
	case "owner", "admin", "member", "none", "outcast":
		return nil
	}
	return fmt.Errorf("affiliation %q: %w", op.Affiliation.Affiliation, ErrInvalid)
}

func (op SetRoomExtra) Validate() error {
	if op.Name == "" || len(op.Name) > maxSettingName {
		return fmt.Errorf("name of %d bytes for an extra of a room: %w", len(op.Name), ErrInvalid)
	}
	return CheckUser(op.Room)
}

func (op DeleteRoom) Validate() error { return CheckUser(op.Room) }
