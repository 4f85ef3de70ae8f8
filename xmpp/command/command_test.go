// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const open = "<command xmlns='http://jabber.org/protocol/commands' "

// lamps is the form of a stage about a lamp, and filled what comes back.
func lamps() *form.Form {
	f := form.New(form.Ask, "", form.Field{Var: "lamp", Type: form.ListSingle, Label: "Lamp", Required: true,
		Options: []form.Option{{Label: "Hall", Value: "hall"}, {Value: "stairs"}}})
	f.Title = "Which lamp?"
	return f
}

func filled(pairs ...string) *form.Form {
	f := form.New(form.Submit, "")
	for i := 0; i < len(pairs); i += 2 {
		f.Fields = append(f.Fields, form.Field{Var: pairs[i], Type: form.TextSingle, Values: []string{pairs[i+1]}})
	}
	return f
}

func TestCodec(t *testing.T) {
	for xml, want := range map[string]command.Command{
		// §2.4.1, §2.4.2, §2.4.3
		open + "node='list' action='execute'/>":                                          {Node: "list", Action: command.Execute},
		open + "node='config' sessionid='1' action='prev'/>":                             {Node: "config", Session: "1", Action: command.Prev},
		open + "node='config' sessionid='1' action='cancel'/>":                           {Node: "config", Session: "1", Action: command.Cancel},
		open + "node='config' sessionid='1' status='canceled'/>":                         {Node: "config", Session: "1", Status: command.Canceled},
		open + "xml:lang='en' node='&lt;&amp;&apos;' sessionid='1' status='completed'/>": {Node: "<&'", Session: "1", Status: command.Completed, Lang: "en"},
		open + "node='config' sessionid='1' status='executing'><actions execute='complete'><prev/><complete/></actions>" + string(lamps().AppendXML(nil)) + "</command>": {
			Node: "config", Session: "1", Status: command.Executing, Form: lamps(), Actions: &command.Actions{Default: command.Complete, Prev: true, Complete: true}},
		open + "node='config' sessionid='1'>" + string(filled("lamp", "hall").AppendXML(nil)) + "</command>": {
			Node: "config", Session: "1", Form: filled("lamp", "hall")},
		open + "node='config' sessionid='1' status='completed'><note type='info'>It shines.</note><note type='warn'>&lt;old&gt;</note></command>": {
			Node: "config", Session: "1", Status: command.Completed, Notes: []command.Note{{command.Info, "It shines."}, {command.Warn, "<old>"}}},
		open + "node='help' status='completed'><x xmlns='jabber:x:oob'><url>u</url></x><a xmlns='u:a'/></command>": { // §3.5
			Node: "help", Status: command.Completed, Payload: []stanza.Raw{
				{Name: xmlstream.Name{Space: "jabber:x:oob", Local: "x"}, Bytes: []byte("<x xmlns='jabber:x:oob'><url>u</url></x>")},
				{Name: xmlstream.Name{Space: "u:a", Local: "a"}, Bytes: []byte("<a xmlns='u:a'/>")}}},
	} {
		c := command.Command{Node: "used", Notes: make([]command.Note, 1)}
		if err := xmpptest.Decode(xml, &c); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s\nis read as %+v, %v\nwant         %+v", xml, c, err, want)
		}
		if got := string(want.AppendXML([]byte("<x/>"))); got != "<x/>"+xml {
			t.Errorf("%s\nis written %s", xml, got)
		}
	}
}

