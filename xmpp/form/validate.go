// SPDX-License-Identifier: Apache-2.0

package form

import (
	"fmt"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Validate compares a submission with f, the form it answers. Fields that f does
// not have are ignored, fields that are not required may be missing, and an empty
// value is as good as none. It changes nothing.
//
// The error is a *stanza.Error: not-acceptable with a text that names the field,
// or bad-request when submission is no submission. XEP-0004 §3.2, §3.3 and §4
func (f *Form) Validate(submission *Form) error {
	if submission.Type != Submit {
		return stanza.BadRequest.Err("not a submission of a data form")
	}
	if want, got := f.FormType(), submission.FormType(); want != "" && got != "" && want != got {
		return stanza.NotAcceptable.Err("this submission belongs to another form")
	}
	answers := make(map[string]*Field, len(submission.Fields))
	for i := range submission.Fields {
		a := &submission.Fields[i]
		if _, twice := answers[a.Var]; twice && a.Var != "" {
			return refuse(a, "is given twice")
		}
		answers[a.Var] = a
	}
	for i := range f.Fields {
		asked := &f.Fields[i]
		if asked.Type == Fixed || asked.Var == "" {
			continue
		}
		if err := asked.check(answers[asked.Var]); err != nil {
			return err
		}
	}
	return nil
}

// check compares an answer, which may be nil, with the field it answers.
func (f *Field) check(answer *Field) error {
	var values []string
	if answer != nil {
		values = slices.Collect(func(yield func(string) bool) {
			for _, v := range answer.Values {
				if v != "" && !yield(v) {
					return
				}
			}
		})
	}
	if len(values) == 0 {
		if f.Required {
			return refuse(f, "is required")
		}
		return nil
	}
	switch f.Type {
	case Hidden:
		return nil
	case TextMulti:
		// Lines are one text, unless each is a value.
		if f.Validate != nil && f.Validate.open() {
			return f.checkValues(values)
		}
		return nil
	case JIDMulti, ListMulti:
	default:
		if len(values) > 1 {
			return refuse(f, "takes one value")
		}
	}
	switch f.Type {
	case Boolean:
		if _, ok := (&Field{Values: values}).Bool(); !ok {
			return refuse(f, "is no boolean")
		}
	case JIDSingle, JIDMulti:
		for _, v := range values {
			if _, err := jid.Parse(v); err != nil {
				return refuse(f, "is no address")
			}
		}
	case ListSingle, ListMulti:
		if f.Validate == nil || !f.Validate.open() {
			if err := f.checkOptions(values); err != nil {
				return err
			}
		}
	}
	return f.checkValues(values)
}

// checkValues checks what XEP-0122 says values must be.
func (f *Field) checkValues(values []string) error {
	if f.Validate == nil {
		return nil
	}
	for _, v := range values {
		if !f.Validate.check(v) {
			return refuse(f, "is not what it must be")
		}
	}
	return nil
}

func (f *Field) checkOptions(values []string) error {
	options := make(map[string]bool, len(f.Options))
	for _, o := range f.Options {
		options[o.Value] = true
	}
	for _, v := range values {
		if !options[v] {
			return refuse(f, "is none of the options")
		}
	}
	return nil
}

func refuse(f *Field, why string) error {
	name := f.Var
	if len(name) > 100 {
		name = name[:100]
	}
	return stanza.NotAcceptable.Err(fmt.Sprintf("the field %q %s", name, why))
}
