// SPDX-License-Identifier: Apache-2.0

package register_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func fields(pairs ...string) []register.Field {
	var out []register.Field
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, register.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// contest is the form of XEP-0077 §3.1.
func contest() *form.Form {
	ask := func(label, name string) form.Field {
		return form.Field{Type: form.TextSingle, Label: label, Var: name, Required: true}
	}
	f := form.New(form.Ask, register.NS,
		ask("Given Name", "first"), ask("Family Name", "last"), ask("Email Address", "email"),
		form.Field{Type: form.ListSingle, Label: "Gender", Var: "x-gender", Options: []form.Option{
			{Label: "Male", Value: "M"}, {Label: "Female", Value: "F"},
		}})
	f.Title = "Contest Registration"
	f.Instructions = []string{"\n        Please provide the following information\n        to sign up for our special contests!\n      "}
	return f
}

func entry() *form.Form {
	filled := func(ft form.FieldType, label, name, value string) form.Field {
		return form.Field{Type: ft, Label: label, Var: name, Values: []string{value}}
	}
	return form.New(form.Submit, register.NS,
		filled(form.TextSingle, "Given Name", "first", "Juliet"),
		filled(form.TextSingle, "Family Name", "last", "Capulet"),
		filled(form.TextSingle, "Email Address", "email", "juliet@capulet.com"),
		filled(form.ListSingle, "Gender", "x-gender", "F"))
}

func TestCodec(t *testing.T) {
	cancel := form.New(form.Ask, register.FormCancel,
		form.Field{Type: form.TextSingle, Label: "Username", Var: "username", Required: true},
		form.Field{Type: form.TextPrivate, Label: "Password", Var: "password", Required: true},
		form.Field{Type: form.TextSingle, Label: "Mother's Maiden Name", Var: "x-mmn", Required: true})
	cancel.Title = "Cancel Registration"
	cancel.Instructions = []string{"Use this form to cancel your registration."}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0077-3.1-request", Want: &register.Query{}},
		{File: "xep0077-3.1-fields", Want: &register.Query{
			Instructions: "\n      Choose a username and password for use with this service.\n      Please also provide your email address.\n    ",
			Fields:       fields(register.Username, "", register.Password, "", register.Email, ""),
		}},
		{File: "xep0077-3.1-registered", Want: &register.Query{
			Registered: true, Fields: fields("username", "juliet", "password", "R0m30", "email", "juliet@capulet.com")}},
		{File: "xep0077-3.1-submit", Want: &register.Query{
			Fields: fields("username", "bill", "password", "Calliope", "email", "bard@shakespeare.lit")}},
		{File: "xep0077-3.1-form", Want: &register.Query{
			Instructions: "\n      Use the enclosed form to register. If your Jabber client does not\n      support Data Forms, visit http://www.example.org/contests.php\n    ",
			Form:         contest(),
		}},
		{File: "xep0077-3.1-form-submit", Want: &register.Query{Form: entry()}},
		{File: "xep0077-3.2-remove", Want: &register.Query{Remove: true}},
		{File: "xep0077-3.2-cancel-form", Want: &register.Query{Form: cancel}},
		{File: "xep0077-3.3-password", Want: &register.Query{Fields: fields("username", "bill", "password", "newpass")}},
		{File: "xep0077-5-redirect", Want: &register.Query{
			Instructions: "\n      To register, visit http://www.example.org/contests.php\n    ",
			URL:          "http://www.example.org/contests.php",
		}},
	})
	for _, body := range []string{
		"<remove/><registered/>", "<remove/><username>x</username>", "<remove/><instructions>x</instructions>",
		"<remove/><x xmlns='jabber:x:data' type='submit'/>", "<remove/><x xmlns='jabber:x:oob'><url>x</url></x>",
		"<username>a</username><username>b</username>", "<x xmlns='jabber:x:data'/>",
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: body, Into: &register.Query{}, Condition: stanza.BadRequest,
			XML: "<query xmlns='jabber:iq:register'>" + body + "</query>"}})
	}
}

// What no field is called is neither read nor written.
func TestUnknownFields(t *testing.T) {
	var q register.Query
	xml := "<query xmlns='jabber:iq:register'><key>x</key><shoesize>44</shoesize><username>a</username></query>"
	if err := xmpptest.Decode(xml, &q); err != nil || len(q.Fields) != 1 {
		t.Errorf("read as %+v, %v", q, err)
	}
	q = register.Query{Fields: fields("shoe size='", "44")}
	if got := string(q.AppendXML(nil)); got != "<query xmlns='jabber:iq:register'/>" {
		t.Errorf("written as %s", got)
	}
}

func TestAnswer(t *testing.T) {
	q := &register.Query{Fields: fields("username", "bill")}
	if q.Answer("username") != "bill" || q.Answer("password") != "" {
		t.Errorf("answers of fields: %+v", q)
	}
	q.Form = form.New(form.Submit, register.NS, form.Value("username", "william"))
	if q.Answer("username") != "william" || q.Answer("email") != "" {
		t.Errorf("answers of a form: %+v", q)
	}
}

func TestValidate(t *testing.T) {
	byFields := &register.Query{Fields: fields("username", "", "password", "")}
	byForm := &register.Query{Form: contest()}
	byBoth := &register.Query{Fields: byFields.Fields, Form: contest()}
	both := fields("username", "a", "password", "b")
	for _, c := range []struct {
		name              string
		asked, submission *register.Query
		want              stanza.Condition
	}{
		{"fields", byFields, &register.Query{Fields: both}, ""},
		{"more fields", byFields, &register.Query{Fields: fields("email", "c", "password", "b", "username", "a")}, ""},
		{"field missing", byFields, &register.Query{Fields: fields("username", "a")}, stanza.NotAcceptable},
		{"field empty", byFields, &register.Query{Fields: fields("username", "a", "password", "")}, stanza.NotAcceptable},
		{"nothing", byFields, &register.Query{}, stanza.NotAcceptable},
		{"form for fields", byFields, &register.Query{Form: entry()}, stanza.NotAcceptable},
		{"form", byForm, &register.Query{Form: entry()}, ""},
		{"form incomplete", byForm, &register.Query{Form: form.New(form.Submit, register.NS)}, stanza.NotAcceptable},
		{"fields for form", byForm, &register.Query{Fields: both}, stanza.NotAcceptable},
		{"form of both", byBoth, &register.Query{Form: entry()}, ""},
		{"fields of both", byBoth, &register.Query{Fields: both}, ""},
		{"both", byBoth, &register.Query{Fields: both, Form: entry()}, stanza.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			xmpptest.Condition(t, c.asked.Validate(c.submission), c.want)
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add((&register.Query{Form: contest(), Instructions: "x", URL: "http://example.org"}).AppendXML(nil))
	f.Add((&register.Query{Fields: fields("username", "<&>", "password", "")}).AppendXML(nil))
	f.Add([]byte("<query xmlns='jabber:iq:register'><remove/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(register.Query))
	})
}
