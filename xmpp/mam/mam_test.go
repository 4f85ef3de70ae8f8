// SPDX-License-Identifier: Apache-2.0

package mam_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func at(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return v
}

func TestCodec(t *testing.T) {
	start := mam.Filter{Start: at("2010-08-07T00:00:00Z")}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0313-4-query", Want: &mam.Query{QueryID: "f27"}},
		{File: "xep0313-4.1.5-form", Want: &mam.Query{Form: mam.Fields(true)}},
		{File: "xep0313-4.3-page", Want: &mam.Query{Form: start.Form(), Set: &rsm.Set{Max: new(10), After: "09af3-cc343-b409f"}, FlipPage: true}},
		{File: "xep0442-2-node", Want: &mam.Query{QueryID: "f28", Node: "fdp/submitted/capulet.lit/sonnets"}},
		{File: "xep0313-4.3-fin", Want: &mam.Fin{Complete: true, Set: rsm.Set{First: "23452-4534-1", FirstIndex: new(0), Last: "390-2342-22", Count: new(16)}}},
		{File: "xep0313-5-request", Want: &mam.Metadata{}},
		{File: "xep0313-5-metadata", Want: &mam.Metadata{Start: &mam.End{ID: "YWxwaGEg", Timestamp: at("2008-08-22T21:09:04Z")},
			End: &mam.End{ID: "b21lZ2Eg", Timestamp: at("2020-04-20T14:34:21Z")}}},
		{File: "xep0441-2.1-request", Want: &mam.Prefs{}},
		{File: "xep0441-2.1-update", Want: &mam.Prefs{Default: mam.Roster, Always: []jid.JID{jid.MustParse("romeo@montague.lit")},
			Never: []jid.JID{jid.MustParse("montague@montague.lit")}}},
	})
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "result without id", XML: "<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></result>",
			Into: &mam.Result{}, Condition: stanza.BadRequest},
		{Name: "result of nothing", XML: "<result xmlns='urn:xmpp:mam:2' id='1'/>", Into: &mam.Result{}, Condition: stanza.BadRequest},
		{Name: "page of nothing", XML: "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>x</max></set></query>",
			Into: &mam.Query{}, Condition: stanza.BadRequest},
		{Name: "form of no type", XML: "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data'/></query>", Into: &mam.Query{}, Condition: stanza.BadRequest},
		{Name: "end without time", XML: "<metadata xmlns='urn:xmpp:mam:2'><end id='1'/></metadata>", Into: &mam.Metadata{}, Condition: stanza.BadRequest},
		{Name: "policy", XML: "<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>", Into: &mam.Prefs{}, Condition: stanza.BadRequest},
		{Name: "address", XML: "<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>@</jid></never></prefs>", Into: &mam.Prefs{}, Condition: stanza.JIDMalformed},
	})
}

