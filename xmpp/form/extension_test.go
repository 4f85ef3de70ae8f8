// SPDX-License-Identifier: Apache-2.0

package form_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// lamp is a form with all that other specifications put into one.
func lamp() *form.Form {
	light := form.NewPage("Light", "Percent", "Light")
	return &form.Form{
		Type: form.Ask, Title: "Lamp",
		Pages: []form.Page{
			{Label: "Output", Parts: []form.Part{{Var: "Main"}, {Text: "How bright, and how it gets there:"}, {Section: &light}, {Reported: true}}},
			{},
		},
		Fields: []form.Field{
			{Var: "Main", Type: form.Boolean, Label: "Main switch", Desc: "On or off.", Values: []string{"true"},
				Validate: &form.Validation{DataType: "xs:boolean", Method: form.Basic}, NotSame: true},
			{Var: "Percent", Type: form.TextSingle, Values: []string{"120"}, PostBack: true, Error: "Not above 100.", Group: "dim",
				Validate: &form.Validation{DataType: "xs:int", Method: form.Range, Min: "0", Max: "100"}},
			{Var: "Light", Type: form.TextSingle, Validate: &form.Validation{DataType: form.Color, Method: form.Regex, Regex: "^[0-9a-fA-F]{6}$"}},
			{Var: "Mode", Type: form.ListSingle, Options: []form.Option{{Value: "eco"}}, ReadOnly: true, Validate: &form.Validation{Method: form.Open}},
		},
	}
}

func TestExtensions(t *testing.T) {
	xmpptest.Exact(t, lamp())
	for name, c := range map[string]struct {
		xml  string
		want form.Validation
	}{
		"no method":      {"<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:date'/>", form.Validation{DataType: "xs:date", Method: form.Basic}},
		"unknown method": {"<validate xmlns='http://jabber.org/protocol/xdata-validate'><oracle/></validate>", form.Validation{Method: form.Basic}},
		"two methods":    {"<validate xmlns='http://jabber.org/protocol/xdata-validate'><range min='1'/><regex>a</regex></validate>", form.Validation{Method: form.Regex, Regex: "a"}},
	} {
		var f form.Form
		err := xmpptest.Decode("<x xmlns='jabber:x:data' type='form'><field var='a'>"+c.xml+"</field></x>", &f)
		if err != nil || !reflect.DeepEqual(f.Fields[0].Validate, &c.want) {
			t.Errorf("%s: %+v, %v", name, f.Fields, err)
		}
	}
	const page = "<page xmlns='http://jabber.org/protocol/xdata-layout'>"
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "sections", XML: "<x xmlns='jabber:x:data' type='form'>" + page + strings.Repeat("<section>", 20) + strings.Repeat("</section>", 20) + "</page></x>",
			Into: &form.Form{}, Condition: stanza.BadRequest},
		{Name: "parts", XML: "<x xmlns='jabber:x:data' type='form'>" + page + strings.Repeat("<fieldref var='a'/>", form.MaxParts) + "</page></x>",
			Into: &form.Form{}, Condition: stanza.BadRequest},
		{Name: "pages", XML: "<x xmlns='jabber:x:data' type='form'>" + strings.Repeat(page+"</page>", form.MaxParts+1) + "</x>", Into: &form.Form{}, Condition: stanza.BadRequest},
	})
}

// XEP-0122 §3: what values must be.
func TestValidation(t *testing.T) {
	ask := form.New(form.Ask, "",
		form.Field{Var: "int", Validate: &form.Validation{DataType: "xs:int", Method: form.Range, Min: "-5", Max: "100"}},
		form.Field{Var: "low", Validate: &form.Validation{DataType: "xs:double", Method: form.Range, Min: "0.5"}},
		form.Field{Var: "date", Validate: &form.Validation{DataType: "xs:dateTime"}},
		form.Field{Var: "color", Validate: &form.Validation{DataType: form.Color, Method: form.Regex, Regex: "x"}},
		form.Field{Var: "open", Type: form.ListSingle, Options: []form.Option{{Value: "1"}}, Validate: &form.Validation{DataType: "xs:int", Method: form.Open}},
		form.Field{Var: "closed", Type: form.ListMulti, Options: []form.Option{{Value: "1"}, {Value: "x"}}, Validate: &form.Validation{DataType: "xs:int"}},
		form.Field{Var: "ranged", Type: form.ListSingle, Options: []form.Option{{Value: "1"}}, Validate: &form.Validation{DataType: "xs:int", Method: form.Range, Max: "9"}},
		form.Field{Var: "lines", Type: form.TextMulti, Validate: &form.Validation{DataType: "xs:int", Method: form.Open}},
		form.Field{Var: "text", Type: form.TextMulti, Validate: &form.Validation{DataType: "xs:int"}},
	)
	for _, c := range []struct {
		name string
		good bool
		v    []string
	}{
		{"int", true, []string{"-5"}}, {"int", true, []string{" 100 "}}, {"int", true, nil},
		{"int", false, []string{"-6"}}, {"int", false, []string{"101"}}, {"int", false, []string{"1.0"}},
		{"low", true, []string{"1e300"}}, {"low", false, []string{"0.4"}},
		{"date", true, []string{"2024-05-01T06:00:00Z"}}, {"date", false, []string{"noon"}},
		{"color", true, []string{"whatever"}}, // its type is not known here, and expressions are not tried
		{"open", true, []string{"7"}}, {"open", false, []string{"x"}},
		{"ranged", true, []string{"9"}}, {"ranged", false, []string{"10"}},
		{"closed", true, []string{"1"}}, {"closed", false, []string{"7"}}, {"closed", false, []string{"1", "x"}},
		{"lines", true, []string{"1", "2"}}, {"lines", false, []string{"1", "b"}},
		{"text", true, []string{"a", "b"}},
	} {
		want := stanza.Condition("")
		if !c.good {
			want = stanza.NotAcceptable
		}
		t.Run(c.name, func(t *testing.T) {
			xmpptest.Condition(t, ask.Validate(form.New(form.Submit, "", form.Value(c.name, c.v...))), want)
		})
	}
}
