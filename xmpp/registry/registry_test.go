// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
)

var (
	lampJID  = jid.MustParse("lamp@example.com")
	rackJID  = jid.MustParse("rack@example.com/plc")
	ownerJID = jid.MustParse("owner@example.com")
	things   = jid.MustParse("things.example.com")
	lamp4    = registry.Node{ID: "lamp4", Source: "Rooms"}
)

func lamp() registry.Tags {
	return registry.Tags{
		registry.Str("SN", "7731-0042"), registry.Str("MAN", "lamps.example"), registry.Str("MODEL", "Desk"),
		registry.Num("V", 2.5), registry.Str("KEY", "k3y of the lamp"),
	}
}

// every is one operator of each kind but StrRegEx, which the specification has not.
func every() []registry.Operator {
	text := func(op registry.Op, name, value string) registry.Operator {
		return registry.Operator{Op: op, Name: name, Text: value}
	}
	number := func(op registry.Op, value float64) registry.Operator {
		return registry.Operator{Op: op, Name: "V", Number: value}
	}
	return []registry.Operator{
		text(registry.StrEq, "MAN", "lamps.example"), text(registry.StrNEq, "MODEL", ""),
		text(registry.StrGt, "ROOM", "A"), text(registry.StrGtEq, "ROOM", "B"),
		text(registry.StrLt, "ROOM", "Z"), text(registry.StrLtEq, "ROOM", "Y"),
		{Op: registry.StrRange, Name: "CITY", Min: registry.Bound{Text: "L"}, Max: registry.Bound{Text: "M", Excluded: true}},
		{Op: registry.StrNRange, Name: "CITY", Min: registry.Bound{Text: "Q", Excluded: true}, Max: registry.Bound{Text: "R"}},
		{Op: registry.StrMask, Name: "SN", Text: "7731-*", Wildcard: "*"},
		number(registry.NumEq, 2.5), number(registry.NumNEq, 1), number(registry.NumGt, 2),
		number(registry.NumGtEq, 2.5), number(registry.NumLt, 3), number(registry.NumLtEq, 1e21),
		{Op: registry.NumRange, Name: "LON", Min: registry.Bound{Number: -1}, Max: registry.Bound{Excluded: true}},
		{Op: registry.NumNRange, Name: "LAT", Min: registry.Bound{Number: -34, Excluded: true}, Max: registry.Bound{Number: -33}},
	}
}

func TestCodec(t *testing.T) {
	whole := lamp4
	whole.Cache = "Floor2"
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0347-3.6-register", Want: &registry.Register{Tags: lamp()}},
		{File: "xep0347-3.7-selfowned", Want: &registry.Register{SelfOwned: true, Tags: lamp()}},
		{File: "xep0347-3.8-concentrator", Want: &registry.Register{Node: whole, Tags: lamp()}},
		{File: "xep0347-3.9-mine", Want: &registry.Mine{Tags: lamp()}},
		{File: "xep0347-3.9-private", Want: &registry.Mine{Private: true, Tags: lamp()}},
		{File: "xep0347-3.9-claimed", Want: &registry.Claimed{JID: lampJID}},
		{File: "xep0347-3.9-claimed-node", Want: &registry.Claimed{JID: rackJID, Node: lamp4}},
		{File: "xep0347-3.9-claimed-private", Want: &registry.Claimed{JID: ownerJID, Private: true}},
		{File: "xep0347-3.10-remove", Want: &registry.Remove{JID: rackJID, Node: lamp4}},
		{File: "xep0347-3.10-removed", Want: &registry.Removed{}},
		{File: "xep0347-3.10-removed-node", Want: &registry.Removed{Node: lamp4}},
		{File: "xep0347-3.13-update", Want: &registry.Update{Tags: registry.Tags{registry.Str("KEY", ""),
			registry.Str("CLASS", "Lamp"), registry.Num("LON", -0.1275), registry.Num("LAT", 51.50722)}}},
		{File: "xep0347-3.14-update-owner", Want: &registry.Update{JID: lampJID, Node: registry.Node{ID: "lamp4"},
			Tags: registry.Tags{registry.Str("ROOM", "Library")}}},
		{File: "xep0347-3.15-search", Want: &registry.Search{Offset: 40, Max: 20, Operators: every()}},
		{File: "search-regex", Want: &registry.Search{Operators: []registry.Operator{
			{Op: registry.StrRegEx, Name: "SN", Text: "[0-9]+-0*42"}}}},
		{File: "xep0347-3.15-found", Want: &registry.Found{More: true, Things: []registry.Thing{
			{Owner: things, JID: lampJID, Tags: registry.Tags{registry.Str("SN", "7731-0042"), registry.Num("V", 2.5)}},
			{Owner: things, JID: rackJID.Bare(), Node: lamp4}}}},
		{File: "xep0347-3.15-none", Want: &registry.Found{}},
		{File: "xep0347-3.16-unregister", Want: &registry.Unregister{}},
		{File: "xep0347-3.17-disown", Want: &registry.Disown{JID: lampJID}},
		{File: "xep0347-3.17-disowned", Want: &registry.Disowned{Node: lamp4}},
	})
}
