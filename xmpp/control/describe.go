// SPDX-License-Identifier: Apache-2.0

package control

// How to read this file: a Description says what can be set; descriptions become the form that a thing shows, and are read from
// it; Resolve is how a thing makes of a command, typed or a form, what is to be set.

import (
	"fmt"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Description is what can be set, and to what. XEP-0325 §3.3
type Description struct {
	Name        string
	Type        Type
	Label, Help string        // for people
	Value       string        // what it is now; "" is unknown, and the empty string of TypeString
	Min, Max    string        // bounds of types that have an order; "" is none
	Options     []form.Option // of TypeString; if there are any, nothing else is taken
	Alpha       bool          // of TypeColor: what shines through can be said
	Group       string        // parameters of one group are set together. XEP-0325 §5.4
	Page        string        // the label of the page that people see it on
}

// Form is the form of what can be set, in the order in which it is to be set: all marked as not the same, so that what is not
// edited is not submitted. session, if it is not "", is for the thing to know the form by. XEP-0325 §3.3
func Form(title, session string, of []Description) *form.Form {
	f := &form.Form{Type: form.Ask, Title: title}
	if session != "" {
		f.Fields = append(f.Fields, form.Field{Var: VarSession, Type: form.Hidden, Values: []string{session}})
	}
	for i := range of {
		d := &of[i]
		f.Fields = append(f.Fields, d.field())
		if d.Page == "" {
			continue
		}
		p := slices.IndexFunc(f.Pages, func(p form.Page) bool { return p.Label == d.Page })
		if p < 0 {
			p = len(f.Pages)
			f.Pages = append(f.Pages, form.Page{Label: d.Page})
		}
		f.Pages[p].Parts = append(f.Pages[p].Parts, form.Part{Var: d.Name})
	}
	return f
}

func (d *Description) field() form.Field {
	f := form.Field{Var: d.Name, Type: form.TextSingle, Label: d.Label, Desc: d.Help, NotSame: true, Group: d.Group,
		Validate: &form.Validation{DataType: d.Type.Schema().String(), Method: form.Basic}}
	if d.Value != "" || d.Type == TypeString {
		f.Values = []string{d.Value}
	}
	switch {
	case d.Type == TypeBoolean:
		f.Type = form.Boolean
	case d.Type == TypeColor && d.Alpha:
		f.Validate = &form.Validation{DataType: form.ColorAlpha, Method: form.Regex, Regex: "^[0-9a-fA-F]{8}$"}
	case d.Type == TypeColor:
		f.Validate = &form.Validation{DataType: form.Color, Method: form.Regex, Regex: "^[0-9a-fA-F]{6}$"}
	case d.Type == TypeString && len(d.Options) > 0:
		f.Type, f.Options = form.ListSingle, slices.Clone(d.Options)
	case d.Min != "" || d.Max != "":
		f.Validate.Method, f.Validate.Min, f.Validate.Max = form.Range, d.Min, d.Max
	}
	return f
}

// Descriptions reads a form of what can be set. Fields that cannot be are left out.
func Descriptions(f *form.Form) []Description {
	var out []Description
	pages := pagesOf(f)
	for i := range f.Fields {
		field := &f.Fields[i]
		if !sets(field) || field.ReadOnly || field.Type == form.Hidden || field.Type == form.Fixed {
			continue
		}
		d := Description{Name: field.Var, Type: TypeString, Label: field.Label, Help: field.Desc, Value: field.First(), Options: field.Options,
			Group: field.Group, Page: pages[field.Var]}
		if v := field.Validate; v != nil {
			d.Type, d.Alpha = typeOf(v.DataType)
			if v.Method == form.Range {
				d.Min, d.Max = v.Min, v.Max
			}
		}
		if field.Type == form.Boolean {
			d.Type = TypeBoolean
		}
		out = append(out, d)
	}
	return out
}

// pagesOf is the label of the page that each field is on.
func pagesOf(f *form.Form) map[string]string {
	out := map[string]string{}
	var walk func(p *form.Page, label string)
	walk = func(p *form.Page, label string) {
		for _, part := range p.Parts {
			switch {
			case part.Section != nil:
				walk(part.Section, label)
			case part.Var != "" && out[part.Var] == "":
				out[part.Var] = label
			}
		}
	}
	for i := range f.Pages {
		walk(&f.Pages[i], f.Pages[i].Label)
	}
	return out
}

// typeOf is the type of a parameter whose values are of a type of XEP-0122; other integers and numbers are taken for ours.
func typeOf(dataType string) (t Type, alpha bool) {
	switch dataType {
	case form.Color, form.ColorAlpha:
		return TypeColor, dataType == form.ColorAlpha
	case "xs:byte", "xs:short":
		return TypeInt, false
	case "xs:integer":
		return TypeLong, false
	case "xs:float", "xs:decimal":
		return TypeDouble, false
	}
	schema, _ := xsd.ParseType(dataType)
	for t := Type(1); t < typesEnd; t++ {
		if t != TypeColor && t.Schema() == schema {
			return t, false
		}
	}
	return TypeString, false
}

// Common is what several nodes have in common, as the form of them all has it: parameters of one name and type. Of their bounds and
// options those are taken that all keep to; a value that is not the same is unknown. XEP-0325 §3.4.4
func Common(nodes ...[]Description) []Description {
	if len(nodes) == 0 {
		return nil
	}
	out := slices.Clone(nodes[0])
	for _, other := range nodes[1:] {
		out = slices.DeleteFunc(out, func(d Description) bool {
			return !slices.ContainsFunc(other, func(o Description) bool { return o.Name == d.Name && o.Type == d.Type })
		})
		for i := range out {
			out[i].narrow(&other[slices.IndexFunc(other, func(o Description) bool { return o.Name == out[i].Name })])
		}
	}
	return slices.DeleteFunc(out, func(d Description) bool {
		c, ok := d.Type.Schema().Compare(d.Min, d.Max)
		return ok && c > 0 || d.Options != nil && len(d.Options) == 0
	})
}

// narrow leaves of a description what another of the same name allows, too: an empty list of options if there is nothing.
func (d *Description) narrow(o *Description) {
	schema := d.Type.Schema()
	if c, ok := schema.Compare(o.Min, d.Min); d.Min == "" || ok && c > 0 {
		d.Min = o.Min
	}
	if c, ok := schema.Compare(o.Max, d.Max); d.Max == "" || ok && c < 0 {
		d.Max = o.Max
	}
	if d.Value != o.Value {
		d.Value = ""
	}
	d.Alpha = d.Alpha && o.Alpha
	switch {
	case len(d.Options) == 0:
		d.Options = slices.Clone(o.Options)
	case len(o.Options) > 0:
		d.Options = slices.DeleteFunc(slices.Clone(d.Options), func(v form.Option) bool {
			return !slices.ContainsFunc(o.Options, func(w form.Option) bool { return v.Value == w.Value })
		})
	}
}

// Resolve is what the command sets, of a thing or node that is described: each parameter with its type there, within its bounds,
// in the order of the command. Integers are taken for wider numbers. The error is a *stanza.Error that names each parameter that
// is wrong: item-not-found if one is unknown, else bad-request; nothing is to be set then.
func (s *Set) Resolve(of []Description) ([]Parameter, error) {
	var out []Parameter
	var wrong []ParamError
	condition := stanza.BadRequest
	add := func(p Parameter, isTyped bool) {
		i := slices.IndexFunc(of, func(d Description) bool { return d.Name == p.Name })
		if i < 0 {
			condition = stanza.ItemNotFound
			wrong = append(wrong, ParamError{p.Name, "there is no such parameter"})
			return
		}
		why := of[i].fit(&p, isTyped)
		if why == "" && slices.ContainsFunc(out, func(o Parameter) bool { return o.Name == p.Name }) {
			why = "it is set twice"
		}
		if why != "" {
			wrong = append(wrong, ParamError{p.Name, why})
		}
		out = append(out, p)
	}
	for _, p := range s.Parameters {
		add(p, true)
	}
	if s.Form != nil {
		for i := range s.Form.Fields {
			// Who fills in a form leaves empty what he does not know; only a text can be empty.
			if f := &s.Form.Fields[i]; sets(f) && (f.Text() != "" || len(f.Values) > 0 && isText(of, f.Var)) {
				add(Parameter{Name: f.Var, Value: f.Text()}, false)
			}
		}
	}
	if len(wrong) > 0 {
		return nil, Rejected(condition, "", wrong...)
	}
	if len(out) == 0 {
		return nil, Rejected(stanza.BadRequest, "nothing is to be set")
	}
	return out, nil
}

func isText(of []Description, name string) bool {
	return slices.ContainsFunc(of, func(d Description) bool { return d.Name == name && d.Type == TypeString && len(d.Options) == 0 })
}

// fit makes a parameter one of the description, or says why it cannot be.
func (d *Description) fit(p *Parameter, isTyped bool) (why string) {
	if isTyped && p.Type != d.Type && !widens(p.Type, d.Type) {
		return fmt.Sprintf("its type is %s", d.Type)
	}
	clean, err := d.Type.Clean(p.Value)
	if err != nil {
		return fmt.Sprintf("no value of the type %s", d.Type)
	}
	if p.Type, p.Value = d.Type, clean; d.Type == TypeDouble {
		if _, ok := p.Number(); !ok {
			return "no finite number"
		}
	}
	schema := d.Type.Schema()
	low, ordered := schema.Compare(clean, d.Min)
	high, orderedToo := schema.Compare(clean, d.Max)
	switch {
	case ordered && low < 0:
		return fmt.Sprintf("not below %s", d.Min)
	case orderedToo && high > 0:
		return fmt.Sprintf("not above %s", d.Max)
	case d.Type == TypeColor && len(clean) == 8 && !d.Alpha:
		return "a color without alpha channel"
	case len(d.Options) > 0 && !slices.ContainsFunc(d.Options, func(o form.Option) bool { return o.Value == clean }):
		return "none of its options"
	}
	return ""
}

// widens reports whether each value of one type is one of the other, or becomes it by nothing but its size.
func widens(from, to Type) bool {
	switch from {
	case TypeInt:
		return to == TypeLong || to == TypeDouble
	case TypeLong:
		return to == TypeInt || to == TypeDouble // if it fits, as Clean sees
	}
	return false
}
