// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/module/pubsub"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// wordy is a configuration of 8 KB.
func wordy() string {
	return form("node_config", "pubsub#title", strings.Repeat("t", 4000), "pubsub#description", strings.Repeat("d", 4000))
}

const noRoom = "wait resource-constraint"

// large publishes an item of that many bytes.
func large(node, id string, size int) string {
	return "<publish node='" + node + "'><item id='" + id + "'><x xmlns='u:x'>" + strings.Repeat("x", size) + "</x></item></publish>"
}

// bytes is what the nodes of somebody count in the store.
func (w *world) bytes(at, creator string) int64 {
	w.t.Helper()
	n, err := w.store.NodeBytes(context.Background(), store.NodeMaker{At: jid.MustParse(at), Creator: jid.MustParse(creator)})
	if err != nil {
		w.t.Error(err) // it may run on a goroutine of the test's
	}
	return n
}

// TestBytesPerOwner: what all nodes of one maker keep is bounded, whoever publishes; what goes makes room, and who has none left may
// still replace what he has.
func TestBytesPerOwner(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := defaults()
		c.BytesPerOwner = 55_000
		w := newWorld(t, folder, c, nil)
		for _, node := range []string{"a", "b"} {
			w.node(node, "pubsub#publish_model", "open")
		}
		for i := range 5 {
			w.must(w.set(romeo, large("a", fmt.Sprint("i", i), 9000)))
		}
		w.want(w.set(romeo, large("a", "more", 9000)), noRoom)
		w.want(w.set(romeo, large("b", "more", 9000)), noRoom)
		w.want(w.set(juliet, large("b", "hers", 9000)), noRoom) // it is the maker's node
		if n := w.metric("stonechat_pubsub_limited_total"); n != "3" {
			t.Errorf("%s requests counted, want 3", n)
		}
		w.must(w.set(juliet, "<create node='c'/>")) // others have their own
		w.must(w.set(juliet, large("c", "i", 9000)))
		w.must(w.set(romeo, large("a", "i3", 9000))) // in the place of as much
		w.must(w.set(romeo, publish("b", "small")))  // there is a little left
		w.want(w.own(romeo, "set", "<configure node='a'>"+wordy()+"</configure>"), noRoom)
		w.want(w.set(romeo, "<create node='"+strings.Repeat("n", 1000)+"'/><configure>"+wordy()+"</configure>"), noRoom)
		w.must(w.set(romeo, "<retract node='a'><item id='i0'/></retract>"))
		w.must(w.set(romeo, large("b", "more", 9000)))
		w.want(w.set(romeo, large("b", "even more", 9000)), noRoom)
		if n := w.bytes(service, "romeo@people"); n > 55_000 || n < 45_000 {
			t.Errorf("they have %d bytes", n)
		}
		w.end()
		w = newWorld(t, folder, c, nil)
		w.want(w.set(romeo, large("b", "even more", 9000)), noRoom)
		w.must(w.own(romeo, "set", "<delete node='b'/>"))
		w.must(w.set(romeo, large("a", "even more", 9000)))
		w.want(w.set(romeo, large("a", "and more", 9000)), noRoom)
		// Of a full node the oldest goes for what comes.
		w.must(w.own(romeo, "set", "<configure node='a'>"+form("node_config", "pubsub#max_items", "5")+"</configure>"))
		for i := range 10 {
			w.must(w.set(romeo, large("a", fmt.Sprint("turn", i), 9000)))
		}
		w.end()
		// A lower bound: what is there stays, and may become less.
		c.BytesPerOwner = 20_000
		w = newWorld(t, folder, c, nil)
		w.want(w.set(romeo, large("a", "x", 9100)), noRoom)
		w.must(w.set(romeo, large("a", "turn9", 8000)))
		w.must(w.own(romeo, "set", "<purge node='a'/>"))
		w.must(w.set(romeo, large("a", "x", 9000)))
	})
}

// TestBytesOfAccount: the same of an account's own nodes, which are made by what is published; what was refused has made none.
func TestBytesOfAccount(t *testing.T) {
	c := defaults()
	c.BytesPerOwner = 60_000
	bubble(t, c, new(friends), func(w *world) {
		w.account("romeo")
		ask := func(payload string) string {
			w.t.Helper()
			return w.ask("romeo@d/orchard", "romeo@d", "set", "<pubsub xmlns='"+ps.NS+"'>"+payload+"</pubsub>")
		}
		for i := range 5 {
			w.must(ask(large(fmt.Sprint("n", i), "i", 9000)))
		}
		before := w.bytes("romeo@d", "romeo@d")
		w.want(ask(large("another", "i", 9000)), noRoom)
		w.want(w.ask("romeo@d/orchard", "romeo@d", "get", "<pubsub xmlns='"+ps.NS+"'><items node='another'/></pubsub>"), "cancel item-not-found")
		if n := w.bytes("romeo@d", "romeo@d"); n != before {
			t.Errorf("%d bytes, %d before", n, before)
		}
		turn := w.NewTurn()
		p := w.module.Publish(turn, jid.MustParse("romeo@d"), "of the server", store.Item{ID: "i", Payload: []byte("<x xmlns='u:x'>" + strings.Repeat("x", 9000) + "</x>")}, pubsub.Options{})
		turn.End()
		synctest.Wait()
		if err := p.Wait(context.Background()); err == nil || !strings.Contains(err.Error(), "resource-constraint") {
			t.Errorf("published by another module: %v", err)
		}
		w.must(ask(large("n0", "i", 9000)))
		w.must(ask("<retract node='n0'><item id='i'/></retract>"))
		w.must(ask(large("another", "i", 8000)))
	})
}

