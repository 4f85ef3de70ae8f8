// SPDX-License-Identifier: Apache-2.0

package form_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: bot is the form of the specification that most tests
// work on: its codec, what is refused, what is overlooked, and Validate.

// bot is the form of XEP-0004 §5.1.
func bot() *form.Form {
	plain := func(values ...string) []form.Option {
		var out []form.Option
		for _, v := range values {
			label, value, _ := strings.Cut(v, "=")
			out = append(out, form.Option{Label: label, Value: value})
		}
		return out
	}
	f := form.New(form.Ask, "jabber:bot",
		form.Field{Type: form.Fixed, Values: []string{"Section 1: Bot Info"}},
		form.Field{Type: form.TextSingle, Label: "The name of your bot", Var: "botname"},
		form.Field{Type: form.TextMulti, Label: "Helpful description of your bot", Var: "description"},
		form.Field{Type: form.Boolean, Label: "Public bot?", Var: "public", Required: true},
		form.Field{Type: form.TextPrivate, Label: "Password for special access", Var: "password"},
		form.Field{Type: form.Fixed, Values: []string{"Section 2: Features"}},
		form.Field{
			Type: form.ListMulti, Label: "What features will the bot support?", Var: "features",
			Options: plain("Contests=contests", "News=news", "Polls=polls", "Reminders=reminders", "Search=search"),
			Values:  []string{"news", "search"},
		},
		form.Field{Type: form.Fixed, Values: []string{"Section 3: Subscriber List"}},
		form.Field{
			Type: form.ListSingle, Label: "Maximum number of subscribers", Var: "maxsubs", Values: []string{"20"},
			Options: plain("10=10", "20=20", "30=30", "50=50", "100=100", "None=none"),
		},
		form.Field{Type: form.Fixed, Values: []string{"Section 4: Invitations"}},
		form.Field{
			Type: form.JIDMulti, Label: "People to invite", Var: "invitelist",
			Desc: "Tell all your friends about your new bot!",
		},
	)
	f.Title = "Bot Configuration"
	f.Instructions = []string{"Fill out this form to configure your new bot!"}
	return f
}

func TestCodec(t *testing.T) {
	typed := func(ft form.FieldType, name string, values ...string) form.Field {
		return form.Field{Type: ft, Var: name, Values: values}
	}
	row := func(name, url string) []form.Field {
		return []form.Field{form.Value("name", name), form.Value("url", url)}
	}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0325-3.3-form", Want: lamp()},
		{File: "xep0004-3.1-cancel", Want: &form.Form{Type: form.Cancel}},
		{File: "xep0004-5.1-form", Want: bot(), Lossy: true}, // its values stand before or behind their options
		{File: "xep0004-5.1-submit", Want: form.New(form.Submit, "jabber:bot",
			typed(form.TextSingle, "botname", "The Jabber Google Bot"),
			form.Text("description", "This bot enables you to send requests to\n"+
				"Google and receive the search results right\n"+
				"in your Jabber client. It' really cool!\n"+
				"It even supports Google News!"),
			form.Bool("public", false),
			typed(form.TextPrivate, "password", "v3r0na"),
			typed(form.ListMulti, "features", "news", "search"),
			typed(form.ListSingle, "maxsubs", "50"),
			typed(form.JIDMulti, "invitelist", "juliet@capulet.com", "benvolio@montague.net"),
		)},
		{File: "xep0004-5.1-result", Want: form.New(form.Result, "jabber:bot",
			typed(form.TextSingle, "botname", "The Jabber Google Bot"),
			form.Bool("public", false),
			typed(form.TextPrivate, "password", "v3r0na"),
			typed(form.ListMulti, "features", "news", "search"),
			typed(form.ListSingle, "maxsubs", "50"),
			typed(form.JIDMulti, "invitelist", "juliet@capulet.com", "benvolio@montague.net"),
		)},
		{File: "xep0004-5.2-search-submit", Want: form.New(form.Submit, "",
			typed(form.TextSingle, "search_request", "verona"))},
		{File: "xep0004-5.2-search-result", Want: &form.Form{
			Type:     form.Result,
			Title:    "Joogle Search: verona",
			Reported: []form.Field{{Var: "name"}, {Var: "url"}},
			Items: [][]form.Field{
				row("Comune di Verona - Benvenuti nel sito ufficiale", "http://comune.example.org/"),
				row("benvenuto!", "http://hellas.example.org/"),
				row("Universita degli Studi di Verona - Home Page", "http://univr.example.org/"),
				row("Aeroporti del Garda", "http://aeroporto.example.org/"),
				row("Veronafiere - fiera di Verona", "http://fiere.example.org/"),
			},
		}},
	})
}

