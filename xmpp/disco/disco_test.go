// SPDX-License-Identifier: Apache-2.0

package disco_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func items(pairs ...string) []disco.Item {
	var out []disco.Item
	for i := 0; i < len(pairs); i += 3 {
		out = append(out, disco.Item{JID: jid.MustParse(pairs[i]), Node: pairs[i+1], Name: pairs[i+2]})
	}
	return out
}

func TestCodec(t *testing.T) {
	labelled := func(name, label, value string) form.Field {
		return form.Field{Var: name, Label: label, Values: []string{value}}
	}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0030-3.1-request", Want: &disco.Info{}},
		{File: "xep0030-3.1-result", Want: &disco.Info{
			Identities: []disco.Identity{
				{Category: "conference", Type: "text", Name: "Play-Specific Chatrooms"},
				{Category: "directory", Type: "chatroom", Name: "Play-Specific Chatrooms"},
			},
			Features: []string{
				disco.NSInfo, disco.NSItems, "http://jabber.org/protocol/muc",
				"jabber:iq:register", "jabber:iq:search", "jabber:iq:time", "jabber:iq:version",
			},
		}},
		{File: "xep0030-3.1-account", Want: &disco.Info{
			Identities: []disco.Identity{{Category: "account", Type: "registered"}},
			Features:   []string{disco.NSInfo},
		}},
		{File: "xep0030-3.2-node-result", Want: &disco.Info{
			Node:       "http://jabber.org/protocol/commands",
			Identities: []disco.Identity{{Category: "automation", Type: "command-list"}},
			Features:   []string{disco.NSInfo},
		}},
		{File: "xep0128-3.1-server", Want: &disco.Info{
			Identities: []disco.Identity{{Category: "server", Type: "im", Name: "shakespeare.lit jabber server"}},
			Features:   []string{"jabber:iq:register"},
			Forms: []*form.Form{form.New(form.Result, "http://jabber.org/network/serverinfo",
				form.Value("c2s_port", "5222"), form.Value("c2s_port_ssl", "5223"),
				form.Value("http_access", "http://example.org/jabber"),
				form.Value("ip_version", "ipv4", "ipv6"),
				form.Value("info_url", "http://example.org/support.php"))},
		}},
		{File: "xep0128-3.2-room", Want: &disco.Info{
			Identities: []disco.Identity{{Category: "conference", Type: "text", Name: "A Dark Cave"}},
			Features:   []string{"http://jabber.org/protocol/muc", "jabber:iq:register"},
			Forms: []*form.Form{form.New(form.Result, "http://jabber.org/protocol/muc#roominfo",
				labelled("muc#roominfo_description", "Description", "The place for all good witches!"),
				labelled("muc#roominfo_subject", "Subject", "Spells"),
				labelled("muc#roominfo_occupants", "Number of occupants", "3"),
				labelled("muc#roominfo_lang", "Language of discussion", "en"))},
		}},
		{File: "xep0115-5.3-result", Want: &disco.Info{
			Node: "http://psi.example.org/caps#q07IKJEyjvHSyhy//CH0CxmKi8w=",
			Identities: []disco.Identity{
				{Category: "client", Type: "pc", Lang: "en", Name: "Psi 0.11"},
				{Category: "client", Type: "pc", Lang: "el", Name: "Ψ 0.11"},
			},
			Features: []string{"http://jabber.org/protocol/caps", disco.NSInfo, disco.NSItems, "http://jabber.org/protocol/muc"},
			Forms: []*form.Form{form.New(form.Result, "urn:xmpp:dataforms:softwareinfo",
				form.Text("ip_version", "ipv4\nipv6"), form.Value("os", "Mac"), form.Value("os_version", "10.5.1"),
				form.Value("software", "Psi"), form.Value("software_version", "0.11"))},
		}},
		{File: "xep0030-4.1-request-items", Want: &disco.Items{}},
		{File: "xep0030-4.1-empty", Want: &disco.Items{}},
		{File: "xep0030-4.1-result-items", Want: &disco.Items{Items: items(
			"people.shakespeare.lit", "", "Directory of Characters",
			"plays.shakespeare.lit", "", "Play-Specific Chatrooms",
			"mim.shakespeare.lit", "", "Gateway to Marlowe IM",
			"words.shakespeare.lit", "", "Shakespearean Lexicon",
			"globe.shakespeare.lit", "", "Calendar of Performances",
			"headlines.shakespeare.lit", "", "Latest Shakespearean News",
			"catalog.shakespeare.lit", "", "Buy Shakespeare Stuff!",
			"en2fr.shakespeare.lit", "", "French Translation Service",
		)}},
		{File: "xep0030-4.2-nodes", Want: &disco.Items{Items: items(
			"catalog.shakespeare.lit", "books", "Books by and about Shakespeare",
			"catalog.shakespeare.lit", "clothing", "Wear your literary taste with pride",
			"catalog.shakespeare.lit", "music", "Music from the time of Shakespeare",
		)}},
		{File: "xep0030-4.4-mixed", Want: &disco.Items{Node: "http://jabber.org/protocol/tune", Items: items(
			"pubsub.shakespeare.lit", "s623nms9s3bfh8js", "Romeo's CD player",
			"pubsub.montague.net", "music/R/Romeo/iPod", "",
			"tunes.characters.lit", "g8k4kds9sd89djf3", "",
		)}},
		{File: "xep0059-3-request", Want: &disco.Items{Page: &rsm.Set{Max: new(20)}}},
		{File: "xep0059-3-page", Want: &disco.Items{
			Items: items("12@conference.jabber.org", "", "", "adium@conference.jabber.org", "", ""),
			Page: &rsm.Set{
				First: "acc3594e844c77696f7a7ba9367ae324b6b958ad", FirstIndex: new(0),
				Last: "4da91d4b330112f683dddaebf93180b1bd25e95f", Count: new(150),
			},
		}},
	})
	info := func(name, body string, condition stanza.Condition) {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: name, Into: &disco.Info{}, Condition: condition,
			XML: "<query xmlns='" + disco.NSInfo + "'>" + body + "</query>"}})
	}
	info("no category", "<identity type='pc'/>", stanza.BadRequest)
	info("no type", "<identity category='client'/>", stanza.BadRequest)
	info("no var", "<feature/>", stanza.BadRequest)
	info("bad form", "<x xmlns='jabber:x:data'/>", stanza.BadRequest)
	list := func(name, body string, condition stanza.Condition) {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: name, Into: &disco.Items{}, Condition: condition,
			XML: "<query xmlns='" + disco.NSItems + "'>" + body + "</query>"}})
	}
	list("no address", "<item name='x'/>", stanza.BadRequest)
	list("bad address", "<item jid='@'/>", stanza.JIDMalformed)
	list("bad page", "<set xmlns='http://jabber.org/protocol/rsm'><max>x</max></set>", stanza.BadRequest)
}

