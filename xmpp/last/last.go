// SPDX-License-Identifier: Apache-2.0

// Package last is the vocabulary of the last activity: how long an account has been away, a
// resource idle, or a server up.
//
// XEP-0012 (complete, 2.0)
package last

import (
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <query/> and is the feature that announces it.
const NS = "jabber:iq:last"

// Query asks, where it is empty, or answers. It implements stanza.Payload. XEP-0012 §2
type Query struct {
	Known  bool          // it answers
	Ago    time.Duration // whole seconds
	Status string        // what was said last, by who has gone. XEP-0012 §3
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	if q.Known {
		dst = append(dst, " seconds='"...)
		dst = append(strconv.AppendInt(dst, max(0, int64(q.Ago/time.Second)), 10), '\'')
	}
	if q.Status == "" {
		return append(dst, "/>"...)
	}
	return append(xmlstream.AppendEscaped(append(dst, '>'), q.Status), "</query>"...)
}

// DecodeXML implements stanza.Payload. Seconds that are no number are bad-request.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	if text, ok := r.LookupAttr("seconds"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		if err != nil {
			r.Fail(stanza.BadRequest.Err("the seconds are no number"))
		}
		q.Known, q.Ago = true, time.Duration(min(n, maxSeconds))*time.Second
	}
	q.Status = r.Text()
	return r.Err()
}

// maxSeconds is about as long as a Duration can say.
const maxSeconds = 1 << 33
