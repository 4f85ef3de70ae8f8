// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the topic, a thing to try with, then a test for each part of a thing's life, for lists, for the
// search and for what is refused.

var things = topic{
	name: "things",
	test: testThings,
	give: func(user jid.JID) []store.Op {
		lamp := thing(user.Local(), "")
		lamp.Groups = []string{"hall"}
		return []store.Op{store.RegisterThing{Thing: lamp}, store.RegisterThing{Thing: thing(user.Local(), "node")}}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		return s.CountThings(ctx, store.ThingFilter{Account: user})
	},
}

// thing is one that is nobody's, with some tags.
func thing(account, node string) store.Thing {
	return store.Thing{
		ThingName:  store.ThingName{JID: user(account), ThingNode: store.ThingNode{ID: node}},
		Registered: dawn,
		Key:        []byte("key of " + account + node),
		Tags:       []store.ThingTag{str("MAN", "example.org"), num("V", 1.25)},
	}
}

func str(name, value string) store.ThingTag { return store.ThingTag{Name: name, Str: value} }

func num(name string, value float64) store.ThingTag {
	return store.ThingTag{Name: name, Num: value, Numeric: true}
}

func testThings(t *testing.T, e Engine) {
	t.Run("life", func(t *testing.T) { testThingLife(t, e) })
	t.Run("claim", func(t *testing.T) { testThingClaim(t, e) })
	t.Run("most", func(t *testing.T) { testThingMost(t, e) })
	t.Run("offer", func(t *testing.T) { testThingOffer(t, e) })
	t.Run("owner's account deleted", func(t *testing.T) { testThingOwnerDeleted(t, e) })
	t.Run("lists", func(t *testing.T) { testThingLists(t, e) })
	t.Run("search", func(t *testing.T) { testThingSearch(t, e) })
	t.Run("errors", func(t *testing.T) { testThingErrors(t, e) })
}

// wantThing compares what is kept of a thing, but for its row.
func wantThing(t *testing.T, s store.Store, want store.Thing) {
	t.Helper()
	got := must[store.Thing](t)(s.Thing(t.Context(), want.ThingName))
	got.Row = 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func testThingLife(t *testing.T, e Engine) {
	s := e.open(t, "lamp", "juliet")
	lamp := thing("lamp", "")
	lamp.Tags = []store.ThingTag{str("EMPTY", ""), str("MAN", "жук [x]*?"), num("ONE", 1), num("V", -1.25)}
	commit(t, s, store.RegisterThing{Thing: lamp})
	wantThing(t, s, lamp)
	behind := thing("lamp", "n1") // a node has nothing to do with its account, nor with another cache
	behind.Source, behind.Cache = "source", "cache"
	commit(t, s, store.RegisterThing{Thing: behind})
	other := thing("lamp", "n1")
	commit(t, s, store.RegisterThing{Thing: other})
	wantThing(t, s, lamp)
	wantThing(t, s, behind)

	// Registering again replaces what it said, and keeps what was given.
	given := lamp
	given.Tags, given.Groups, given.Label = []store.ThingTag{{Name: "ROOM", Str: "hall", Given: true}, {Name: "V", Num: 7, Numeric: true, Given: true}}, []string{"b", "a"}, "Lamp"
	commit(t, s, store.RegisterThing{Thing: given})
	again := thing("lamp", "")
	again.Registered, again.Key = dawn.Add(time.Hour), []byte("another")
	commit(t, s, store.RegisterThing{Thing: again})
	again.Groups, again.Label = []string{"a", "b"}, "Lamp"
	again.Tags = []store.ThingTag{str("MAN", "example.org"), given.Tags[0], given.Tags[1]}
	wantThing(t, s, again)

	// What is nobody's is changed as well.
	free := again
	free.Groups, free.Label = []string{"x"}, "Free"
	commit(t, s, store.SetThing{Thing: free})
	wantThing(t, s, free)
	commit(t, s, store.SetThing{Thing: again})

	// With an owner from the start; then nobody may register it.
	owned := again
	owned.Owner, owned.Claimed, owned.Notice = user("juliet"), dawn, store.NoticeClaimed
	commit(t, s, store.RegisterThing{Thing: owned})
	s = e.reopen(t, s)
	wantThing(t, s, owned)
	if err := outcome(t, s.Commit(store.RegisterThing{Thing: again})); !errors.Is(err, store.ErrExists) {
		t.Errorf("registered though it has an owner: %v", err)
	}

	set := owned
	set.Tags, set.Groups, set.Label = []store.ThingTag{str("X", "y")}, []string{"c"}, ""
	set.Public, set.Removed, set.Notice = true, true, store.NoticeRemoved
	commit(t, s, store.SetThing{Thing: set})
	wantThing(t, s, set)
	wrong := set
	wrong.Owner = user("romeo")
	if err := outcome(t, s.Commit(store.SetThing{Thing: wrong})); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("set by somebody else: %v", err)
	}

	told := store.ToldThing{Name: set.ThingName, Owner: user("romeo"), Notice: store.NoticeRemoved}
	commit(t, s, told) // of another owner's time
	told.Owner, told.Notice = user("juliet"), store.NoticeClaimed
	commit(t, s, told) // another notice
	wantThing(t, s, set)
	told.Notice = store.NoticeRemoved
	commit(t, s, told)
	set.Notice = ""
	wantThing(t, s, set)

	commit(t, s, store.DisownThing{Name: set.ThingName, Owner: user("juliet")})
	bare := store.Thing{ThingName: set.ThingName, Registered: set.Registered, Claimed: set.Claimed, Notice: store.NoticeDisowned}
	wantThing(t, s, bare)
	commit(t, s, store.ToldThing{Name: set.ThingName, Notice: store.NoticeDisowned})
	bare.Notice = ""
	wantThing(t, s, bare)

	commit(t, s, store.DeleteThing{Name: set.ThingName}, store.DeleteThing{Name: set.ThingName})
	if _, err := s.Thing(t.Context(), set.ThingName); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted thing: %v", err)
	}
	wantThing(t, s, behind)
	commit(t, s, store.RegisterThing{Thing: lamp})
	wantThing(t, s, lamp) // nothing of the old one comes back
}

