// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// How to read this file: asks and tells send a request, answered and refused look for what came of the last stanza that
// the script let the client send. They leave what else has come to be received.

// remember keeps the last stanza of what the script sends.
func (c *client) remember(text string) {
	nodes, err := parseNodes(text)
	c.check(err)
	for _, n := range nodes {
		if n.isStanza() {
			c.last = n
		}
	}
}

func asking(kind string) action {
	return func(c *client, to string, blocks []string) {
		c.r.sender = c
		if to != "" {
			to = " to='" + escape(to) + "'"
		}
		text := fmt.Sprintf("<iq type='%s' id='%s'%s>%s</iq>", kind, c.r.unique("iq"), to, c.r.expand(blocks[0]))
		c.send("%s", text)
		c.remember(text)
	}
}

// reply finds what answers the last stanza: of its kind, with its id where it has one, from where it was sent to.
func (c *client) reply(kinds ...string) *node {
	sent := c.last
	if sent == nil {
		c.r.fail("%s has sent nothing that could be answered", c.name)
	}
	return c.find(func(n *node) bool {
		if n.XMLName != sent.XMLName || n.get("id") != sent.get("id") && sent.get("id") != "" || !slices.Contains(kinds, n.get("type")) {
			return false
		}
		from, to := n.get("from"), sent.get("to")
		own := bareOf(c.jid) // what has no address is from or for the own account (RFC 6120 §8.1.2.1)
		return from == to || to == own && from == "" || to == "" && (from == c.jid || from == own || from == c.domain())
	})
}

func bareOf(jid string) string {
	bare, _, _ := strings.Cut(jid, "/")
	return bare
}

func (c *client) answered(_ string, blocks []string) {
	n := c.reply("result", "error")
	if n.get("type") != "result" {
		c.r.fail("%s is refused: %s", c.name, n)
	}
	if blocks == nil {
		return
	}
	used, reasons := c.r.compare(blocks, false, func(i int) *node {
		if i < len(n.Children) {
			return n.Children[i]
		}
		return &node{}
	})
	if reasons != "" || used != len(n.Children) {
		c.r.fail("%sgot  %s", reasons, n)
	}
}

// refused wants an error of one of the types and conditions: "auth forbidden or cancel not-allowed and closed-node"
// (RFC 6120 §8.3); behind "and" is an application's condition.
func (c *client) refused(conditions string, _ []string) {
	n := c.reply("error", "result")
	e := n.child(nsClient, "error")
	for _, want := range strings.Split(conditions, " or ") {
		want, application, _ := strings.Cut(want, " and ")
		kind, condition, _ := strings.Cut(want, " ")
		said := func(name string) bool {
			return slices.ContainsFunc(e.Children, func(n *node) bool { return n.XMLName.Local == name })
		}
		if n.get("type") == "error" && e.get("type") == kind && e.child(nsStanzas, condition).is(nsStanzas, condition) && (application == "" || said(application)) {
			return
		}
	}
	c.r.fail("want %s\ngot  %s", conditions, n)
}
