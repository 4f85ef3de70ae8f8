// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/module/pep"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	xcaps "github.com/stonechat-im/stonechat/xmpp/caps"
	xdisco "github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// nodes is an engine with the nodes "tune" and "mood" for everybody, which notes who is to be told of them.
type nodes struct {
	mu   sync.Mutex
	told []string
}

func (*nodes) AccountFeatures() []string { return nil }

func (*nodes) Account(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	if q.Type == stanza.Set {
		return nil, stanza.Forbidden.Err("")
	}
	return nil, stanza.ItemNotFound.Err("")
}

func (n *nodes) Moment() uint64 { return 0 }

func (n *nodes) Appeared(_ context.Context, owners []jid.JID, to jid.JID, _ uint64, wants func(string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, owner := range owners {
		for _, node := range []string{"mood", "tune"} {
			if wants(node) {
				n.told = append(n.told, fmt.Sprintf("%s of %s to %s", node, owner, to))
			}
		}
	}
}

func (*nodes) Recheck(context.Context, jid.JID, jid.JID) error { return nil }

func (*nodes) AccountInfo(context.Context, jid.JID, jid.JID, string) (*xdisco.Info, error) {
	return nil, stanza.ItemNotFound.Err("")
}

func (*nodes) AccountItems(_ context.Context, owner, _ jid.JID, _ string, _ *rsm.Set) (*xdisco.Items, error) {
	if owner.Local() == "open" {
		return &xdisco.Items{Items: []xdisco.Item{{JID: owner, Node: "tune"}}}, nil
	}
	return new(xdisco.Items), nil
}

// pepBed is a bed with those nodes.
type pepBed struct {
	*bed
	pep     *pep.Module
	nodes   *nodes
	learner *learner
}

func find[M server.Module](mods []server.Module) M {
	i := slices.IndexFunc(mods, func(m server.Module) bool { _, ok := m.(M); return ok })
	return mods[i].(M)
}

func newPepBed(t *testing.T) *pepBed {
	t.Helper()
	pb := &pepBed{nodes: new(nodes)}
	pb.bed = newBedOf(t, "modules: {pep: {resources: 2, elsewhere: 3}}\n", func(mods []server.Module) []server.Module {
		pb.pep = find[*pep.Module](mods)
		pb.pep.Over(pb.nodes)
		return mods
	})
	pb.learner = newLearner(pb.bed)
	pb.Account("teacher@d")
	return pb
}

// teach makes known what clients that ask for those nodes announce, and returns that as XML.
func (b *pepBed) teach(wanted ...string) string {
	b.t.Helper()
	info := infoOf("urn:xmpp:ping")
	for _, node := range wanted {
		info.Features = append(info.Features, node+"+notify")
	}
	c := capsOf(b.t, xcaps.SHA1, info)
	p := b.bind("teacher@d/t")
	defer p.End()
	b.learner.learn(p, c)
	if got := p.Got(); len(got) == 1 {
		_, id, _ := strings.Cut(got[0], "id='")
		id, _, _ = strings.Cut(id, "'")
		p.Send(fmt.Sprintf("<iq to='teacher@d' type='result' id='%s'>%s</iq>", id, info.AppendXML(nil)))
	}
	return string(c.AppendXML(nil))
}

// tells compares what the engine was asked to send since, in any order.
func (b *pepBed) tells(wants ...string) {
	b.t.Helper()
	synctest.Wait()
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	slices.Sort(b.nodes.told)
	slices.Sort(wants)
	if !slices.Equal(b.nodes.told, wants) {
		b.t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(b.nodes.told, "\n\t"), strings.Join(wants, "\n\t"))
	}
	b.nodes.told = nil
}

// interested compares who hears of a node.
func (b *pepBed) interested(owner, node string, wants ...string) {
	b.t.Helper()
	var got []string
	for _, j := range b.pep.Interested(nil, jid.MustParse(owner), node, math.MaxUint64) {
		got = append(got, j.String())
	}
	slices.Sort(got)
	slices.Sort(wants)
	if !slices.Equal(got, wants) {
		b.t.Errorf("%s of %s is told to %q; want %q", node, owner, got, wants)
	}
}

