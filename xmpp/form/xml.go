// SPDX-License-Identifier: Apache-2.0

package form

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// XMLName implements stanza.Payload.
func (*Form) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "x"} }

// AppendXML implements stanza.Payload.
func (f *Form) AppendXML(dst []byte) []byte {
	dst = append(dst, "<x xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "type", string(f.Type))
	dst = append(dst, '>')
	if f.Title != "" {
		dst = xmlstream.AppendText(dst, "title", f.Title)
	}
	for _, s := range f.Instructions {
		dst = xmlstream.AppendText(dst, "instructions", s)
	}
	dst = appendPages(dst, f.Pages)
	dst = appendFields(dst, f.Fields)
	// The head comes before any row. XEP-0004 §3.4
	if f.Reported != nil {
		dst = append(dst, "<reported>"...)
		dst = appendFields(dst, f.Reported)
		dst = append(dst, "</reported>"...)
	}
	for _, item := range f.Items {
		dst = append(dst, "<item>"...)
		dst = appendFields(dst, item)
		dst = append(dst, "</item>"...)
	}
	return append(dst, "</x>"...)
}

func appendFields(dst []byte, fields []Field) []byte {
	for i := range fields {
		f := &fields[i]
		dst = append(dst, "<field"...)
		dst = xmlstream.AppendAttr(dst, "var", f.Var)
		dst = xmlstream.AppendAttr(dst, "type", string(f.Type))
		dst = xmlstream.AppendAttr(dst, "label", f.Label)
		if f.Desc == "" && !f.Required && len(f.Values) == 0 && len(f.Options) == 0 && !f.extended() {
			dst = append(dst, "/>"...)
			continue
		}
		dst = append(dst, '>')
		if f.Desc != "" {
			dst = xmlstream.AppendText(dst, "desc", f.Desc)
		}
		if f.Required {
			dst = append(dst, "<required/>"...)
		}
		for _, v := range f.Values {
			dst = xmlstream.AppendText(dst, "value", v)
		}
		for _, o := range f.Options {
			dst = append(dst, "<option"...)
			dst = xmlstream.AppendAttr(dst, "label", o.Label)
			dst = append(dst, '>')
			dst = xmlstream.AppendText(dst, "value", o.Value)
			dst = append(dst, "</option>"...)
		}
		dst = append(f.appendExtensions(dst), "</field>"...)
	}
	return dst
}

// DecodeXML implements stanza.Payload. What XEP-0004 forbids without doubt is
// bad-request: a form without a known type, a typed field without a name, an
// option with any number of values but one, a second table head. So are more
// than MaxFields fields.
func (f *Form) DecodeXML(r *xmlstream.Reader) error {
	*f = Form{Type: Type(r.Attr("type"))}
	switch f.Type {
	case Ask, Submit, Cancel, Result:
	default:
		return stanza.BadRequest.Err("a data form needs a type")
	}
	d := decoder{form: f.Type}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "title"}:
			f.Title = r.Text()
		case xmlstream.Name{Space: NS, Local: "instructions"}:
			f.Instructions = append(f.Instructions, r.Text())
		case nameField:
			f.Fields = d.field(r, f.Fields)
		case xmlstream.Name{Space: NS, Local: "reported"}:
			if f.Reported != nil {
				r.Fail(stanza.BadRequest.Err("a data form has one table head"))
			}
			f.Reported = d.row(r)
		case xmlstream.Name{Space: NS, Local: "item"}:
			f.Items = append(f.Items, d.row(r))
		case xmlstream.Name{Space: NSLayout, Local: "page"}:
			d.part(r)
			f.Pages = append(f.Pages, d.page(r, 0))
		}
	}
	return r.Err()
}

var nameField = xmlstream.Name{Space: NS, Local: "field"}

// decoder counts the fields of one form while it is read.
type decoder struct {
	form  Type
	count int
	parts int // of pages
}

// row reads the fields of a table's head or row. The result is never nil.
func (d *decoder) row(r *xmlstream.Reader) []Field {
	// A row costs memory too, even an empty one.
	if d.count++; d.count > MaxFields {
		r.Fail(stanza.BadRequest.Err("too many fields"))
	}
	fields := []Field{}
	for n := range r.Children() {
		if n == nameField {
			fields = d.field(r, fields)
		}
	}
	return fields
}

func (d *decoder) field(r *xmlstream.Reader, fields []Field) []Field {
	if d.count++; d.count > MaxFields {
		r.Fail(stanza.BadRequest.Err("too many fields"))
		return fields
	}
	f := Field{Var: r.Attr("var"), Type: fieldType(r.Attr("type")), Label: r.Attr("label")}
	// Submissions of old clients repeat fixed fields without their type.
	if f.Var == "" && f.Type != Fixed && (f.Type != "" || d.form == Ask) {
		r.Fail(stanza.BadRequest.Err("a field needs a var"))
		return fields
	}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "desc"}:
			f.Desc = r.Text()
		case xmlstream.Name{Space: NS, Local: "required"}:
			f.Required = true
		case nameValue:
			f.Values = append(f.Values, r.Text())
		case xmlstream.Name{Space: NS, Local: "option"}:
			f.Options = append(f.Options, option(r))
		default:
			f.extension(r, n)
		}
	}
	return append(fields, f)
}

var nameValue = xmlstream.Name{Space: NS, Local: "value"}

func option(r *xmlstream.Reader) Option {
	o := Option{Label: r.Attr("label")}
	values := 0
	for n := range r.Children() {
		if n == nameValue {
			o.Value = r.Text()
			values++
		}
	}
	if values != 1 {
		r.Fail(stanza.BadRequest.Err("an option has one value"))
	}
	return o
}

// fieldType reads a type; one that is not known is TextSingle. XEP-0004 §3.3
func fieldType(s string) FieldType {
	switch t := FieldType(s); t {
	case "", Boolean, Fixed, Hidden, JIDMulti, JIDSingle, ListMulti, ListSingle, TextMulti, TextPrivate:
		return t
	}
	return TextSingle
}
