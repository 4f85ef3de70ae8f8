// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	nurse := jid.MustParse("nurse@example.com")
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "rfc6121-2.1.3-request", Want: &roster.Query{}},
		{File: "rfc6121-2.6.2-request", Want: &roster.Query{Versioned: true}},
		{File: "rfc6121-2.1.4-result", Want: &roster.Query{Ver: "ver7", Versioned: true, Items: []roster.Item{
			{JID: nurse}, {JID: jid.MustParse("romeo@example.net")},
		}}},
		{File: "rfc6121-2.1.6-push", Want: &roster.Query{Ver: "ver14", Versioned: true, Items: []roster.Item{{
			JID: jid.MustParse("mercutio@example.com"), Name: "Mercutio",
			Groups: []string{"Friends", "Enemies & others"}, Subscription: roster.Both, Ask: true, Approved: true,
		}}}},
		{File: "rfc6121-2.3.1-add", Lossy: true, // we say subscription='none'
			Want: &roster.Query{Items: []roster.Item{{JID: nurse, Name: "Nurse", Groups: []string{"Servants"}}}}},
		{File: "rfc6121-2.5.1-remove", Want: &roster.Query{Items: []roster.Item{
			{JID: nurse, Subscription: roster.Remove}}}},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "no address", Into: &roster.Query{}, Condition: stanza.BadRequest,
			XML: "<query xmlns='jabber:iq:roster'><item name='x'/></query>"},
		{Name: "bad address", Into: &roster.Query{}, Condition: stanza.JIDMalformed,
			XML: "<query xmlns='jabber:iq:roster'><item jid='a@b/'/></query>"},
	})
}

func TestSubscription(t *testing.T) {
	for s, want := range map[roster.Subscription]string{
		roster.None: "none", roster.To: "to", roster.From: "from", roster.Both: "both", roster.Remove: "remove", 7: "invalid",
	} {
		if s.String() != want {
			t.Errorf("%d is %q; want %q", s, s, want)
		}
		if s > roster.Remove {
			continue
		}
		q := &roster.Query{Items: []roster.Item{{JID: jid.MustParse("a@b"), Subscription: s}}}
		var read roster.Query
		if err := xmpptest.Decode(string(q.AppendXML(nil)), &read); err != nil || read.Items[0].Subscription != s {
			t.Errorf("%s is read as %+v, %v", s, read, err)
		}
	}
	var q roster.Query
	xml := "<query xmlns='jabber:iq:roster'><item jid='a@b' subscription='maybe' ask='unsubscribe' approved='1'/></query>"
	if err := xmpptest.Decode(xml, &q); err != nil || q.Items[0].Subscription != roster.None || q.Items[0].Ask || !q.Items[0].Approved {
		t.Errorf("read as %+v, %v", q, err)
	}
}

func TestChange(t *testing.T) {
	limits := roster.Limits{Name: 10, Group: 8, Groups: 3}
	a := jid.MustParse("a@b")
	item := func(name string, groups ...string) []roster.Item {
		return []roster.Item{{JID: a, Name: name, Groups: groups}}
	}
	for _, c := range []struct {
		name  string
		items []roster.Item
		want  stanza.Condition
	}{
		{"no item", nil, stanza.BadRequest},
		{"two items", append(item("x"), item("y")...), stanza.BadRequest},
		{"two removed", []roster.Item{{JID: a, Subscription: roster.Remove}, {JID: a, Subscription: roster.Remove}}, stanza.BadRequest},
		{"plain", item(""), ""},
		{"name of the limit", item("0123456789"), ""},
		{"name too long", item("01234567890"), stanza.NotAcceptable},
		{"name too long in bytes", item("ééééééa"), stanza.NotAcceptable},
		{"groups of the limit", item("", "a", "b", "12345678"), ""},
		{"too many groups", item("", "a", "b", "c", "d"), stanza.NotAcceptable},
		{"group too long", item("", "123456789"), stanza.NotAcceptable},
		{"empty group", item("", "a", ""), stanza.NotAcceptable},
		{"same group twice", item("", "a", "b", "a"), stanza.BadRequest},
		{"same group in two spellings", item("", "\u00e9", "e\u0301"), stanza.BadRequest},
		{"groups that differ in case", item("", "a", "A"), ""},
		{"groups that are no resourceparts", item("", "\t", "\t\t"), ""},
		{"same of those", item("", "\t", "\t"), stanza.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := &roster.Query{Items: c.items}
			got, err := q.Change(limits)
			xmpptest.Condition(t, err, c.want)
			if err == nil && (got.JID != a || got.Name != c.items[0].Name || len(got.Groups) != len(c.items[0].Groups)) {
				t.Errorf("Change = %+v", got)
			}
		})
	}
}

// A client decides on nothing but address, name and groups.
func TestChangeResets(t *testing.T) {
	in := roster.Item{JID: jid.MustParse("a@b"), Name: "x", Subscription: roster.Both, Ask: true, Approved: true}
	limits := roster.Limits{Name: 10, Group: 10, Groups: 10}
	got, err := (&roster.Query{Items: []roster.Item{in}}).Change(limits)
	if err != nil || got.Subscription != roster.None || got.Ask || got.Approved || got.Name != "x" {
		t.Errorf("Change = %+v, %v", got, err)
	}
	in.Subscription = roster.Remove
	in.Name = strings.Repeat("x", 1000) // of no interest any more
	got, err = (&roster.Query{Items: []roster.Item{in}}).Change(limits)
	if err != nil || got.Subscription != roster.Remove || got.JID != in.JID || got.Name != "" {
		t.Errorf("Change = %+v, %v", got, err)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='jabber:iq:roster' ver=''><item jid='a@b' name='&lt;' subscription='to' ask='subscribe'><group>x</group><group/></item></query>"))
	f.Add([]byte("<query xmlns='jabber:iq:roster'><item jid='a@b' subscription='remove'/></query>"))
	limits := roster.Limits{Name: 10, Group: 10, Groups: 5}
	f.Fuzz(func(t *testing.T, input []byte) {
		q, ok := xmpptest.RoundTrip(t, input, new(roster.Query)).(*roster.Query)
		if !ok {
			return
		}
		item, err := q.Change(limits)
		if err != nil {
			return
		}
		// What is accepted once is accepted as it was kept.
		again, err := (&roster.Query{Items: []roster.Item{item}}).Change(limits)
		if err != nil || again.JID != item.JID || again.Name != item.Name {
			t.Fatalf("%+v became %+v, %v", item, again, err)
		}
	})
}

func FuzzStrings(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("'\"<&>", "]]>", " \t\r\n ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		a, b, c = xmpptest.Chars(a), xmpptest.Chars(b), xmpptest.Chars(c)
		xmpptest.Exact(t, &roster.Query{Ver: a, Versioned: true, Items: []roster.Item{
			{JID: jid.MustParse("a@b"), Name: b, Groups: []string{a, b, c}, Subscription: roster.To, Ask: true},
		}})
	})
}