func rosterItem(address string, s store.Subscription, groups ...string) store.RosterItem {
	return store.RosterItem{Contact: jid.MustParse(address), Subscription: s, Groups: groups}
}

// TestInterested: an account's news go to its own available clients, and to those of contacts that see its
// presence, which ask for the node; to nobody else (XEP-0163 §4).
func TestInterested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		owner := jid.MustParse("alice@d")
		b.Account("alice@d", rosterItem("both@d", store.SubscriptionBoth), rosterItem("from@e", store.SubscriptionFrom),
			rosterItem("to@d", store.SubscriptionTo), rosterItem("none@d", store.SubscriptionNone),
			store.RosterItem{Contact: jid.MustParse("asks@d"), Hidden: true, In: []byte("<presence/>")})
		mirror := map[string]store.Subscription{"both@d": store.SubscriptionBoth, "from@e": store.SubscriptionTo, "to@d": store.SubscriptionFrom}
		tune, mood := b.teach("tune"), b.teach("mood")
		for _, name := range []string{"alice@d", "both@d", "from@e", "to@d", "none@d", "asks@d", "stranger@d"} {
			if name != "alice@d" {
				b.Account(name, store.RosterItem{Contact: owner, Subscription: mirror[name]})
			}
			b.bind(name + "/tune").Send("<presence><priority>-1</priority>" + tune + "</presence>")
			b.bind(name + "/mood").Send("<presence>" + mood + "</presence>")
			b.bind(name + "/nothing").Send("<presence/>")
			b.bind(name + "/directed").Send("<presence to='alice@d'>" + tune + "</presence>")
			b.bind(name + "/silent")
		}
		gone := b.bind("both@d/gone")
		gone.Send("<presence>" + tune + "</presence>")
		b.interested("alice@d", "tune", "alice@d/tune", "both@d/tune", "both@d/gone", "from@e/tune")
		gone.Send("<presence type='unavailable'/>")
		b.interested("alice@d", "tune", "alice@d/tune", "both@d/tune", "from@e/tune")
		b.interested("alice@d", "mood", "alice@d/mood", "both@d/mood", "from@e/mood")
		for _, node := range []string{"tun", "tune+notify", "tunes", "", "urn:xmpp:ping"} {
			b.interested("alice@d", node)
		}
		// Nobody who is not in use: it is read.
		b.Account("away@d", rosterItem("both@d", store.SubscriptionFrom), rosterItem("none@d", store.SubscriptionNone))
		b.interested("away@d", "tune", "both@d/tune")

		// The subscription ends: nothing more.
		a := b.bind("alice@d/x")
		a.Send("<presence type='unsubscribed' to='from@e'/>")
		b.interested("alice@d", "tune", "alice@d/tune", "both@d/tune")
		a.Send("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='both@d' subscription='remove'/></query></iq>")
		b.interested("alice@d", "tune", "alice@d/tune")

		for viewer, want := range map[string]bool{"alice@d/x": true, "both@d": false, "to@d": false, "none@d/tune": false, "asks@d": false, "stranger@d": false} {
			if sees, err := b.pep.Sees(t.Context(), owner, jid.MustParse(viewer)); sees != want || err != nil {
				t.Errorf("%s sees %v, %v", viewer, sees, err)
			}
		}
		if sees, err := b.pep.Sees(t.Context(), jid.MustParse("away@d"), jid.MustParse("both@d/tune")); !sees || err != nil {
			t.Error(sees, err)
		}
	})
}

