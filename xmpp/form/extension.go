// SPDX-License-Identifier: Apache-2.0

package form

// How to read this file: what other specifications put into forms: how values are checked, how a form is laid out, and how it
// changes while it is filled in. Each has its types, and is written and read here.

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Namespaces of what is in forms beside their own, and features of whoever shows it. XEP-0122, XEP-0141, XEP-0336, XEP-0331
const (
	NSValidate = "http://jabber.org/protocol/xdata-validate"
	NSLayout   = "http://jabber.org/protocol/xdata-layout"
	NSDynamic  = "urn:xmpp:xdata:dynamic"
	NSColor    = "urn:xmpp:xdata:color"
)

// nsControl qualifies the mark of a group. XEP-0325 §5.4
const nsControl = "urn:xmpp:iot:control"

// Types of colours, in Validation.DataType: RRGGBB and RRGGBBAA. XEP-0331 §2 and §3
const (
	Color      = "xdc:Color"
	ColorAlpha = "xdc:ColorAlpha"
)

// Method is how values are checked. XEP-0122 §3.2
type Method string

// The methods.
const (
	Basic Method = "basic" // by their type
	Open  Method = "open"  // as that: a list takes other values than its options
	Range Method = "range" // and they lie between Min and Max
	Regex Method = "regex" // and they match an expression
)

// Validation is what values must be. A type that is not known is a string. XEP-0122 §3
type Validation struct {
	DataType string // as xs:int; "" is xs:string
	Method   Method // "" is Basic
	Min, Max string // of Range; "" is no bound
	Regex    string // of Regex: an extended expression of POSIX, for whoever fills in; Validate does not try it
}

// Page is a part of a form for people: what belongs together, in its order. XEP-0141 §2
type Page struct {
	Label string
	Parts []Part
}

// Part is a field, a text, a section or a table on a page: one of these.
type Part struct {
	Var      string // of a field
	Text     string
	Section  *Page
	Reported bool // the table of the form
}

// MaxParts is how many parts the pages of a form that is read may have, and maxSections how deep they lie in each other.
const (
	MaxParts    = 1024
	maxSections = 8
)

// NewPage is a page of fields.
func NewPage(label string, names ...string) Page {
	p := Page{Label: label}
	for _, name := range names {
		p.Parts = append(p.Parts, Part{Var: name})
	}
	return p
}

// open reports whether a list takes other values than its options, and each line of a text is a value: any method but Basic says
// so. XEP-0122 §3.2
func (v *Validation) open() bool { return v.Method != Basic && v.Method != "" }

// check reports whether a value is what it must be.
func (v *Validation) check(value string) bool {
	t, known := xsd.ParseType(v.DataType)
	if !known {
		return true
	}
	if _, err := t.Clean(value); err != nil {
		return false
	}
	if v.Method != Range {
		return true
	}
	low, ordered := t.Compare(value, v.Min)
	if ordered && low < 0 {
		return false
	}
	high, ordered := t.Compare(value, v.Max)
	return !ordered || high <= 0
}

// extended reports whether a field has children of other specifications.
func (f *Field) extended() bool {
	return f.Validate != nil || f.NotSame || f.ReadOnly || f.PostBack || f.Error != "" || f.Group != ""
}

func (f *Field) appendExtensions(dst []byte) []byte {
	if f.Validate != nil {
		dst = f.Validate.append(dst)
	}
	for _, m := range [...]struct {
		set   bool
		local string
	}{{f.NotSame, "notSame"}, {f.ReadOnly, "readOnly"}, {f.PostBack, "postBack"}} {
		if m.set {
			dst = append(append(append(dst, '<'), m.local...), " xmlns='"+NSDynamic+"'/>"...)
		}
	}
	if f.Error != "" {
		dst = xmlstream.AppendEscaped(append(dst, "<error xmlns='"+NSDynamic+"'>"...), f.Error)
		dst = append(dst, "</error>"...)
	}
	if f.Group != "" {
		dst = xmlstream.AppendAttr(append(dst, "<parameterGroup xmlns='"+nsControl+"'"...), "name", f.Group)
		dst = append(dst, "/>"...)
	}
	return dst
}

