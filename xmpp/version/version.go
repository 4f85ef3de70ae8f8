// SPDX-License-Identifier: Apache-2.0

// Package version is the vocabulary of software version: which program, of which
// version, on which system an entity is.
//
// XEP-0092 (complete, 1.1)
package version

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// NS qualifies <query/> and is the feature that announces it.
const NS = "jabber:iq:version"

// Query is the request, empty, and the answer. It implements stanza.Payload.
// XEP-0092 §2
type Query struct {
	Name    string // of the program; required in an answer
	Version string // of the program; required in an answer
	OS      string // operating system; whether to tell it is its owner's choice
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	if *q == (Query{}) {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = xmlstream.AppendText(dst, "name", q.Name)
	dst = xmlstream.AppendText(dst, "version", q.Version)
	if q.OS != "" {
		dst = xmlstream.AppendText(dst, "os", q.OS)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "name"}:
			q.Name = r.Text()
		case xmlstream.Name{Space: NS, Local: "version"}:
			q.Version = r.Text()
		case xmlstream.Name{Space: NS, Local: "os"}:
			q.OS = r.Text()
		}
	}
	return r.Err()
}
