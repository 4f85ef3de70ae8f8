// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// How to read this file: streams makes of a trace what went over each connection, element by element; a conversation
// is one connection, and says what the session on it sent, was sent and acked.

// wireElement is one element of a stream as it was read from a socket or written to it.
type wireElement struct {
	xml        string
	start, end int // of the call that read or wrote its last byte
}

func (e *wireElement) name() string {
	i := strings.IndexAny(e.xml, " />")
	return e.xml[1:i]
}

// attr is the value of an attribute of the element itself.
func (e *wireElement) attr(name string) string {
	head, _, _ := strings.Cut(e.xml, ">")
	for _, m := range attributes.FindAllStringSubmatch(head, -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

var attributes = regexp.MustCompile(` ([a-z:]+)=['"]([^'"]*)['"]`)

func (e *wireElement) isStanza() bool {
	switch e.name() {
	case "message", "presence", "iq":
		return true
	}
	return false
}

// h is the number of an ack, -1 for other elements.
func (e *wireElement) h() int {
	if e.name() != "a" {
		return -1
	}
	n, err := strconv.Atoi(e.attr("h"))
	if err != nil {
		return -1
	}
	return n
}

// splitter takes a stream apart. It understands what our clients and the server write: no comments, no CDATA.
type splitter struct {
	buf   []byte
	pos   int // looked at
	depth int
	from  int // of the element
	tag   int // where the tag began that is open, -1 for none
	quote byte
}

// feed returns the elements that are complete with data.
func (s *splitter) feed(data []byte, c *call) (elements []*wireElement) {
	s.buf = append(s.buf, data...)
	for ; s.pos < len(s.buf); s.pos++ {
		b := s.buf[s.pos]
		switch {
		case s.tag < 0:
			if b == '<' {
				s.tag = s.pos
				if s.depth == 1 {
					s.from = s.pos
				}
			}
		case s.quote != 0:
			if b == s.quote {
				s.quote = 0
			}
		case b == '\'' || b == '"':
			s.quote = b
		case b == '>':
			if s.close() {
				elements = append(elements, &wireElement{string(s.buf[s.from : s.pos+1]), c.start, c.end})
			}
			s.tag = -1
		}
	}
	if s.depth <= 1 && s.tag < 0 {
		s.buf, s.pos = s.buf[:0], 0
	}
	return elements
}

// close is the end of a tag. It reports whether a child of the stream is complete.
func (s *splitter) close() bool {
	tag := s.buf[s.tag : s.pos+1]
	switch {
	case bytes.HasPrefix(tag, []byte("<?")):
		return false
	case bytes.HasPrefix(tag, []byte("<stream:stream")): // perhaps again, after login
		s.depth = 1
		return false
	case bytes.HasPrefix(tag, []byte("</")):
		s.depth--
	case bytes.HasSuffix(tag, []byte("/>")):
	default:
		s.depth++
		return false
	}
	return s.depth == 1
}

// conversation is one connection.
type conversation struct {
	user     string
	from, to []*wireElement // by the client; by the server
	count    int            // elements of from before stream management was on; -1: it is not
	counted  int            // of to
}

// streams are the connections of a trace, in the order of their beginnings.
func streams(calls []*call) []*conversation {
	var all []*conversation
	type half struct {
		*conversation
		in, out splitter
	}
	open := map[string]*half{}
	for _, c := range calls {
		socket := c.file(0)
		if c.failed || !strings.HasPrefix(socket, "socket:") || c.ret <= 0 {
			continue
		}
		h := open[socket]
		if h == nil {
			h = &half{&conversation{count: -1, counted: -1}, splitter{tag: -1}, splitter{tag: -1}}
			open[socket] = h
			all = append(all, h.conversation)
		}
		switch c.name {
		case "read":
			for _, e := range h.in.feed(c.bytes(1), c) {
				h.from = append(h.from, e)
				if e.name() == "enable" {
					h.count = len(h.from)
				}
			}
		case "write", "sendto":
			for _, e := range h.out.feed(c.bytes(1)[:c.ret], c) {
				h.to = append(h.to, e)
				if _, after, ok := strings.Cut(e.xml, "<jid>"); ok && h.user == "" {
					h.user, _, _ = strings.Cut(after, "@")
				}
				if e.name() == "enabled" {
					h.counted = len(h.to)
				}
			}
		}
	}
	return all
}

// sent are the stanzas of the client that its acks count, received those of the server that the client's count.
func (v *conversation) sent() []*wireElement { return stanzas(v.from, v.count) }

func (v *conversation) received() []*wireElement { return stanzas(v.to, v.counted) }

func stanzas(all []*wireElement, from int) (counted []*wireElement) {
	if from < 0 {
		return nil
	}
	for _, e := range all[from:] {
		if e.isStanza() {
			counted = append(counted, e)
		}
	}
	return counted
}
