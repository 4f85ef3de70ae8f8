// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestCodec(t *testing.T) {
	francisco, bard := jid.MustParse("francisco@denmark.lit"), jid.MustParse("bard@shakespeare.lit")
	redirect := &pubsub.Delete{Node: "princely_musings", Redirect: "xmpp:hamlet@denmark.lit?;node=blog"}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0060-5.6-subscriptions", Want: &pubsub.Request{Subscriptions: &pubsub.Subscriptions{List: []pubsub.Subscription{
			{Node: "node1", JID: francisco, State: pubsub.Subscribed},
			{Node: "node6", JID: francisco, State: pubsub.Pending, SubID: "123-abc"},
		}}}},
		{File: "xep0060-5.7-affiliations", Want: &pubsub.Request{Affiliations: &pubsub.Affiliations{List: []pubsub.AffiliationOf{
			{Node: "node1", Affiliation: pubsub.Owner}, {Node: "node5", Affiliation: pubsub.Outcast},
		}}}},
		{File: "xep0060-6.1.1-subscribe", Want: &pubsub.Request{Subscribe: &pubsub.Subscription{Node: "princely_musings", JID: francisco}}},
		{File: "xep0060-6.1.5-configurable", Want: &pubsub.Request{Subscription: &pubsub.Subscription{
			Node: "princely_musings", JID: francisco, State: pubsub.Unconfigured, Options: true,
		}}},
		{File: "xep0060-6.3.7-configured", Want: &pubsub.Request{
			Subscribe: &pubsub.Subscription{Node: "princely_musings", JID: francisco},
			Options:   &pubsub.Options{Form: form.New(form.Submit, pubsub.FormOptions, form.Value("pubsub#deliver", "1"))},
		}},
		{File: "xep0060-8.1.3-create", Want: &pubsub.Request{Configure: true, Create: &pubsub.NodeForm{
			Node: "princely_musings", Form: form.New(form.Submit, pubsub.FormConfig, form.Value("pubsub#title", "Princely Musings (Atom)")),
		}}},
		{File: "xep0060-8.3.2-default", Want: &pubsub.OwnerRequest{Default: &pubsub.NodeForm{}}},
		{File: "xep0060-8.4.1-redirect", Want: &pubsub.OwnerRequest{Delete: redirect}},
		{File: "xep0060-8.5.1-purge", Want: &pubsub.OwnerRequest{Purge: &pubsub.Node{Node: "princely_musings"}}},
		{File: "xep0060-8.8.2-subscriptions", Want: &pubsub.OwnerRequest{Subscriptions: &pubsub.Subscriptions{
			Node: "princely_musings", List: []pubsub.Subscription{
				{JID: jid.MustParse("polonius@denmark.lit"), State: pubsub.StateNone}, {JID: bard, State: pubsub.Subscribed},
			},
		}}},
		{File: "xep0060-8.9.2-affiliations", Want: &pubsub.OwnerRequest{Affiliations: &pubsub.Affiliations{
			Node: "princely_musings", List: []pubsub.AffiliationOf{{JID: bard, Affiliation: pubsub.Publisher}},
		}}},
		{File: "xep0060-8.4.2-deleted", Want: &pubsub.Event{Delete: redirect}},
		{File: "xep0060-8.5.2-purged", Want: &pubsub.Event{Purge: &pubsub.Node{Node: "princely_musings"}}},
		{File: "xep0060-7.2.2.1-retracted", Want: &pubsub.Event{Items: &pubsub.EventItems{
			Node: "princely_musings", Retract: []string{"ae890ac52d0df67ed7cfdf51b644e901"},
		}}},
		{File: "xep0060-13.14-subscription", Want: &pubsub.Event{Subscription: &pubsub.Subscription{
			Node: "princely_musings", JID: jid.MustParse("horatio@denmark.lit"), State: pubsub.Subscribed,
		}}},
		{File: "xep0060-8.2.5.3-configuration", Want: &pubsub.Event{Configuration: &pubsub.NodeForm{Node: "princely_musings"}}},
		{File: "xep0060-7.1.3.6-item-required", Want: &pubsub.Condition{Local: pubsub.ItemRequired}},
	})
}

