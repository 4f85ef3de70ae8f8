// SPDX-License-Identifier: Apache-2.0

// Package entitytime is the vocabulary of entity time: what time it is where an
// entity is.
//
// XEP-0202 (complete, 2.0)
package entitytime

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <time/> and is the feature that announces it.
const NS = "urn:xmpp:time"

// Time is the request, with a zero At, and the answer. It implements
// stanza.Payload. XEP-0202 §2
type Time struct {
	// At is the answering entity's time. Its location gives the offset from UTC;
	// what is decoded is in time.UTC or in a fixed zone without a name.
	At time.Time
}

// XMLName implements stanza.Payload.
func (*Time) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "time"} }

// AppendXML implements stanza.Payload.
func (t *Time) AppendXML(dst []byte) []byte {
	if t.At.IsZero() {
		return append(dst, "<time xmlns='"+NS+"'/>"...)
	}
	_, seconds := t.At.Zone()
	dst = append(dst, "<time xmlns='"+NS+"'><tzo>"...)
	dst = datetime.AppendOffset(dst, time.Duration(seconds)*time.Second)
	dst = append(dst, "</tzo><utc>"...)
	dst = datetime.Append(dst, t.At)
	return append(dst, "</utc></time>"...)
}

// DecodeXML implements stanza.Payload. An answer with one of its two parts missing
// or bad is bad-request.
func (t *Time) DecodeXML(r *xmlstream.Reader) error {
	*t = Time{}
	var tzo, utc string
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "tzo"}:
			tzo = r.Text()
		case xmlstream.Name{Space: NS, Local: "utc"}:
			utc = r.Text()
		}
	}
	if err := r.Err(); err != nil || tzo == "" && utc == "" {
		return err
	}
	offset, err := datetime.ParseOffset(tzo)
	if err != nil {
		return stanza.BadRequest.Err("bad offset from UTC")
	}
	at, err := datetime.Parse(utc)
	if err != nil {
		return stanza.BadRequest.Err("bad time")
	}
	if offset != 0 {
		at = at.In(time.FixedZone("", int(offset/time.Second)))
	}
	t.At = at
	return nil
}