// TestSight: what somebody sees of accounts that are not in use is true, also where it was read before and has
// changed since.
func TestSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		bob := b.Account("bob@d", rosterItem("alice@d", store.SubscriptionTo), rosterItem("carol@e", store.SubscriptionTo), rosterItem("dora@e", store.SubscriptionNone))
		alice := b.Account("alice@d", rosterItem("bob@d", store.SubscriptionFrom))
		carol := b.Account("carol@e", rosterItem("bob@d", store.SubscriptionFrom))
		dora := b.Account("dora@e", rosterItem("bob@d", store.SubscriptionNone))
		sees := func(wants ...bool) {
			t.Helper()
			for i, owner := range []jid.JID{alice, carol, dora} {
				if got, err := b.pep.Sees(t.Context(), owner, bob); got != wants[i] || err != nil {
					t.Errorf("bob sees %s: %v, %v", owner, got, err)
				}
			}
		}
		sees(true, true, false)
		viewer := b.bind("bob@d/r")
		viewer.Send("<presence>" + b.teach("tune") + "</presence>")
		sees(true, true, false)
		for _, x := range []struct {
			who, does string
			want      []bool
		}{
			{"alice@d/x", "<presence type='unsubscribed' to='bob@d'/>", []bool{false, true, false}},
			{"bob@d/r", "<presence type='subscribe' to='dora@e'/>", []bool{false, true, false}},
			{"dora@e/x", "<presence type='subscribed' to='bob@d'/>", []bool{false, true, true}},
			{"bob@d/r", "<presence type='unsubscribe' to='carol@e'/>", []bool{false, false, true}},
		} {
			p := viewer
			if x.who != "bob@d/r" {
				p = b.bind(x.who)
			}
			p.Send(x.does)
			sees(x.want...)
			if p != viewer {
				p.End()
				synctest.Wait()
				sees(x.want...)
			}
		}
		if err := b.DeleteAccount(t.Context(), dora, nil); err != nil {
			t.Fatal(err)
		}
		b.Account("dora@e")
		sees(false, false, false)
	})
}

// TestGroups: access model roster goes by the owner's groups.
func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		alice := b.Account("alice@d", rosterItem("bob@d", store.SubscriptionBoth, "Friends", "Servants"), rosterItem("carol@d", store.SubscriptionBoth))
		for _, online := range []bool{false, true} {
			if online {
				b.online("alice@d/r")
			}
			for viewer, want := range map[string]string{"bob@d/r": "Friends,Servants", "carol@d": "", "mallory@d": ""} {
				got, err := b.pep.Groups(t.Context(), alice, jid.MustParse(viewer))
				if err != nil || strings.Join(got, ",") != want {
					t.Errorf("%s is in %q, %v", viewer, got, err)
				}
			}
		}
	})
}

// TestComing: a client that comes is told what was published last at the nodes that it asks for, by its own
// account and by contacts that it sees, once (XEP-0163 §4.3.3, §4.3.4).
func TestComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		b.Account("alice@d", rosterItem("both@e", store.SubscriptionBoth), rosterItem("to@d", store.SubscriptionTo),
			rosterItem("from@d", store.SubscriptionFrom), rosterItem("none@d", store.SubscriptionNone), rosterItem("x@far", store.SubscriptionBoth))
		for _, name := range []string{"both@e", "to@d", "from@d", "none@d"} {
			b.Account(name)
		}
		tune, all, none := b.teach("tune"), b.teach("tune", "mood"), b.teach()
		a := b.bind("alice@d/r")
		b.tells()
		a.Send("<presence>" + tune + "</presence>")
		b.tells("tune of alice@d to alice@d/r", "tune of both@e to alice@d/r", "tune of to@d to alice@d/r")
		for _, again := range []string{"<status>x</status>" + tune, tune, "", none, tune, "<show>away</show>"} {
			a.Send("<presence>" + again + "</presence>")
			b.tells()
		}
		// It asks for one thing more: for that alone there is news.
		a.Send("<presence>" + all + "</presence>")
		b.tells("mood of alice@d to alice@d/r", "mood of both@e to alice@d/r", "mood of to@d to alice@d/r")
		a.Send("<presence type='unavailable'/>")
		a.Send("<presence/>")
		b.tells() // it announces nothing now
		a.Send("<presence>" + tune + "</presence>")
		b.tells("tune of alice@d to alice@d/r", "tune of both@e to alice@d/r", "tune of to@d to alice@d/r")

		// Another one of the account, whose capabilities nobody knows yet.
		other := b.bind("alice@d/other")
		info := infoOf("mood+notify")
		c := capsOf(t, xcaps.SHA1, info)
		other.Send("<presence>" + string(c.AppendXML(nil)) + "</presence>")
		b.tells()
		var id string
		for _, xml := range other.Got() {
			if m := question.FindStringSubmatch(xml); m != nil {
				id = m[2]
			}
		}
		// While it is asked, it says two more things: the last of them counts, and is asked next.
		other.Send("<presence>" + tune + "</presence><presence>" + all + "</presence>")
		other.Got()
		other.says(id, info)
		b.tells("mood of alice@d to alice@d/other", "mood of both@e to alice@d/other", "mood of to@d to alice@d/other",
			"tune of alice@d to alice@d/other", "tune of both@e to alice@d/other", "tune of to@d to alice@d/other")
	})
}

