// SPDX-License-Identifier: Apache-2.0

package pubsub_test

// How to read this file: TestRefusals is the table of operations and roles, TestAccess that of access models; the
// rest is about what is not told any more.

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// friends is an Audience: who sees whose presence, and in which group.
type friends struct {
	mu         sync.Mutex
	groups     map[string][]string // of "owner viewer"
	interested []string
}

func (f *friends) Sees(_ context.Context, owner, viewer jid.JID) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.groups[owner.String()+" "+viewer.Bare().String()]
	return ok || owner == viewer.Bare(), nil
}

func (f *friends) Groups(_ context.Context, owner, viewer jid.JID) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups[owner.String()+" "+viewer.Bare().String()], nil
}

func (f *friends) Interested(dst []jid.JID, _ jid.JID, _ string, _ uint64) []jid.JID {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.interested {
		dst = append(dst, jid.MustParse(s))
	}
	return dst
}

func (f *friends) set(owner, viewer string, groups ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.groups == nil {
		f.groups = make(map[string][]string)
	}
	f.groups[owner+" "+viewer] = groups
}

func (f *friends) unset(owner, viewer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, owner+" "+viewer)
}

// TestRefusals: for each operation, who may do it, and the error of whoever may not.
func TestRefusals(t *testing.T) {
	roles := strings.Fields("owner publisher publish-only member subscriber none outcast")
	const forbidden = "auth forbidden"
	for _, op := range []struct {
		name, space, typ, payload string
		may                       string // roles
		others                    string // the error of the others
	}{
		{"configuration", ps.NSOwner, "get", "<configure node='n'/>", "owner", forbidden},
		{"configure", ps.NSOwner, "set", "<configure node='n'>" + form("node_config", "pubsub#title", "x") + "</configure>", "owner", forbidden},
		{"cancel", ps.NSOwner, "set", "<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>", "owner", forbidden},
		{"subscribers", ps.NSOwner, "get", "<subscriptions node='n'/>", "owner", forbidden},
		{"set subscribers", ps.NSOwner, "set", "<subscriptions node='n'><subscription jid='x@people' subscription='subscribed'/></subscriptions>", "owner", forbidden},
		{"affiliations", ps.NSOwner, "get", "<affiliations node='n'/>", "owner", forbidden},
		{"set affiliations", ps.NSOwner, "set", "<affiliations node='n'><affiliation jid='x@people' affiliation='member'/></affiliations>", "owner", forbidden},
		{"purge", ps.NSOwner, "set", "<purge node='n'/>", "owner", forbidden},
		{"publish", ps.NS, "set", publish("n", "p"), "owner publisher publish-only", forbidden},
		{"retract another's item", ps.NS, "set", "<retract node='n'><item id='old'/></retract>", "owner", forbidden},
		{"subscribe", ps.NS, "set", "<subscribe node='n' jid='{who}'/>", "owner publisher member subscriber none", forbidden},
		{"retrieve", ps.NS, "get", "<items node='n'/>", "owner publisher member subscriber none", forbidden},
		{"unsubscribe another", ps.NS, "set", "<unsubscribe node='n' jid='subscriber@people'/>", "subscriber", forbidden},
		{"options of another", ps.NS, "get", "<options node='n' jid='subscriber@people'/>", "subscriber", forbidden},
		{"subscribe another", ps.NS, "set", "<subscribe node='n' jid='x@people'/>", "", "modify bad-request invalid-jid"},
		{"delete", ps.NSOwner, "set", "<delete node='n'/>", "owner", forbidden},
	} {
		t.Run(op.name, func(t *testing.T) {
			bubble(t, defaults(), nil, func(w *world) {
				for _, role := range slices.Backward(roles) { // the owner last: it may end the node
					if w.set(romeo, "<create node='n'/>") == "" {
						t.Fatal("no answer")
					}
					w.set(romeo, publish("n", "old"))
					who := role + "@people/x"
					switch role {
					case "none":
					case "subscriber":
						w.must(w.set(who, subscribe("n", bare(who))))
					default:
						w.must(w.own(romeo, "set", "<affiliations node='n'><affiliation jid='"+bare(who)+"' affiliation='"+role+"'/></affiliations>"))
					}
					got := w.ask(who, service, op.typ, "<pubsub xmlns='"+op.space+"'>"+strings.ReplaceAll(op.payload, "{who}", bare(who))+"</pubsub>")
					if may := slices.Contains(strings.Fields(op.may), role); may != (got == "" || strings.HasPrefix(got, "<")) || !may && got != op.others {
						t.Errorf("%s: %s", role, got)
					}
				}
			})
		})
	}
}

