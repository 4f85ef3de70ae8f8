// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// How to read this file: queries asks an archive, finds looks at what it sends (XEP-0313). The answer that ends the
// results is left to "is answered".

const (
	nsMAM     = "urn:xmpp:mam:2"
	nsForward = "urn:xmpp:forward:0"
	nsDelay   = "urn:xmpp:delay"
	nsRSM     = "http://jabber.org/protocol/rsm"
)

// queries takes " of ADDRESS for with juliet@…, max 2": what pages (XEP-0059), "flipped", "node N", "text WORDS"; all else is a field
// of the query's form, its values separated by " + ".
func (c *client) queries(text string, _ []string) {
	text, options, _ := strings.Cut(text, " for ")
	address := strings.TrimPrefix(text, " of ")
	page, flip, node, fields := "", "", "", ""
	for option := range strings.SplitSeq(options, ", ") {
		switch key, value, _ := strings.Cut(option, " "); key {
		case "":
		case "max", "after", "before", "index":
			page += fmt.Sprintf("<%s>%s</%s>", key, escape(value), key)
		case "flipped":
			flip = "<flip-page/>"
		case "text": // XEP-0431 §3
			fields += strings.Replace(formField("urn:xmpp:fulltext:0}fulltext", value), "urn:", "&#123;urn:", 1) // a brace would be a variable's
		case "node":
			node = " node='" + escape(value) + "'"
		default:
			fields += formField(key, value)
		}
	}
	if page != "" {
		page = "<set xmlns='" + nsRSM + "'>" + page + "</set>"
	}
	query := fmt.Sprintf("<query xmlns='%s' queryid='%s'%s>%s%s%s</query>", nsMAM, c.r.unique("query"), node, submission(nsMAM, fields), page, flip)
	asking("set")(c, address, []string{query})
}

// submission is a form; empty without fields (XEP-0004 §3.2, XEP-0068 §3).
func submission(formType, fields string) string {
	if fields == "" {
		return ""
	}
	return "<x xmlns='" + nsForm + "' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + formType + "</value></field>" + fields + "</x>"
}

func formField(name, values string) string {
	text := ""
	for value := range strings.SplitSeq(values, " + ") {
		text += "<value>" + escape(value) + "</value>"
	}
	return fmt.Sprintf("<field var='%s'>%s</field>", escape(name), text)
}

// finds reads the results of the last query and compares the messages in them with the blocks. Their ids are
// {found 1}, {found 2}, … from now on. What a server does later than it says comes "at last": the query is repeated.
func (c *client) finds(atLast string, blocks []string) {
	deadline := time.After(c.r.server.Timeout)
	for {
		reasons := c.found(blocks)
		if reasons == "" {
			return
		}
		if atLast == "" {
			c.r.fail("%s", reasons)
		}
		c.answered("", nil)
		select {
		case <-deadline:
			c.r.fail("%s", reasons)
		case <-time.After(50 * time.Millisecond):
		}
		asking("set")(c, c.last.get("to"), []string{"<query" + strings.SplitN(c.last.Inner, "<query", 2)[1]})
	}
}

// found reads the results and says why they are none of the blocks.
func (c *client) found(blocks []string) (reasons string) {
	var found []*node
	ids := map[string]bool{}
	vars := maps.Clone(c.r.vars)
	for {
		n := c.next()
		if n.is(nsClient, "iq") {
			if n.get("type") == "error" {
				c.r.fail("%s is refused: %s", c.name, n)
			}
			c.inbox = append([]*node{n}, c.inbox...)
			break
		}
		id, message := c.result(n)
		if ids[id] {
			c.r.fail("%s is sent %q twice: %s", c.name, id, n)
		}
		ids[id] = true
		found = append(found, message)
		vars[fmt.Sprint("found ", len(found))] = id
	}
	before := c.r.vars
	if blocks == nil {
		blocks = []string{""}
	}
	for i := range blocks {
		c.r.vars = vars
		used, reason := c.r.compare(blocks[i:i+1], false, func(i int) *node {
			if i < len(found) {
				return found[i]
			}
			return &node{}
		})
		if reason == "" && used == len(found) {
			return ""
		}
		reasons += reason
	}
	c.r.vars = before
	return fmt.Sprintf("%sgot  %s", reasons, found)
}

// result checks what is around an archived message (XEP-0313 §4.2) and returns its id and the message.
func (c *client) result(n *node) (id string, message *node) {
	query := c.last.child(nsMAM, "query")
	r := n.child(nsMAM, "result")
	forwarded := r.child(nsForward, "forwarded")
	from, to := n.get("from"), c.last.get("to")
	stamp := forwarded.child(nsDelay, "delay").get("stamp")
	_, err := time.Parse(time.RFC3339, stamp)
	switch id = r.get("id"); {
	case !n.is(nsClient, "message") || n.get("to") != c.jid || len(n.Children) != 1:
	case from != to && (to != "" || from != bareOf(c.jid)):
	case r.get("queryid") != query.get("queryid") || id == "":
	case err != nil || !strings.HasSuffix(stamp, "Z"):
	case forwarded.child(nsClient, "message").XMLName.Local != "":
		return id, forwarded.child(nsClient, "message")
	}
	c.r.fail("%s expected a result for %s, and received %s", c.name, c.last, n)
	return "", nil
}