func TestInfo(t *testing.T) {
	f := form.New(form.Result, "urn:x")
	info := &disco.Info{
		Identities: []disco.Identity{{Category: "client", Type: "pc"}},
		Features:   []string{"urn:xmpp:ping"},
		Forms:      []*form.Form{form.New(form.Result, ""), f},
	}
	if !info.Has("urn:xmpp:ping") || !info.Has(disco.NSInfo) || info.Has(disco.NSItems) {
		t.Error("Has")
	}
	if !info.Is("client", "pc") || !info.Is("client", "") || info.Is("client", "bot") || info.Is("server", "") {
		t.Error("Is")
	}
	if info.Form("urn:x") != f || info.Form("urn:y") != nil {
		t.Error("Form")
	}
}

func FuzzInfo(f *testing.F) {
	f.Add([]byte("<query xmlns='http://jabber.org/protocol/disco#info' node='n'><identity xml:lang='en' category='c' type='t' name='&amp;'/>" +
		"<feature var='v'/><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>x</value></field></x></query>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(disco.Info))
	})
}

func FuzzItems(f *testing.F) {
	f.Add([]byte("<query xmlns='http://jabber.org/protocol/disco#items' node='n'><item jid='a@b' node='&lt;' name='x'/>" +
		"<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><before/><max>1</max></set></query>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(disco.Items))
	})
}

func FuzzStrings(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("'\"<&>", "]]>", " \t\r\n ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		a, b, c = xmpptest.Chars(a), xmpptest.Chars(b), xmpptest.Chars(c)
		xmpptest.Exact(t, &disco.Info{
			Node:       a,
			Identities: []disco.Identity{{Category: b + "x", Type: c + "x", Lang: a, Name: b}},
			Features:   []string{a + "x", b + "x", c + "x"},
		})
		xmpptest.Exact(t, &disco.Items{Node: c, Items: []disco.Item{{JID: jid.MustParse("a@b"), Node: b, Name: a}}})
	})
}