// TestAccess: who may subscribe to, retrieve from and hear of a node of juliet's account, by access model.
func TestAccess(t *testing.T) {
	const ok = ""
	for _, c := range []struct {
		model, role         string
		subscribe, retrieve string // "" or the error
		hears               bool
	}{
		{"open", "none", ok, ok, true},
		{"open", "outcast", "auth forbidden", "auth forbidden", false},
		{"presence", "none", "auth not-authorized presence-subscription-required", "auth not-authorized presence-subscription-required", false},
		{"presence", "friend", ok, ok, true},
		{"presence", "publisher", ok, ok, true},
		{"presence", "outcast", "auth forbidden", "auth forbidden", false},
		{"roster", "none", "auth not-authorized not-in-roster-group", "auth not-authorized not-in-roster-group", false},
		{"roster", "friend", "auth not-authorized not-in-roster-group", "auth not-authorized not-in-roster-group", false},
		{"roster", "servant", ok, ok, true},
		{"authorize", "none", ok, "auth not-authorized not-subscribed", false},
		{"authorize", "friend", ok, "auth not-authorized not-subscribed", false},
		{"authorize", "member", ok, ok, true},
		{"whitelist", "none", "cancel not-allowed closed-node", "cancel not-allowed closed-node", false},
		{"whitelist", "friend", "cancel not-allowed closed-node", "cancel not-allowed closed-node", false},
		{"whitelist", "member", ok, ok, true},
		{"whitelist", "publish-only", "auth forbidden", "auth forbidden", false},
	} {
		t.Run(c.model+" "+c.role, func(t *testing.T) {
			f := new(friends)
			bubble(t, defaults(), f, func(w *world) {
				w.account("juliet")
				const juliet, own, viewer = "juliet@d", "juliet@d/chamber", "viewer@people"
				switch c.role {
				case "friend":
					f.set(juliet, viewer, "Friends")
				case "servant":
					f.set(juliet, viewer, "Friends", "Servants")
				}
				at := func(who, typ, space, payload string) string {
					return w.ask(who, juliet, typ, "<pubsub xmlns='"+space+"'>"+payload+"</pubsub>")
				}
				w.must(at(own, "set", ps.NS, publish("n", "a")+"<publish-options>"+form("publish-options",
					"pubsub#access_model", c.model, "pubsub#roster_groups_allowed", "Servants")+"</publish-options>"))
				if c.role != "none" && c.role != "friend" && c.role != "servant" {
					w.must(at(own, "set", ps.NSOwner, "<affiliations node='n'><affiliation jid='"+viewer+"' affiliation='"+c.role+"'/></affiliations>"))
				}
				if got := at(viewer+"/x", "get", ps.NS, "<items node='n'/>"); got != c.retrieve && !(c.retrieve == ok && strings.HasPrefix(got, "<")) {
					t.Errorf("retrieves: %s", got)
				}
				if got := at(viewer+"/x", "set", ps.NS, subscribe("n", viewer+"/x")); got != c.subscribe && !(c.subscribe == ok && strings.HasPrefix(got, "<")) {
					t.Errorf("subscribes: %s", got)
				}
				f.mu.Lock()
				f.interested = []string{viewer + "/y"}
				f.mu.Unlock()
				w.got(viewer + "/x")
				w.must(at(own, "set", ps.NS, publish("n", "b")))
				for _, who := range []string{viewer + "/x", viewer + "/y"} {
					if got := w.got(who); (len(got) > 0) != c.hears {
						t.Errorf("%s hears %q", who, got)
					}
				}
			})
		})
	}
}

// TestGroupsAreTheirs: nobody finds out in which group of somebody's he is by making him an owner.
func TestGroupsAreTheirs(t *testing.T) {
	f := new(friends)
	bubble(t, defaults(), f, func(w *world) {
		w.account("juliet")
		w.account("tybalt")
		f.set("juliet@d", "paris@people", "Suitors")
		const owner = "tybalt@d/street"
		groups := form("node_config", "pubsub#access_model", "roster", "pubsub#roster_groups_allowed", "Suitors")
		const juliet = "<affiliations node='n'><affiliation jid='juliet@d' affiliation='owner'/></affiliations>"
		w.must(w.set(owner, "<create node='n'/><configure>"+groups+"</configure>"))
		w.must(w.own(owner, "set", juliet))
		w.want(w.set(stranger, subscribe("n", stranger)), "auth not-authorized not-in-roster-group")
		w.must(w.ask(owner, "tybalt@d", "set", "<pubsub xmlns='"+ps.NS+"'><create node='n'/><configure>"+groups+"</configure></pubsub>"))
		w.must(w.ask(owner, "tybalt@d", "set", "<pubsub xmlns='"+ps.NSOwner+"'>"+juliet+"</pubsub>"))
		w.want(w.ask(stranger, "tybalt@d", "get", "<pubsub xmlns='"+ps.NS+"'><items node='n'/></pubsub>"), "auth not-authorized not-in-roster-group")
		// Who has made a node means his own groups.
		f.set("tybalt@d", "paris@people", "Suitors")
		w.must(w.set(stranger, subscribe("n", stranger)))
		w.must(w.own("juliet@d/balcony", "set", "<affiliations node='n'><affiliation jid='tybalt@d' affiliation='member'/></affiliations>"))
		w.want(w.get(stranger, "<items node='n'/>"), "auth not-authorized not-in-roster-group")
	})
}