// TestComingByRoster: who sees somebody from now on is told what that one has published.
func TestComingByRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		b.Account("alice@d")
		b.Account("bob@e")
		all, none := b.teach("tune", "mood"), b.teach()
		a, silent, c := b.bind("alice@d/r"), b.bind("alice@d/silent"), b.bind("bob@e/r")
		a.Send("<presence>" + all + "</presence>")
		c.Send("<presence>" + none + "</presence>")
		silent.Send("<presence/>")
		b.tells("mood of alice@d to alice@d/r", "tune of alice@d to alice@d/r")
		a.Send("<presence type='subscribe' to='bob@e'/>")
		b.tells()
		c.Send("<presence type='subscribed' to='alice@d'/>")
		b.tells("mood of bob@e to alice@d/r", "tune of bob@e to alice@d/r")
		b.interested("bob@e", "tune", "alice@d/r")
		c.Send("<presence type='subscribe' to='alice@d'/>")
		a.Send("<presence type='subscribed' to='bob@e'/>")
		b.tells() // bob asks for nothing
		a.Send("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='bob@e' name='B'><group>g</group></item></query></iq>")
		b.tells()
	})
}

// far is a domain that is no account's of ours, with clients that answer what they can do.
type far struct {
	mu    sync.Mutex
	asked []string
	info  *xdisco.Info
}

func (*far) Present() bool { return true }

func (f *far) Take(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind == stanza.IQ && s.Type == stanza.Get {
		f.mu.Lock()
		f.asked = append(f.asked, s.From.String()+" "+s.To.String())
		f.mu.Unlock()
		r := s.Retain().Result(f.info)
		t.Route(r)
	}
	return nil
}

// TestElsewhere: clients of contacts that are no accounts of ours are known by the presence that they send.
func TestElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		b.Account("alice@d", rosterItem("x@far", store.SubscriptionBoth), rosterItem("y@far", store.SubscriptionTo), rosterItem("z@far", store.SubscriptionNone),
			rosterItem("w@far", store.SubscriptionFrom))
		info := infoOf("tune+notify")
		place := &far{info: info}
		if _, err := b.Attach("far", place); err != nil {
			t.Fatal(err)
		}
		c := capsOf(t, xcaps.SHA1, info)
		says := func(from, xml string) {
			b.from(fmt.Sprintf("<presence xmlns='jabber:client' from='%s' to='alice@d'%s", from, xml))
		}
		announces := ">" + string(c.AppendXML(nil)) + "</presence>"
		// Alice is not online: what she publishes does not depend on that.
		says("x@far/1", announces)
		b.tells("tune of alice@d to x@far/1")
		says("x@far/1", announces)
		says("x@far/2", "/>")
		says("y@far/1", announces)
		says("z@far/1", announces)
		says("stranger@far/1", announces)
		b.tells("tune of alice@d to y@far/1") // the engine looks whether it may be
		b.interested("alice@d", "tune", "x@far/1")
		b.interested("alice@d", "mood")
		if want := []string{"alice@d x@far/1"}; !slices.Equal(place.asked, want) {
			t.Errorf("asked %q; want %q", place.asked, want)
		}
		a := b.online("alice@d/r")
		says("x@far/2", announces)
		b.tells("tune of alice@d to x@far/2")
		says("x@far/3", announces) // too many of one contact, and with y's too many in all
		says("w@far/1", announces)
		b.tells()
		b.interested("alice@d", "tune", "x@far/1", "x@far/2")
		says("x@far/1", " type='unavailable'/>")
		b.interested("alice@d", "tune", "x@far/2")
		says("w@far/1", announces)
		b.tells("tune of alice@d to w@far/1")
		b.interested("alice@d", "tune", "x@far/2", "w@far/1")
		says("w@far", " type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		b.interested("alice@d", "tune", "x@far/2")

		// y may see alice from now on; then x may not any more.
		says("y@far", " type='subscribe'/>")
		a.Send("<presence type='subscribed' to='y@far'/>")
		b.tells("tune of alice@d to y@far/1")
		b.interested("alice@d", "tune", "x@far/2", "y@far/1")
		a.Send("<presence type='unsubscribed' to='x@far'/>")
		b.interested("alice@d", "tune", "y@far/1")
		a.Send("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='y@far' subscription='remove'/></query></iq>")
		b.interested("alice@d", "tune")
		says("x@far/4", announces)
		b.tells("tune of alice@d to x@far/4")
		if err := b.DeleteAccount(t.Context(), jid.MustParse("alice@d"), nil); err != nil {
			t.Fatal(err)
		}
		b.Account("alice@d", rosterItem("x@far", store.SubscriptionBoth))
		b.interested("alice@d", "tune")
	})
}

