// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
)

// How to read this file: observeRoom keeps which rooms a client is in; creates, configures and enters are sentences for
// what nearly every script about rooms begins with (XEP-0045 §7.2, §10.1). What such a script is about it says in full.

const (
	nsMUC      = "http://jabber.org/protocol/muc"
	nsMUCUser  = nsMUC + "#user"
	nsMUCOwner = nsMUC + "#owner"
	nsForm     = "jabber:x:data"
)

// observeRoom takes note of presence of the client itself in a room (XEP-0045 §7.2.2, status 110).
func (c *client) observeRoom(n *node) {
	if !n.is(nsClient, "presence") || !hasStatus(n, "110") {
		return
	}
	room, nick, _ := strings.Cut(n.get("from"), "/")
	if n.get("type") == "unavailable" {
		delete(c.rooms, room)
	} else {
		c.rooms[room] = nick
	}
}

func hasStatus(n *node, code string) bool {
	for _, s := range n.child(nsMUCUser, "x").Children {
		if s.is(nsMUCUser, "status") && s.get("code") == code {
			return true
		}
	}
	return false
}

// place takes "ROOM as NICK with OPTIONS" apart. Without a nickname it is the client's name.
func (c *client) place(text string) (room, nick string, options []string) {
	text, with, _ := strings.Cut(text, " with ")
	room, nick, _ = strings.Cut(text, " as ")
	if nick == "" {
		nick = strings.ToLower(c.name)
	}
	if with != "" {
		options = strings.Split(with, ", ")
	}
	return room, nick, options
}

// join enters and reads up to the subject (XEP-0045 §7.1). It returns the client's own presence.
func (c *client) join(room, nick string) (self *node) {
	c.send("<presence to='%s/%s'><x xmlns='%s'/></presence>", escape(room), escape(nick), nsMUC)
	self, _ = c.waitFor(func(n *node) bool {
		if n.is(nsClient, "presence") && n.get("type") == "error" && bareOf(n.get("from")) == room {
			c.r.fail("%s cannot enter %s: %s", c.name, room, n)
		}
		return n.is(nsClient, "presence") && bareOf(n.get("from")) == room && hasStatus(n, "110")
	})
	c.waitFor(func(n *node) bool {
		return n.is(nsClient, "message") && bareOf(n.get("from")) == room && n.child(nsClient, "subject").is(nsClient, "subject") && !n.child(nsClient, "body").is(nsClient, "body")
	})
	return self
}

// enters also reads what the others in the room are told of it, so that nothing is left to be received.
func (c *client) enters(text string, _ []string) {
	room, nick, _ := c.place(text)
	c.join(room, nick)
	for _, other := range c.r.order {
		if _, isThere := other.rooms[room]; isThere && other != c {
			other.find(func(n *node) bool { return n.is(nsClient, "presence") && n.get("from") == room+"/"+nick })
		}
	}
	c.r.sender = c
}

// creates makes a room, which must be new, and unlocks it with the options; nothing is left to be received.
func (c *client) creates(text string, _ []string) {
	room, nick, options := c.place(text)
	if self := c.join(room, nick); !hasStatus(self, "201") {
		c.r.fail("%s is not told that the room is new: %s", c.name, self)
	}
	c.configure(room, options)
	c.waitFor(c.fence(c))
	c.r.sender = c
}

// configures changes options of a room; what the occupants are told of it is to be received.
func (c *client) configures(text string, _ []string) {
	room, _, options := c.place(text)
	c.configure(room, options)
	c.r.sender = c
}

// configure submits the configuration form. An option is the name of a field, without muc#roomconfig_, and its value;
// several values are joined by +.
func (c *client) configure(room string, options []string) {
	fields := ""
	for _, option := range options {
		name, value, _ := strings.Cut(option, " ")
		if !strings.Contains(name, "#") {
			name = "muc#roomconfig_" + name
		}
		values := ""
		for _, v := range strings.Split(value, "+") {
			values += "<value>" + escape(v) + "</value>"
		}
		fields += fmt.Sprintf("<field var='%s'>%s</field>", escape(name), values)
	}
	if fields != "" {
		fields = "<field var='FORM_TYPE' type='hidden'><value>" + nsMUC + "#roomconfig</value></field>" + fields
	}
	id := c.r.unique("iq")
	c.send("<iq type='set' id='%s' to='%s'><query xmlns='%s'><x xmlns='%s' type='submit'>%s</x></query></iq>", id, escape(room), nsMUCOwner, nsForm, fields)
	if answer := c.find(func(n *node) bool { return n.is(nsClient, "iq") && n.get("id") == id }); answer.get("type") != "result" {
		c.r.fail("%s cannot configure %s: %s", c.name, room, answer)
	}
}
