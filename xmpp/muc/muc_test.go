// SPDX-License-Identifier: Apache-2.0

package muc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func j(s string) jid.JID { return jid.MustParse(s) }

func TestCodec(t *testing.T) {
	id := muc.OccupantID("dd72603deec90a38ba552f7c68cbcc61bca202cd")
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0045-7.2-join", Want: &muc.Join{}},
		{File: "xep0045-7.2.6-password", Want: &muc.Join{Password: "cauldronburn"}},
		{File: "xep0045-7.2.14-history", Want: &muc.Join{History: &muc.History{
			MaxChars: new(65000), MaxStanzas: new(20), Seconds: new(180), Since: time.Unix(0, 0).UTC()}}},
		{File: "xep0045-7.2.2-self", Want: &muc.User{
			Items:    []muc.Item{{Affiliation: muc.Member, Role: muc.Participant, JID: j("hag66@shakespeare.lit/pda"), Nick: "oldhag"}},
			Statuses: []int{muc.StatusNonAnonymous, muc.StatusSelf}}},
		{File: "xep0045-8.2-kicked", Want: &muc.User{
			Items: []muc.Item{{Affiliation: muc.Unaffiliated, Role: muc.NoRole,
				Actor: &muc.Actor{JID: j("fluellen@shakespeare.lit"), Nick: "Fluellen"}, Reason: "Avaunt, you cullion!"}},
			Statuses: []int{muc.StatusKicked}}},
		{File: "xep0045-7.8.2-invite", Want: &muc.User{Password: "cauldronburn", Invites: []muc.Invite{
			{From: j("crone1@shakespeare.lit/desktop"), Reason: "Hey Hecate", Continue: &muc.Continue{Thread: "e0ffe42b"}},
			{To: j("hecate@shakespeare.lit")}}}},
		{File: "xep0045-7.8.2-decline", Want: &muc.User{Decline: &muc.Decline{
			To: j("crone1@shakespeare.lit"), Reason: "Sorry, I am too busy right now."}}},
		{File: "xep0045-10.9-destroyed", Want: &muc.User{
			Items:   []muc.Item{{Affiliation: muc.Unaffiliated, Role: muc.NoRole}},
			Destroy: &muc.Destroy{JID: j("coven@chat.shakespeare.lit"), Reason: "Macbeth doth come."}}},
		{File: "xep0045-9.5-members", Want: &muc.AdminQuery{Items: []muc.Item{
			{Affiliation: muc.Member, JID: j("hag66@shakespeare.lit"), Nick: "thirdwitch", Role: muc.Participant},
			{Affiliation: muc.Member, JID: j("a@b"), ClearNick: true},
			{Affiliation: muc.Unaffiliated, JID: j("hecate@shakespeare.lit"), Reason: "Not so worthy after all!"}}}},
		{File: "xep0045-9.2-ask", Want: &muc.AdminQuery{}},
		{File: "xep0045-10.1.3-ask", Want: &muc.OwnerQuery{}},
		{File: "xep0045-10.1.2-instant", Want: &muc.OwnerQuery{Form: &form.Form{Type: form.Submit}}},
		{File: "xep0045-10.9-destroy", Want: &muc.OwnerQuery{Destroy: &muc.Destroy{
			JID: j("coven@chat.shakespeare.lit"), Password: "x", Reason: "Macbeth doth come."}}},
		{File: "xep0421-3.1-presence", Want: &id},
		{File: "xep0317-3.1-hats", Want: &muc.Hats{Hats: []muc.Hat{
			{Title: "Host", URI: "http://schemas.example.com/hats#host", Hue: "327.255249"},
			{Title: "Presenter", URI: "http://schemas.example.com/hats#presenter"}}}},
		{File: "xep0249-2-invitation", Want: &muc.Conference{
			JID: j("darkcave@macbeth.shakespeare.lit"), Password: "cauldronburn", Reason: "Hey Hecate",
			Continue: true, Thread: "e0ffe42b28561960c6b12b944a092794b9683a38"}},
	})
	refuse := func(into stanza.Payload, ns, local, attrs, body string, condition stanza.Condition) {
		x := "<" + local + " xmlns='" + ns + "'" + attrs + ">" + body + "</" + local + ">"
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: x, Into: into, Condition: condition, XML: x}})
	}
	for _, bad := range []string{"maxchars='x'", "maxstanzas='-1'", "seconds='1.5'", "since='yesterday'", "maxchars=''"} {
		refuse(&muc.Join{}, muc.NS, "x", "", "<history "+bad+"/>", stanza.BadRequest)
	}
	refuse(&muc.User{}, muc.NSUser, "x", "", "<item affiliation='king'/>", stanza.BadRequest)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<item role='king'/>", stanza.BadRequest)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<item jid='@'/>", stanza.JIDMalformed)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<status code='x'/>", stanza.BadRequest)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<status/>", stanza.BadRequest)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<invite to='@'/>", stanza.JIDMalformed)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<decline from='@'/>", stanza.JIDMalformed)
	refuse(&muc.User{}, muc.NSUser, "x", "", "<destroy jid='@'/>", stanza.JIDMalformed)
	refuse(&muc.AdminQuery{}, muc.NSAdmin, "query", "", "<item affiliation='king'/>", stanza.BadRequest)
	refuse(&muc.OwnerQuery{}, muc.NSOwner, "query", "", "<x xmlns='jabber:x:data'/>", stanza.BadRequest)
	refuse(&muc.OwnerQuery{}, muc.NSOwner, "query", "", "<x xmlns='jabber:x:data' type='submit'/><destroy/>", stanza.BadRequest)
	refuse(new(muc.OccupantID), muc.NSOccupantID, "occupant-id", "", "", stanza.BadRequest)
	refuse(new(muc.OccupantID), muc.NSOccupantID, "occupant-id", " id='"+strings.Repeat("x", 129)+"'", "", stanza.BadRequest)
	refuse(&muc.Hats{}, muc.NSHats, "hats", "", "<hat title='x'/>", stanza.BadRequest)
	refuse(&muc.Hats{}, muc.NSHats, "hats", "", "<hat uri='x'/>", stanza.BadRequest)
	refuse(&muc.Conference{}, muc.NSConference, "x", "", "", stanza.BadRequest)
	refuse(&muc.Conference{}, muc.NSConference, "x", " jid='@'", "", stanza.JIDMalformed)
	refuse(&muc.Conference{}, muc.NSConference, "x", " jid='a@b' continue='perhaps'", "", stanza.BadRequest)
}

