// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// TestOwned: how many nodes one may own is known without counting them each time, and stays right whatever becomes of them.
func TestOwned(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := defaults()
		c.NodesPerOwner = 3
		w := newWorld(t, folder, c, nil)
		create := func(who, node string) string { return w.set(who, "<create node='"+node+"'/>") }
		const full = "wait resource-constraint max-nodes-exceeded"
		affiliate := func(who, node, whom, what string) {
			t.Helper()
			w.want(w.own(who, "set", "<affiliations node='"+node+"'><affiliation jid='"+bare(whom)+"' affiliation='"+what+"'/></affiliations>"), "")
		}
		for _, node := range []string{"a", "b", "c"} {
			w.want(create(romeo, node), "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='"+node+"'/></pubsub>")
		}
		w.want(create(romeo, "d"), full)
		w.store.reads.Store(0)
		for i := range 10 {
			w.want(w.own(romeo, "set", "<delete node='a'/>"), "")
			w.must(create(romeo, "a"))
			w.want(create(romeo, fmt.Sprint("more", i)), full)
		}
		if n := w.store.reads.Load(); n > 0 {
			t.Errorf("%d reads", n)
		}
		// Whom others make an owner may make as many nodes as before; who gives his away may make no more for that.
		affiliate(romeo, "a", juliet, "owner")
		affiliate(romeo, "b", juliet, "owner")
		for _, node := range []string{"e", "f", "j"} {
			w.must(create(juliet, node))
		}
		w.want(create(juliet, "g"), full)
		for _, what := range []string{"publisher", "owner", "none"} {
			affiliate(juliet, "a", romeo, what)
			w.want(create(romeo, "d"), full)
		}
		w.want(w.own(juliet, "set", "<delete node='a'/>"), "") // who ends one that he was given makes room for its maker
		w.want(create(juliet, "g"), full)
		w.must(create(romeo, "d"))
		w.want(w.own(romeo, "set", "<delete node='b'/>"), "")
		w.must(create(romeo, "b"))
		w.want(create(romeo, "g"), full)
		w.want(w.own(romeo, "set", "<delete node='b'/>"), "")
		// What could not be stored does not count.
		w.want(w.own(romeo, "set", "<delete node='c'/>"), "")
		w.store.full.Store(true)
		w.want(create(romeo, "g"), "wait resource-constraint")
		w.want(w.own(romeo, "set", "<delete node='d'/>"), "wait resource-constraint")
		w.store.full.Store(false)
		w.must(create(romeo, "g"))
		w.must(create(romeo, "h"))
		w.want(create(romeo, "i"), full)
		w.end()
		w = newWorld(t, folder, c, nil)
		w.want(create(romeo, "i"), full)
		w.want(create(juliet, "i"), full)
	})
}

// BenchmarkCreate is a node of an owner who has thousands.
func BenchmarkCreate(b *testing.B) {
	c := defaults()
	c.Nodes, c.NodesPerOwner = 1<<30, 1<<30
	w := newWorld(b, b.TempDir(), c, nil)
	e := &counter{more: make(chan struct{}, 1)}
	if _, err := w.Attach("crowd", e); err != nil {
		b.Fatal(err)
	}
	n := int64(0)
	create := func() {
		w.send("owner@crowd/r", service, fmt.Sprintf("<iq xmlns='jabber:client' type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='n%d'/></pubsub></iq>", n))
		n++
		e.await(n)
	}
	for range 5000 {
		create()
	}
	for b.Loop() {
		create()
	}
}
