// SPDX-License-Identifier: Apache-2.0

package storetest

// How to read this file: testNodes has nodes and who has to do with them, testItems what is published, and
// testForgotten what of an account remains at nodes of others.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var pubsub = topic{
	name:  "pubsub",
	test:  testPubsub,
	bench: benchPubsub,
	give: func(user jid.JID) []store.Op {
		name := store.NodeName{JID: user, Node: "tune"}
		return []store.Op{
			store.CreateNode{Node: store.Node{Name: name, Creator: user}, Account: true, Owner: user},
			store.SetSubscription{Name: name, NodeSubscription: store.NodeSubscription{JID: contact("nurse")}},
			store.PublishItem{Name: name, Item: item(1), Keep: 1},
		}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		list, err := s.Nodes(ctx, user, "", 0)
		n, _, err2 := s.NodeCount(ctx, user)
		items, err3 := s.Items(ctx, store.NodeName{JID: user, Node: "tune"}, store.ItemQuery{})
		return len(list) + n + len(items), errors.Join(err, err2, err3)
	},
}

func testPubsub(t *testing.T, e Engine) {
	t.Run("nodes", func(t *testing.T) { testNodes(t, e) })
	t.Run("names", func(t *testing.T) { testNodeNames(t, e) })
	t.Run("members", func(t *testing.T) { testMembers(t, e) })
	t.Run("temporary", func(t *testing.T) { testTemporary(t, e) })
	t.Run("items", func(t *testing.T) { testItems(t, e) })
	t.Run("over", func(t *testing.T) { testItemsOver(t, e) })
	t.Run("bytes", func(t *testing.T) { testNodeBytes(t, e) })
	t.Run("bytes over", func(t *testing.T) { testBytesOver(t, e) })
	t.Run("orphans", func(t *testing.T) { testOrphans(t, e) })
	t.Run("expiry", func(t *testing.T) { testExpiry(t, e) })
	t.Run("forgotten", func(t *testing.T) { testForgotten(t, e) })
	t.Run("errors", func(t *testing.T) { testNodeErrors(t, e) })
}

func nodeName(node string) store.NodeName {
	return store.NodeName{JID: jid.MustParse("pubsub.capulet.example"), Node: node}
}

func node(name string) store.Node {
	return store.Node{Name: nodeName(name), Creator: user("juliet"), Created: time.UnixMicro(1234567).UTC(), Config: []byte("<x/>")}
}

func createNode(name string) store.Op {
	return store.CreateNode{Node: node(name), Owner: user("juliet")}
}

// item is the n-th that is published.
func item(n int) store.Item {
	return store.Item{ID: fmt.Sprint("i", n), Publisher: user("juliet"), At: time.UnixMicro(int64(n)).UTC(), Payload: fmt.Appendf(nil, "<p n='%d'/>", n)}
}

func publish(name string, n, keep int) store.Op {
	return store.PublishItem{Name: nodeName(name), Item: item(n), Keep: keep}
}