func TestLevels(t *testing.T) {
	last := -2
	for _, a := range []muc.Affiliation{muc.Outcast, muc.Unaffiliated, muc.Member, muc.Admin, muc.Owner} {
		if !a.Valid() || a.Level() != last+1 {
			t.Errorf("%s: %v %d", a, a.Valid(), a.Level())
		}
		last = a.Level()
	}
	last = -1
	for _, r := range []muc.Role{muc.NoRole, muc.Visitor, muc.Participant, muc.Moderator} {
		if !r.Valid() || r.Level() != last+1 {
			t.Errorf("%s: %v %d", r, r.Valid(), r.Level())
		}
		last = r.Level()
	}
	if muc.Affiliation("").Valid() || muc.Role("").Valid() {
		t.Error("nothing is valid")
	}
	if u := (&muc.User{Statuses: []int{1, 110}}); !u.Has(muc.StatusSelf) || u.Has(muc.StatusCreated) {
		t.Error("statuses")
	}
}

func FuzzJoin(f *testing.F) {
	f.Add([]byte("<x xmlns='http://jabber.org/protocol/muc'><password>&lt;</password><history maxchars='0' since='2026-01-01T00:00:00.5Z'/></x>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.Join)) })
}

func FuzzUser(f *testing.F) {
	f.Add([]byte("<x xmlns='http://jabber.org/protocol/muc#user'><item nick='' jid='a@b/c' affiliation='owner' role='none'><actor nick='x'/><reason>y</reason></item>" +
		"<status code='110'/><invite from='a@b'><continue/></invite><decline to='c@d'/><destroy jid='e@f'><password>p</password></destroy><password>q</password></x>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.User)) })
}

func FuzzAdminQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='x' role='none'/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.AdminQuery)) })
}

func FuzzOwnerQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='a'><value>b</value></field></x></query>"))
	f.Add([]byte("<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='a@b'/></query>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.OwnerQuery)) })
}

func FuzzHats(f *testing.F) {
	f.Add([]byte("<hats xmlns='urn:xmpp:hats:0'><hat title='x' uri='y' hue='z'/></hats>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.Hats)) })
}

func FuzzConference(f *testing.F) {
	f.Add([]byte("<x xmlns='jabber:x:conference' jid='a@b' continue='1' thread='t' password='p' reason='r'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(muc.Conference)) })
}
