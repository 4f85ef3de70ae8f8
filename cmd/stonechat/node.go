// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/stonechat-im/stonechat/server/admin"
)

// Node administers the publish-subscribe nodes of a running server.
type Node struct {
	List         NodeList         `cmd:"" help:"List the nodes of a service or an account."`
	Info         NodeInfo         `cmd:"" help:"Tell all of a node but its items."`
	Items        NodeItems        `cmd:"" help:"List what was published, the newest first."`
	Purge        NodePurge        `cmd:"" help:"Remove all items of a node."`
	Delete       NodeDelete       `cmd:"" help:"Delete a node. Its subscribers are told so."`
	Affiliations NodeAffiliations `cmd:"" help:"List the owners, publishers, members and outcasts of a node."`
	Affiliate    NodeAffiliate    `cmd:"" help:"Change what somebody is to a node."`
}

// named is one node.
type named struct {
	At   string `arg:"" help:"Whose it is: a service, such as pubsub.example.org, or an account."`
	Node string `arg:"" help:"Its name."`
}

func (n named) path(what string, more ...string) string {
	q := url.Values{"at": {n.At}, "node": {n.Node}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/node" + what + "?" + q.Encode()
}

// NodeList lists them.
type NodeList struct {
	operator
	listing
	At        string `arg:"" optional:"" help:"Whose: a service, such as pubsub.example.org, or an account; the service of the first domain by default."`
	Ownerless bool   `help:"Only those without an owner, whose last one's account was deleted."`
}

// NodeInfo tells of one.
type NodeInfo struct {
	operator
	named
	JSON bool `name:"json" help:"A JSON object."`
}

// NodeItems lists what was published.
type NodeItems struct {
	operator
	named
	Before string `placeholder:"ID" help:"Only those that are older than this one, to go on after a part."`
	Limit  int    `placeholder:"N" help:"At most so many; all by default."`
	JSON   bool   `name:"json" help:"A JSON array, with what was published."`
}

// NodePurge removes what was published.
type NodePurge struct {
	operator
	named
}

// NodeDelete ends one.
type NodeDelete struct {
	operator
	named
	Moved string `placeholder:"URI" help:"Where it is instead, for subscribers and for those who come later."`
}

// NodeAffiliations lists who is something to one.
type NodeAffiliations struct {
	operator
	named
	JSON bool `name:"json" help:"A JSON array."`
}

// NodeAffiliate changes it.
type NodeAffiliate struct {
	operator
	named
	User        string `arg:"" help:"Who: name@domain."`
	Affiliation string `arg:"" enum:"owner,publisher,publish-only,member,none,outcast" help:"owner, publisher, publish-only, member, none or outcast."`
}

// nodeColumns are those of a list, and what is told first of one node.
func nodeColumns() []column[admin.Node] {
	return []column[admin.Node]{
		{name: "at", text: func(n admin.Node) string { return n.JID }, rest: true},
		{name: "node", text: func(n admin.Node) string { return n.Node }},
		{name: "items", text: func(n admin.Node) string { return strconv.Itoa(n.Items) }},
		{name: "subscriptions", text: func(n admin.Node) string { return strconv.Itoa(n.Subscriptions) }},
		{name: "owners", text: func(n admin.Node) string { return strconv.Itoa(n.Owners) }},
		{name: "access", text: func(n admin.Node) string { return n.Access }},
		{name: "created", text: func(n admin.Node) string { return moment(n.Created) }},
		{name: "creator", text: func(n admin.Node) string { return n.Creator }, rest: true},
		{name: "title", text: func(n admin.Node) string { return n.Title }},
	}
}

// Run implements the command.
func (c NodeList) Run() error {
	return list(&c.listing, nodeColumns(), func(n admin.Node) string { return n.Node }, func(after string) (page []admin.Node, err error) {
		q := url.Values{"at": {c.At}, "after": {after}, "find": {c.Find}}
		if c.Ownerless {
			q.Set("ownerless", "1")
		}
		return page, c.call(http.MethodGet, "/nodes?"+q.Encode(), nil, &page)
	})
}

// Run implements the command.
func (c NodeInfo) Run() error {
	var x admin.NodeInfo
	if err := c.call(http.MethodGet, c.path(""), nil, &x); err != nil {
		return err
	}
	var columns []column[admin.NodeInfo]
	for _, of := range nodeColumns() {
		columns = append(columns, column[admin.NodeInfo]{name: of.name, text: func(n admin.NodeInfo) string { return of.text(n.Node) }})
	}
	columns = append(columns, column[admin.NodeInfo]{name: "pending", text: func(n admin.NodeInfo) string { return strconv.Itoa(n.Pending) }})
	return describe(x, columns, x.Options, c.JSON)
}

// Run implements the command.
func (c NodeItems) Run() error {
	columns := []column[admin.NodeItem]{
		{name: "item", text: func(i admin.NodeItem) string { return i.ID }},
		{name: "published", text: func(i admin.NodeItem) string { return moment(i.At) }},
		{name: "bytes", text: func(i admin.NodeItem) string { return strconv.Itoa(len(i.Payload)) }},
		{name: "publisher", text: func(i admin.NodeItem) string { return i.Publisher }},
	}
	l := listing{After: c.Before, Limit: c.Limit, JSON: c.JSON}
	return list(&l, columns, func(i admin.NodeItem) string { return i.ID }, func(before string) (page []admin.NodeItem, err error) {
		return page, c.call(http.MethodGet, c.path("/items", "before", before, "limit", strconv.Itoa(c.Limit)), nil, &page)
	})
}

// Run implements the command.
func (c NodePurge) Run() error {
	if err := c.call(http.MethodDelete, c.path("/items"), nil, nil); err != nil {
		return err
	}
	fmt.Println("purged", c.Node, "of", c.At)
	return nil
}

// Run implements the command.
func (c NodeDelete) Run() error {
	if err := c.call(http.MethodDelete, c.path("", "moved", c.Moved), nil, nil); err != nil {
		return err
	}
	fmt.Println("deleted", c.Node, "of", c.At)
	return nil
}

// Run implements the command.
func (c NodeAffiliations) Run() error {
	return affiliations(c.operator, c.path("/affiliations"), c.JSON)
}

// Run implements the command.
func (c NodeAffiliate) Run() error {
	a := admin.Affiliation{JID: c.User, Affiliation: c.Affiliation}
	if err := c.call(http.MethodPut, c.path("/affiliations"), a, nil); err != nil {
		return err
	}
	fmt.Printf("%s is %s of %s\n", c.User, c.Affiliation, c.Node)
	return nil
}
