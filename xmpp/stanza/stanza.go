// SPDX-License-Identifier: Apache-2.0

// Package stanza holds messages, presence and IQs as an envelope over canonical bytes, so that
// a server can route a stanza without decoding what it carries.
//
// RFC 6120 §8
//
// How to read this package: a Stanza is its envelope (kind, type, addresses, id, language) as
// fields, and its children as bytes with an index. Nothing is decoded before somebody asks
// (Decode), and nothing is encoded twice: Append writes the envelope anew from the fields and
// copies the children.
//
//	<message from='a@d/r' to='b@d' id='1' type='chat'><body>hi</body><x xmlns='u:x'/></message>
//	 \____ written from Kind, From, To, ID, Type ___/ \______ copied, by spans ______/
//
// stanza.go has the type and its bytes, envelope.go the names of kinds and types and how an
// element becomes a stanza, error.go stanza errors, payload.go what children decode to.
package stanza

import (
	"bytes"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The content namespaces of streams (RFC 6120 §4.8.2, XEP-0114 §3). The same stanza is written
// into each; its children are the same bytes in all. Who reads a stanza sees NSClient, wherever
// it came from.
const (
	NSClient    = "jabber:client"
	NSServer    = "jabber:server"
	NSComponent = "jabber:component:accept"
)

// Stanza is one message, presence or IQ.
//
// A Stanza that came from a stream borrows the stream's read buffer: ID, Lang and the children
// are valid until the hook or handler it was given to returns. Retain copies it to keep.
// A Stanza is not safe for concurrent use.
type Stanza struct {
	Kind Kind
	Type Type
	To   jid.JID
	From jid.JID
	ID   []byte // unescaped; nil when absent
	Lang []byte // xml:lang of the stanza itself; nil when absent

	extra    []byte // attributes we do not know, as written, each with its leading space
	raw      []byte // the element as it came, canonical, up to its end tag
	start    int    // where in raw the children begin
	tail     []byte // children appended since; spans go on into it from len(raw)
	children []xmlstream.Child
	cuts     []int // indexes into children, ascending, that are not written any more
}

// New builds a stanza with the payloads given, in order.
func New(k Kind, t Type, to jid.JID, payloads ...Payload) *Stanza {
	s := &Stanza{Kind: k, Type: t, To: to}
	for _, p := range payloads {
		s.Add(p)
	}
	return s
}

// Text builds a message with a body.
func Text(t Type, to jid.JID, body string) *Stanza {
	return New(Message, t, to, Body(body))
}

// Append writes the whole stanza. xmlns is the default namespace to declare on it; "" declares
// none, which is right inside a stream whose content namespace is the stanza's
// (RFC 6120 §4.8.3), and NSClient is right where it stands alone: WebSocket, archive, spool.
func (s *Stanza) Append(dst []byte, xmlns string) []byte {
	name := s.Kind.String()
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = xmlstream.AppendAttr(dst, "xmlns", xmlns)
	dst = xmlstream.AppendAttr(dst, "from", s.From.String())
	dst = xmlstream.AppendAttr(dst, "to", s.To.String())
	dst = xmlstream.AppendAttr(dst, "id", s.ID)
	dst = xmlstream.AppendAttr(dst, "type", s.Type.attr())
	dst = xmlstream.AppendAttr(dst, "xml:lang", s.Lang)
	dst = append(dst, s.extra...)
	start := len(dst)
	dst = append(dst, '>')
	dst = s.AppendContent(dst)
	if len(dst) == start+1 {
		return append(dst[:start], "/>"...)
	}
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}

// Standalone returns b, an element as it is written into a stream of clients, as it is written where
// it stands alone: if it is a stanza that declares no namespace, with NSClient declared.
func Standalone(b []byte) []byte {
	i := bytes.IndexAny(b, " />")
	if i < 1 || b[0] != '<' {
		return b
	}
	switch string(b[1:i]) {
	case "message", "presence", "iq":
	default:
		return b
	}
	const declares = " xmlns='" // Append puts it first
	if bytes.HasPrefix(b[i:], []byte(declares)) {
		return b
	}
	return slices.Concat(b[:i], []byte(declares+NSClient+"'"), b[i:])
}

// AppendContent writes the children alone.
func (s *Stanza) AppendContent(dst []byte) []byte {
	if len(s.cuts) == 0 {
		dst = append(dst, s.raw[s.start:]...)
		return append(dst, s.tail...)
	}
	from := s.start // up to here all is written or cut
	for _, i := range s.cuts {
		c := s.children[i]
		dst = s.appendSpan(dst, from, c.Start)
		from = c.End
	}
	return s.appendSpan(dst, from, len(s.raw)+len(s.tail))
}

// appendSpan writes bytes [from,to) of raw and tail taken as one.
func (s *Stanza) appendSpan(dst []byte, from, to int) []byte {
	n := len(s.raw)
	if from < n {
		dst = append(dst, s.raw[from:min(to, n)]...)
	}
	if to > n {
		dst = append(dst, s.tail[max(from, n)-n:to-n]...)
	}
	return dst
}

// Add appends a child.
func (s *Stanza) Add(p Payload) {
	name := p.XMLName()
	start := len(s.raw) + len(s.tail)
	s.tail = p.AppendXML(s.tail)
	if end := len(s.raw) + len(s.tail); end > start {
		// Clipped, because the index of a stanza from a stream belongs to the stream's parser.
		s.children = append(slices.Clip(s.children), xmlstream.Child{
			Space: []byte(name.Space), Local: []byte(name.Local),
			Span: xmlstream.Span{Start: start, End: end},
		})
	}
}

// Len is how many children there are, cut ones included; their indexes are 0 to Len()-1.
func (s *Stanza) Len() int { return len(s.children) }

// Child returns the qualified name of child i, borrowed like the stanza, and whether it is
// still there (was not cut).
func (s *Stanza) Child(i int) (space, local []byte, ok bool) {
	c := s.children[i]
	return c.Space, c.Local, !slices.Contains(s.cuts, i)
}

// Bytes returns the bytes of child i, borrowed like the stanza. Its default namespace, where it
// declares none, is NSClient.
func (s *Stanza) Bytes(i int) []byte {
	c := s.children[i]
	if n := len(s.raw); c.Start >= n {
		return s.tail[c.Start-n : c.End-n]
	}
	return s.raw[c.Start:c.End]
}

// Find returns the index of the first child of that name, or -1.
func (s *Stanza) Find(space, local string) int {
	for i := range s.children {
		c := &s.children[i]
		if string(c.Local) == local && string(c.Space) == space && !slices.Contains(s.cuts, i) {
			return i
		}
	}
	return -1
}

// Has reports whether there is a child of that name.
func (s *Stanza) Has(space, local string) bool { return s.Find(space, local) >= 0 }

// First returns the index of the first child that was not cut, or -1: an IQ's payload.
func (s *Stanza) First() int {
	for i := range s.children {
		if !slices.Contains(s.cuts, i) {
			return i
		}
	}
	return -1
}

// Cut takes child i out of what is written. Indexes of other children stay as they are.
func (s *Stanza) Cut(i int) {
	at, found := slices.BinarySearch(s.cuts, i)
	if !found {
		s.cuts = slices.Insert(slices.Clip(s.cuts), at, i)
	}
}

// Clip makes sure that what is added to a copy of the struct, or to s, does not show in the other: copies
// may then be sent on from different goroutines.
func (s *Stanza) Clip() { s.tail = slices.Clip(s.tail) }

// Size is about how many bytes Append will write.
func (s *Stanza) Size() int {
	return 64 + len(s.raw) - s.start + len(s.tail) + len(s.extra) + len(s.ID) + len(s.Lang) +
		len(s.To.String()) + len(s.From.String())
}

// Retain returns a copy that borrows nothing.
func (s *Stanza) Retain() *Stanza {
	c, err := Parse(s.Append(make([]byte, 0, s.Size()), NSClient))
	if err != nil {
		// S1: what Append writes, Parse reads. The differential fuzz test holds us to it.
		panic("stanza: S1 broken: " + err.Error())
	}
	return c
}

// Parse reads one stanza that stands alone, as Append(dst, NSClient) wrote it, or as another did
// who uses prefixes. The stanza keeps b.
func Parse(b []byte) (*Stanza, error) {
	e, err := parse(xmlstream.Frame, b)
	if err != nil {
		return nil, err
	}
	var addresses jid.Cache
	s := new(Stanza)
	if err := s.FromElement(e, &addresses); err != nil {
		return nil, err
	}
	return s, nil
}

// parse reads one element, behind the header of its stream if mode is Stream.
func parse(mode xmlstream.Mode, b []byte) (*xmlstream.Element, error) {
	p := xmlstream.NewParser(mode, NSClient, xmlstream.Limits{
		ElementBytes: 4*len(b) + 256, // declarations move to where they are needed
		Depth:        1 << 10, Attributes: 1 << 10, Children: len(b),
	})
	p.Feed(b)
	ev, err := p.Next()
	if err == nil && ev == xmlstream.EventOpen {
		ev, err = p.Next()
	}
	switch {
	case err != nil:
		return nil, err
	case ev != xmlstream.EventElement:
		return nil, errNotWhole
	}
	return cloneElement(p.Element()), nil
}

// cloneElement detaches an element from its parser: its index is the parser's scratch.
func cloneElement(e *xmlstream.Element) *xmlstream.Element {
	c := *e
	c.Raw = bytes.Clone(e.Raw)
	c.Attrs = slices.Clone(e.Attrs)
	for i := range c.Attrs {
		a := &c.Attrs[i]
		a.Space, a.Local, a.Value = bytes.Clone(a.Space), bytes.Clone(a.Local), bytes.Clone(a.Value)
	}
	c.Children = slices.Clone(e.Children)
	for i := range c.Children {
		ch := &c.Children[i]
		ch.Space, ch.Local = bytes.Clone(ch.Space), bytes.Clone(ch.Local)
	}
	return &c
}