// TestNothingMore: nobody is told anything when it may not see it any more.
func TestNothingMore(t *testing.T) {
	outcast := func(w *world) {
		w.must(w.own(romeo, "set", "<affiliations node='n'><affiliation jid='juliet@people' affiliation='outcast'/></affiliations>"))
		w.hears(juliet, "<subscription node='n' jid='juliet@people/balcony' subscription='none'/>")
	}
	for _, c := range []struct {
		name   string
		revoke func(w *world)
	}{
		{"outcast", outcast},
		{"outcast is let in again", func(w *world) {
			outcast(w)
			w.must(w.own(romeo, "set", "<affiliations node='n'><affiliation jid='juliet@people' affiliation='none'/></affiliations>"))
		}},
		{"subscription ended", func(w *world) {
			w.must(w.own(romeo, "set", "<subscriptions node='n'><subscription jid='juliet@people/balcony' subscription='none'/></subscriptions>"))
			w.hears(juliet, "<subscription node='n' jid='juliet@people/balcony' subscription='none'/>")
		}},
		{"whitelist", func(w *world) {
			w.must(w.own(romeo, "set", "<configure node='n'>"+form("node_config", "pubsub#access_model", "whitelist")+"</configure>"))
			w.hears(juliet, "<subscription node='n' jid='juliet@people/balcony' subscription='none'/>")
		}},
		{"no notifications", func(w *world) {
			w.must(w.own(romeo, "set", "<configure node='n'>"+form("node_config", "pubsub#deliver_notifications", "0")+"</configure>"))
		}},
		{"not delivered to", func(w *world) {
			w.must(w.set(juliet, "<options node='n' jid='"+juliet+"'>"+form("subscribe_options", "pubsub#deliver", "0")+"</options>"))
		}},
		{"expired", func(w *world) {
			w.must(w.set(juliet, "<options node='n' jid='"+juliet+"'>"+form("subscribe_options", "pubsub#expire", "1999-01-01T00:00:00Z")+"</options>"))
		}},
		{"left", func(w *world) { w.must(w.set(juliet, "<unsubscribe node='n' jid='"+juliet+"'/>")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, defaults(), nil, func(w *world) {
				w.node("n", "pubsub#access_model", "open")
				w.must(w.set(juliet, subscribe("n", juliet)))
				w.must(w.set(romeo, publish("n", "a")))
				w.hears(juliet, items("n", "a"))
				c.revoke(w)
				w.must(w.set(romeo, publish("n", "b")))
				w.must(w.set(romeo, "<retract node='n' notify='1'><item id='b'/></retract>"))
				w.must(w.own(romeo, "set", "<purge node='n'/>"))
				w.must(w.own(romeo, "set", "<delete node='n'/>"))
				w.hears(juliet)
			})
		})
	}
}

// TestPresenceLost: a subscriber of an account's node who does not see its owner's presence any more hears nothing.
func TestPresenceLost(t *testing.T) {
	f := new(friends)
	bubble(t, defaults(), f, func(w *world) {
		w.account("juliet")
		at := func(who, payload string) string {
			return w.ask(who, "juliet@d", "set", "<pubsub xmlns='"+ps.NS+"'>"+payload+"</pubsub>")
		}
		f.set("juliet@d", "romeo@people")
		w.must(at("juliet@d/chamber", publish("n", "a")))
		w.must(at(romeo, subscribe("n", romeo)))
		w.got(romeo)
		w.must(at("juliet@d/chamber", publish("n", "b")))
		if got := w.got(romeo); len(got) != 1 || !strings.Contains(got[0], "publisher='juliet@d'") {
			t.Errorf("a friend hears %q", got)
		}
		f.unset("juliet@d", "romeo@people")
		w.must(at("juliet@d/chamber", publish("n", "c")))
		w.hears(romeo)
	})
}
