// SPDX-License-Identifier: Apache-2.0

package command

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// MaxParts is how many notes, and how many elements of payload, a command that is read may have.
const MaxParts = 100

// XMLName implements stanza.Payload.
func (*Command) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "command"} }

// AppendXML implements stanza.Payload.
func (c *Command) AppendXML(dst []byte) []byte {
	dst = append(dst, "<command xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "xml:lang", c.Lang)
	dst = xmlstream.AppendAttr(dst, "node", c.Node)
	dst = xmlstream.AppendAttr(dst, "sessionid", c.Session)
	dst = xmlstream.AppendAttr(dst, "action", string(c.Action))
	dst = xmlstream.AppendAttr(dst, "status", string(c.Status))
	if c.Actions == nil && len(c.Notes) == 0 && c.Form == nil && len(c.Payload) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if c.Actions != nil {
		dst = c.Actions.append(dst)
	}
	for _, n := range c.Notes {
		dst = append(dst, "<note"...)
		dst = xmlstream.AppendAttr(dst, "type", string(n.Severity))
		dst = xmlstream.AppendEscaped(append(dst, '>'), n.Text)
		dst = append(dst, "</note>"...)
	}
	if c.Form != nil {
		dst = c.Form.AppendXML(dst)
	}
	for i := range c.Payload {
		dst = c.Payload[i].AppendXML(dst)
	}
	return append(dst, "</command>"...)
}

func (a *Actions) append(dst []byte) []byte {
	dst = append(dst, "<actions"...)
	dst = append(xmlstream.AppendAttr(dst, "execute", string(a.Default)), '>')
	for _, action := range []Action{Prev, Next, Complete} {
		if a.Allows(action) {
			dst = append(append(append(dst, '<'), action...), "/>"...)
		}
	}
	return append(dst, "</actions>"...)
}

// DecodeXML implements stanza.Payload. A command without a node is bad-request, an action that there is not
// malformed-action, and too much of a payload bad-payload.
func (c *Command) DecodeXML(r *xmlstream.Reader) error {
	*c = Command{
		Node: r.Attr("node"), Session: r.Attr("sessionid"), Action: Action(r.Attr("action")),
		Lang: r.AttrNS(xmlstream.NSXML, "lang"),
	}
	if c.Node == "" {
		r.Fail(stanza.BadRequest.Err("a command needs a node"))
	}
	switch c.Action {
	case "", Execute, Prev, Next, Complete, Cancel:
	default:
		r.Fail(Err(MalformedAction, "there is no such action"))
	}
	switch s := Status(r.Attr("status")); s {
	case Executing, Completed, Canceled:
		c.Status = s
	}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "actions"}:
			c.Actions = new(Actions)
			c.Actions.decode(r)
		case xmlstream.Name{Space: NS, Local: "note"}:
			c.Notes = append(c.Notes, decodeNote(r))
		default:
			c.payload(r, n)
		}
		if len(c.Notes) > MaxParts || len(c.Payload) > MaxParts {
			r.Fail(Err(BadPayload, "a command of too many parts"))
			break
		}
	}
	return r.Err()
}

// payload reads a child that is none of the command's own.
func (c *Command) payload(r *xmlstream.Reader, n xmlstream.Name) {
	switch {
	case n.Space == NS || n.Space == "" || n.Space == stanza.NSClient: // unknown to the specification
	case n == (*form.Form)(nil).XMLName() && c.Form == nil:
		c.Form = new(form.Form)
		if err := c.Form.DecodeXML(r); err != nil {
			r.Fail(err)
		}
	default:
		var e stanza.Raw
		if err := e.DecodeXML(r); err != nil {
			r.Fail(err)
		}
		c.Payload = append(c.Payload, e)
	}
}

// decode reads what may be done. A default that is no action of a stage counts for nothing.
func (a *Actions) decode(r *xmlstream.Reader) {
	switch d := Action(r.Attr("execute")); d {
	case Prev, Next, Complete:
		a.Default = d
	}
	for n := range r.Children() {
		if n.Space == NS {
			a.set(Action(n.Local))
		}
	}
}

// decodeNote reads a note. One of a severity that there is not is for information.
func decodeNote(r *xmlstream.Reader) Note {
	n := Note{Severity: Severity(r.Attr("type"))}
	switch n.Severity {
	case Info, Warn, Error:
	default:
		n.Severity = Info
	}
	n.Text = r.Text()
	return n
}