func TestRefusals(t *testing.T) {
	for name, xml := range map[string]string{
		"no type":                     "<x xmlns='jabber:x:data'/>",
		"unknown type":                "<x xmlns='jabber:x:data' type='error'/>",
		"typed field without name":    "<x xmlns='jabber:x:data' type='submit'><field type='text-single'/></x>",
		"field of a form, no name":    "<x xmlns='jabber:x:data' type='form'><field/></x>",
		"field of a row, no name":     "<x xmlns='jabber:x:data' type='result'><item><field type='boolean'/></item></x>",
		"option without value":        "<x xmlns='jabber:x:data' type='form'><field var='a' type='list-single'><option/></field></x>",
		"option with two values":      "<x xmlns='jabber:x:data' type='form'><field var='a' type='list-single'><option><value/><value/></option></field></x>",
		"two table heads":             "<x xmlns='jabber:x:data' type='result'><reported/><reported/></x>",
		"more fields than we want":    "<x xmlns='jabber:x:data' type='submit'>" + strings.Repeat("<field/>", form.MaxFields+1) + "</x>",
		"more rows than we want":      "<x xmlns='jabber:x:data' type='result'>" + strings.Repeat("<item/>", form.MaxFields+1) + "</x>",
		"more in rows than we want":   "<x xmlns='jabber:x:data' type='result'>" + strings.Repeat("<item><field var='a'/></item>", form.MaxFields/2+1) + "</x>",
		"more in a head than we want": "<x xmlns='jabber:x:data' type='result'><reported>" + strings.Repeat("<field/>", form.MaxFields) + "</reported></x>",
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: name, XML: xml, Into: &form.Form{}, Condition: stanza.BadRequest}})
	}
}

func TestLeniency(t *testing.T) {
	var f form.Form
	xml := "<x xmlns='jabber:x:data' type='submit'><field var='a' type='urn:x:colour'><value>red</value></field>" +
		"<field><value>Section</value></field><field type='fixed'><value>Section</value></field></x>"
	if err := xmpptest.Decode(xml, &f); err != nil {
		t.Fatal(err)
	}
	if f.Fields[0].Type != form.TextSingle {
		t.Errorf("an unknown type is %q", f.Fields[0].Type)
	}
	if len(f.Fields) != 3 {
		t.Errorf("%d fields", len(f.Fields))
	}
}

func TestAccessors(t *testing.T) {
	f := form.New(form.Submit, "urn:x", form.Value("n", "1", "2"), form.Value("none"), form.Bool("yes", true),
		form.Value("j", "A@b", "a@b", "", "c"), form.Value("bad", "@"))
	if f.FormType() != "urn:x" || f.Get("n") != "1" || f.Get("none") != "" || f.Get("missing") != "" {
		t.Errorf("%+v", f)
	}
	if f.Field("missing") != nil || f.Field("missing").Text() != "" || f.Field("n").Text() != "1\n2" {
		t.Error("Field or Text")
	}
	for name, want := range map[string][2]bool{"yes": {true, true}, "n": {true, true}, "none": {}, "missing": {}, "bad": {}} {
		if v, ok := f.Field(name).Bool(); v != want[0] || ok != want[1] {
			t.Errorf("%s is the boolean %t, %t", name, v, ok)
		}
	}
	if v, ok := (&form.Field{Values: []string{"false"}}).Bool(); v || !ok {
		t.Error("false is no boolean")
	}
	addresses, err := f.Field("j").JIDs()
	if err != nil || !slices.Equal(addresses, []jid.JID{jid.MustParse("a@b"), jid.MustParse("c")}) {
		t.Errorf("JIDs = %v, %v", addresses, err)
	}
	if _, err := f.Field("bad").JIDs(); err == nil {
		t.Error("a bad address was taken")
	}
	if list, err := f.Field("missing").JIDs(); list != nil || err != nil {
		t.Errorf("JIDs of nothing = %v, %v", list, err)
	}
	visible := &form.Form{Type: form.Result, Fields: []form.Field{form.Value(form.VarFormType, "urn:x")}}
	if visible.FormType() != "" {
		t.Error("a FORM_TYPE that is not hidden counts")
	}
	visible.Type = form.Submit
	if visible.FormType() != "urn:x" {
		t.Error("the FORM_TYPE of a submission must be marked")
	}
	if (&form.Form{}).FormType() != "" {
		t.Error("FORM_TYPE of nothing")
	}
}