func decode(p stanza.Payload, text string) error {
	return p.DecodeXML(xmlstream.NewReader(text, stanza.NSClient))
}

// TestItems: payloads stand alone, whatever they leaned on, and are counted.
func TestItems(t *testing.T) {
	var q pubsub.Request
	err := decode(&q, "<pubsub xmlns='"+pubsub.NS+"' xmlns:g='u:g'><publish node='n'>"+
		"<item id='1' publisher='a@b'><g:x>&lt;</g:x></item><item id='2'><a xmlns='u:a'/><b/></item><item/></publish></pubsub>")
	if err != nil {
		t.Fatal(err)
	}
	list := q.Publish.Items
	for i, want := range []pubsub.Item{
		{ID: "1", Publisher: "a@b", Payload: []byte("<g:x xmlns:g='u:g'>&lt;</g:x>"), Elements: 1},
		{ID: "2", Payload: []byte("<a xmlns='u:a'/><b xmlns='" + pubsub.NS + "'/>"), Elements: 2},
		{},
	} {
		got := list[i]
		if got.ID != want.ID || got.Publisher != want.Publisher || string(got.Payload) != string(want.Payload) || got.Elements != want.Elements {
			t.Errorf("item %d: %+v %s", i, got, got.Payload)
		}
	}
	two := 2
	ask := &pubsub.Request{Items: &pubsub.Items{Node: "a&b", Max: &two, Items: []pubsub.Item{{ID: "x"}}}}
	var again pubsub.Request
	if err := decode(&again, string(ask.AppendXML(nil))); err != nil || *again.Items.Max != 2 || again.Items.Node != "a&b" || again.Items.Items[0].ID != "x" {
		t.Errorf("%+v %v", again.Items, err)
	}
}

