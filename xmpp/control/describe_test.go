// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// lamp is what can be set of a lamp: parameters of all types.
func lamp() []control.Description {
	return []control.Description{
		{Name: "Fade", Type: control.TypeDuration, Label: "Fade", Value: "PT1S", Min: "PT0S", Max: "PT1M", Group: "dim", Page: "Light"},
		{Name: "Percent", Type: control.TypeInt, Label: "Output (%)", Help: "How bright.", Value: "75", Min: "0", Max: "100", Group: "dim", Page: "Light"},
		{Name: "Main", Type: control.TypeBoolean, Value: "true", Page: "Power"},
		{Name: "Color", Type: control.TypeColor, Value: "3399FF"},
		{Name: "Glass", Type: control.TypeColor, Alpha: true},
		{Name: "Ticks", Type: control.TypeLong},
		{Name: "Angle", Type: control.TypeDouble, Min: "-180", Max: "180.5"},
		{Name: "Day", Type: control.TypeDate},
		{Name: "At", Type: control.TypeDateTime, Min: "2024-01-01T00:00:00Z"},
		{Name: "Off", Type: control.TypeTime},
		{Name: "Row", Type: control.TypeString},
		{Name: "Mode", Type: control.TypeString, Value: "eco", Options: []form.Option{{Label: "Economy", Value: "eco"}, {Value: "full"}}},
	}
}

