// SPDX-License-Identifier: Apache-2.0

// Package jsonmsg is the vocabulary of data in JSON inside stanzas, for things and programs that
// speak to each other: a container, and a message's payload that says what the data is.
//
// XEP-0335 (complete, 0.1.1), XEP-0432 (complete, 0.1.1)
package jsonmsg

import (
	"encoding/json"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NSJSON qualifies <json/>. XEP-0335 §3
	NSJSON = "urn:xmpp:json:0"
	// NS qualifies <payload/> and is the feature that announces it; NS#datatype announces a
	// type of data. XEP-0432 §2
	NS = "urn:xmpp:json-msg:0"
)

// JSON is a container. *JSON implements stanza.Payload. XEP-0335 §3
type JSON []byte // one JSON text

// Payload is data of a type. It implements stanza.Payload. XEP-0432 §2.2
type Payload struct {
	Datatype string // a URI
	JSON     JSON
}

// XMLName implements stanza.Payload.
func (*JSON) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSJSON, Local: "json"} }

// AppendXML implements stanza.Payload.
func (j *JSON) AppendXML(dst []byte) []byte {
	dst = append(dst, "<json xmlns='"+NSJSON+"'>"...)
	dst = xmlstream.AppendEscaped(dst, []byte(*j))
	return append(dst, "</json>"...)
}

// DecodeXML implements stanza.Payload. What is no JSON is bad-request.
func (j *JSON) DecodeXML(r *xmlstream.Reader) error {
	*j = JSON(r.Text())
	if r.Err() == nil && !json.Valid(*j) {
		r.Fail(stanza.BadRequest.Err("not a JSON text"))
	}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Payload) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "payload"} }

// AppendXML implements stanza.Payload.
func (p *Payload) AppendXML(dst []byte) []byte {
	dst = append(dst, "<payload xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "datatype", p.Datatype)
	dst = p.JSON.AppendXML(append(dst, '>'))
	return append(dst, "</payload>"...)
}

// DecodeXML implements stanza.Payload. A payload without datatype or without JSON is bad-request.
func (p *Payload) DecodeXML(r *xmlstream.Reader) error {
	*p = Payload{Datatype: r.Attr("datatype")}
	if p.Datatype == "" {
		r.Fail(stanza.BadRequest.Err("a payload needs a datatype"))
	}
	found := false
	for n := range r.Children() {
		if n == p.JSON.XMLName() && !found {
			found = true
			_ = p.JSON.DecodeXML(r) // sticks to r
		}
	}
	if !found {
		r.Fail(stanza.BadRequest.Err("a payload has one <json/>"))
	}
	return r.Err()
}