func testThingClaim(t *testing.T, e Engine) {
	s := e.open(t, "lamp", "lamp2", "juliet")
	lamp := thing("lamp", "")
	lamp.Groups = []string{"made in March"}
	commit(t, s, store.RegisterThing{Thing: lamp})
	claim := store.ClaimThing{Name: lamp.ThingName, Digest: lamp.Key, Owner: user("juliet"), Public: true, At: dawn}
	fails := func(why string, change func(*store.ClaimThing)) {
		t.Helper()
		c := claim
		change(&c)
		// All or nothing: the account is not made either.
		if err := outcome(t, s.Commit(create("nobody"), c)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", why, err)
		}
	}
	fails("another key", func(c *store.ClaimThing) { c.Digest = []byte("guess") })
	fails("another node", func(c *store.ClaimThing) { c.Name.ID = "x" })
	fails("no account", func(c *store.ClaimThing) { c.Name.JID = user("nobody2") })
	wantThing(t, s, lamp)
	if x := must[store.Thing](t)(s.ThingByKey(t.Context(), lamp.Key)); x.ThingName != lamp.ThingName {
		t.Errorf("by its key: %+v", x)
	}

	commit(t, s, claim)
	lamp.Owner, lamp.Claimed, lamp.Public, lamp.Notice = user("juliet"), dawn, true, store.NoticeClaimed
	wantThing(t, s, lamp)
	fails("claimed already", func(*store.ClaimThing) {})
	fails("by somebody else", func(c *store.ClaimThing) { c.Owner = user("romeo") })
	s = e.reopen(t, s)
	wantThing(t, s, lamp)
	if x := must[store.Thing](t)(s.ThingByKey(t.Context(), lamp.Key)); x.Owner != user("juliet") {
		t.Errorf("who claimed it by the key: %+v", x)
	}

	// Another one of the same key: what is nobody's comes first, then what was registered last.
	twin := thing("lamp2", "")
	twin.Key = lamp.Key
	twin.Registered = dawn.Add(-time.Hour)
	late := thing("lamp2", "late")
	late.Key = lamp.Key
	commit(t, s, store.RegisterThing{Thing: twin})
	if x := must[store.Thing](t)(s.ThingByKey(t.Context(), lamp.Key)); x.ThingName != twin.ThingName {
		t.Errorf("which is nobody's: %+v", x)
	}
	commit(t, s, store.RegisterThing{Thing: late})
	if x := must[store.Thing](t)(s.ThingByKey(t.Context(), lamp.Key)); x.ThingName != late.ThingName {
		t.Errorf("which was registered last: %+v", x)
	}
	// What has no key cannot be claimed.
	commit(t, s, store.DisownThing{Name: lamp.ThingName, Owner: user("juliet")})
	fails("disowned", func(*store.ClaimThing) {})
}

