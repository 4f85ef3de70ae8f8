// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// element is one element of a stream, whole.
type element struct {
	xml.StartElement
	children []*element
	text     string
}

// readHeader reads up to the start tag of <stream:stream>.
func readHeader(d *xml.Decoder) (xml.StartElement, error) {
	for {
		tok, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		if start, ok := tok.(xml.StartElement); ok {
			if start.Name.Local != "stream" {
				return start, fmt.Errorf("<%s> instead of a stream's header", start.Name.Local)
			}
			return start.Copy(), nil
		}
	}
}

// readElement reads the next child of the stream. The end of the stream is io.EOF.
func readElement(d *xml.Decoder) (*element, error) {
	var open []*element
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			open = append(open, &element{StartElement: tok.Copy()})
		case xml.CharData:
			if n := len(open); n > 0 {
				open[n-1].text += string(tok)
			}
		case xml.EndElement:
			n := len(open)
			switch {
			case n == 0:
				return nil, io.EOF
			case n == 1:
				return open[0], nil
			}
			open[n-2].children = append(open[n-2].children, open[n-1])
			open = open[:n-1]
		}
	}
}

// is reports whether e has that name in that namespace.
func (e *element) is(space, local string) bool { return e.Name.Space == space && e.Name.Local == local }

// attr is the value of an attribute without namespace.
func (e *element) attr(local string) string {
	for _, a := range e.Attr {
		if a.Name.Local == local && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// child is the first child of that name, or nil.
func (e *element) child(space, local string) *element {
	for _, c := range e.children {
		if c.is(space, local) {
			return c
		}
	}
	return nil
}

// String is for messages of failures.
func (e *element) String() string {
	if e == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<%s", e.Name.Local)
	for _, a := range e.Attr {
		fmt.Fprintf(&b, " %s='%s'", a.Name.Local, a.Value)
	}
	b.WriteString(">")
	for _, c := range e.children {
		b.WriteString(c.String())
	}
	b.WriteString(e.text)
	return b.String() + "</>"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
