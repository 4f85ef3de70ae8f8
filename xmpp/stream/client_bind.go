// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

// Bind asks for a resource; "" leaves the choice to the server. Ready follows.
func (c *Client) Bind(resource string) {
	if !c.mayChoose() {
		return
	}
	if !c.login.offer.bind {
		c.fail(ErrNoBind)
		return
	}
	out := c.appendRequest()
	if resource == "" {
		out = append(out, "<bind xmlns='"+NSBind+"'/>"...)
	} else {
		out = append(out, "<bind xmlns='"+NSBind+"'>"...)
		out = xmlstream.AppendText(out, "resource", resource)
		out = append(out, "</bind>"...)
	}
	c.wrote(append(out, "</iq>"...))
	c.login.step = atBind
}

// Resume says that the stream is Bound as full without resource binding. No Ready follows.
func (c *Client) Resume(full jid.JID) {
	if c.mayChoose() {
		c.bound(full)
	}
}

func (c *Client) mayChoose() bool {
	return c.state == Authenticated && !c.closing && c.login.step == atChoice
}

// appendRequest appends the start tag of an IQ of type set.
func (c *Client) appendRequest() []byte {
	c.login.id = randomID(c.config.Rand)
	out := append(c.out(), "<iq"...)
	if c.framed {
		out = xmlstream.AppendAttr(out, "xmlns", content)
	}
	out = append(out, " type='set'"...)
	out = xmlstream.AppendAttr(out, "id", c.login.id)
	return append(out, '>')
}

// isAnswer reports whether e is the result or error of the IQ with that id.
func isAnswer(e *xmlstream.Element, id string) bool {
	if string(e.Space) != content || string(e.Local) != "iq" {
		return false
	}
	var same, answer bool
	for i := range e.Attrs {
		a := &e.Attrs[i]
		switch {
		case len(a.Space) > 0:
		case string(a.Local) == "id":
			same = string(a.Value) == id
		case string(a.Local) == "type":
			answer = string(a.Value) == "result" || string(a.Value) == "error"
		}
	}
	return same && answer
}

// answer takes the answer to a request for a resource or a session.
func (c *Client) answer(e *xmlstream.Element) Event {
	r := xmlstream.NewReader(e.Raw, content)
	if r.Attr("type") == "error" {
		c.fail(readBindError(r))
		return Event{}
	}
	if c.login.step == atSession {
		return c.bound(c.login.full)
	}
	for n := range r.Children() {
		if n.Space != NSBind {
			continue
		}
		for n := range r.Children() {
			if n.Space == NSBind && n.Local == "jid" {
				c.login.full, _ = jid.Parse(r.Text())
			}
		}
	}
	switch {
	case !c.login.full.IsFull():
		c.fail(&BindError{Condition: "undefined-condition", Text: "the server answered without a full JID"})
	case c.login.offer.session:
		// COMPAT(RFC 3921 servers, 2004): a session had to be asked for.
		out := c.appendRequest()
		c.wrote(append(out, "<session xmlns='"+NSSession+"'/></iq>"...))
		c.login.step = atSession
	default:
		return c.bound(c.login.full)
	}
	return Event{}
}

func readBindError(r *xmlstream.Reader) *BindError {
	e := &BindError{Condition: "undefined-condition"}
	for n := range r.Children() {
		if n.Local != "error" {
			continue
		}
		for n := range r.Children() {
			switch {
			case n.Space != nsStanzas:
			case n.Local == "text":
				e.Text = r.Text()
			default:
				e.Condition = n.Local
			}
		}
	}
	return e
}

// bound drops what negotiation needed.
func (c *Client) bound(full jid.JID) Event {
	c.state, c.jid = Bound, full
	c.login = nil
	c.deadline = time.Time{}
	return Event{Kind: Ready, JID: full}
}
