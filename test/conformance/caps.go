// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"
)

// How to read this file: a client that declares features tells them by a hash in its presence, and by answers that the
// script does not see (XEP-0115).

const (
	nsCaps = "http://jabber.org/protocol/caps"
	nsInfo = "http://jabber.org/protocol/disco#info"
)

// software is what the client is, as XEP-0115 §5.1 orders it. It is another one in each run, so that no server knows it
// from before.
func (c *client) software() (name string, features []string) {
	features = append(strings.Fields(c.r.known(strings.Join(c.capabilities, " "))), nsInfo, nsCaps)
	slices.Sort(features)
	return "Script " + c.r.suffix, features
}

// caps is the element in its presence, or nothing.
func (c *client) caps() string {
	if c.capabilities == nil {
		return ""
	}
	name, features := c.software()
	return fmt.Sprintf("<c xmlns='%s' hash='sha-1' node='https://conformance.example/' ver='%s'/>", nsCaps, verification("client/bot//"+name, features))
}

// verification is the hash of an identity and of features in order (XEP-0115 §5.1).
func verification(identity string, features []string) string {
	sum := sha1.Sum([]byte(identity + "<" + strings.Join(features, "<") + "<"))
	return encode(string(sum[:]))
}

// disclosure answers who asks what the hash means, out of the script's sight.
func (c *client) disclosure(n *node) bool {
	query := n.child(nsInfo, "query")
	if c.capabilities == nil || !n.is(nsClient, "iq") || n.get("type") != "get" || !query.is(nsInfo, "query") {
		return false
	}
	to, node := "", ""
	if n.get("from") != "" {
		to = " to='" + escape(n.get("from")) + "'"
	}
	if query.get("node") != "" {
		node = " node='" + escape(query.get("node")) + "'"
	}
	name, features := c.software()
	text := fmt.Sprintf("<identity category='client' type='bot' name='%s'/>", name)
	for _, f := range features {
		text += "<feature var='" + escape(f) + "'/>"
	}
	c.asked++
	c.send("<iq type='result' id='%s'%s><query xmlns='%s'%s>%s</query></iq>", escape(n.get("id")), to, nsInfo, node, text)
	return true
}

// disclose waits until the server knows what the hash means, if it wants to: until nobody asks any more, and the last
// answer has been read.
func (c *client) disclose() {
	for before := -1; c.capabilities != nil && before != c.asked; {
		before = c.asked
		c.find(c.fence(c))
	}
}

// introduce lets an account that nobody knows tell the server what the hash means, so that it need not ask the client.
func (c *client) introduce() {
	before := len(c.r.dialogue)
	d := declaration{name: c.name + "'s like", account: strings.ToLower(c.name) + "-like", capabilities: c.capabilities, stage: bound}
	c.r.accounts[d.account] = c.r.newAccount(d)
	s := c.r.add(d)
	s.connect()
	s.available("", nil)
	s.disconnect()
	c.r.dialogue = c.r.dialogue[:before]
}
