// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

var (
	hall  = control.Node{ID: "Hall"}
	attic = control.Node{ID: "Attic", Source: "bus", Cache: "lamps"}
)

// everyType is a command of all types.
func everyType() *control.Set {
	return &control.Set{Lang: "sv", Tokens: control.Tokens{Service: "s1", Device: "d1", User: "u1"}, Nodes: []control.Node{hall, attic},
		Parameters: []control.Parameter{
			{Name: "Main", Type: control.TypeBoolean, Value: "false"},
			{Name: "Light", Type: control.TypeColor, Value: "3399ffC0"},
			{Name: "From", Type: control.TypeDate, Value: "2024-05-01"},
			{Name: "At", Type: control.TypeDateTime, Value: "2024-05-01T20:15:00"},
			{Name: "Angle", Type: control.TypeDouble, Value: "-8.190"},
			{Name: "Fade", Type: control.TypeDuration, Value: "PT1M30S"},
			{Name: "Percent", Type: control.TypeInt, Value: "75"},
			{Name: "Ticks", Type: control.TypeLong, Value: "500000000000001"},
			{Name: "Row", Type: control.TypeString, Value: "21 °C & more"},
			{Name: "Off", Type: control.TypeTime, Value: "23:00:00"},
		}}
}

func submission() *control.Set {
	return &control.Set{Lang: "en", Form: &form.Form{Type: form.Submit, Fields: []form.Field{
		{Var: control.VarSession, Type: form.Hidden, Values: []string{"s-17"}},
		{Var: "Fade", Type: form.TextSingle, Values: []string{"PT5S"}},
		{Var: "Percent", Type: form.TextSingle, Values: []string{"10"}},
	}}}
}

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0325-3.1-set", Want: &control.Set{Parameters: []control.Parameter{control.Boolean("Main", true)}}},
		{File: "xep0325-3.2-types", Want: everyType()},
		{File: "xep0325-3.3-submission", Want: submission()},
		{File: "xep0325-3.1-response", Want: &control.SetResponse{}},
		{File: "xep0324-3.3-response", Want: &control.SetResponse{Nodes: []control.Node{hall}, Names: []string{"Main", "Light"}}},
		{File: "xep0325-3.3-getform", Want: &control.GetForm{Lang: "en"}},
		{File: "xep0325-3.4-getform", Want: &control.GetForm{Tokens: control.Tokens{User: "u1"}, Nodes: []control.Node{hall, {ID: "Attic", Source: "bus"}}}},
		{File: "xep0325-3.1-error", Want: &control.ParamErrors{{Name: "Percent", Text: "Not above 100."}}},
	})
}