func testThingOffer(t *testing.T, e Engine) {
	s := e.open(t, "lamp", "juliet", "romeo")
	lamp := thing("lamp", "")
	lamp.Owner, lamp.Claimed, lamp.Groups, lamp.Label = user("juliet"), dawn, []string{"hall"}, "Lamp"
	commit(t, s, store.RegisterThing{Thing: lamp})
	until := dawn.Add(time.Hour)
	elsewhere := jid.MustParse("nurse@elsewhere.example")
	offer := store.OfferThing{Name: lamp.ThingName, Owner: user("juliet"), Digest: []byte("offer"), To: elsewhere, Until: until}
	wrong := offer
	wrong.Owner = user("romeo")
	if err := outcome(t, s.Commit(wrong)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("offered by somebody else: %v", err)
	}
	commit(t, s, offer)
	offered := lamp
	offered.Offer, offered.OfferTo, offered.OfferUntil = []byte("offer"), elsewhere, until
	s = e.reopen(t, s)
	wantThing(t, s, offered)
	commit(t, s, store.OfferThing{Name: lamp.ThingName, Owner: user("juliet")}) // taken back
	wantThing(t, s, lamp)

	offer.To = user("romeo")
	commit(t, s, offer)
	if x := must[store.Thing](t)(s.ThingByKey(t.Context(), offer.Digest)); x.ThingName != lamp.ThingName || x.OfferTo != user("romeo") {
		t.Errorf("by its offer: %+v", x)
	}
	claim := store.ClaimThing{Name: lamp.ThingName, Digest: offer.Digest, Owner: user("romeo"), At: dawn.Add(time.Minute)}
	for why, change := range map[string]func(*store.ClaimThing){
		"to somebody else": func(c *store.ClaimThing) { c.Owner = user("tybalt") },
		"too late":         func(c *store.ClaimThing) { c.At = until },
		"by the first key": func(c *store.ClaimThing) { c.Digest = lamp.Key },
	} {
		c := claim
		change(&c)
		if err := outcome(t, s.Commit(c)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", why, err)
		}
	}
	commit(t, s, claim)
	romeos := lamp
	romeos.Owner, romeos.Claimed, romeos.Key, romeos.Notice = user("romeo"), claim.At, offer.Digest, store.NoticeClaimed
	romeos.Groups, romeos.Label = nil, "" // juliet's
	wantThing(t, s, romeos)
	if err := outcome(t, s.Commit(claim)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
	if err := outcome(t, s.Commit(store.DisownThing{Name: lamp.ThingName, Owner: user("juliet")})); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("disowned by who had it: %v", err)
	}
	// An offer to an account goes with it.
	offer.Owner, offer.To = user("romeo"), user("juliet")
	commit(t, s, offer, store.DeleteAccount{User: user("juliet")}, create("juliet"))
	wantThing(t, s, romeos)
}

func testThingOwnerDeleted(t *testing.T, e Engine) {
	s := e.open(t, "lamp", "juliet")
	lamp := thing("lamp", "")
	lamp.Owner, lamp.Public, lamp.Claimed = user("juliet"), true, dawn
	commit(t, s, store.RegisterThing{Thing: lamp})
	if err := outcome(t, s.Commit(store.DeleteAccount{User: user("juliet")}, create("lamp"))); !errors.Is(err, store.ErrExists) {
		t.Fatalf("a call that fails: %v", err)
	}
	wantThing(t, s, lamp) // nothing is lost
	commit(t, s, store.DeleteAccount{User: user("juliet")}, create("juliet"))
	bare := store.Thing{ThingName: lamp.ThingName, Registered: dawn, Claimed: dawn, Notice: store.NoticeDisowned}
	wantThing(t, e.reopen(t, s), bare)
}

