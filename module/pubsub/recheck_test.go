// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// readers decide about all accounts: those in may read, unless that cannot be said.
type readers struct {
	may    map[string]bool
	unread bool
}

func (*readers) Knows(jid.JID) bool { return true }

func (r *readers) Reads(_ context.Context, _ jid.JID, _ string, who jid.JID) (decided, may bool, err error) {
	if r.unread {
		e := stanza.InternalServerError.Err("it cannot be looked up now")
		e.Type = stanza.Wait
		return false, false, e
	}
	return true, r.may[who.String()], nil
}

func (*readers) Denied(context.Context, jid.JID, string, jid.JID) error {
	return stanza.Forbidden.Err("")
}

// TestRecheckAll: who may not read any more what an account publishes is subscribed to none of it, and told so; others stay, and so
// does everybody while nobody can say who may.
func TestRecheckAll(t *testing.T) {
	const crowd = store.MaxCallOps + 10
	c := defaults()
	c.Subscriptions, c.SubscriptionsPerNode = 2*crowd+10, crowd+10
	bubble(t, c, new(friends), func(w *world) {
		r := &readers{may: make(map[string]bool)}
		w.module.Let(r)
		w.account("juliet")
		owner := jid.MustParse("juliet@d")
		at := func(who, payload string) string {
			return w.ask(who, "juliet@d", "set", "<pubsub xmlns='"+ps.NS+"'>"+payload+"</pubsub>")
		}
		nodes := []string{"a", "b"}
		for _, node := range nodes {
			w.must(at("juliet@d/chamber", publish(node, "1")))
			for _, who := range []string{romeo, nurse} {
				r.may[bare(who)] = true
				w.must(at(who, subscribe(node, who)))
				w.must(at(who, subscribe(node, bare(who))))
			}
		}
		for i := range crowd { // more than one call of the store takes
			who := fmt.Sprintf("guest%d@people", i)
			r.may[who] = true
			w.must(at(who, subscribe("a", who)))
		}
		has := func(want int) {
			t.Helper()
			if _, n, err := w.store.NodeCount(context.Background(), owner); err != nil || n != want {
				t.Errorf("%d subscriptions in the store, want %d: %v", n, want, err)
			}
		}
		has(crowd + 8)
		recheck := func(wants bool) {
			t.Helper()
			if err := w.module.RecheckAll(context.Background(), owner); (err == nil) != wants {
				t.Errorf("looked at: %v", err)
			}
			if err := w.store.Commit().Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, who := range []string{romeo, bare(romeo), nurse, bare(nurse)} {
			w.got(who)
		}
		r.unread = true
		recheck(false)
		r.unread = false
		has(crowd + 8)
		recheck(true)
		has(crowd + 8)
		r.may = map[string]bool{bare(nurse): true}
		recheck(true)
		has(4)
		w.send("juliet@d/chamber", "juliet@d", "<message xmlns='jabber:client'/>") // what was told has come
		for _, who := range []string{romeo, bare(romeo)} {
			told := strings.Join(w.got(who), "")
			for _, node := range nodes {
				if strings.Count(told, "node='"+node+"' jid='"+who+"' subscription='none'") != 1 {
					t.Errorf("%s is told of node %s: %s", who, node, told)
				}
			}
		}
		if got := append(w.got(nurse), w.got(bare(nurse))...); len(got) > 0 {
			t.Errorf("who may read on is told %s", got)
		}
	})
}