func (v *Validation) append(dst []byte) []byte {
	dst = append(dst, "<validate xmlns='"+NSValidate+"'"...)
	if v.DataType == Color || v.DataType == ColorAlpha {
		dst = append(dst, " xmlns:xdc='"+NSColor+"'"...)
	}
	dst = append(xmlstream.AppendAttr(dst, "datatype", v.DataType), '>')
	switch v.Method {
	case Open:
		dst = append(dst, "<open/>"...)
	case Range:
		dst = xmlstream.AppendAttr(append(dst, "<range"...), "min", v.Min)
		dst = append(xmlstream.AppendAttr(dst, "max", v.Max), "/>"...)
	case Regex:
		dst = xmlstream.AppendText(dst, "regex", v.Regex)
	default:
		dst = append(dst, "<basic/>"...)
	}
	return append(dst, "</validate>"...)
}

// extension reads a child of a field that is of another specification.
func (f *Field) extension(r *xmlstream.Reader, n xmlstream.Name) {
	switch n {
	case xmlstream.Name{Space: NSValidate, Local: "validate"}:
		f.Validate = readValidation(r)
	case xmlstream.Name{Space: NSDynamic, Local: "notSame"}:
		f.NotSame = true
	case xmlstream.Name{Space: NSDynamic, Local: "readOnly"}:
		f.ReadOnly = true
	case xmlstream.Name{Space: NSDynamic, Local: "postBack"}:
		f.PostBack = true
	case xmlstream.Name{Space: NSDynamic, Local: "error"}:
		f.Error = r.Text()
	case xmlstream.Name{Space: nsControl, Local: "parameterGroup"}:
		f.Group = r.Attr("name")
	}
}

// readValidation reads how values are checked; a method that is not known is Basic.
func readValidation(r *xmlstream.Reader) *Validation {
	v := &Validation{DataType: r.Attr("datatype"), Method: Basic}
	for n := range r.Children() {
		if n.Space != NSValidate {
			continue
		}
		switch m := Method(n.Local); m {
		case Open:
			v.Method = m
		case Range:
			v.Method, v.Min, v.Max = m, r.Attr("min"), r.Attr("max")
		case Regex:
			v.Method, v.Regex = m, r.Text()
		}
	}
	// One method was to be there; of several the last counts.
	if v.Method != Range {
		v.Min, v.Max = "", ""
	}
	if v.Method != Regex {
		v.Regex = ""
	}
	return v
}

func appendPages(dst []byte, pages []Page) []byte {
	for i := range pages {
		dst = pages[i].append(append(dst, "<page xmlns='"+NSLayout+"'"...), "page")
	}
	return dst
}

// append writes a page or section behind its name.
func (p *Page) append(dst []byte, local string) []byte {
	dst = append(xmlstream.AppendAttr(dst, "label", p.Label), '>')
	for _, part := range p.Parts {
		switch {
		case part.Section != nil:
			dst = part.Section.append(append(dst, "<section"...), "section")
		case part.Reported:
			dst = append(dst, "<reportedref/>"...)
		case part.Var != "":
			dst = append(xmlstream.AppendAttr(append(dst, "<fieldref"...), "var", part.Var), "/>"...)
		default:
			dst = xmlstream.AppendText(dst, "text", part.Text)
		}
	}
	return xmlstream.AppendEnd(dst, local)
}

// page reads a page or a section. References to fields that there are not are for whoever shows the form to overlook.
func (d *decoder) page(r *xmlstream.Reader, depth int) Page {
	p := Page{Label: r.Attr("label")}
	if depth > maxSections {
		r.Fail(stanza.BadRequest.Err("sections too deep"))
	}
	for n := range r.Children() {
		if n.Space != NSLayout {
			continue
		}
		var part Part
		switch n.Local {
		case "fieldref":
			if part.Var = r.Attr("var"); part.Var == "" {
				continue
			}
		case "text":
			part.Text = r.Text()
		case "reportedref":
			part.Reported = true
		case "section":
			s := d.page(r, depth+1)
			part.Section = &s
		default:
			continue
		}
		d.part(r)
		p.Parts = append(p.Parts, part)
	}
	return p
}

func (d *decoder) part(r *xmlstream.Reader) {
	if d.parts++; d.parts > MaxParts {
		r.Fail(stanza.BadRequest.Err("too many parts of pages"))
	}
}