// TestRefused: what cannot be read is refused by the error that the specification has.
func TestRefused(t *testing.T) {
	for text, want := range map[string]stanza.Condition{
		"<subscribe node='n' jid='@'/>":                                 stanza.JIDMalformed,
		"<items node='n' max_items='many'/>":                            stanza.BadRequest,
		"<configure/>":                                                  stanza.BadRequest,
		"<create node='a'/><configure node='b'/>":                       stanza.BadRequest,
		"<options><x xmlns='jabber:x:data' type='sideways'/></options>": stanza.BadRequest,
	} {
		var e *stanza.Error
		if err := decode(new(pubsub.Request), "<pubsub xmlns='"+pubsub.NS+"'>"+text+"</pubsub>"); !errors.As(err, &e) || e.Condition != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestCondition(t *testing.T) {
	s := stanza.New(stanza.IQ, stanza.TypeError, jid.MustParse("a@b"), pubsub.ErrUnsupported("collections"))
	if c, ok := pubsub.ConditionOf(s); !ok || c.Local != pubsub.Unsupported || c.Feature != "collections" {
		t.Errorf("%+v %v", c, ok)
	}
	if _, ok := pubsub.ConditionOf(stanza.New(stanza.IQ, stanza.TypeError, jid.JID{}, stanza.Gone.Err(""))); ok {
		t.Error("a condition where there is none")
	}
}

// TestConfig: what a form says is kept, and what it cannot say is refused and changes nothing that counts.
func TestConfig(t *testing.T) {
	c := pubsub.Config{Access: pubsub.AccessOpen, Publish: pubsub.PublishOpen, SendLast: pubsub.SendNever,
		NodeFull: pubsub.Reject, ItemReply: pubsub.ReplyNone, Notification: pubsub.NotifyNormal,
		MaxItems: pubsub.Max, Expire: 60, Title: "T", RosterGroups: []string{"a", "b c"}, Persist: true}
	var d pubsub.Config
	if err := d.Apply(c.Form(form.Submit), true); err != nil || !d.Equal(&c) {
		t.Errorf("%v\n%+v\n%+v", err, d, c)
	}
	if f := c.Form(form.Ask); len(f.Field("pubsub#access_model").Options) != 5 || f.Get("pubsub#max_items") != "max" {
		t.Error("the form to fill in")
	}
	d.Title = "other"
	if d.Equal(&c) {
		t.Error("equal, though a title differs")
	}
	for _, x := range []struct {
		field, value string
		want         stanza.Condition
	}{
		{"pubsub#access_model", "closed", stanza.NotAcceptable},
		{"pubsub#max_items", "-1", stanza.NotAcceptable},
		{"pubsub#max_items", "many", stanza.NotAcceptable},
		{"pubsub#persist_items", "maybe", stanza.NotAcceptable},
		{"pubsub#publish_model", "", stanza.NotAcceptable},
		{"pubsub#node_type", "collection", stanza.FeatureNotImplemented},
		{"pubsub#unheard_of", "1", stanza.NotAcceptable},
	} {
		var e *stanza.Error
		if err := d.Apply(form.New(form.Submit, pubsub.FormConfig, form.Value(x.field, x.value)), true); !errors.As(err, &e) || e.Condition != x.want {
			t.Errorf("%s=%s: %v, want %s", x.field, x.value, err, x.want)
		}
	}
	if err := d.Apply(form.New(form.Submit, pubsub.FormConfig, form.Value("pubsub#unheard_of", "1")), false); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []pubsub.SubscribeOptions{
		pubsub.DefaultOptions(), {Show: []string{"chat", "online"}}, {Deliver: true, Temporary: true},
		{Deliver: true, Expire: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		got := pubsub.SubscribeOptions{}
		if err := got.Apply(o.Form(form.Submit)); err != nil || strings.Join(got.Show, " ") != strings.Join(o.Show, " ") ||
			got.Deliver != o.Deliver || got.Temporary != o.Temporary || !got.Expire.Equal(o.Expire) {
			t.Errorf("%v: %+v, want %+v", err, got, o)
		}
	}
	for field, value := range map[string]string{
		"pubsub#deliver": "x", "pubsub#digest": "1", "pubsub#include_body": "true", "pubsub#show-values": "busy",
		"pubsub#expire": "tomorrow", "pubsub#subscription_type": "nodes", "pubsub#other": "1",
	} {
		o := pubsub.DefaultOptions()
		if err := o.Apply(form.New(form.Submit, pubsub.FormOptions, form.Value(field, value))); err == nil {
			t.Errorf("%s=%s is accepted", field, value)
		}
	}
	o := pubsub.DefaultOptions()
	if err := o.Apply(form.New(form.Cancel, pubsub.FormOptions)); err == nil {
		t.Error("a cancelled form is applied")
	}
}

func TestAuthorization(t *testing.T) {
	a := pubsub.Authorization{Node: "n", Subscriber: "a@b"}
	f := a.Form()
	f.Type = form.Submit
	f.Field("pubsub#allow").Values = []string{"true"}
	if got, ok := pubsub.AuthorizationOf(f); !ok || !got.Allow || got.Node != "n" || got.Subscriber != "a@b" {
		t.Errorf("%+v %v", got, ok)
	}
	if _, ok := pubsub.AuthorizationOf(a.Form()); ok {
		t.Error("a question is taken for an answer")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("<pubsub xmlns='" + pubsub.NS + "'><publish node='n'><item id='1'><x xmlns='u:x'/></item></publish></pubsub>"))
	f.Add([]byte("<pubsub xmlns='" + pubsub.NS + "'><items node='n' max_items='2'><item id='1'/></items></pubsub>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(pubsub.Request)) })
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte("<event xmlns='" + pubsub.NSEvent + "'><items node='n'><item id='1'><x/></item><retract id='2'/></items></event>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(pubsub.Event)) })
}
