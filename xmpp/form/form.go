// SPDX-License-Identifier: Apache-2.0

// Package form is the vocabulary of data forms: questions that an entity asks,
// answers to them, and tables of results. Service discovery, registration,
// ad-hoc commands, rooms, nodes and things all speak in forms, and tell them apart
// by the FORM_TYPE of XEP-0068.
//
// XEP-0004 (complete, 2.13.2)
// XEP-0122 (partial, 1.0.2): no regular expressions, which are handed on, and no numbers of options
// XEP-0141 (complete, 1.0)
// XEP-0331 (complete, 0.3)
// XEP-0336 (partial, 0.2): the marks of fields; nothing is posted back or pushed
//
// How to read this package: form.go has the types and what is asked of them,
// xml.go writes and reads them, extension.go has what other specifications put
// into forms, validate.go compares a submission with its form.
package form

import (
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// NS qualifies <x/>. XEP-0004 §3
const NS = "jabber:x:data"

// VarFormType is the field that names a standardised form. XEP-0068 §3
const VarFormType = "FORM_TYPE"

// MaxFields is how many fields a form that is read may have, those of its items
// included. The schemas known have some fifty, and a page of results a thousand.
const MaxFields = 8192

// Type says what a form is for. XEP-0004 §3.1
type Type string

// The form types.
const (
	Ask    Type = "form"   // please fill in
	Submit Type = "submit" // filled in
	Cancel Type = "cancel" // will not be filled in
	Result Type = "result" // data
)

// FieldType is the type of a field's values. XEP-0004 §3.3
type FieldType string

// The field types. A field without one is TextSingle in a form to fill in; in
// other forms it has the type that the context gives it.
const (
	Boolean     FieldType = "boolean"
	Fixed       FieldType = "fixed"
	Hidden      FieldType = "hidden"
	JIDMulti    FieldType = "jid-multi"
	JIDSingle   FieldType = "jid-single"
	ListMulti   FieldType = "list-multi"
	ListSingle  FieldType = "list-single"
	TextMulti   FieldType = "text-multi"
	TextPrivate FieldType = "text-private"
	TextSingle  FieldType = "text-single"
)

// Form is a data form. It implements stanza.Payload.
type Form struct {
	Type         Type
	Title        string
	Instructions []string
	Pages        []Page // how people are to see the fields; none: in their order
	Fields       []Field

	// Reported and Items are a table: its head, and its rows. XEP-0004 §3.4
	Reported []Field
	Items    [][]Field
}

// Field is one field of a form.
type Field struct {
	Var      string // unique in its form; only fixed fields may have none
	Type     FieldType
	Label    string // for people
	Desc     string // for people
	Required bool
	Values   []string // defaults, answers or data
	Options  []Option // of ListSingle and ListMulti

	Validate *Validation // what values must be; nil: no more than the type says. XEP-0122
	NotSame  bool        // the value is not sure, and not to be submitted unless it was edited. XEP-0336 §3.4
	ReadOnly bool        // XEP-0336 §3.3
	PostBack bool        // whoever asks wants to see each change. XEP-0336 §3.1
	Error    string      // what is wrong with the value, for people. XEP-0336 §3.5
	Group    string      // of parameters to be set together; at most one. XEP-0325 §5.4
}

// Option is one of the values to choose from.
type Option struct{ Label, Value string }

// New makes a form with the FORM_TYPE given, or none for "".
func New(t Type, formType string, fields ...Field) *Form {
	f := &Form{Type: t}
	if formType != "" {
		f.Fields = append(f.Fields, Field{Var: VarFormType, Type: Hidden, Values: []string{formType}})
	}
	f.Fields = append(f.Fields, fields...)
	return f
}

// Value makes a field of a submission or a result.
func Value(name string, values ...string) Field { return Field{Var: name, Values: values} }

// Bool makes a boolean field of a submission or a result.
func Bool(name string, v bool) Field {
	value := "0"
	if v {
		value = "1"
	}
	return Field{Var: name, Type: Boolean, Values: []string{value}}
}

// Text makes a field of many lines from text.
func Text(name, text string) Field {
	return Field{Var: name, Type: TextMulti, Values: slices.Collect(strings.SplitSeq(text, "\n"))}
}

// Field returns the first field of that name, or nil.
func (f *Form) Field(name string) *Field { return find(f.Fields, name) }

// Get returns the first value of the first field of that name, or "".
func (f *Form) Get(name string) string {
	return f.Field(name).First()
}

// FormType returns the value of the hidden FORM_TYPE field, or "". In a
// submission the field need not be marked as hidden. XEP-0068 §3
func (f *Form) FormType() string {
	field := f.Field(VarFormType)
	if field == nil || field.Type != Hidden && !(f.Type == Submit && field.Type == "") {
		return ""
	}
	return field.First()
}

func find(fields []Field, name string) *Field {
	for i := range fields {
		if fields[i].Var == name {
			return &fields[i]
		}
	}
	return nil
}

// First returns the first value, or "" when there is none or f is nil.
func (f *Field) First() string {
	if f == nil || len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

// Bool returns the value of a boolean field; ok is false when it has none or one
// that is no boolean. XEP-0004 §3.3
func (f *Field) Bool() (v, ok bool) {
	switch f.First() {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}

// Text returns the values joined as lines. XEP-0004 §3.3
func (f *Field) Text() string {
	if f == nil {
		return ""
	}
	return strings.Join(f.Values, "\n")
}

// JIDs returns the values as addresses, duplicates left out. Empty values count
// for nothing. XEP-0004 §3.3
func (f *Field) JIDs() ([]jid.JID, error) {
	if f == nil {
		return nil, nil
	}
	var out []jid.JID
	seen := make(map[jid.JID]bool, len(f.Values))
	for _, v := range f.Values {
		if v == "" {
			continue
		}
		j, err := jid.Parse(v)
		if err != nil {
			return nil, err
		}
		if !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	return out, nil
}
