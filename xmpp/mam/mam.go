// SPDX-License-Identifier: Apache-2.0

// Package mam is the vocabulary of message archives: asking for what was sent and received, page by page, and saying what is
// to be kept.
//
// A result is to be believed only of the archive that was asked, and only while it has not answered the query with that
// QueryID: anybody can write one.
//
// How to read this package: mam.go has the elements, filter.go the form of a query, prefs.go the preferences.
//
// XEP-0313 (complete, 1.1.3), XEP-0431 (complete, 0.2.0), XEP-0441 (complete, 0.2.0)
package mam

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies all elements, is the FORM_TYPE of a query's form, and the feature of an address that has an archive. The
// others are features of what such an archive can do. XEP-0313 §7, XEP-0431 §2.1
const (
	NS                 = "urn:xmpp:mam:2"
	NSExtended         = NS + "#extended"            // before-id, after-id, ids, pages in reverse, metadata
	NSGroupchatField   = NS + "#groupchat-field"     // the field include-groupchat
	NSGroupchatPresent = NS + "#groupchat-available" // and an account's archive has such messages
	NSFullText         = "urn:xmpp:fulltext:0"
)

// Message is one message of an archive.
type Message struct {
	ID     string    // that the archive has given it
	At     time.Time // when it was sent or received
	Stanza *stanza.Stanza
}

// Query asks for messages (IQ of type set), or for the form that such a query may have (get). It implements stanza.Payload.
// XEP-0313 §4
type Query struct {
	QueryID  string     // comes back in each result
	Node     string     // of publish-subscribe; "": the archive of the address itself. XEP-0442 §2
	Form     *form.Form // see Filter; nil: all messages
	Set      *rsm.Set   // which page; nil: the first
	FlipPage bool       // the page's last message first
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "queryid", q.QueryID)
	dst = xmlstream.AppendAttr(dst, "node", q.Node)
	if q.Form == nil && q.Set == nil && !q.FlipPage {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if q.Form != nil {
		dst = q.Form.AppendXML(dst)
	}
	if q.Set != nil {
		dst = q.Set.AppendXML(dst)
	}
	if q.FlipPage {
		dst = append(dst, "<flip-page/>"...)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{QueryID: r.Attr("queryid"), Node: r.Attr("node")}
	for n := range r.Children() {
		var err error
		switch n {
		case xmlstream.Name{Space: form.NS, Local: "x"}:
			q.Form = new(form.Form)
			err = q.Form.DecodeXML(r)
		case xmlstream.Name{Space: rsm.NS, Local: "set"}:
			q.Set = new(rsm.Set)
			err = q.Set.DecodeXML(r)
		case xmlstream.Name{Space: NS, Local: "flip-page"}:
			q.FlipPage = true
		}
		if err != nil {
			return err
		}
	}
	return r.Err()
}

// Result is one message that a query has found. It implements stanza.Payload. XEP-0313 §4.2
type Result struct {
	QueryID   string
	ID        string // that the archive has given the message
	Forwarded forward.Forwarded
}

// XMLName implements stanza.Payload.
func (*Result) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "result"} }

// AppendXML implements stanza.Payload.
func (x *Result) AppendXML(dst []byte) []byte {
	dst = append(dst, "<result xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "queryid", x.QueryID)
	dst = xmlstream.AppendAttr(dst, "id", x.ID)
	dst = append(dst, '>')
	dst = x.Forwarded.AppendXML(dst)
	return append(dst, "</result>"...)
}

// DecodeXML implements stanza.Payload. One without id or message is bad-request.
func (x *Result) DecodeXML(r *xmlstream.Reader) error {
	*x = Result{QueryID: r.Attr("queryid"), ID: r.Attr("id")}
	if x.ID == "" {
		r.Fail(stanza.BadRequest.Err("a result needs an id"))
	}
	for n := range r.Children() {
		if n == x.Forwarded.XMLName() {
			if err := x.Forwarded.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	if x.Forwarded.Stanza == nil {
		r.Fail(stanza.BadRequest.Err("a result of nothing"))
	}
	return r.Err()
}

// Fin is the answer to a query, behind its results. It implements stanza.Payload. XEP-0313 §4.3
type Fin struct {
	Complete bool    // nothing that matches is behind this page, in the direction of the query
	Unstable bool    // what was sent may turn out otherwise later
	Set      rsm.Set // the page
}

// XMLName implements stanza.Payload.
func (*Fin) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "fin"} }

// AppendXML implements stanza.Payload.
func (f *Fin) AppendXML(dst []byte) []byte {
	dst = append(dst, "<fin xmlns='"+NS+"'"...)
	if f.Complete {
		dst = append(dst, " complete='true'"...)
	}
	if f.Unstable {
		dst = append(dst, " stable='false'"...)
	}
	dst = append(dst, '>')
	dst = f.Set.AppendXML(dst)
	return append(dst, "</fin>"...)
}

// DecodeXML implements stanza.Payload.
func (f *Fin) DecodeXML(r *xmlstream.Reader) error {
	*f = Fin{Complete: isTrue(r.Attr("complete")), Unstable: r.Attr("stable") == "false" || r.Attr("stable") == "0"}
	for n := range r.Children() {
		if n == f.Set.XMLName() {
			if err := f.Set.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

func isTrue(s string) bool { return s == "true" || s == "1" }

// Metadata asks for the ends of an archive (IQ of type get), and says them. It implements stanza.Payload. XEP-0313 §5
type Metadata struct {
	Node       string // XEP-0442 has no word on it; as in Query
	Start, End *End   // nil in a request and of an empty archive
}

// End is the first or the last message of an archive.
type End struct {
	ID        string
	Timestamp time.Time // in UTC
}

// XMLName implements stanza.Payload.
func (*Metadata) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "metadata"} }

// AppendXML implements stanza.Payload.
func (m *Metadata) AppendXML(dst []byte) []byte {
	dst = append(dst, "<metadata xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "node", m.Node)
	if m.Start == nil && m.End == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = m.Start.append(dst, "start")
	dst = m.End.append(dst, "end")
	return append(dst, "</metadata>"...)
}

func (e *End) append(dst []byte, local string) []byte {
	if e == nil {
		return dst
	}
	dst = append(append(dst, '<'), local...)
	dst = xmlstream.AppendAttr(dst, "id", e.ID)
	dst = append(dst, " timestamp='"...)
	return append(datetime.Append(dst, e.Timestamp), "'/>"...)
}

// DecodeXML implements stanza.Payload. A bad time is bad-request.
func (m *Metadata) DecodeXML(r *xmlstream.Reader) error {
	*m = Metadata{Node: r.Attr("node")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "start"}:
			m.Start = readEnd(r)
		case xmlstream.Name{Space: NS, Local: "end"}:
			m.End = readEnd(r)
		}
	}
	return r.Err()
}

func readEnd(r *xmlstream.Reader) *End {
	at, err := datetime.Parse(r.Attr("timestamp"))
	if err != nil {
		r.Fail(stanza.BadRequest.Err("the end of an archive needs a time"))
	}
	return &End{r.Attr("id"), at}
}