// What can be set is the same after it was a form.
func TestForm(t *testing.T) {
	f := control.Form("Lamp", "s-17", lamp())
	xmpptest.Exact(t, f)
	if f.Type != form.Ask || f.Get(control.VarSession) != "s-17" || f.Fields[0].Type != form.Hidden {
		t.Errorf("%+v", f)
	}
	for i := range f.Fields[1:] {
		field := &f.Fields[i+1]
		if !field.NotSame || field.Required || field.Validate == nil || field.Validate.DataType == "" {
			t.Errorf("%+v", field)
		}
	}
	if len(f.Pages) != 2 || !reflect.DeepEqual(f.Pages[0], form.NewPage("Light", "Fade", "Percent")) {
		t.Errorf("%+v", f.Pages)
	}
	var read form.Form
	if err := xmpptest.Decode(string(f.AppendXML(nil)), &read); err != nil {
		t.Fatal(err)
	}
	if got := control.Descriptions(&read); !reflect.DeepEqual(got, lamp()) {
		t.Errorf("%+v\nwant %+v", got, lamp())
	}
	// Forms of others have what they have.
	f = form.New(form.Ask, "x", form.Field{Var: "a"}, form.Field{Var: "b", Type: form.Boolean}, form.Field{Var: "c", ReadOnly: true}, form.Field{Type: form.Fixed},
		form.Field{Var: "d", Validate: &form.Validation{DataType: "xs:short"}}, form.Field{Var: "e", Validate: &form.Validation{DataType: "xs:decimal"}},
		form.Field{Var: "f", Validate: &form.Validation{DataType: "x:own"}}, form.Field{Var: "g", Validate: &form.Validation{DataType: "xs:integer"}})
	section := form.NewPage("inner", "a")
	f.Pages = []form.Page{{Label: "outer", Parts: []form.Part{{Section: &section}}}}
	want := []control.Description{{Name: "a", Type: control.TypeString, Page: "outer"}, {Name: "b", Type: control.TypeBoolean}, {Name: "d", Type: control.TypeInt},
		{Name: "e", Type: control.TypeDouble}, {Name: "f", Type: control.TypeString}, {Name: "g", Type: control.TypeLong}}
	if got := control.Descriptions(f); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestResolve(t *testing.T) {
	p := func(name string, kind control.Type, value string) control.Parameter {
		return control.Parameter{Name: name, Type: kind, Value: value}
	}
	for _, c := range []struct {
		what string
		set  []control.Parameter // typed; those of no type go into a form
		want string              // NAME=VALUE…, or the condition and the names that are wrong
	}{
		{"all types", []control.Parameter{p("Main", control.TypeBoolean, "false"), p("Color", control.TypeColor, "000000"), p("Glass", control.TypeColor, "000000c0"),
			p("Ticks", control.TypeLong, "5"), p("Angle", control.TypeDouble, "180.50"), p("Day", control.TypeDate, "2024-05-01"),
			p("At", control.TypeDateTime, "2024-05-01T06:00:00"), p("Off", control.TypeTime, "23:00:00"), p("Row", control.TypeString, ""),
			p("Mode", control.TypeString, "full"), p("Fade", control.TypeDuration, "PT60S"), p("Percent", control.TypeInt, "100")},
			"Main=false Color=000000 Glass=000000c0 Ticks=5 Angle=180.50 Day=2024-05-01 At=2024-05-01T06:00:00 Off=23:00:00 Row= Mode=full Fade=PT60S Percent=100"},
		{"a form", []control.Parameter{p("Main", 0, "1"), p("Percent", 0, " 5 "), p("Row", 0, ""), p("Mode", 0, "eco")}, "Main=true Percent=5 Row= Mode=eco"},
		{"both", []control.Parameter{p("Percent", control.TypeInt, "5"), p("Main", 0, "0")}, "Percent=5 Main=false"},
		{"wider numbers", []control.Parameter{p("Percent", control.TypeLong, "5"), p("Ticks", control.TypeInt, "6"), p("Angle", control.TypeInt, "7")}, "Percent=5 Ticks=6 Angle=7"},
		{"a form that is not filled in", []control.Parameter{p("Percent", 0, ""), p("Mode", 0, ""), p("Main", 0, "1")}, "Main=true"},
		{"nothing", nil, "bad-request"},
		{"an empty form", []control.Parameter{p("Percent", 0, "")}, "bad-request"},
		{"a number that does not fit", []control.Parameter{p("Percent", control.TypeLong, "3000000000")}, "bad-request Percent"},
		{"another type", []control.Parameter{p("Main", control.TypeInt, "1"), p("Percent", control.TypeString, "5"), p("Row", control.TypeInt, "1"), p("Ticks", control.TypeDouble, "1")}, "bad-request Main Percent Row Ticks"},
		{"unknown", []control.Parameter{p("Main", control.TypeBoolean, "true"), p("Horn", control.TypeBoolean, "true")}, "item-not-found Horn"},
		{"bounds", []control.Parameter{p("Percent", control.TypeInt, "101"), p("Angle", control.TypeDouble, "-180.1"), p("Fade", control.TypeDuration, "-PT1S"), p("At", control.TypeDateTime, "2023-12-31T23:59:59Z")},
			"bad-request Percent Angle Fade At"},
		{"bounds of a form", []control.Parameter{p("Percent", 0, "-1"), p("Angle", 0, "1e9")}, "bad-request Percent Angle"},
		{"no values", []control.Parameter{p("Percent", 0, "x"), p("Day", 0, "today"), p("Color", 0, "red")}, "bad-request Percent Day Color"},
		{"no number", []control.Parameter{p("Angle", control.TypeDouble, "NaN")}, "bad-request Angle"},
		{"infinite", []control.Parameter{p("Angle", control.TypeDouble, "INF")}, "bad-request Angle"},
		{"an option that there is not", []control.Parameter{p("Mode", control.TypeString, "half")}, "bad-request Mode"},
		{"no option", []control.Parameter{p("Mode", control.TypeString, "")}, "bad-request Mode"},
		{"a color that shines through", []control.Parameter{p("Color", control.TypeColor, "000000c0")}, "bad-request Color"},
		{"twice", []control.Parameter{p("Main", control.TypeBoolean, "true"), p("Main", 0, "0")}, "bad-request Main"},
	} {
		s := &control.Set{}
		for _, v := range c.set {
			if v.Type != 0 {
				s.Parameters = append(s.Parameters, v)
				continue
			}
			if s.Form == nil {
				s.Form = form.New(form.Submit, "", form.Value(control.VarSession, "s"))
			}
			s.Form.Fields = append(s.Form.Fields, form.Value(v.Name, v.Value))
		}
		got, err := s.Resolve(lamp())
		var words []string
		var e *stanza.Error
		if errors.As(err, &e) {
			words = append(words, string(e.Condition))
			if errs, ok := e.App.(*control.ParamErrors); ok {
				for _, w := range *errs {
					words = append(words, w.Name)
					if w.Text == "" {
						t.Errorf("%s: nobody knows why", c.what)
					}
				}
			}
			if got != nil {
				t.Errorf("%s: %+v although it is refused", c.what, got)
			}
		}
		for _, v := range got {
			words = append(words, v.Name+"="+v.Value)
			if i := slices.IndexFunc(lamp(), func(d control.Description) bool { return d.Name == v.Name }); lamp()[i].Type != v.Type {
				t.Errorf("%s: %s is a %s", c.what, v.Name, v.Type)
			}
		}
		if text := strings.Join(words, " "); text != c.want {
			t.Errorf("%s: %s, want %s", c.what, text, c.want)
		}
	}
}

func TestCommon(t *testing.T) {
	a := []control.Description{
		{Name: "x", Type: control.TypeInt, Min: "0", Max: "100", Value: "5"},
		{Name: "y", Type: control.TypeInt},
		{Name: "m", Type: control.TypeString, Options: []form.Option{{Value: "a"}, {Value: "b"}}},
		{Name: "o", Type: control.TypeString, Options: []form.Option{{Value: "a"}}},
		{Name: "r", Type: control.TypeInt, Max: "5"},
		{Name: "c", Type: control.TypeColor, Alpha: true},
		{Name: "free", Type: control.TypeString},
	}
	b := []control.Description{
		{Name: "c", Type: control.TypeColor},
		{Name: "r", Type: control.TypeInt, Min: "6"},
		{Name: "m", Type: control.TypeString, Options: []form.Option{{Value: "b"}, {Value: "c"}}},
		{Name: "o", Type: control.TypeString, Options: []form.Option{{Value: "z"}}},
		{Name: "y", Type: control.TypeBoolean},
		{Name: "x", Type: control.TypeInt, Min: "-5", Max: "50", Value: "6"},
		{Name: "free", Type: control.TypeString, Options: []form.Option{{Value: "only"}}},
	}
	want := []control.Description{
		{Name: "x", Type: control.TypeInt, Min: "0", Max: "50"},
		{Name: "m", Type: control.TypeString, Options: []form.Option{{Value: "b"}}},
		{Name: "c", Type: control.TypeColor},
		{Name: "free", Type: control.TypeString, Options: []form.Option{{Value: "only"}}},
	}
	if got := control.Common(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := control.Common(a); !reflect.DeepEqual(got, a) {
		t.Errorf("of one: %+v", got)
	}
	if got := control.Common(); got != nil {
		t.Errorf("of none: %+v", got)
	}
	if len(a[2].Options) != 2 || a[0].Max != "100" {
		t.Errorf("what was given has changed: %+v", a)
	}
}
