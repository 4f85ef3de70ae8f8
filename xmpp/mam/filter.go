// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// fieldFullText is the field of XEP-0431 §3.1.
const fieldFullText = "{" + NSFullText + "}fulltext"

// MaxIDs is how many messages a query may name by their ids.
const MaxIDs = 250

// Filter is what the form of a query says. The zero value is all messages. XEP-0313 §4.1
type Filter struct {
	With              jid.JID   // bare: whatever the resource; zero: everybody
	Start, End        time.Time // both included; zero: no bound
	BeforeID, AfterID string    // left out themselves; "": no bound
	IDs               []string  // these messages and no others; nil: all
	IncludeGroupchat  *bool     // nil: as the archive likes
	FullText          string    // "": whatever the text is
}

// Form is the filter as a form to submit.
func (f *Filter) Form() *form.Form {
	out := form.New(form.Submit, NS)
	add := func(name string, values ...string) { out.Fields = append(out.Fields, form.Value(name, values...)) }
	if !f.With.IsZero() {
		add("with", f.With.String())
	}
	if !f.Start.IsZero() {
		add("start", datetime.Format(f.Start))
	}
	if !f.End.IsZero() {
		add("end", datetime.Format(f.End))
	}
	if f.BeforeID != "" {
		add("before-id", f.BeforeID)
	}
	if f.AfterID != "" {
		add("after-id", f.AfterID)
	}
	if f.IDs != nil {
		add("ids", f.IDs...)
	}
	if f.IncludeGroupchat != nil {
		add("include-groupchat", fmt.Sprint(*f.IncludeGroupchat))
	}
	if f.FullText != "" {
		add(fieldFullText, f.FullText)
	}
	return out
}

// Fields is the form that tells which filters there are. XEP-0313 §4.1.5
func Fields(fullText bool) *form.Form {
	fields := []form.Field{
		{Var: "with", Type: form.JIDSingle}, {Var: "start", Type: form.TextSingle}, {Var: "end", Type: form.TextSingle},
		{Var: "before-id", Type: form.TextSingle}, {Var: "after-id", Type: form.TextSingle},
		// The list is any, which has to be said. XEP-0313 §4.1.5
		{Var: "ids", Type: form.ListMulti, Validate: &form.Validation{DataType: "xs:string", Method: form.Open}},
		{Var: "include-groupchat", Type: form.Boolean},
	}
	if fullText {
		fields = append(fields, form.Field{Var: fieldFullText, Type: form.TextSingle})
	}
	return form.New(form.Ask, NS, fields...)
}

// ReadFilter reads the form of a query, nil for none. The error is a *stanza.Error: bad-request for what is not as the
// specification says, and feature-not-implemented for a field that is not known, because to overlook it would be to answer
// another question.
func ReadFilter(f *form.Form) (Filter, error) {
	var out Filter
	if f == nil {
		return out, nil
	}
	if f.Type != form.Submit || f.FormType() != NS {
		return out, stanza.BadRequest.Err("the form of a query is one of " + NS + ", to submit")
	}
	for i := range f.Fields {
		if err := out.read(&f.Fields[i]); err != nil {
			return Filter{}, err
		}
	}
	return out, nil
}

func (f *Filter) read(field *form.Field) (err error) {
	value := field.First()
	if field.Var != "ids" && len(field.Values) > 1 {
		return bad(field, "has one value")
	}
	switch field.Var {
	case form.VarFormType:
	case "ids":
		if len(field.Values) > MaxIDs {
			return stanza.PolicyViolation.Err(fmt.Sprintf("no more than %d ids in one query", MaxIDs))
		}
		f.IDs = append([]string{}, field.Values...)
	case "with":
		if value != "" {
			if f.With, err = jid.Parse(value); err != nil {
				return stanza.JIDMalformed.Err("the address in 'with' is not valid")
			}
		}
	case "start":
		f.Start, err = readTime(field)
	case "end":
		f.End, err = readTime(field)
	case "before-id":
		f.BeforeID = value
	case "after-id":
		f.AfterID = value
	case "include-groupchat":
		if value != "" {
			v, ok := field.Bool()
			if !ok {
				return bad(field, "is true or false")
			}
			f.IncludeGroupchat = &v
		}
	case fieldFullText:
		f.FullText = value
	default:
		return stanza.FeatureNotImplemented.Err("no such filter")
	}
	return err
}

func readTime(field *form.Field) (time.Time, error) {
	if field.First() == "" {
		return time.Time{}, nil
	}
	at, err := datetime.Parse(field.First())
	if err != nil {
		return at, bad(field, "is a time as 2026-01-31T12:00:00Z")
	}
	return at, nil
}

func bad(field *form.Field, why string) error {
	return stanza.BadRequest.Err("the field " + field.Var + " " + why)
}
