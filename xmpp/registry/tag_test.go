// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestTags(t *testing.T) {
	tags := lamp()
	if tag, ok := tags.Get("sn"); !ok || tag != registry.Str("SN", "7731-0042") || tags.Value("v") != "2.5" || tags.Value("LON") != "" {
		t.Errorf("found %+v, %t", tag, ok)
	}
	public := tags.Public()
	if _, ok := public.Get("KEY"); ok || len(public) != 4 || len(tags) != 5 {
		t.Errorf("public are %v of %v", public, tags)
	}
	updated := tags.Updated(registry.Tags{registry.Str("key", ""), registry.Num("V", 3), registry.Str("ROOM", "Library"),
		registry.Str("CITY", ""), registry.Num("MODEL", 7)})
	want := registry.Tags{registry.Str("SN", "7731-0042"), registry.Str("MAN", "lamps.example"), registry.Num("MODEL", 7),
		registry.Num("V", 3), registry.Str("ROOM", "Library")}
	if !slices.Equal(updated, want) || !slices.Equal(tags, lamp()) {
		t.Errorf("updated to %v", updated)
	}
}

// A claim has exactly the tags that were registered, in whatever order. XEP-0347 §3.9
func TestEqual(t *testing.T) {
	same := lamp()
	slices.Reverse(same)
	if !same.Equal(lamp()) || !(registry.Tags{}).Equal(nil) {
		t.Error("order counts")
	}
	for name, change := range map[string]func(registry.Tags) registry.Tags{
		"a tag less":     func(tags registry.Tags) registry.Tags { return tags[1:] },
		"a tag more":     func(tags registry.Tags) registry.Tags { return append(tags, registry.Str("ROOM", "")) },
		"another value":  func(tags registry.Tags) registry.Tags { tags[0].Text += " "; return tags },
		"another key":    func(tags registry.Tags) registry.Tags { tags[4].Text = "K3y of the lamp"; return tags },
		"another number": func(tags registry.Tags) registry.Tags { tags[3].Number = math.Nextafter(2.5, 3); return tags },
		"another type":   func(tags registry.Tags) registry.Tags { tags[3] = registry.Str("V", "2.5"); return tags },
		"another name":   func(tags registry.Tags) registry.Tags { tags[0].Name = "MNR"; return tags },
		"one in another": func(registry.Tags) registry.Tags {
			return registry.Tags{registry.Str("SN", "7731-00423:MANs13:lamps.example")}
		},
	} {
		if change(lamp()).Equal(lamp()) {
			t.Errorf("%s makes no difference", name)
		}
	}
	zero, negative := registry.Num("LAT", 0), registry.Num("LAT", math.Copysign(0, -1))
	if !(registry.Tags{zero}).Equal(registry.Tags{negative}) {
		t.Error("there are two zeros")
	}
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("Ä", registry.MaxTagName)
	var many, too registry.Tags
	for i := range registry.MaxTags + 1 {
		too = append(too, registry.Num(fmt.Sprint("T", i), 1))
	}
	many = too[1:]
	for _, c := range []struct {
		name string
		tags registry.Tags
		want stanza.Condition
	}{
		{"none", nil, ""},
		{"a lamp", lamp(), ""},
		{"as many as can be", many, ""},
		{"one more", too, stanza.PolicyViolation},
		{"a long name", registry.Tags{registry.Str(long, "x")}, ""},
		{"a longer name", registry.Tags{registry.Str(long+"x", "x")}, stanza.PolicyViolation},
		{"a long value", registry.Tags{registry.Str("SN", strings.Repeat("ß", registry.MaxTagValue))}, ""},
		{"a longer value", registry.Tags{registry.Str("SN", strings.Repeat("ß", registry.MaxTagValue+1))}, stanza.PolicyViolation},
		{"no name", registry.Tags{registry.Str("", "x")}, stanza.BadRequest},
		{"a space", registry.Tags{registry.Str("S N", "x")}, stanza.BadRequest},
		{"a colon", registry.Tags{registry.Str("S:N", "x")}, stanza.BadRequest},
		{"a hash sign", registry.Tags{registry.Str("#SN", "x")}, stanza.BadRequest},
		{"a semicolon", registry.Tags{registry.Str("S;N", "x")}, stanza.BadRequest},
		{"an equals sign", registry.Tags{registry.Str("S=N", "x")}, stanza.BadRequest},
		{"a control character", registry.Tags{registry.Str("S\x00N", "x")}, stanza.BadRequest},
		{"small letters", registry.Tags{{Name: "sn", Text: "x"}}, stanza.BadRequest},
		{"a line end", registry.Tags{registry.Str("SN", "a\nb")}, stanza.BadRequest},
		{"a space at the end", registry.Tags{{Name: "SN", Text: "a "}}, stanza.BadRequest},
		{"a space that Str cuts", registry.Tags{registry.Str("SN", " a\n")}, ""},
		{"broken letters", registry.Tags{registry.Str("SN", "a\xff")}, stanza.BadRequest},
		{"no number", registry.Tags{registry.Num("V", math.NaN())}, stanza.BadRequest},
		{"no end", registry.Tags{registry.Num("V", math.Inf(-1))}, stanza.BadRequest},
		{"twice", registry.Tags{registry.Str("SN", "a"), registry.Num("sn", 1)}, stanza.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) { xmpptest.Condition(t, c.tags.Check(), c.want) })
	}
}

