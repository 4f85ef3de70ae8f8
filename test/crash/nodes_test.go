// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
)

// The keepers of nodes, of bookmarks and of what else an account keeps.

const (
	pubsub   = "pubsub." + domain
	nodes    = 6
	items    = 8
	bookmark = "urn:xmpp:bookmarks:1"
)

func node(n int) string { return fmt.Sprintf("node%d", n) }

// own and item are requests of owners and of others.
func (v *life) node(to, typ, payload string) (*element, error) {
	return v.session.ask(to, typ, "<pubsub xmlns='"+nsPubSub+"'>"+payload+"</pubsub>")
}

func (v *life) owner(typ, payload string) (*element, error) {
	return v.session.ask(pubsub, typ, "<pubsub xmlns='"+nsPubSub+"#owner'>"+payload+"</pubsub>")
}

func entry(value string) string { return "<entry xmlns='urn:stonechat:crash'>" + value + "</entry>" }

// nodeKeeper makes, configures and deletes nodes, publishes, retracts, subscribes, and gives affiliations.
func nodeKeeper() *keeper {
	config := func(title string) string {
		return form(nsPubSub+"#node_config", "pubsub#title", title, "pubsub#persist_items", "1", "pubsub#max_items", "100")
	}
	return &keeper{
		name:    "publisher",
		prepare: func(*life) error { return nil },
		change: func(v *life, r *rand.Rand, n int) error {
			name := node(r.IntN(nodes))
			there, value := v.key("%s", name), v.value(n)
			var err error
			if v.ledger.value(there) == "" {
				return v.ledger.change(there, value, func() error {
					_, err := v.node(pubsub, "set", "<create node='"+name+"'/><configure>"+config(value)+"</configure>")
					return err
				})
			}
			switch r.IntN(10) {
			case 0:
				return v.deleteNode(name)
			case 1, 2:
				return v.ledger.change(there, value, func() error {
					_, err := v.owner("set", "<configure node='"+name+"'>"+config(value)+"</configure>")
					return err
				})
			case 3:
				id := fmt.Sprintf("i%d", r.IntN(items))
				if v.ledger.value(v.key("%s/%s", name, id)) == "" {
					return nil
				}
				return v.ledger.change(v.key("%s/%s", name, id), "", func() error {
					_, err = v.node(pubsub, "set", "<retract node='"+name+"'><item id='"+id+"'/></retract>")
					return err
				})
			case 4:
				who, to := fmt.Sprintf("c%d@example.org", r.IntN(4)), []string{"publisher", "outcast", ""}[r.IntN(3)]
				return v.ledger.change(v.key("%s %s", name, who), to, func() error {
					if to == "" {
						to = "none"
					}
					_, err := v.owner("set", "<affiliations node='"+name+"'><affiliation jid='"+who+"' affiliation='"+to+"'/></affiliations>")
					return err
				})
			case 5:
				key, me := v.key("%s subscription", name), v.user+"@"+domain
				if v.ledger.value(key) == "" {
					return v.ledger.change(key, "subscribed", func() error {
						_, err := v.node(pubsub, "set", "<subscribe node='"+name+"' jid='"+me+"'/>")
						return err
					})
				}
				return v.ledger.change(key, "", func() error {
					_, err := v.node(pubsub, "set", "<unsubscribe node='"+name+"' jid='"+me+"'/>")
					return err
				})
			}
			id := fmt.Sprintf("i%d", r.IntN(items))
			return v.ledger.change(v.key("%s/%s", name, id), value, func() error {
				_, err := v.node(pubsub, "set", "<publish node='"+name+"'><item id='"+id+"'>"+entry(value)+"</item></publish>")
				return err
			})
		},
		look: func(v *life) (map[string]string, error) {
			got := map[string]string{}
			for n := range nodes {
				if v.ledger.value(v.key("%s", node(n))) == "" && !v.ledger.doubtful(v.key("%s", node(n))) {
					continue
				}
				if err := v.lookAtNode(node(n), got); err != nil {
					return nil, err
				}
			}
			return got, nil
		},
	}
}

// deleteNode asks for all that is of a node to go, in one change.
func (v *life) deleteNode(name string) error {
	keys := v.ledger.keys(v.key("%s", name))
	for _, key := range keys {
		v.ledger.ask(key, "")
	}
	if _, err := v.owner("set", "<delete node='"+name+"'/>"); err != nil {
		return err
	}
	for _, key := range keys {
		v.ledger.ok(key)
	}
	return nil
}