func TestValidate(t *testing.T) {
	submit := func(fields ...form.Field) *form.Form {
		return form.New(form.Submit, "jabber:bot", append([]form.Field{form.Bool("public", true)}, fields...)...)
	}
	for _, c := range []struct {
		name       string
		submission *form.Form
		want       stanza.Condition
	}{
		{"least", submit(), ""},
		{"without FORM_TYPE", form.New(form.Submit, "", form.Bool("public", true)), ""},
		{"of another FORM_TYPE", form.New(form.Submit, "jabber:robot", form.Bool("public", true)), stanza.NotAcceptable},
		{"cancelled", &form.Form{Type: form.Cancel}, stanza.BadRequest},
		{"a form", bot(), stanza.BadRequest},
		{"nothing", form.New(form.Submit, ""), stanza.NotAcceptable},
		{"required but empty", form.New(form.Submit, "", form.Value("public", "")), stanza.NotAcceptable},
		{"required but valueless", form.New(form.Submit, "", form.Value("public")), stanza.NotAcceptable},
		{"unknown field", submit(form.Value("colour", "red")), ""},
		{"fixed fields come back", submit(form.Field{Type: form.Fixed, Values: []string{"x"}},
			form.Field{Type: form.Fixed, Values: []string{"y"}}), ""},
		{"twice", submit(form.Value("botname", "a"), form.Value("botname", "b")), stanza.NotAcceptable},
		{"true", form.New(form.Submit, "", form.Value("public", "true")), ""},
		{"yes", form.New(form.Submit, "", form.Value("public", "yes")), stanza.NotAcceptable},
		{"two booleans", form.New(form.Submit, "", form.Value("public", "1", "1")), stanza.NotAcceptable},
		{"one line", submit(form.Value("botname", "x")), ""},
		{"two lines for one", submit(form.Value("botname", "x", "y")), stanza.NotAcceptable},
		{"one line and an empty one", submit(form.Value("botname", "x", "")), ""},
		{"secret of two lines", submit(form.Value("password", "x", "y")), stanza.NotAcceptable},
		{"lines", submit(form.Value("description", "x", "", "y")), ""},
		{"option", submit(form.Value("maxsubs", "none")), ""},
		{"no option", submit(form.Value("maxsubs", "40")), stanza.NotAcceptable},
		{"option unset", submit(form.Value("maxsubs", "")), ""},
		{"two of one option", submit(form.Value("maxsubs", "10", "20")), stanza.NotAcceptable},
		{"options", submit(form.Value("features", "polls", "news")), ""},
		{"one no option", submit(form.Value("features", "polls", "world peace")), stanza.NotAcceptable},
		{"addresses", submit(form.Value("invitelist", "a@b", "c")), ""},
		{"no address", submit(form.Value("invitelist", "a@b", "@")), stanza.NotAcceptable},
		{"long name in the error", submit(form.Value(strings.Repeat("é", 1000)), form.Value(strings.Repeat("é", 1000))), stanza.NotAcceptable},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := bot().Validate(c.submission)
			xmpptest.Condition(t, err, c.want)
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	single := form.New(form.Ask, "", form.Field{Var: "who", Type: form.JIDSingle}, form.Field{Var: "untyped"})
	xmpptest.Condition(t, single.Validate(form.New(form.Submit, "", form.Value("who", "a@b"), form.Value("untyped", "x"))), "")
	xmpptest.Condition(t, single.Validate(form.New(form.Submit, "", form.Value("who", "a@b", "c@d"))), stanza.NotAcceptable)
	xmpptest.Condition(t, single.Validate(form.New(form.Submit, "", form.Value("who", "a@b@c"))), stanza.NotAcceptable)
	xmpptest.Condition(t, single.Validate(form.New(form.Submit, "", form.Value("untyped", "x", "y"))), stanza.NotAcceptable)
}

func FuzzForm(f *testing.F) {
	f.Add(bot().AppendXML(nil))
	f.Add(lamp().AppendXML(nil))
	f.Add([]byte("<x xmlns='jabber:x:data' type='result'><reported><field var='a'/></reported><item><field var='a'><value>&lt;</value></field></item></x>"))
	f.Add([]byte("<x xmlns='jabber:x:data' type='submit'><field><value/></field><field var='b' type='?'><desc>d</desc><required/></field></x>"))
	ask := bot()
	f.Fuzz(func(t *testing.T, input []byte) {
		got, ok := xmpptest.RoundTrip(t, input, new(form.Form)).(*form.Form)
		if !ok {
			return
		}
		// Whatever is asked and answered, nothing but an answer comes of it.
		_ = ask.Validate(got)
		_ = got.Validate(form.New(form.Submit, ""))
		_ = got.FormType()
	})
}

func FuzzStrings(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("'\"<&>", "]]>", " \t\r\n ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		a, b, c = xmpptest.Chars(a), xmpptest.Chars(b), xmpptest.Chars(c)
		field := form.Field{
			Var: a + "x", Type: form.ListSingle, Label: b, Desc: c, Required: true,
			Values: []string{c, a}, Options: []form.Option{{Label: c, Value: b}},
		}
		xmpptest.Exact(t, &form.Form{
			Type: form.Result, Title: b, Instructions: []string{a, c}, Fields: []form.Field{field},
			Reported: []form.Field{field}, Items: [][]form.Field{{field, field}, {}},
		})
	})
}
