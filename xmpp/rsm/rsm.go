// SPDX-License-Identifier: Apache-2.0

// Package rsm is the vocabulary of result set management: asking for a page of a
// long result, and saying which page it is. It stands inside other vocabularies:
// archives, item lists of service discovery, searches.
//
// XEP-0059 (complete, 1.0)
package rsm

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <set/> and is the feature that announces it.
const NS = "http://jabber.org/protocol/rsm"

// Set is a request for a page (Max, After, Before, Index) or the place of a page
// in the whole (First, FirstIndex, Last, Count). It implements stanza.Payload.
//
// Numbers are from 0 to 2^31-1. Item ids are opaque.
type Set struct {
	Max    *int    // at most so many items; 0 asks for Count alone. §2.1, §2.7
	After  string  // the page that follows this item. §2.2
	Before *string // the page before this item; "" is the last page. §2.3, §2.5
	Index  *int    // the page that begins with so many items skipped. §2.6

	First      string // id of the page's first item, "" on an empty page. §2.2
	FirstIndex *int   // its place in the whole
	Last       string // id of the page's last item
	Count      *int   // items in the whole
}

// Limit returns how many items to put on a page: what is asked for, or fallback
// when nothing is, but never more than most. It may be called on nil.
func (s *Set) Limit(fallback, most int) int {
	if s == nil || s.Max == nil {
		return min(fallback, most)
	}
	return min(*s.Max, most)
}

// XMLName implements stanza.Payload.
func (*Set) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "set"} }

// AppendXML implements stanza.Payload.
func (s *Set) AppendXML(dst []byte) []byte {
	dst = append(dst, "<set xmlns='"+NS+"'>"...)
	dst = appendNumber(dst, "max", s.Max)
	if s.After != "" {
		dst = xmlstream.AppendText(dst, "after", s.After)
	}
	if s.Before != nil {
		dst = xmlstream.AppendText(dst, "before", *s.Before)
	}
	dst = appendNumber(dst, "index", s.Index)
	if s.First != "" {
		dst = append(dst, "<first"...)
		if s.FirstIndex != nil {
			dst = append(dst, " index='"...)
			dst = strconv.AppendInt(dst, int64(*s.FirstIndex), 10)
			dst = append(dst, '\'')
		}
		dst = append(dst, '>')
		dst = xmlstream.AppendEscaped(dst, s.First)
		dst = append(dst, "</first>"...)
	}
	if s.Last != "" {
		dst = xmlstream.AppendText(dst, "last", s.Last)
	}
	dst = appendNumber(dst, "count", s.Count)
	return append(dst, "</set>"...)
}

func appendNumber(dst []byte, local string, n *int) []byte {
	if n == nil {
		return dst
	}
	dst = append(append(append(dst, '<'), local...), '>')
	dst = strconv.AppendInt(dst, int64(*n), 10)
	return xmlstream.AppendEnd(dst, local)
}

// DecodeXML implements stanza.Payload. Anything but a number where one belongs is
// bad-request.
func (s *Set) DecodeXML(r *xmlstream.Reader) error {
	*s = Set{}
	for n := range r.Children() {
		if n.Space != NS {
			continue
		}
		switch n.Local {
		case "max":
			s.Max = number(r, r.Text())
		case "after":
			s.After = r.Text()
		case "before":
			text := r.Text()
			s.Before = &text
		case "index":
			s.Index = number(r, r.Text())
		case "first":
			if index, ok := r.LookupAttr("index"); ok {
				s.FirstIndex = number(r, index)
			}
			s.First = r.Text()
		case "last":
			s.Last = r.Text()
		case "count":
			s.Count = number(r, r.Text())
		}
	}
	return r.Err()
}

func number(r *xmlstream.Reader, text string) *int {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		r.Fail(stanza.BadRequest.Err("result set management needs a number there"))
		return nil
	}
	i := int(n)
	return &i
}