// lookAtNode adds what is there of a node. Of one that is gone nothing is there.
func (v *life) lookAtNode(name string, got map[string]string) error {
	answer, err := v.owner("get", "<configure node='"+name+"'/>")
	if answer != nil && answer.attr("type") == "error" && answer.child(nsClient, "error").child("urn:ietf:params:xml:ns:xmpp-stanzas", "item-not-found") != nil {
		return nil
	}
	if err != nil {
		return err
	}
	got[v.key("%s", name)] = field(answer.child(nsPubSub+"#owner", "pubsub").child(nsPubSub+"#owner", "configure").child(nsForm, "x"), "pubsub#title")
	if answer, err = v.node(pubsub, "get", "<items node='"+name+"'/>"); err != nil {
		return err
	}
	for _, item := range answer.child(nsPubSub, "pubsub").child(nsPubSub, "items").children {
		got[v.key("%s/%s", name, item.attr("id"))] = item.children[0].text
	}
	if answer, err = v.owner("get", "<affiliations node='"+name+"'/>"); err != nil {
		return err
	}
	for _, a := range answer.child(nsPubSub+"#owner", "pubsub").child(nsPubSub+"#owner", "affiliations").children {
		if a.attr("affiliation") != "owner" && a.attr("affiliation") != "none" {
			got[v.key("%s %s", name, a.attr("jid"))] = a.attr("affiliation")
		}
	}
	if answer, err = v.owner("get", "<subscriptions node='"+name+"'/>"); err != nil {
		return err
	}
	for _, s := range answer.child(nsPubSub+"#owner", "pubsub").child(nsPubSub+"#owner", "subscriptions").children {
		if s.attr("subscription") == "subscribed" {
			got[v.key("%s subscription", name)] = "subscribed"
		}
	}
	return nil
}

// bookmarkOptions is what has bookmarks kept for the account alone (XEP-0402 §3).
func bookmarkOptions() string {
	return "<publish-options>" + form(nsPubSub+"#publish-options", "pubsub#persist_items", "true", "pubsub#max_items", "max",
		"pubsub#send_last_published_item", "never", "pubsub#access_model", "whitelist") + "</publish-options>"
}

// bookmarker changes bookmarks (XEP-0402), private XML (XEP-0049) and the preferences of its archive (XEP-0441).
func bookmarker() *keeper {
	return &keeper{
		name: "collector",
		prepare: func(v *life) error {
			return v.ledger.change(v.key("preferences"), "roster", func() error {
				_, err := v.session.ask("", "set", "<prefs xmlns='"+nsMAM+"' default='roster'><always/><never/></prefs>")
				return err
			})
		},
		change: func(v *life, r *rand.Rand, n int) error {
			value, room := v.value(n), fmt.Sprintf("room%d@conference.example.org", r.IntN(items))
			switch r.IntN(4) {
			case 0:
				place := fmt.Sprintf("p%d", r.IntN(items))
				return v.ledger.change(v.key("private %s", place), value, func() error {
					_, err := v.session.ask("", "set", "<query xmlns='"+nsPrivate+"'><data xmlns='urn:stonechat:"+place+"'>"+value+"</data></query>")
					return err
				})
			case 1:
				def := []string{"always", "never", "roster"}[r.IntN(3)]
				return v.ledger.change(v.key("preferences"), def+" "+value+"@example.org", func() error {
					_, err := v.session.ask("", "set", "<prefs xmlns='"+nsMAM+"' default='"+def+"'><always><jid>"+value+"@example.org</jid></always><never/></prefs>")
					return err
				})
			case 2:
				if v.ledger.value(v.key("bookmark %s", room)) == "" {
					return nil
				}
				return v.ledger.change(v.key("bookmark %s", room), "", func() error {
					_, err := v.node("", "set", "<retract node='"+bookmark+"' notify='true'><item id='"+room+"'/></retract>")
					return err
				})
			}
			return v.ledger.change(v.key("bookmark %s", room), value, func() error {
				_, err := v.node("", "set", "<publish node='"+bookmark+"'><item id='"+room+"'><conference xmlns='"+bookmark+"' name='"+value+"'/></item></publish>"+bookmarkOptions())
				return err
			})
		},
		look: lookAtCollection,
	}
}

func lookAtCollection(v *life) (map[string]string, error) {
	got := map[string]string{}
	for n := range items {
		space := fmt.Sprintf("urn:stonechat:p%d", n)
		answer, err := v.session.ask("", "get", "<query xmlns='"+nsPrivate+"'><data xmlns='"+space+"'/></query>")
		if err != nil {
			return nil, err
		}
		if data := answer.child(nsPrivate, "query").child(space, "data"); data != nil && data.text != "" {
			got[v.key("private p%d", n)] = data.text
		}
	}
	answer, err := v.session.ask("", "get", "<prefs xmlns='"+nsMAM+"'/>")
	if err != nil {
		return nil, err
	}
	prefs := answer.child(nsMAM, "prefs")
	got[v.key("preferences")] = prefs.attr("default")
	for _, j := range prefs.child(nsMAM, "always").children {
		got[v.key("preferences")] += " " + j.text
	}
	answer, err = v.node("", "get", "<items node='"+bookmark+"'/>")
	if answer != nil && answer.attr("type") == "error" && answer.child(nsClient, "error").child("urn:ietf:params:xml:ns:xmpp-stanzas", "item-not-found") != nil {
		return got, nil // there never was one
	}
	if err != nil {
		return nil, err
	}
	for _, item := range answer.child(nsPubSub, "pubsub").child(nsPubSub, "items").children {
		got[v.key("bookmark %s", item.attr("id"))] = item.children[0].attr("name")
	}
	return got, nil
}
