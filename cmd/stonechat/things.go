// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
)

// How to read this file: the structs of the commands, then what they do. They speak to the running server as
// those of user.go do.

// ThingAdd makes one.
type ThingAdd struct {
	operator
	JID      string            `arg:"" help:"The account, name@domain."`
	Owner    string            `placeholder:"JID" help:"Whose it is, without a claim."`
	Group    []string          `sep:"none" placeholder:"NAME" help:"A group. Again for another."`
	Tag      map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A tag, such as SN=4711. Again for another."`
	Password string            `name:"password-file" placeholder:"FILE" help:"The password is the first line of this file, - for standard input. Without it one is made, and told."`
}

// ThingDel deletes one.
type ThingDel struct{ UserDel }

// ThingList lists them.
type ThingList struct {
	operator
	Domain string `arg:"" optional:"" help:"Of this domain; of all by default."`
	Owner  string `placeholder:"JID" help:"Only those of this owner."`
	Group  string `placeholder:"NAME" help:"Only those in this group."`
	Free   bool   `help:"Only those that are nobody's."`
	State  string `enum:",online,sleeping,offline,unsteady,never" default:"" placeholder:"STATE" help:"Only those that are online, sleeping, offline or unsteady (they come and go), or were never there."`
	After  int64  `placeholder:"ROW" help:"Only those behind this row, to go on after a part."`
	Limit  int    `placeholder:"N" help:"At most so many; all by default."`
	JSON   bool   `name:"json" help:"A line of JSON for each."`
}

// ThingInfo tells of one.
type ThingInfo struct {
	operator
	JID  string `arg:"" help:"The account, name@domain."`
	JSON bool   `name:"json" help:"As JSON."`
}

// ThingOwn makes one somebody's.
type ThingOwn struct {
	operator
	JID   string `arg:"" help:"The account, name@domain, of a thing that is nobody's."`
	Owner string `arg:"" help:"Whose it is to be."`
}

// ThingDisown makes one nobody's.
type ThingDisown struct {
	operator
	JID string `arg:"" help:"The account, name@domain."`
}

// ThingGroups puts one into groups.
type ThingGroups struct {
	operator
	JID   string   `arg:"" help:"The account, name@domain."`
	Group []string `arg:"" optional:"" help:"The groups in which it is to be; none takes it out of all."`
}

// Run implements the command.
func (c ThingAdd) Run() error {
	e := admin.Entry{Line: 1, JID: c.JID, Thing: &admin.Given{Owner: c.Owner, Groups: c.Group, Tags: c.Tag}}
	if c.Password == "" {
		e.Password, e.Random = rand.Text(), true
	} else {
		var err error
		if e.Password, err = (password{PasswordFile: c.Password}).read(); err != nil {
			return err
		}
	}
	data, err := c.folder()
	if err != nil {
		return err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := c.request(ctx, data, http.MethodPost, "/accounts/import", strings.NewReader(string(text)+"\n"))
	if err != nil {
		return err
	}
	defer answer.Close() //nolint:errcheck // only read
	var o admin.Outcome
	switch err := json.NewDecoder(answer).Decode(&o); {
	case errors.Is(err, io.EOF):
		return errors.New("the server has not answered")
	case err != nil:
		return err
	case o.Result == admin.Refused:
		return errors.New(o.Why)
	case o.Result != admin.Made:
		return fmt.Errorf("%s exists already", o.JID)
	}
	fmt.Println("made", o.JID)
	if e.Random {
		fmt.Println("password", e.Password)
	}
	return nil
}

// Run implements the command.
func (c ThingList) Run() error {
	left := c.Limit
	for after := c.After; ; {
		q := url.Values{"domain": {c.Domain}, "owner": {c.Owner}, "group": {c.Group}, "state": {c.State}, "after": {strconv.FormatInt(after, 10)}}
		if c.Free {
			q.Set("free", "1")
		}
		var page admin.ThingPage
		if err := c.call(http.MethodGet, "/things?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		for _, x := range page.Things {
			if err := c.print(&x); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}

func (c ThingList) print(x *admin.Thing) error {
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(x)
	}
	text := x.JID
	if x.Node != "" {
		text += " " + x.Node
	}
	text += "  " + stateText(x.Seen)
	if x.Owner == "" {
		text += "  nobody's"
	} else {
		text += "  of " + x.Owner
	}
	if len(x.Groups) > 0 {
		text += "  in " + strings.Join(x.Groups, ", ")
	}
	if x.Label != "" {
		text += "  " + x.Label
	}
	_, err := fmt.Println(text)
	return err
}

// stateText is a state in words.
func stateText(s *admin.Seen) string {
	if s == nil {
		return "never there"
	}
	text := string(s.State)
	switch s.State {
	case store.Sleeping:
		text += " until " + s.Until.Local().Format(time.DateTime)
	default:
		text += " since " + s.Since.Local().Format(time.DateTime)
	}
	if s.Reason != "" && s.State == store.Offline {
		text += " (" + s.Reason + ")"
	}
	return text
}

// Run implements the command.
func (c ThingInfo) Run() error {
	var x admin.Thing
	if err := c.call(http.MethodGet, "/things/"+url.PathEscape(c.JID), nil, &x); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(x)
	}
	say := func(name, value string) {
		if value != "" {
			fmt.Printf("%-10s %s\n", name, value)
		}
	}
	say("thing", x.JID)
	say("label", x.Label)
	owner := x.Owner
	if owner == "" {
		owner = "nobody's"
	}
	say("owner", owner)
	say("state", stateText(x.Seen))
	if x.Seen != nil {
		say("last there", x.Seen.Last.Local().Format(time.DateTime))
		say("said", x.Seen.Status)
	}
	say("registered", x.Registered.Local().Format(time.DateTime))
	if !x.Claimed.IsZero() {
		say("claimed", x.Claimed.Local().Format(time.DateTime))
	}
	if x.Public {
		say("search", "finds it")
	}
	for _, g := range x.Groups {
		say("group", g)
	}
	for _, name := range slices.Sorted(maps.Keys(x.Tags)) {
		say("tag", name+"="+x.Tags[name])
	}
	return nil
}

// Run implements the command.
func (c ThingOwn) Run() error {
	var x admin.Thing
	if err := c.call(http.MethodPut, "/things/"+url.PathEscape(c.JID)+"/owner", admin.Given{Owner: c.Owner}, &x); err != nil {
		return err
	}
	fmt.Println(x.JID, "is", x.Owner+"'s")
	return nil
}

// Run implements the command.
func (c ThingDisown) Run() error {
	if err := c.call(http.MethodDelete, "/things/"+url.PathEscape(c.JID)+"/owner", nil, nil); err != nil {
		return err
	}
	fmt.Println(c.JID, "is nobody's")
	return nil
}

// Run implements the command.
func (c ThingGroups) Run() error {
	var x admin.Thing
	if err := c.call(http.MethodPut, "/things/"+url.PathEscape(c.JID)+"/groups", admin.Given{Groups: c.Group}, &x); err != nil {
		return err
	}
	if len(x.Groups) == 0 {
		fmt.Println(x.JID, "is in no group")
		return nil
	}
	fmt.Println(x.JID, "is in", strings.Join(x.Groups, ", "))
	return nil
}