func testNodeNames(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "nurse", "peter")
	at := func(who, name string) store.NodeName { return store.NodeName{JID: user(who), Node: name} }
	names := func(of ...jid.JID) ([]store.NodeName, error) {
		list, err := s.NodeNames(t.Context(), of)
		slices.SortFunc(list, func(a, b store.NodeName) int { return strings.Compare(a.String(), b.String()) })
		return list, err
	}
	for _, n := range []store.NodeName{at("juliet", "a"), at("juliet", `"b' <&`), at("nurse", "a"), at("nurse", "moved")} {
		commit(t, s, store.CreateNode{Node: store.Node{Name: n, Creator: n.JID}, Account: true, Owner: n.JID})
	}
	commit(t, s, store.DeleteNode{Name: at("nurse", "moved"), Moved: "xmpp:elsewhere"})
	stranger := jid.MustParse(`it\27s@capulet.example`)
	for _, x := range []struct {
		of   []jid.JID
		want []store.NodeName
	}{
		{nil, nil},
		{[]jid.JID{user("peter"), stranger}, nil},
		{[]jid.JID{user("juliet")}, []store.NodeName{at("juliet", `"b' <&`), at("juliet", "a")}},
		{[]jid.JID{user("nurse"), user("peter"), user("juliet"), user("nurse")}, []store.NodeName{at("juliet", `"b' <&`), at("juliet", "a"), at("nurse", "a")}},
	} {
		if got, err := names(x.of...); err != nil || !slices.Equal(got, x.want) {
			t.Errorf("of %v: %v, %v, want %v", x.of, got, err, x.want)
		}
	}
	if _, err := names(make([]jid.JID, store.MaxNodeOwners+1)...); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("of too many: %v, want %v", err, store.ErrTooLarge)
	}
	var ops []store.Op
	for i := range store.MaxPage {
		n := at("peter", fmt.Sprint(i))
		ops = append(ops, store.CreateNode{Node: store.Node{Name: n, Creator: n.JID}, Account: true, Owner: n.JID})
	}
	commit(t, s, ops...)
	if got, err := names(user("peter")); err != nil || len(got) != store.MaxPage {
		t.Errorf("%d, %v", len(got), err)
	}
	if _, err := names(user("peter"), user("juliet")); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too many: %v, want %v", err, store.ErrTooLarge)
	}
}

func testNodes(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	for _, name := range []string{"b", "a", "ж c"} {
		commit(t, s, createNode(name))
	}
	if err := outcome(t, s.Commit(createNode("a"))); !errors.Is(err, store.ErrExists) {
		t.Errorf("a node twice: %v, want %v", err, store.ErrExists)
	}
	got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a")))
	want := store.NodeState{Node: node("a"), Affiliations: []store.NodeAffiliation{{JID: user("juliet"), Affiliation: store.AffiliationOwner}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a new node:\n%+v\nwant\n%+v", got, want)
	}
	changed := node("a")
	changed.Config, changed.Expire, changed.PurgeOffline = []byte("other"), time.Hour, true
	commit(t, s, store.SetNode{Node: changed})
	s = e.reopen(t, s)
	if got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a"))); !reflect.DeepEqual(got.Node, changed) {
		t.Errorf("a changed node: %+v, want %+v", got.Node, changed)
	}
	wantNodes(t, s, "a b ж c")
	if list := must[[]store.Node](t)(s.Nodes(t.Context(), nodeName("").JID, "a", 1)); len(list) != 1 || list[0].Name.Node != "b" {
		t.Errorf("a page of one node: %+v", list)
	}

	commit(t, s, publish("a", 1, 10), store.DeleteNode{Name: nodeName("a"), Moved: "xmpp:elsewhere"}, store.DeleteNode{Name: nodeName("b")})
	wantNodes(t, s, "ж c")
	if got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a"))); got.Moved != "xmpp:elsewhere" || len(got.Affiliations) > 0 || got.Last != nil {
		t.Errorf("a node that has moved: %+v", got)
	}
	if _, err := s.Node(t.Context(), nodeName("b")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a node that was deleted: %v", err)
	}
	commit(t, s, createNode("a"))
	if got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a"))); got.Moved != "" || got.Items != 0 {
		t.Errorf("a node in place of one that has moved: %+v", got)
	}
}

// wantNodes checks which nodes the service has.
func wantNodes(t *testing.T, s store.Store, names string) {
	t.Helper()
	var got []string
	for _, n := range must[[]store.Node](t)(s.Nodes(t.Context(), nodeName("").JID, "", 0)) {
		got = append(got, n.Name.Node)
	}
	if strings.Join(got, " ") != names {
		t.Errorf("nodes %q, want %q", got, names)
	}
	if n, _, err := s.NodeCount(t.Context(), nodeName("").JID); n != len(got) || err != nil {
		t.Errorf("%d nodes counted, %d are there (%v)", n, len(got), err)
	}
}

