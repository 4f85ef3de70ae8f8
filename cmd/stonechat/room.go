// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/server/admin"
)

// Room administers the rooms of a running server.
type Room struct {
	List         RoomList         `cmd:"" help:"List the rooms."`
	Info         RoomInfo         `cmd:"" help:"Tell all of a room: who is in it, its subject, its configuration."`
	Destroy      RoomDestroy      `cmd:"" help:"End a room. Those in it are told so."`
	Affiliations RoomAffiliations `cmd:"" help:"List the owners, admins, members and outcasts of a room."`
	Affiliate    RoomAffiliate    `cmd:"" help:"Change what somebody is to a room."`
}

// RoomList lists them.
type RoomList struct {
	operator
	listing
	Service   string `arg:"" optional:"" help:"The service, such as conference.example.org; that of the first domain by default."`
	Ownerless bool   `help:"Only those without an owner, whose last one's account was deleted."`
}

// RoomInfo tells of one.
type RoomInfo struct {
	operator
	JID  string `arg:"" name:"room" help:"The room, name@service."`
	JSON bool   `name:"json" help:"A JSON object."`
}

// RoomDestroy ends one.
type RoomDestroy struct {
	operator
	JID       string `arg:"" name:"room" help:"The room, name@service."`
	Reason    string `placeholder:"TEXT" help:"Why, for those who are in it."`
	Alternate string `placeholder:"ROOM" help:"The room to go to instead."`
}

// RoomAffiliations lists who is something to one.
type RoomAffiliations struct {
	operator
	JID  string `arg:"" name:"room" help:"The room, name@service."`
	JSON bool   `name:"json" help:"A JSON array."`
}

// RoomAffiliate changes it.
type RoomAffiliate struct {
	operator
	JID         string `arg:"" name:"room" help:"The room, name@service."`
	User        string `arg:"" help:"Who: name@domain; a whole domain can be an outcast."`
	Affiliation string `arg:"" enum:"owner,admin,member,none,outcast" help:"owner, admin, member, none or outcast."`
	Reason      string `placeholder:"TEXT" help:"Why, for those who see it."`
}

// roomColumns are those of a list, and what is told first of one room.
func roomColumns() []column[admin.Room] {
	return []column[admin.Room]{
		{name: "room", text: func(r admin.Room) string { return r.JID }},
		{name: "in", text: func(r admin.Room) string { return strconv.Itoa(r.Occupants) }},
		{name: "owners", text: func(r admin.Room) string { return strconv.Itoa(r.Owners) }},
		{name: "affiliations", text: func(r admin.Room) string { return strconv.Itoa(r.Affiliations) }},
		{name: "public", text: func(r admin.Room) string { return yes(r.Public) }},
		{name: "persistent", text: func(r admin.Room) string { return yes(!r.Temporary) }},
		{name: "created", text: func(r admin.Room) string { return moment(r.Created) }},
		{name: "creator", text: func(r admin.Room) string { return r.Creator }, rest: true},
		{name: "name", text: func(r admin.Room) string { return r.Name }},
	}
}

// Run implements the command.
func (c RoomList) Run() error {
	local := func(r admin.Room) string { local, _, _ := strings.Cut(r.JID, "@"); return local }
	return list(&c.listing, roomColumns(), local, func(after string) (page []admin.Room, err error) {
		q := url.Values{"service": {c.Service}, "after": {after}, "find": {c.Find}}
		if c.Ownerless {
			q.Set("ownerless", "1")
		}
		return page, c.call(http.MethodGet, "/rooms?"+q.Encode(), nil, &page)
	})
}

// Run implements the command.
func (c RoomInfo) Run() error {
	var x admin.RoomInfo
	if err := c.call(http.MethodGet, "/rooms/"+url.PathEscape(c.JID), nil, &x); err != nil {
		return err
	}
	var columns []column[admin.RoomInfo]
	for _, of := range roomColumns() {
		columns = append(columns, column[admin.RoomInfo]{name: of.name, text: func(r admin.RoomInfo) string { return of.text(r.Room) }})
	}
	columns = append(columns,
		column[admin.RoomInfo]{name: "nicks", text: func(r admin.RoomInfo) string { return strings.Join(r.Nicks, ", ") }},
		column[admin.RoomInfo]{name: "subject", text: func(r admin.RoomInfo) string { return r.Subject }},
		column[admin.RoomInfo]{name: "hats", text: func(r admin.RoomInfo) string { return strconv.Itoa(r.Hats) }},
	)
	return describe(x, columns, x.Options, c.JSON)
}

// Run implements the command.
func (c RoomDestroy) Run() error {
	q := url.Values{"reason": {c.Reason}, "alternate": {c.Alternate}}
	if err := c.call(http.MethodDelete, "/rooms/"+url.PathEscape(c.JID)+"?"+q.Encode(), nil, nil); err != nil {
		return err
	}
	fmt.Println("destroyed", c.JID)
	return nil
}

// Run implements the command.
func (c RoomAffiliations) Run() error {
	return affiliations(c.operator, "/rooms/"+url.PathEscape(c.JID)+"/affiliations", c.JSON)
}

// affiliations prints those of a room or node.
func affiliations(o operator, path string, asJSON bool) error {
	columns := []column[admin.Affiliation]{
		{name: "address", text: func(a admin.Affiliation) string { return a.JID }},
		{name: "affiliation", text: func(a admin.Affiliation) string { return a.Affiliation }},
		{name: "nick", text: func(a admin.Affiliation) string { return a.Nick }},
		{name: "reason", text: func(a admin.Affiliation) string { return a.Reason }},
	}
	return list(&listing{JSON: asJSON}, columns, func(admin.Affiliation) string { return "end" }, func(after string) (all []admin.Affiliation, err error) {
		if after != "" {
			return nil, nil // they come in one
		}
		return all, o.call(http.MethodGet, path, nil, &all)
	})
}

// Run implements the command.
func (c RoomAffiliate) Run() error {
	a := admin.Affiliation{JID: c.User, Affiliation: c.Affiliation, Reason: c.Reason}
	if err := c.call(http.MethodPut, "/rooms/"+url.PathEscape(c.JID)+"/affiliations", a, nil); err != nil {
		return err
	}
	fmt.Printf("%s is %s of %s\n", c.User, c.Affiliation, c.JID)
	return nil
}