// TestBytesNotStored: what could not be stored does not count for ever.
func TestBytesNotStored(t *testing.T) {
	c := defaults()
	c.BytesPerOwner = 55_000
	bubble(t, c, nil, func(w *world) {
		w.node("a")
		w.store.full.Store(true)
		for i := range 20 {
			w.want(w.set(romeo, large("a", fmt.Sprint("i", i), 9000)), noRoom)
		}
		w.store.full.Store(false)
		for i := range 5 {
			w.must(w.set(romeo, large("a", fmt.Sprint("i", i), 9000)))
		}
		w.want(w.set(romeo, large("a", "more", 9000)), noRoom)
	})
}

// TestBytesOfDeletedAccount: what an account has made that is deleted does not count for the next of its address, and stays bounded.
func TestBytesOfDeletedAccount(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := defaults()
		c.BytesPerOwner = 55_000
		w := newWorld(t, folder, c, nil)
		w.account("romeo")
		const his = "romeo@d/orchard"
		for _, node := range []string{"a", "b"} {
			w.must(w.set(his, "<create node='"+node+"'/>"))
			w.want(w.own(his, "set", "<affiliations node='"+node+"'><affiliation jid='"+bare(juliet)+"' affiliation='owner'/></affiliations>"), "")
		}
		for i := range 5 {
			w.must(w.set(juliet, large("a", fmt.Sprint("i", i), 9000)))
		}
		if err := w.DeleteAccount(context.Background(), jid.MustParse("romeo@d"), nil); err != nil {
			t.Fatal(err)
		}
		w.account("romeo")
		for _, start := range []string{"as it is", "after a new start"} {
			w.must(w.set(his, "<create node='new "+start[:2]+"'/>"))
			w.must(w.set(his, large("new "+start[:2], "i", 9000)))
			w.want(w.set(juliet, large("a", "more", 9000)), noRoom)
			w.want(w.set(juliet, large("b", "more", 9000)), noRoom)
			w.must(w.set(juliet, large("a", "i1", 9000)))
			w.end()
			w = newWorld(t, folder, c, nil)
		}
	})
}

// TestBytesAtOnce: however many publish at once, and whatever goes meanwhile, the bound holds, and what is known is right afterwards.
func TestBytesAtOnce(t *testing.T) {
	c := defaults()
	c.BytesPerOwner, c.Items = 100_000, 1000
	bubble(t, c, nil, func(w *world) {
		const nodes = 8
		for i := range nodes {
			w.node(fmt.Sprint("n", i), "pubsub#publish_model", "open", "pubsub#max_items", "1000")
		}
		var all sync.WaitGroup
		for i := range nodes {
			all.Go(func() {
				who := jid.MustParse(fmt.Sprintf("p%d@people", i))
				for k := range 40 {
					turn := w.NewTurn()
					item := store.Item{ID: fmt.Sprint(k), Publisher: who, Payload: []byte("<x xmlns='u:x'>" + strings.Repeat("x", 100+k*37%900) + "</x>")}
					name := fmt.Sprint("n", (i+k)%nodes)
					p := w.module.Publish(turn, jid.MustParse(service), name, item, pubsub.Options{})
					if k%5 == 0 {
						w.module.Retract(turn, jid.MustParse(service), name, fmt.Sprint(k-5), false)
					}
					turn.End()
					_ = p.Wait(context.Background()) // it may be refused
					if n := w.bytes(service, bare(romeo)); n > int64(c.BytesPerOwner) {
						t.Errorf("%d bytes", n)
					}
				}
			})
		}
		all.Wait()
		n := w.bytes(service, bare(romeo))
		if n < 90_000 {
			t.Fatalf("%d bytes: the bound is not reached", n)
		}
		w.must(w.own(romeo, "set", "<purge node='n7'/>"))
		left := int(int64(c.BytesPerOwner) - w.bytes(service, bare(romeo)))
		for ; left > 9000; left = int(int64(c.BytesPerOwner) - w.bytes(service, bare(romeo))) {
			w.must(w.set(romeo, large("n0", fmt.Sprint("left", left), 4000)))
		}
		w.must(w.set(romeo, large("n0", "last", left-64-len("last")-len(bare(romeo))-len("<x xmlns='u:x'></x>"))))
		w.want(w.set(romeo, publish("n1", "a byte more")), noRoom)
		if n := w.bytes(service, bare(romeo)); n != int64(c.BytesPerOwner) {
			t.Errorf("%d bytes, want all of %d", n, c.BytesPerOwner)
		}
	})
}

// TestBytesNearTheBound: what is stored while the store is asked is counted twice, and nobody who fits is refused for that.
func TestBytesNearTheBound(t *testing.T) {
	c := defaults()
	c.BytesPerOwner = 32_000
	bubble(t, c, nil, func(w *world) {
		w.node("a")
		w.node("b")
		for range 2 { // in the place of the first, which is known to count still
			w.must(w.set(romeo, large("a", "i", 9000)))
		}
		stored := w.store.hold()
		w.send(romeo, service, "<iq xmlns='jabber:client' type='set' id='p'><pubsub xmlns='"+ps.NS+"'>"+large("a", "more", 9000)+"</pubsub></iq>")
		asked := 0
		w.store.asked = func() {
			if asked++; asked == 1 {
				stored()
			}
		}
		w.must(w.set(romeo, large("b", "fits", 9000)))
		if asked == 0 {
			t.Error("the store was not asked")
		}
		w.want(w.set(romeo, large("b", "too much", 9000)), noRoom)
	})
}
