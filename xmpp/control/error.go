// SPDX-License-Identifier: Apache-2.0

package control

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ParamError is why a parameter could not be set; Text is for people.
type ParamError struct{ Name, Text string }

// ParamErrors are in the error that answers a command, next to its condition, an element for each. It implements stanza.Payload
// and is the App of a *stanza.Error, but unlike others it is several elements, or none. XEP-0325 §3.1.3
type ParamErrors []ParamError

// XMLName implements stanza.Payload.
func (*ParamErrors) XMLName() xmlstream.Name { return xep.element(xep.paramError) }

// AppendXML implements stanza.Payload.
func (p *ParamErrors) AppendXML(dst []byte) []byte {
	for _, e := range *p {
		dst = appendRequired(xep.open(dst, xep.paramError), xep.variable, e.Name)
		dst = xep.shut(xmlstream.AppendEscaped(append(dst, '>'), e.Text), xep.paramError)
	}
	return dst
}

// DecodeXML implements stanza.Payload: it reads one element.
func (p *ParamErrors) DecodeXML(r *xmlstream.Reader) error {
	*p = ParamErrors{readError(r)}
	return r.Err()
}

func readError(r *xmlstream.Reader) ParamError {
	return ParamError{Name: short(r, r.Attr(xep.variable)), Text: r.Text()}
}

// Rejected makes the stanza error by which a command is refused: of the conditions that XEP-0325 §5.1 has, with the types that it
// gives them, so that the type of forbidden is cancel and that of conflict wait. errs say which parameters are wrong.
func Rejected(c stanza.Condition, text string, errs ...ParamError) *stanza.Error {
	e := c.Err(text)
	switch c {
	case stanza.Forbidden, stanza.ItemNotFound, stanza.FeatureNotImplemented:
		e.Type = stanza.Cancel
	case stanza.Conflict:
		e.Type = stanza.Wait
	}
	if len(errs) > 0 {
		app := ParamErrors(errs)
		e.App = &app
	}
	return e
}

// ErrorsOf are the errors of parameters in a stanza of type error; nil where there are none.
func ErrorsOf(s *stanza.Stanza) []ParamError {
	i := s.Find(stanza.NSClient, "error")
	if i < 0 {
		return nil
	}
	r := s.Reader(i)
	var out []ParamError
	for n := range r.Children() {
		if n == xep.element(xep.paramError) && len(out) < MaxParameters {
			out = append(out, readError(r))
		}
	}
	if r.Err() != nil {
		return nil
	}
	return out
}
