// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
)

// How to read this file: sentences for what nearly every script about nodes begins with (XEP-0060 §6.1, §7.1, §8.1).
// What such a script is about it says in full.

const (
	nsPubsub = "http://jabber.org/protocol/pubsub"
	nsEvent  = nsPubsub + "#event"
	nsEntry  = "urn:example:entry" // of what "publishes" publishes
)

// at takes "NODE at ADDRESS with OPTIONS" apart. Without an address it is the service's, "home" is the client's account.
func (c *client) at(text string) (node, address string, fields string) {
	text, options, _ := strings.Cut(text, " with ")
	node, address, elsewhere := strings.Cut(text, " at ")
	if !elsewhere {
		address = c.r.server.nodes()
	} else if address == "home" {
		address = ""
	}
	for option := range strings.SplitSeq(options, ", ") {
		name, value, _ := strings.Cut(option, " ")
		if name != "" && !strings.Contains(name, "#") {
			name = "pubsub#" + name
		}
		if name != "" {
			fields += formField(name, value)
		}
	}
	return node, address, fields
}

// pubsub sends a request, which must be granted.
func (c *client) pubsub(address, format string, args ...any) {
	asking("set")(c, address, []string{"<pubsub xmlns='" + nsPubsub + "'>" + fmt.Sprintf(format, args...) + "</pubsub>"})
	c.answered("", nil)
}

func (c *client) makesNode(text string, _ []string) {
	node, address, fields := c.at(text)
	configure := ""
	if fields != "" {
		configure = "<configure>" + submission(nsPubsub+"#node_config", fields) + "</configure>"
	}
	c.pubsub(address, "<create node='%s'/>%s", escape(node), configure)
}

// publishes "1, 2 to NODE": items of these ids.
func (c *client) publishes(text string, _ []string) {
	ids, text, _ := strings.Cut(text, " to ")
	node, address, fields := c.at(text)
	options := ""
	if fields != "" {
		options = "<publish-options>" + submission(nsPubsub+"#publish-options", fields) + "</publish-options>"
	}
	for id := range strings.SplitSeq(ids, ", ") {
		c.pubsub(address, "<publish node='%s'><item id='%s'><entry xmlns='%s'>%s</entry></item></publish>%s", escape(node), id, nsEntry, id, options)
	}
}

func (c *client) subscribes(text string, _ []string) {
	node, address, _ := c.at(text)
	c.pubsub(address, "<subscribe node='%s' jid='%s'/>", escape(node), escape(bareOf(c.jid)))
}

// isNotification reports whether a message tells of a node.
func isNotification(n *node) bool {
	return n.is(nsClient, "message") && n.child(nsEvent, "event").XMLName.Local != ""
}