// TestVeil: who does not see an account's presence learns nothing of what is not there, not even whether there
// is such an account.
func TestVeil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPepBed(t)
		b.Account("alice@d", rosterItem("bob@d", store.SubscriptionFrom), rosterItem("carol@d", store.SubscriptionTo))
		for _, name := range []string{"open@d", "bob@d", "carol@d", "mallory@d"} {
			b.Account(name)
		}
		const pubsub = "<iq type='TYPE' id='1' to='TO'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='x'/></pubsub></iq>"
		const items = "<iq type='get' id='1' to='TO'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
		const node = "<iq type='get' id='1' to='TO'><query xmlns='http://jabber.org/protocol/disco#info' node='tune'/></iq>"
		const info = "<iq type='get' id='1' to='TO'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
		for _, x := range []struct{ who, ask, typ, to, want string }{
			{"alice@d/r", pubsub, "get", "alice@d", "item-not-found"},
			{"bob@d/r", pubsub, "get", "alice@d", "item-not-found"},
			{"carol@d/r", pubsub, "get", "alice@d", "service-unavailable"},
			{"mallory@d/r", pubsub, "get", "alice@d", "service-unavailable"},
			{"mallory@d/r", pubsub, "get", "nobody@d", "service-unavailable"},
			{"mallory@d/r", pubsub, "set", "alice@d", "forbidden"},
			{"mallory@d/r", pubsub, "set", "nobody@d", "service-unavailable"},
			{"alice@d/r", items, "", "alice@d", "type='result' #items'/>"},
			{"bob@d/r", items, "", "alice@d", "type='result' #items'/>"},
			{"carol@d/r", items, "", "alice@d", "service-unavailable"},
			{"mallory@d/r", items, "", "nobody@d", "service-unavailable"},
			{"mallory@d/r", items, "", "open@d", "type='result' node='tune'"},
			{"bob@d/r", node, "", "alice@d", "item-not-found"},
			{"mallory@d/r", node, "", "alice@d", "service-unavailable"},
			{"mallory@d/r", node, "", "nobody@d", "service-unavailable"},
			{"alice@d/r", info, "", "alice@d", "category='account' category='pubsub' type='pep'"},
			{"bob@d/r", info, "", "alice@d", "category='account' category='pubsub' type='pep'"},
			{"mallory@d/r", info, "", "alice@d", "service-unavailable"},
			{"mallory@d/r", info, "", "d", "category='server' category='pubsub' type='pep'"},
		} {
			p := b.bind(x.who)
			p.Send(strings.NewReplacer("TYPE", x.typ, "TO", x.to).Replace(x.ask))
			p.gets(x.want)
			p.End()
		}
	})
}
