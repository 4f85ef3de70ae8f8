// SPDX-License-Identifier: Apache-2.0

package bookmarks_test

import (
	"reflect"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/bookmarks"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func raw(space, local, xml string) stanza.Raw {
	return stanza.Raw{Name: xmlstream.Name{Space: space, Local: local}, Bytes: []byte(xml)}
}

var state = raw("u:state", "state", "<state xmlns='u:state' minimized='true'/>")

const open = "<conference xmlns='urn:xmpp:bookmarks:1'"

func TestConference(t *testing.T) {
	for xml, want := range map[string]bookmarks.Conference{
		open + "/>": {},
		open + " name='Council of Oberon' autojoin='true'><nick>Puck</nick></conference>": {Name: "Council of Oberon", Autojoin: true, Nick: "Puck"},
		open + " name='a &lt;b&gt;'><password>&amp;</password></conference>":              {Name: "a <b>", Password: "&"},
		open + "><extensions><state xmlns='u:state' minimized='true'/></extensions></conference>": {
			Extensions: []stanza.Raw{state}},
	} {
		got := bookmarks.Conference{Name: "before", Autojoin: true, Nick: "b", Password: "c", Extensions: []stanza.Raw{state}}
		if err := xmpptest.Decode(xml, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", xml, got, err)
		}
		var again bookmarks.Conference
		if err := xmpptest.Decode(string(want.AppendXML(nil)), &again); err != nil || !again.Equal(&want) {
			t.Errorf("%+v comes back as %+v, %v", want, again, err)
		}
		if got := string(want.AppendXML([]byte("<x/>"))); xml[len(open):] != got[len("<x/>")+len(open):] && want.Name != "a <b>" {
			t.Errorf("%+v is written %s", want, got)
		}
	}
	for xml, want := range map[string]bookmarks.Conference{
		open + " autojoin='1'/>":                                 {Autojoin: true},
		open + " autojoin='0'/>":                                 {},
		open + " autojoin='maybe' unknown='x'/>":                 {},
		open + "><nick xmlns='u:n'>x</nick><nick/></conference>": {Extensions: []stanza.Raw{raw("u:n", "nick", "<nick xmlns='u:n'>x</nick>")}},
		open + "><unknown/></conference>":                        {},
	} {
		var got bookmarks.Conference
		if err := xmpptest.Decode(xml, &got); err != nil || !got.Equal(&want) {
			t.Errorf("%s is read as %+v, %v", xml, got, err)
		}
	}
}

// TestStorage: what is in the list is read; whatever cannot be a bookmark of a room is kept as it is.
func TestStorage(t *testing.T) {
	const list = "<storage xmlns='storage:bookmarks'>" +
		"<conference name='The Play&apos;s the Thing' autojoin='true' jid='theplay@conference.shakespeare.lit'><nick>JC</nick></conference>" +
		"<url name='Works' url='http://x.example/'/>" +
		"<conference jid='Orchard@conference.shakespeare.lit'><password>p</password><state xmlns='u:state' minimized='true'/></conference>" +
		"<conference jid='@'/><conference/><note xmlns='u:note'>n</note>" +
		"<conference jid='theplay@conference.shakespeare.lit' name='again'><extensions><state xmlns='u:state' minimized='true'/></extensions></conference>" +
		"</storage>"
	var s bookmarks.Storage
	if err := xmpptest.Decode(list, &s); err != nil {
		t.Fatal(err)
	}
	play, orchard := jid.MustParse("theplay@conference.shakespeare.lit"), jid.MustParse("orchard@conference.shakespeare.lit")
	want := bookmarks.Storage{
		Rooms: []bookmarks.Room{
			{JID: play, Conference: bookmarks.Conference{Name: "again", Extensions: []stanza.Raw{state}}},
			{JID: orchard, Conference: bookmarks.Conference{Password: "p", Extensions: []stanza.Raw{state}}},
		},
		Others: []stanza.Raw{
			raw("storage:bookmarks", "url", "<url xmlns='storage:bookmarks' name='Works' url='http://x.example/'/>"),
			raw("storage:bookmarks", "conference", "<conference xmlns='storage:bookmarks' jid='@'/>"),
			raw("storage:bookmarks", "conference", "<conference xmlns='storage:bookmarks'/>"),
			raw("u:note", "note", "<note xmlns='u:note'>n</note>"),
		},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	const written = "<storage xmlns='storage:bookmarks'>" +
		"<conference jid='theplay@conference.shakespeare.lit' name='again'><extensions><state xmlns='u:state' minimized='true'/></extensions></conference>" +
		"<conference jid='orchard@conference.shakespeare.lit'><password>p</password><extensions><state xmlns='u:state' minimized='true'/></extensions></conference>" +
		"<url xmlns='storage:bookmarks' name='Works' url='http://x.example/'/>" +
		"<conference xmlns='storage:bookmarks' jid='@'/><conference xmlns='storage:bookmarks'/><note xmlns='u:note'>n</note></storage>"
	if got := string(s.AppendXML(nil)); got != written {
		t.Errorf("written %s", got)
	}
	if s.Find(orchard).Password != "p" || s.Find(jid.MustParse("x@y")) != nil {
		t.Error("found")
	}
}

// TestEdit: a client that knows no extensions does not remove them.
func TestEdit(t *testing.T) {
	other := raw("u:other", "o", "<o xmlns='u:other'/>")
	newer := raw("u:state", "state", "<state xmlns='u:state'/>")
	was := bookmarks.Conference{Name: "a", Password: "p", Extensions: []stanza.Raw{state}}
	for _, c := range []struct {
		edited, want bookmarks.Conference
		changed      bool
	}{
		{bookmarks.Conference{Name: "a", Password: "p"}, was, false},
		{was, was, false},
		{bookmarks.Conference{Name: "b", Nick: "n"}, bookmarks.Conference{Name: "b", Nick: "n", Extensions: []stanza.Raw{state}}, true},
		{bookmarks.Conference{Name: "a", Password: "p", Extensions: []stanza.Raw{other}},
			bookmarks.Conference{Name: "a", Password: "p", Extensions: []stanza.Raw{state, other}}, true},
		{bookmarks.Conference{Name: "a", Password: "p", Extensions: []stanza.Raw{newer}},
			bookmarks.Conference{Name: "a", Password: "p", Extensions: []stanza.Raw{newer}}, true},
	} {
		got, changed := was.Edit(&c.edited)
		if !got.Equal(&c.want) || changed != c.changed {
			t.Errorf("%+v: %+v, %t", c.edited, got, changed)
		}
	}
}

func FuzzBookmarks(f *testing.F) {
	f.Add([]byte(open + " name='x' autojoin='1'><nick>n</nick><extensions><a xmlns='u:a'/></extensions></conference>"))
	f.Add([]byte("<storage xmlns='storage:bookmarks'><conference jid='a@b'><nick>n</nick></conference><url url='u'/></storage>"))
	f.Add([]byte("<storage xmlns='storage:bookmarks'><conference jid='@'/><x xmlns=''/></storage>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(bookmarks.Conference))
		xmpptest.RoundTrip(t, input, new(bookmarks.Storage))
	})
}