func TestReserved(t *testing.T) {
	for _, name := range []string{"ALT", "lat", "LON", "V"} {
		if numeric, ok := registry.Reserved(name); !numeric || !ok {
			t.Errorf("%s is not a number", name)
		}
	}
	for _, name := range []string{registry.KEY, "streetnr", registry.PURL} {
		if numeric, ok := registry.Reserved(name); numeric || !ok {
			t.Errorf("%s is not a text", name)
		}
	}
	if _, ok := registry.Reserved("SHOESIZE"); ok {
		t.Error("a shoe's size is reserved")
	}
}

func TestRefused(t *testing.T) {
	element := func(name, attrs, content string) string {
		return "<" + name + " xmlns='urn:xmpp:iot:discovery' " + attrs + ">" + content + "</" + name + ">"
	}
	long := strings.Repeat("x", registry.MaxNode+1)
	many := func(n int, s string) string { return strings.Repeat(s, n+1) }
	for _, c := range []struct {
		into                 stanza.Payload
		name, attrs, content string
		want                 stanza.Condition
	}{
		{&registry.Register{}, "register", "sourceId='s'", "", stanza.BadRequest},
		{&registry.Register{}, "register", "nodeId='" + long + "'", "", stanza.PolicyViolation},
		{&registry.Register{}, "register", "nodeId='n' cacheType='" + long + "'", "", stanza.PolicyViolation},
		{&registry.Register{}, "register", "selfOwned='perhaps'", "", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<str name='SN'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<str value='x'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='one'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='NaN'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='INF'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='0x1p4'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='1_0'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<num name='V' value='1e999'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", "<str name='SN' value='1'/><num name='sn' value='1'/>", stanza.BadRequest},
		{&registry.Register{}, "register", "", many(registry.MaxTags, "<str name='SN' value='1'/>"), stanza.PolicyViolation},
		{&registry.Mine{}, "mine", "public=''", "", stanza.BadRequest},
		{&registry.Claimed{}, "claimed", "", "", stanza.BadRequest},
		{&registry.Claimed{}, "claimed", "jid='@'", "", stanza.JIDMalformed},
		{&registry.Update{}, "update", "jid='@'", "", stanza.JIDMalformed},
		{&registry.Remove{}, "remove", "nodeId='n'", "", stanza.BadRequest},
		{&registry.Removed{}, "removed", "cacheType='c'", "", stanza.BadRequest},
		{&registry.Unregister{}, "unregister", "sourceId='s'", "", stanza.BadRequest},
		{&registry.Disown{}, "disown", "", "", stanza.BadRequest},
		{&registry.Disowned{}, "disowned", "sourceId='s'", "", stanza.BadRequest},
		{&registry.Found{}, "found", "more='some'", "", stanza.BadRequest},
		{&registry.Found{}, "found", "", "<thing owner='a@b'/>", stanza.BadRequest},
		{&registry.Found{}, "found", "", "<thing owner='@' jid='a@b'/>", stanza.JIDMalformed},
		{&registry.Found{}, "found", "", many(registry.MaxThings, "<thing jid='a@b'/>"), stanza.PolicyViolation},
		{&registry.Found{}, "found", "", "<thing jid='a@b'>" + many(registry.MaxTags, "<str name='SN' value='1'/>") + "</thing>", stanza.PolicyViolation},
		{&registry.Search{}, "search", "", "", stanza.BadRequest},
		{&registry.Search{}, "search", "offset='-1'", "<strEq name='SN' value='1'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "maxCount='0'", "<strEq name='SN' value='1'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "maxCount='2147483648'", "<strEq name='SN' value='1'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strAlmost name='SN' value='1'/>", stanza.FeatureNotImplemented},
		{&registry.Search{}, "search", "", "<strEq value='1'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strEq name='SN'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strEq name='SN' value='" + strings.Repeat("x", registry.MaxTagValue+1) + "'/>", stanza.PolicyViolation},
		{&registry.Search{}, "search", "", "<numEq name='V' value=''/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strMask name='SN' value='1*'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strRange name='SN' min='1'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<numRange name='V' min='1' max='2' maxIncluded='no'/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strRegEx name='SN' value='('/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", "<strRegEx name='SN' value=')|('/>", stanza.BadRequest},
		{&registry.Search{}, "search", "", `<strRegEx name='SN' value='\pL{1000}'/>`, stanza.PolicyViolation},
		{&registry.Search{}, "search", "", many(5, "<strRegEx name='SN' value='[ab]{99}'/>"), stanza.PolicyViolation},
		{&registry.Search{}, "search", "", many(registry.MaxOperators, "<strEq name='SN' value='1'/>"), stanza.PolicyViolation},
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: fmt.Sprintf("%s %.40s %.60s", c.name, c.attrs, c.content),
			XML: element(c.name, c.attrs, c.content), Into: c.into, Condition: c.want}})
	}
}