func testThingLists(t *testing.T, e Engine) {
	s := e.open(t, "a", "b", "c", "juliet")
	commit(t, s, store.CreateAccount{Account: store.Account{JID: jid.MustParse("a@montague.example")}})
	far := thing("a", "")
	far.JID, far.Notice = jid.MustParse("a@montague.example"), store.NoticeRemoved
	far.Owner = user("juliet")
	b1 := thing("b", "1")
	b1.Owner, b1.Groups = user("juliet"), []string{"hall"}
	a := thing("a", "")
	a.Groups = []string{"attic", "hall"}
	for _, x := range []store.Thing{far, a, thing("b", "2"), b1} {
		commit(t, s, store.RegisterThing{Thing: x})
	}
	list := func(f store.ThingFilter) (got string) {
		for _, x := range must[[]store.Thing](t)(s.ListThings(t.Context(), f)) {
			got += x.JID.String()[:3] + x.ID + " "
		}
		return got
	}
	for i, test := range []struct {
		f    store.ThingFilter
		want string
	}{
		{store.ThingFilter{}, "a@m a@c b@c2 b@c1 "},
		{store.ThingFilter{Domain: "capulet.example"}, "a@c b@c2 b@c1 "},
		{store.ThingFilter{Account: user("b")}, "b@c2 b@c1 "},
		{store.ThingFilter{Owner: user("juliet")}, "a@m b@c1 "},
		{store.ThingFilter{Owner: user("juliet"), Domain: "capulet.example"}, "b@c1 "},
		{store.ThingFilter{Group: "hall"}, "a@c b@c1 "},
		{store.ThingFilter{Group: "hall", Free: true}, "a@c "},
		{store.ThingFilter{Free: true, Account: user("b")}, "b@c2 "},
		{store.ThingFilter{Group: "cellar"}, ""},
		{store.ThingFilter{Owner: user("nobody")}, ""},
	} {
		if got := list(test.f); got != test.want {
			t.Errorf("%d: %q, want %q", i, got, test.want)
		}
		if n := must[int](t)(s.CountThings(t.Context(), test.f)); n != strings.Count(test.want, " ") {
			t.Errorf("%d: %d things, want %q", i, n, test.want)
		}
	}
	var all []string
	for f := (store.ThingFilter{Limit: 1}); ; {
		page := must[[]store.Thing](t)(s.ListThings(t.Context(), f))
		if len(page) == 0 {
			break
		}
		all = append(all, page[0].JID.String()+page[0].ID)
		f.After = page[0].Row
	}
	if len(all) != 4 {
		t.Errorf("by pages of one: %q", all)
	}
	var accounts []string
	for after := (jid.JID{}); ; {
		page := must[[]jid.JID](t)(s.ThingAccounts(t.Context(), after, 2))
		if len(page) == 0 {
			break
		}
		for _, j := range page {
			accounts = append(accounts, j.String())
		}
		after = page[len(page)-1]
	}
	if got, want := fmt.Sprint(accounts), "[a@capulet.example b@capulet.example a@montague.example]"; got != want {
		t.Errorf("accounts %s, want %s", got, want)
	}
	if got := must[[]jid.JID](t)(s.ThingsToTell(t.Context())); len(got) != 1 || got[0] != far.JID {
		t.Errorf("to be told: %v", got)
	}
}