func testMembers(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	romeo, full := contact("romeo"), jid.MustParse("romeo@montague.example/orchard")
	subscribe := func(node string, who jid.JID, options string) store.Op {
		sub := store.NodeSubscription{JID: who, Pending: options == ""}
		if options != "" {
			sub.Options = []byte(options)
		}
		return store.SetSubscription{Name: nodeName(node), NodeSubscription: sub}
	}
	commit(t, s, createNode("a"), createNode("b"), createNode("c"),
		subscribe("a", romeo, ""), subscribe("a", full, "o"), subscribe("b", full, "p"), subscribe("a", contact("paris"), "q"),
		store.SetAffiliation{Name: nodeName("a"), NodeAffiliation: store.NodeAffiliation{JID: romeo, Affiliation: store.AffiliationPublisher}},
		store.SetAffiliation{Name: nodeName("c"), NodeAffiliation: store.NodeAffiliation{JID: romeo, Affiliation: store.AffiliationOutcast}})
	s = e.reopen(t, s)
	list := must[[]store.Membership](t)(s.Memberships(t.Context(), nodeName("").JID, romeo, "", 0))
	want := []store.Membership{
		{Node: "a", Affiliation: store.AffiliationPublisher, Subscriptions: []store.NodeSubscription{{JID: romeo, Pending: true}, {JID: full, Options: []byte("o")}}},
		{Node: "b", Subscriptions: []store.NodeSubscription{{JID: full, Options: []byte("p")}}},
		{Node: "c", Affiliation: store.AffiliationOutcast},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("memberships\n%+v\nwant\n%+v", list, want)
	}
	if list := must[[]store.Membership](t)(s.Memberships(t.Context(), nodeName("").JID, romeo, "a", 1)); !reflect.DeepEqual(list, want[1:2]) {
		t.Errorf("a page of memberships: %+v", list)
	}
	if nodes, subs, err := s.NodeCount(t.Context(), nodeName("").JID); nodes != 3 || subs != 4 || err != nil {
		t.Errorf("%d nodes and %d subscriptions (%v), want 3 and 4", nodes, subs, err)
	}
	if n := must[int](t)(s.NodesMade(t.Context(), nodeName("").JID, user("juliet"))); n != 3 {
		t.Errorf("has made %d nodes, want 3", n)
	}
	commit(t, s, store.SetAffiliation{Name: nodeName("b"), NodeAffiliation: store.NodeAffiliation{JID: user("juliet")}})
	if n := must[int](t)(s.NodesMade(t.Context(), nodeName("").JID, user("juliet"))); n != 3 {
		t.Errorf("has made %d nodes, of which she owns two, want 3", n)
	}
	find := func(q store.NodeQuery) (got string) {
		q.At = nodeName("").JID
		for _, x := range must[[]store.NodeEntry](t)(s.FindNodes(t.Context(), q)) {
			got += fmt.Sprintf("%s %d/%d/%d ", x.Name.Node, x.Items, x.Owners, x.Subscriptions)
			if want := must[store.NodeState](t)(s.Node(t.Context(), x.Name)); !reflect.DeepEqual(x.Node, want.Node) {
				t.Errorf("%+v, want %+v", x.Node, want.Node)
			}
		}
		return got
	}
	commit(t, s, publish("c", 1, 5))
	for _, c := range []struct {
		q    store.NodeQuery
		want string
	}{
		{store.NodeQuery{Limit: 2}, "a 0/1/3 b 0/0/1 "}, {store.NodeQuery{After: "b"}, "c 1/1/0 "}, {store.NodeQuery{After: "c"}, ""},
		{store.NodeQuery{Find: "C"}, "c 1/1/0 "}, {store.NodeQuery{Ownerless: true}, "b 0/0/1 "},
	} {
		if got := find(c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	commit(t, s, subscribe("a", romeo, "r"), store.DeleteSubscription{Name: nodeName("a"), JID: full},
		store.DeleteSubscription{Name: nodeName("a"), JID: contact("nobody")},
		store.SetAffiliation{Name: nodeName("a"), NodeAffiliation: store.NodeAffiliation{JID: romeo}})
	got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a")))
	wantSubs := []store.NodeSubscription{{JID: romeo, Options: []byte("r")}, {JID: contact("paris"), Options: []byte("q")}}
	if !reflect.DeepEqual(got.Subscriptions, wantSubs) || len(got.Affiliations) != 1 {
		t.Errorf("after changes: %+v, want subscriptions %+v", got, wantSubs)
	}
}

func testItems(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	commit(t, s, createNode("a"))
	for i := 1; i <= 6; i++ {
		commit(t, s, publish("a", i, 5))
	}
	again := item(7)
	again.ID = "i3"
	commit(t, s, store.PublishItem{Name: nodeName("a"), Item: again, Keep: 5})
	s = e.reopen(t, s)
	for _, test := range []struct {
		q    store.ItemQuery
		want string
	}{
		{store.ItemQuery{}, "i2 i4 i5 i6 i3"},
		{store.ItemQuery{Newest: true, Limit: 2}, "i3 i6"},
		{store.ItemQuery{Limit: 2, Skip: 1}, "i4 i5"},
		{store.ItemQuery{After: "i4"}, "i5 i6 i3"},
		{store.ItemQuery{Before: "i5", Newest: true, Limit: 1}, "i4"},
		{store.ItemQuery{After: "i2", Before: "i6"}, "i4 i5"},
		{store.ItemQuery{IDs: []string{"i3", "i1", "i2"}}, "i3 i2"},
		{store.ItemQuery{IDs: []string{}}, ""},
	} {
		list := must[[]store.Item](t)(s.Items(t.Context(), nodeName("a"), test.q))
		var ids []string
		for _, i := range list {
			ids = append(ids, i.ID)
		}
		if got := strings.Join(ids, " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.q, got, test.want)
		}
	}
	got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a")))
	if got.Items != 5 || !reflect.DeepEqual(*got.Last, again) {
		t.Errorf("%d items, the last %+v; want 5, %+v", got.Items, got.Last, again)
	}
	if list := must[[]store.Item](t)(s.Items(t.Context(), nodeName("a"), store.ItemQuery{Bare: true, Limit: 1})); list[0].Payload != nil {
		t.Errorf("a payload that was not asked for: %s", list[0].Payload)
	}
	if n := must[int](t)(s.ItemPlace(t.Context(), nodeName("a"), "i5")); n != 2 {
		t.Errorf("%d items are older, want 2", n)
	}
	for _, q := range []store.ItemQuery{{After: "i1"}, {Before: "no"}} {
		if _, err := s.Items(t.Context(), nodeName("a"), q); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%+v: %v, want %v", q, err, store.ErrNotFound)
		}
	}
	commit(t, s, store.RetractItems{Name: nodeName("a"), IDs: []string{"i5", "i1", "i2"}})
	if n := must[int](t)(s.ItemCount(t.Context(), nodeName("a"))); n != 3 {
		t.Errorf("%d items after a retraction, want 3", n)
	}
	commit(t, s, store.SetNode{Node: node("a"), Keep: 2})
	if list := must[[]store.Item](t)(s.Items(t.Context(), nodeName("a"), store.ItemQuery{})); len(list) != 2 || list[1].ID != "i3" {
		t.Errorf("after the node was made smaller: %+v", list)
	}
	commit(t, s, store.PurgeNode{Name: nodeName("a")})
	if got := must[store.NodeState](t)(s.Node(t.Context(), nodeName("a"))); got.Items != 0 || got.Last != nil {
		t.Errorf("a purged node: %+v", got)
	}
}

func testItemsOver(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	commit(t, s, createNode("a"), createNode("empty"))
	for i := 1; i <= 5; i++ {
		commit(t, s, publish("a", i, 5))
	}
	for _, test := range []struct {
		node string
		ids  string
		keep int
		held int
		over string
	}{
		{"a", "", 5, 5, ""}, {"a", "new", 6, 5, ""}, {"a", "new", 5, 5, "i1"}, {"a", "new newer", 5, 5, "i1 i2"}, {"a", "new new", 5, 5, "i1"},
		{"a", "i1", 5, 4, ""}, {"a", "i1 new", 5, 4, "i2"}, {"a", "i3", 3, 4, "i1 i2"}, {"a", "new", 1, 5, "i1 i2 i3 i4 i5"}, {"a", "", 2, 5, "i1 i2 i3"},
		{"empty", "new", 1, 0, ""}, {"none", "new", 1, 0, ""},
	} {
		held, over, err := s.ItemsOver(t.Context(), nodeName(test.node), strings.Fields(test.ids), test.keep)
		if got := strings.Join(over, " "); held != test.held || got != test.over || err != nil {
			t.Errorf("%q at %s, which keeps %d: %d held, %q go (%v); want %d, %q", test.ids, test.node, test.keep, held, got, err, test.held, test.over)
		}
		if n := must[int](t)(s.ItemCount(t.Context(), nodeName("a"))); n != 5 {
			t.Fatalf("%d items after it was asked", n)
		}
	}
}

func testTemporary(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	subscribe := func(name store.NodeName, who string, temporary bool) store.Op {
		return store.SetSubscription{Name: name, NodeSubscription: store.NodeSubscription{JID: contact(who), Options: []byte("o"), Temporary: temporary}}
	}
	own := store.NodeName{JID: user("juliet"), Node: "tune"}
	commit(t, s, store.CreateNode{Node: store.Node{Name: own, Creator: own.JID}, Account: true, Owner: own.JID},
		createNode("a"), createNode("b"), createNode("c"), createNode("d"),
		subscribe(nodeName("a"), "romeo", true), subscribe(nodeName("a"), "paris", true), subscribe(nodeName("b"), "romeo", false),
		subscribe(nodeName("c"), "romeo", true), subscribe(nodeName("c"), "romeo", false), subscribe(nodeName("d"), "romeo", true), subscribe(own, "romeo", true))
	s = e.reopen(t, s)
	page := func(after store.NodeName, limit int) (names []string) {
		for _, n := range must[[]store.NodeName](t)(s.TemporaryNodes(t.Context(), after, limit)) {
			names = append(names, n.String())
		}
		return names
	}
	want := []string{own.String(), nodeName("a").String(), nodeName("d").String()}
	if got := page(store.NodeName{}, 0); !slices.Equal(got, want) {
		t.Errorf("nodes with temporary subscriptions: %q, want %q", got, want)
	}
	if got := page(own, 1); !slices.Equal(got, want[1:2]) {
		t.Errorf("a page of one: %q, want %q", got, want[1:2])
	}
	if got := must[store.NodeState](t)(s.Node(t.Context(), own)).Subscriptions; len(got) != 1 || !got[0].Temporary {
		t.Errorf("the subscription is %+v", got)
	}
	commit(t, s, store.DeleteSubscription{Name: nodeName("d"), JID: contact("romeo")}, store.DeleteAccount{User: user("juliet")})
	if got := page(store.NodeName{}, 0); !slices.Equal(got, want[1:2]) {
		t.Errorf("some have ended: %q, want %q", got, want[1:2])
	}
}

func testExpiry(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	if must[bool](t)(s.PurgesOffline(t.Context())) {
		t.Error("an empty store has nodes whose items go with their publishers")
	}
	for _, name := range []string{"a", "b", "keeps"} {
		n := node(name)
		n.PurgeOffline = name == "b"
		if name != "keeps" {
			n.Expire = time.Second
		}
		commit(t, s, store.CreateNode{Node: n, Owner: user("juliet")})
		for i := 1; i <= 3; i++ {
			x := item(i)
			x.At = time.Unix(int64(i), 0)
			commit(t, s, store.PublishItem{Name: nodeName(name), Item: x, Keep: 10})
		}
	}
	if !must[bool](t)(s.PurgesOffline(t.Context())) {
		t.Error("the node whose items go with their publishers is not found")
	}
	counts := func(want ...int) {
		t.Helper()
		for i, name := range []string{"a", "b", "keeps"} {
			if n := must[int](t)(s.ItemCount(t.Context(), nodeName(name))); n != want[i] {
				t.Errorf("%s has %d items, want %d", name, n, want[i])
			}
		}
	}
	commit(t, s, store.ExpireItems{Now: time.Unix(3, 0), Limit: 1})
	commit(t, s, store.ExpireItems{Now: time.Unix(3, 0), Limit: 1})
	if a, b := must[int](t)(s.ItemCount(t.Context(), nodeName("a"))), must[int](t)(s.ItemCount(t.Context(), nodeName("b"))); a+b != 4 {
		t.Errorf("two slices of one item have left %d", a+b)
	}
	commit(t, s, store.ExpireItems{Now: time.Unix(3, 0), Limit: 100})
	counts(1, 1, 3)
	commit(t, s, store.PurgePublisher{Publisher: user("romeo")})
	counts(1, 1, 3)
	commit(t, s, store.PurgePublisher{Publisher: user("juliet")})
	counts(1, 0, 3)
}

// testForgotten: who gets the address of a deleted account is nothing to the nodes of others.
func testForgotten(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "romeo")
	full, err := user("romeo").WithResource("orchard")
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, createNode("a"),
		store.SetSubscription{Name: nodeName("a"), NodeSubscription: store.NodeSubscription{JID: full}},
		store.SetAffiliation{Name: nodeName("a"), NodeAffiliation: store.NodeAffiliation{JID: user("romeo"), Affiliation: store.AffiliationOwner}})
	commit(t, s, store.DeleteAccount{User: user("romeo")})
	commit(t, s, create("romeo"))
	if list := must[[]store.Membership](t)(s.Memberships(t.Context(), nodeName("").JID, user("romeo"), "", 0)); len(list) > 0 {
		t.Errorf("a new account inherits %+v", list)
	}
	wantNodes(t, s, "a")
}