// What no specification knows is overlooked.
func TestLenient(t *testing.T) {
	for xml, want := range map[string]command.Command{
		"status='done' later='1'/>":                                                        {Node: "n"},
		"><later/><a xmlns=''/></command>":                                                 {Node: "n"},
		"><note type='loud'>x</note><note/></command>":                                     {Node: "n", Notes: []command.Note{{command.Info, "x"}, {command.Info, ""}}},
		"><actions execute='cancel'><undo/><next/><prev xmlns='u:a'/></actions></command>": {Node: "n", Actions: &command.Actions{Next: true}},
	} {
		var c command.Command
		if err := xmpptest.Decode(open+"node='n' "+xml, &c); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s is read as %+v, %v", xml, c, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for xml, want := range map[string]command.Condition{
		"/>":                       "",
		"node=''/>":                "",
		"node='n' action='undo'/>": command.MalformedAction,
		"node='n'><x xmlns='jabber:x:data'/></command>":                                     "",
		"node='n'>" + strings.Repeat("<note/>", command.MaxParts+1) + "</command>":          command.BadPayload,
		"node='n'>" + strings.Repeat("<a xmlns='u:a'/>", command.MaxParts+1) + "</command>": command.BadPayload,
	} {
		err := xmpptest.Decode(open+xml, new(command.Command))
		xmpptest.Condition(t, err, stanza.BadRequest)
		if e, _ := stanza.AsError(err); e != nil {
			if got := conditionOf(e); got != want {
				t.Errorf("%.40s is refused with %q, want %q", xml, got, want)
			}
		}
	}
}

func conditionOf(e *stanza.Error) command.Condition {
	s := stanza.New(stanza.IQ, stanza.TypeError, jid.JID{}, e)
	return command.ConditionOf(s)
}

// §4.4
func TestErrors(t *testing.T) {
	for c, want := range map[command.Condition]stanza.Condition{
		command.MalformedAction: stanza.BadRequest, command.BadAction: stanza.BadRequest, command.BadLocale: stanza.BadRequest,
		command.BadPayload: stanza.BadRequest, command.BadSessionID: stanza.BadRequest, command.SessionExpired: stanza.NotAllowed,
	} {
		e := command.Err(c, "why")
		if got := conditionOf(e); e.Condition != want || got != c {
			t.Errorf("%s is %s with %s", c, e.Condition, got)
		}
	}
	strange := command.Condition("tired")
	e := stanza.BadRequest.Err("")
	e.App = &strange
	if got := conditionOf(e); got != "" {
		t.Errorf("an unknown condition is %q", got)
	}
	if got := command.ConditionOf(stanza.New(stanza.IQ, stanza.Result, jid.JID{})); got != "" {
		t.Errorf("a result has the condition %q", got)
	}
	if n, failed := (&command.Command{Notes: []command.Note{{command.Warn, "a"}, {command.Error, "b"}}}).Failed(); !failed || n.Text != "b" {
		t.Errorf("failed: %v, %v", n, failed)
	}
	if _, failed := (&command.Command{Notes: []command.Note{{command.Warn, "a"}}}).Failed(); failed {
		t.Error("a warning is a failure")
	}
}

// §3.4
func TestActions(t *testing.T) {
	for _, c := range []struct {
		name    string
		actions *command.Actions
		action  command.Action
		want    command.Action // "": refused
	}{
		{"nothing said, nothing asked", nil, "", command.Complete},
		{"nothing said", nil, command.Execute, command.Complete},
		{"nothing said, next", nil, command.Next, ""},
		{"nothing said, cancel", nil, command.Cancel, command.Cancel},
		{"no default", &command.Actions{Next: true}, "", command.Next},
		{"no default, no next", &command.Actions{Complete: true}, command.Execute, ""},
		{"default", command.Allow(command.Complete, command.Prev), command.Execute, command.Complete},
		{"not the default", command.Allow(command.Complete, command.Prev), command.Prev, command.Prev},
		{"not among them", command.Allow(command.Complete, command.Prev), command.Next, ""},
		{"cancel", command.Allow(command.Next), command.Cancel, command.Cancel},
		{"no action", command.Allow(command.Next), "undo", ""},
	} {
		got, ok := c.actions.Resolve(c.action)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s: %q, %t; want %q", c.name, got, ok, c.want)
		}
	}
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte(open + "node='n' sessionid='1' action='next' status='executing' xml:lang='de'><actions execute='next'><next/></actions><note type='warn'>x</note></command>"))
	f.Add((&command.Command{Node: "n", Form: lamps(), Payload: []stanza.Raw{{Name: xmlstream.Name{Space: "u:a", Local: "a"}, Bytes: []byte("<a xmlns='u:a'/>")}}}).AppendXML(nil))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(command.Command)) })
}