func testThingSearch(t *testing.T, e Engine) {
	s := e.open(t, "a", "b", "c", "private", "free", "removed", "juliet")
	commit(t, s, store.CreateAccount{Account: store.Account{JID: jid.MustParse("a@montague.example")}})
	register := func(name string, change func(*store.Thing), tags ...store.ThingTag) {
		x := thing(name, "")
		x.Owner, x.Public, x.Tags = user("juliet"), true, tags
		change(&x)
		commit(t, s, store.RegisterThing{Thing: x})
	}
	as := func(*store.Thing) {}
	register("a", as, str("MAN", "acme"), str("SN", "39*487"), num("V", 1), num("LAT", -33.5))
	register("b", as, str("MAN", "acme"), str("SN", "39x487[2]"), num("V", 2))
	register("c", as, str("MAN", "bolt"), str("V", "1"))
	register("private", func(x *store.Thing) { x.Public = false }, str("MAN", "acme"))
	register("free", func(x *store.Thing) { x.Owner = jid.JID{} }, str("MAN", "acme"))
	register("removed", func(x *store.Thing) { x.Removed = true }, str("MAN", "acme"))
	register("a", func(x *store.Thing) { x.JID = jid.MustParse("a@montague.example") }, str("MAN", "acme"))

	search := func(offset, limit int, terms ...store.ThingTerm) string {
		t.Helper()
		found, more, err := s.SearchThings(t.Context(), store.ThingSearch{Domain: "capulet.example", Terms: terms, Offset: offset, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range found {
			got += x.JID.Local()
			if len(x.Tags) == 0 {
				t.Errorf("%s has no tags", x.JID)
			}
		}
		if more {
			got += "+"
		}
		return got
	}
	in := func(s string) *store.ThingBound { return &store.ThingBound{Str: s} }
	out := func(s string) *store.ThingBound { return &store.ThingBound{Str: s, Excluded: true} }
	n := func(v float64, excluded bool) *store.ThingBound { return &store.ThingBound{Num: v, Excluded: excluded} }
	for i, test := range []struct {
		term store.ThingTerm
		want string
	}{
		{store.ThingTerm{Tag: "MAN", Min: in("acme"), Max: in("acme")}, "ab"},
		{store.ThingTerm{Tag: "MAN", Min: in("Acme"), Max: in("Acme")}, ""},
		{store.ThingTerm{Tag: "MAN", Outside: true, Min: in("acme"), Max: in("acme")}, "c"},
		{store.ThingTerm{Tag: "MAN", Min: out("acme")}, "c"},
		{store.ThingTerm{Tag: "MAN", Min: in("acme")}, "abc"},
		{store.ThingTerm{Tag: "MAN", Max: out("bolt")}, "ab"},
		{store.ThingTerm{Tag: "MAN", Max: in("bolt")}, "abc"},
		{store.ThingTerm{Tag: "MAN", Min: out("acme"), Max: out("bolt")}, ""},
		{store.ThingTerm{Tag: "MAN", Outside: true, Min: out("acme"), Max: out("bolt")}, "abc"},
		{store.ThingTerm{Tag: "MAN"}, "abc"},
		{store.ThingTerm{Tag: "NONE", Outside: true, Min: in("x"), Max: in("x")}, ""}, // who has no such tag is never found
		{store.ThingTerm{Tag: "V", Numeric: true, Min: n(1, false), Max: n(1, false)}, "a"},
		{store.ThingTerm{Tag: "V", Min: in("1"), Max: in("1")}, "c"}, // strings and numbers are kept apart
		{store.ThingTerm{Tag: "V", Numeric: true, Min: n(1, true), Max: n(2, false)}, "b"},
		{store.ThingTerm{Tag: "V", Numeric: true, Min: n(1, false), Max: n(2, true)}, "a"},
		{store.ThingTerm{Tag: "V", Numeric: true, Outside: true, Min: n(1, false), Max: n(1.5, false)}, "b"},
		{store.ThingTerm{Tag: "LAT", Numeric: true, Min: n(-34, false), Max: n(-33, false)}, "a"},
		{store.ThingTerm{Tag: "SN", Mask: "39%", Wildcard: "%"}, "ab"},
		{store.ThingTerm{Tag: "SN", Mask: "39*487", Wildcard: "%"}, "a"},
		{store.ThingTerm{Tag: "SN", Mask: "39?487*", Wildcard: "*"}, ""},
		{store.ThingTerm{Tag: "SN", Mask: "*[2]", Wildcard: "*"}, "b"},
		{store.ThingTerm{Tag: "SN", Mask: "..487..", Wildcard: ".."}, "ab"},
		{store.ThingTerm{Tag: "SN", Mask: "", Wildcard: "*"}, ""},
	} {
		if got := search(0, 0, test.term); got != test.want {
			t.Errorf("%d, %+v: %q, want %q", i, test.term, got, test.want)
		}
	}
	acme := store.ThingTerm{Tag: "MAN", Min: in("acme"), Max: in("acme")}
	if got := search(0, 0, acme, store.ThingTerm{Tag: "V", Numeric: true, Min: n(2, false)}); got != "b" {
		t.Errorf("two terms: %q", got)
	}
	if got := search(0, 0); got != "" {
		t.Errorf("no terms: %q", got)
	}
	all := store.ThingTerm{Tag: "MAN"}
	for offset, want := range []string{"ab+", "bc", "c", ""} {
		if got := search(offset, 2, all); got != want {
			t.Errorf("two from %d: %q, want %q", offset, got, want)
		}
	}
	for i, terms := range [][]store.ThingTerm{
		{{Tag: "V", Numeric: true, Min: n(2, false)}, {Tag: "MAN", Min: in("acme")}}, // what is narrow
		{{Tag: "MAN", Min: in("acme")}, {Tag: "V", Numeric: true, Min: n(2, false)}},
		{{Tag: "SN", Mask: "*", Wildcard: "*"}, {Tag: "SN", Max: out("39y")}, {Tag: "V", Numeric: true, Outside: true, Max: n(1, false)}},
	} {
		if got := search(0, 0, terms...); got != "b" {
			t.Errorf("%d: %q", i, got)
		}
	}
	many := make([]store.ThingTerm, 50)
	for i := range many {
		many[i] = acme
	}
	if got := search(0, 0, many...); got != "ab" {
		t.Errorf("fifty terms: %q", got)
	}
}

func testThingErrors(t *testing.T, e Engine) {
	s := e.open(t, "lamp")
	name := thing("lamp", "").ThingName
	with := func(change func(*store.Thing)) store.Thing {
		x := thing("lamp", "")
		change(&x)
		return x
	}
	for i, test := range []struct {
		op   store.Op
		want error
	}{
		{store.RegisterThing{Thing: thing("nobody", "")}, store.ErrNotFound},
		{store.RegisterThing{}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Owner = jid.MustParse("a@b/c") })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Notice = "x" })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Groups = []string{""} })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Tags = []store.ThingTag{str("", "x")} })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Tags = []store.ThingTag{str("A", "x"), num("A", 1)} })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Tags = []store.ThingTag{num("A", math.NaN())} })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Tags = []store.ThingTag{num("A", math.Inf(1))} })}, store.ErrInvalid},
		{store.RegisterThing{Thing: with(func(x *store.Thing) { x.Label = strings.Repeat("x", store.MaxOpBytes) })}, store.ErrTooLarge},
		{store.SetThing{Thing: thing("lamp", "")}, store.ErrNotFound},
		{store.SetThing{Thing: with(func(x *store.Thing) { x.Owner = jid.MustParse("b") })}, store.ErrInvalid},
		{store.ClaimThing{Name: name, Owner: user("x")}, store.ErrInvalid},
		{store.ClaimThing{Name: name, Digest: []byte("x")}, store.ErrInvalid},
		{store.ClaimThing{Digest: []byte("x"), Owner: user("x")}, store.ErrInvalid},
		{store.OfferThing{Name: name, Owner: user("x"), Digest: []byte("x")}, store.ErrInvalid},
		{store.OfferThing{Name: name, Owner: user("x")}, store.ErrNotFound},
		{store.DisownThing{Name: name}, store.ErrInvalid},
		{store.DisownThing{Name: name, Owner: user("x")}, store.ErrNotFound},
		{store.ToldThing{}, store.ErrInvalid},
		{store.DeleteThing{}, store.ErrInvalid},
	} {
		if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
			t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
		}
	}
	if _, err := s.Thing(t.Context(), store.ThingName{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("no name: %v", err)
	}
	for _, digest := range [][]byte{nil, []byte("unknown")} {
		if _, err := s.ThingByKey(t.Context(), digest); err == nil {
			t.Errorf("found by %q", digest)
		}
	}
}
