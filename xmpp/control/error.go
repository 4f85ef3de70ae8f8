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
		dst = xmlstream.AppendRequired(xep.open(dst, xep.paramError), xep.variable, e.Name)
		dst = xmlstream.AppendEnd(xmlstream.AppendEscaped(append(dst, '>'), e.Text), xep.paramError)
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

// Refusal says in an IQ of type error, next to the error, why a command is refused. Version 0.3 of the specification has taken it
// away. It implements stanza.Payload, and is written as a setResponse.
//
// COMPAT(slixmpp, 2013): it writes that alone, without an error, and waits for it in vain where there is an error alone.
type Refusal struct {
	Code  string // one of those below
	Nodes []Node
	Names []string   // of parameters that are wrong
	Error ParamError // the zero one is none
}

// The codes of a Refusal.
const (
	CodeInsufficientPrivileges = "InsufficientPrivileges"
	CodeNotFound               = "NotFound"
	CodeFormError              = "FormError"
	CodeNotImplemented         = "NotImplemented"
	CodeLocked                 = "Locked"
	CodeOtherError             = "OtherError"
)

// RefusalOf is what goes beside an error, for those who do not read that. Why it is refused is in the error alone.
//
// COMPAT(Smack, 4.4): it takes an element error within this for that of the stanza, and ends its connection.
func RefusalOf(e *stanza.Error) *Refusal {
	out := &Refusal{Code: CodeOtherError}
	switch e.Condition {
	case stanza.Forbidden:
		out.Code = CodeInsufficientPrivileges
	case stanza.ItemNotFound:
		out.Code = CodeNotFound
	case stanza.BadRequest:
		out.Code = CodeFormError
	case stanza.FeatureNotImplemented:
		out.Code = CodeNotImplemented
	case stanza.Conflict:
		out.Code = CodeLocked
	}
	if errs, ok := e.App.(*ParamErrors); ok {
		for _, w := range *errs {
			out.Names = append(out.Names, w.Name)
		}
	}
	return out
}

// XMLName implements stanza.Payload.
func (*Refusal) XMLName() xmlstream.Name { return xep.element(xep.setResponse) }

// AppendXML implements stanza.Payload.
func (e *Refusal) AppendXML(dst []byte) []byte {
	dst = append(xmlstream.AppendRequired(xep.open(dst, xep.setResponse), xep.responseCode, e.Code), '>')
	dst = xep.appendNames(xep.appendNodes(dst, e.Nodes), e.Names)
	if e.Error != (ParamError{}) {
		dst = append(append(dst, '<'), xep.err...)
		dst = append(xmlstream.AppendAttr(dst, xep.variable, e.Error.Name), '>')
		dst = xmlstream.AppendEnd(xmlstream.AppendEscaped(dst, e.Error.Text), xep.err)
	}
	return xmlstream.AppendEnd(dst, xep.setResponse)
}

// DecodeXML implements stanza.Payload. One without a code is bad-request: it is a SetResponse.
func (e *Refusal) DecodeXML(r *xmlstream.Reader) error {
	*e = Refusal{Code: short(r, r.Attr(xep.responseCode))}
	if e.Code == "" {
		r.Fail(stanza.BadRequest.Err("a refusal needs a code"))
	}
	for n := range r.Children() {
		switch n {
		case xep.element(xep.node):
			e.Nodes = xep.readNode(r, e.Nodes)
		case xep.element(xep.parameter):
			e.Names = xep.readName(r, e.Names)
		case xep.element(xep.err):
			e.Error = readError(r)
		}
	}
	return r.Err()
}

// ErrorsOf are the errors of parameters in a stanza of type error: next to its condition, or in a Refusal. nil is none.
func ErrorsOf(s *stanza.Stanza) []ParamError {
	var old Refusal
	if found, err := s.Decode(&old); found && err == nil && old.Error != (ParamError{}) {
		return []ParamError{old.Error}
	}
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