func testNodeErrors(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	commit(t, s, createNode("a"), publish("a", 5, 10))
	own := store.Node{Name: store.NodeName{JID: user("nobody"), Node: "tune"}, Creator: user("nobody")}
	bad := node("a")
	bad.Name.Node = ""
	for _, test := range []struct {
		op   store.Op
		want error
	}{
		{store.CreateNode{Node: own, Account: true, Owner: user("nobody")}, store.ErrNotFound},
		{store.CreateNode{Node: bad, Owner: user("juliet")}, store.ErrInvalid},
		{store.CreateNode{Node: node("c")}, store.ErrInvalid},
		{store.SetNode{Node: node("no")}, store.ErrNotFound},
		{store.DeleteNode{Name: nodeName("no")}, store.ErrNotFound},
		{publish("no", 1, 1), store.ErrNotFound},
		{publish("a", 6, 0), store.ErrInvalid},
		{store.PublishItem{Name: nodeName("a"), Item: store.Item{ID: "x", At: time.UnixMicro(5)}, Keep: 1}, store.ErrExists},
		{store.PublishItem{Name: nodeName("a"), Item: store.Item{At: time.UnixMicro(9)}, Keep: 1}, store.ErrInvalid},
		{store.SetSubscription{Name: nodeName("a")}, store.ErrInvalid},
		{store.SetAffiliation{Name: nodeName("a"), NodeAffiliation: store.NodeAffiliation{JID: user("a"), Affiliation: 9}}, store.ErrInvalid},
		{store.RetractItems{Name: nodeName("a"), IDs: make([]string, store.MaxPage+1)}, store.ErrTooLarge},
		{store.ExpireItems{}, store.ErrInvalid},
	} {
		if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.op, err, test.want)
		}
	}
	if list, err := s.Items(t.Context(), nodeName("no"), store.ItemQuery{}); len(list) > 0 || err != nil {
		t.Errorf("items of no node: %v, %v", list, err)
	}
	if !slices.Equal(must[store.NodeState](t)(s.Node(t.Context(), nodeName("a"))).Last.Payload, item(5).Payload) {
		t.Error("a failed call has changed the last item")
	}
}

func benchPubsub(b *testing.B, e Engine) {
	b.Run("publish", func(b *testing.B) {
		s := e.open(b, "juliet")
		commit(b, s, createNode("a"))
		var last *store.Pending
		for i := 1; b.Loop(); i++ {
			last = s.Commit(publish("a", i, 100))
			if i%100 == 0 {
				wait(b, last)
			}
		}
		wait(b, last)
	})
}