// The key is never told, whoever makes or reads the answer. XEP-0347 §3.15
func TestKeyUntold(t *testing.T) {
	found := registry.Found{Things: []registry.Thing{{JID: lampJID, Tags: lamp()}}}
	if xml := string(found.AppendXML(nil)); strings.Contains(strings.ToUpper(xml), "KEY") {
		t.Errorf("told: %s", xml)
	}
	xml := "<found xmlns='urn:xmpp:iot:discovery'><thing jid='a@b'><str name='key' value='x'/><str name='SN' value='1'/></thing></found>"
	if err := xmpptest.Decode(xml, &found); err != nil || len(found.Things[0].Tags) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

func FuzzPayload(f *testing.F) {
	for _, p := range []stanza.Payload{
		&registry.Register{Node: lamp4, Tags: lamp()}, &registry.Mine{Private: true, Tags: lamp()}, &registry.Claimed{JID: lampJID, Private: true},
		&registry.Update{JID: lampJID, Tags: lamp()}, &registry.Search{Offset: 1, Max: 2, Operators: every()},
		&registry.Found{More: true, Things: []registry.Thing{{JID: lampJID, Node: lamp4, Tags: lamp()}}},
	} {
		f.Add(p.AppendXML(nil))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, p := range []stanza.Payload{new(registry.Register), new(registry.Mine), new(registry.Claimed), new(registry.Update),
			new(registry.Remove), new(registry.Removed), new(registry.Search), new(registry.Found)} {
			xmpptest.RoundTrip(t, input, p)
		}
	})
}
