// SPDX-License-Identifier: Apache-2.0

package stanza

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Payload is what a child of a stanza decodes to: every vocabulary package under xmpp/ is a set
// of them.
type Payload interface {
	// XMLName is the qualified name of the element.
	XMLName() xmlstream.Name
	// AppendXML writes the whole element, complete with its namespace declaration, in a place
	// where the default namespace is NSClient.
	AppendXML(dst []byte) []byte
	// DecodeXML reads the element on whose start tag r stands, overwriting the receiver. It
	// ignores children and attributes it does not know. An error that the sender should be told
	// is a *Error.
	DecodeXML(r *xmlstream.Reader) error
}

// Decode looks for a child of p's name and decodes it into p. found is false, and p untouched,
// where there is none. The error is a *Error that refuses the stanza.
func (s *Stanza) Decode(p Payload) (found bool, err error) {
	n := p.XMLName()
	i := s.Find(n.Space, n.Local)
	if i < 0 {
		return false, nil
	}
	if err := p.DecodeXML(s.Reader(i)); err != nil {
		if _, ok := err.(*Error); ok { //nolint:errorlint // a wrapped one is our own fault, told below
			return true, err
		}
		return true, BadRequest.Err(fmt.Sprintf("<%s/> is not as its specification says", n.Local))
	}
	return true, nil
}

// Reader returns a reader that stands on child i.
func (s *Stanza) Reader(i int) *xmlstream.Reader {
	return xmlstream.NewReader(s.Bytes(i), NSClient)
}

// Result builds the answer to a request, with an empty one for a nil payload.
func (s *Stanza) Result(p Payload) *Stanza {
	r := &Stanza{Kind: IQ, Type: Result, To: s.From, From: s.To, ID: s.ID}
	if p != nil {
		r.Add(p)
	}
	return r
}

// Refuse builds the error answer to s (RFC 6120 §8.3.1). It shares s's ID. What stands beside the error is for those who do not read
// that.
func (s *Stanza) Refuse(e *Error, beside ...Payload) *Stanza {
	r := &Stanza{Kind: s.Kind, Type: TypeError, To: s.From, From: s.To, ID: s.ID}
	r.Add(e)
	for _, p := range beside {
		r.Add(p)
	}
	return r
}

// Refusal decodes the error child of a stanza of type error; without one it is
// undefined-condition.
func (s *Stanza) Refusal() *Error {
	e := new(Error)
	if found, err := s.Decode(e); !found || err != nil {
		return UndefinedCondition.Err("")
	}
	return e
}

// Body is a message's body (RFC 6121 §5.2.3), as a Payload to send and by BodyOf to read.
type Body string

// XMLName implements Payload.
func (Body) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSClient, Local: "body"} }

// AppendXML implements Payload.
func (b Body) AppendXML(dst []byte) []byte { return xmlstream.AppendText(dst, "body", string(b)) }

// DecodeXML is refused: a Body is a value. Use BodyOf.
func (Body) DecodeXML(*xmlstream.Reader) error {
	return fmt.Errorf("stanza: read a body with BodyOf")
}

// BodyOf is the text of the first body, or "".
func BodyOf(s *Stanza) string {
	i := s.Find(NSClient, "body")
	if i < 0 {
		return ""
	}
	return s.Reader(i).Text()
}

// Raw is a payload that is at hand as bytes: a complete element with all namespaces it needs.
type Raw struct {
	Name  xmlstream.Name
	Bytes []byte
}

// XMLName implements Payload.
func (r *Raw) XMLName() xmlstream.Name { return r.Name }

// AppendXML implements Payload.
func (r *Raw) AppendXML(dst []byte) []byte { return append(dst, r.Bytes...) }

// DecodeXML implements Payload.
func (r *Raw) DecodeXML(x *xmlstream.Reader) error {
	r.Name, r.Bytes = x.Name(), []byte(x.Raw())
	return x.Err()
}
