// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// testNodeBytes: what a maker's nodes count is what can be read of them, whatever has become of them.
func testNodeBytes(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "romeo")
	at, juliet := nodeName("").JID, user("juliet")
	bytes := func(of store.NodeMaker) int64 { return must[int64](t)(s.NodeBytes(t.Context(), of)) }
	want := func(after string) {
		t.Helper()
		sum := int64(0)
		for _, n := range must[[]store.Node](t)(s.Nodes(t.Context(), at, "", 0)) {
			sum += n.Bytes()
			for _, i := range must[[]store.Item](t)(s.Items(t.Context(), n.Name, store.ItemQuery{})) {
				sum += i.Bytes()
			}
		}
		if got := bytes(store.NodeMaker{At: at, Creator: juliet}); got != sum {
			t.Errorf("%s: %d bytes, want %d", after, got, sum)
		}
	}
	put := func(name, id string, n, size, keep int) store.Op {
		i := item(n)
		i.ID, i.Payload = id, []byte(strings.Repeat("x", size))
		return store.PublishItem{Name: nodeName(name), Item: i, Keep: keep}
	}
	purged := node("б")
	purged.PurgeOffline, purged.Expire = true, time.Second
	for _, step := range []struct {
		name string
		ops  []store.Op
	}{
		{"nothing", nil},
		{"new nodes", []store.Op{createNode("a"), store.CreateNode{Node: purged, Owner: juliet}}},
		{"items", []store.Op{put("a", "я", 1, 100, 3), put("a", "b", 2, 0, 3), put("б", "c", 3, 5000, 9), put("б", "d", 2e6, 50, 9)}},
		{"a larger one in its place", []store.Op{put("a", "я", 4, 70_000, 3)}},
		{"a smaller one", []store.Op{put("a", "я", 5, 7, 3)}},
		{"more than it keeps", []store.Op{put("a", "e", 6, 300, 3), put("a", "f", 7, 400, 3), put("a", "g", 8, 500, 2)}},
		{"retractions", []store.Op{store.RetractItems{Name: nodeName("a"), IDs: []string{"f", "nothing"}}}},
		{"time", []store.Op{store.ExpireItems{Now: time.Unix(1, 5000), Limit: 10}}},
		{"a publisher", []store.Op{store.PurgePublisher{Publisher: juliet}}},
		{"a configuration", []store.Op{put("a", "h", 9, 10, 9), store.SetNode{Node: store.Node{Name: nodeName("a"), Config: []byte("<other/>")}, Keep: 1}}},
		{"a node without items", []store.Op{put("a", "i", 10, 10, 9), store.PurgeNode{Name: nodeName("a")}}},
		{"a node less", []store.Op{put("a", "j", 11, 10, 9), put("б", "j", 12, 10, 9), store.DeleteNode{Name: nodeName("a")}}},
	} {
		commit(t, s, step.ops...)
		want(step.name)
	}
	s = e.reopen(t, s)
	want("a new start")
	commit(t, s, store.DeleteNode{Name: nodeName("б"), Moved: "xmpp:elsewhere"})
	note := store.Node{Name: nodeName("б"), Moved: "xmpp:elsewhere"}
	if got := bytes(store.NodeMaker{At: at, Creator: juliet}); got != note.Bytes() {
		t.Errorf("a note of where it went: %d bytes, want %d", got, note.Bytes())
	}
	if n := bytes(store.NodeMaker{At: user("juliet"), Creator: juliet}); n != 0 {
		t.Errorf("%d bytes at an address where it has made none", n)
	}
}

// testBytesOver: what goes for what is published counts as much as it does when it has gone.
func testBytesOver(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	commit(t, s, createNode("a"))
	for i := 1; i <= 5; i++ {
		commit(t, s, publish("a", i, 5))
	}
	one := item(1)
	for _, test := range []struct {
		ids   []string
		keep  int
		items int64
	}{
		{[]string{"new"}, 6, 0}, {[]string{"new"}, 5, 1}, {[]string{"new", "newer"}, 5, 2}, {[]string{"i5"}, 5, 1}, {[]string{"i1", "i1"}, 3, 3}, {[]string{"new"}, 1, 5},
	} {
		if n := must[int64](t)(s.BytesOver(t.Context(), nodeName("a"), test.ids, test.keep)); n != test.items*one.Bytes() {
			t.Errorf("%v at a node that keeps %d: %d bytes go, want %d items of %d", test.ids, test.keep, n, test.items, one.Bytes())
		}
	}
	if n := must[int64](t)(s.BytesOver(t.Context(), nodeName("no"), []string{"x"}, 1)); n != 0 {
		t.Errorf("of no node: %d", n)
	}
}

// testOrphans: what a deleted account has made is not what the next of its address has.
func testOrphans(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	made := func(orphan int64) store.NodeMaker {
		return store.NodeMaker{At: nodeName("").JID, Creator: user("juliet"), Orphan: orphan}
	}
	want := func(name string, orphan int64) {
		t.Helper()
		n := must[store.NodeState](t)(s.Node(t.Context(), nodeName(name)))
		if n.Orphan != orphan {
			t.Errorf("%s: orphan %d, want %d", name, n.Orphan, orphan)
		}
		if got := must[int64](t)(s.NodeBytes(t.Context(), made(orphan))); got != n.Bytes() {
			t.Errorf("%s: %d bytes, want %d", name, got, n.Bytes())
		}
	}
	for i, name := range []string{"a", "bb", "ccc"} {
		commit(t, s, createNode(name))
		want(name, 0)
		commit(t, s, store.DeleteAccount{User: user("juliet")})
		want(name, int64(i+1))
		if n := must[int64](t)(s.NodeBytes(t.Context(), made(0))); n != 0 {
			t.Errorf("a new account begins with %d bytes", n)
		}
		commit(t, s, create("juliet"))
	}
}