// TestResult is of XEP-0313 §4.2. What is forwarded comes as it is, with whatever is in it.
func TestResult(t *testing.T) {
	const xml = "<result xmlns='urn:xmpp:mam:2' queryid='f27' id='28482-98726-73623'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>" +
		"<message xmlns='jabber:client' from='witch@shakespeare.lit' to='macbeth@shakespeare.lit'><body>Hail to thee</body></message></forwarded></result>"
	want := &mam.Result{QueryID: "f27", ID: "28482-98726-73623", Forwarded: forward.Forwarded{
		Delay:  &delay.Delay{Stamp: at("2010-07-10T23:08:25Z")},
		Stanza: []byte("<message xmlns='jabber:client' from='witch@shakespeare.lit' to='macbeth@shakespeare.lit'><body>Hail to thee</body></message>"),
	}}
	var got mam.Result
	if err := xmpptest.Decode(xml, &got); err != nil || !reflect.DeepEqual(&got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if b := string(want.AppendXML(nil)); b != xml {
		t.Errorf("written as %s", b)
	}
	if m, err := got.Forwarded.Parse(); err != nil || stanza.BodyOf(m) != "Hail to thee" {
		t.Errorf("message %v, %v", m, err)
	}
}

func TestFin(t *testing.T) {
	var f mam.Fin
	if err := xmpptest.Decode("<fin xmlns='urn:xmpp:mam:2' complete='1' stable='false'/>", &f); err != nil || !f.Complete || !f.Unstable {
		t.Errorf("%+v, %v", f, err)
	}
	xmpptest.Exact(t, &mam.Fin{Unstable: true})
}

func TestFilter(t *testing.T) {
	yes := true
	for name, f := range map[string]mam.Filter{
		"all": {},
		"most": {With: jid.MustParse("a@b/c"), Start: at("2010-06-07T00:00:00Z"), End: at("2010-07-07T13:23:54.5Z"), BeforeID: "1", AfterID: "2",
			IncludeGroupchat: &yes, FullText: "kiss & die"},
		"ids": {IDs: []string{"1", "2"}},
	} {
		got, err := mam.ReadFilter(f.Form())
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, f)
		}
	}
	if f, err := mam.ReadFilter(nil); err != nil || !reflect.DeepEqual(f, mam.Filter{}) {
		t.Errorf("no form: %+v, %v", f, err)
	}
	empty, err := mam.ReadFilter(form.New(form.Submit, mam.NS, form.Value("with", ""), form.Value("start"), form.Value("include-groupchat", "")))
	if err != nil || !reflect.DeepEqual(empty, mam.Filter{}) {
		t.Errorf("empty fields: %+v, %v", empty, err)
	}
	for name, c := range map[string]struct {
		form *form.Form
		want stanza.Condition
	}{
		"another form":  {form.New(form.Submit, "urn:x"), stanza.BadRequest},
		"no FORM_TYPE":  {form.New(form.Submit, ""), stanza.BadRequest},
		"a question":    {mam.Fields(false), stanza.BadRequest},
		"address":       {form.New(form.Submit, mam.NS, form.Value("with", "@")), stanza.JIDMalformed},
		"time":          {form.New(form.Submit, mam.NS, form.Value("start", "yesterday")), stanza.BadRequest},
		"end":           {form.New(form.Submit, mam.NS, form.Value("end", "2010-07-07")), stanza.BadRequest},
		"two values":    {form.New(form.Submit, mam.NS, form.Value("with", "a@b", "c@d")), stanza.BadRequest},
		"boolean":       {form.New(form.Submit, mam.NS, form.Value("include-groupchat", "maybe")), stanza.BadRequest},
		"unknown field": {form.New(form.Submit, mam.NS, form.Value("colour", "red")), stanza.FeatureNotImplemented},
		"too many ids":  {form.New(form.Submit, mam.NS, form.Value("ids", strings.Split(strings.Repeat("x ", mam.MaxIDs), " ")...)), stanza.PolicyViolation},
	} {
		_, err := mam.ReadFilter(c.form)
		t.Run(name, func(t *testing.T) { xmpptest.Condition(t, err, c.want) })
	}
}

func TestPrefs(t *testing.T) {
	p := mam.Prefs{Default: mam.Roster, Always: []jid.JID{jid.MustParse("a@b"), jid.MustParse("c@d/x"), jid.MustParse("e@f")},
		Never: []jid.JID{jid.MustParse("a@b/quiet"), jid.MustParse("c@d"), jid.MustParse("e@f")}}
	for other, want := range map[string]mam.Policy{
		"a@b": mam.Always, "a@b/r": mam.Always, "a@b/quiet": mam.Never,
		"c@d": mam.Never, "c@d/y": mam.Never, "c@d/x": mam.Always,
		"e@f": mam.Never, "g@h": mam.Roster,
	} {
		if got := p.Of(jid.MustParse(other)); got != want {
			t.Errorf("%s: %s, want %s", other, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("<query xmlns='urn:xmpp:mam:2' queryid='1'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='start'><value>2010-06-07T00:00:00Z</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><before/></set><flip-page/></query>"))
	f.Add((&mam.Query{Form: mam.Fields(true)}).AppendXML(nil))
	f.Fuzz(func(t *testing.T, input []byte) {
		if q, ok := xmpptest.RoundTrip(t, input, new(mam.Query)).(*mam.Query); ok {
			_, _ = mam.ReadFilter(q.Form)
		}
	})
}

func FuzzOthers(f *testing.F) {
	f.Add([]byte("<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>a@b</jid></always><never/></prefs>"))
	f.Add([]byte("<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first></set></fin>"))
	f.Add([]byte("<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></result>"))
	f.Add([]byte("<metadata xmlns='urn:xmpp:mam:2'><start id='a' timestamp='2010-06-07T00:00:00Z'/></metadata>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(mam.Prefs))
		xmpptest.RoundTrip(t, input, new(mam.Fin))
		xmpptest.RoundTrip(t, input, new(mam.Result))
		xmpptest.RoundTrip(t, input, new(mam.Metadata))
	})
}
