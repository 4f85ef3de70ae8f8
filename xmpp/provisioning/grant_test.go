// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type (
	scope = provisioning.Scope
	node  = provisioning.Node
)

func TestAllows(t *testing.T) {
	everything := provisioning.Everything()
	some := allowed(scope{
		Nodes: []node{{ID: "a"}, {ID: "b", Source: "s"}, {ID: "c", Source: "s", Cache: "k"}},
		Names: []string{"Warmth", "Damp"}, Categories: sensordata.Momentary | sensordata.HistoricalDay,
	})
	for _, c := range []struct {
		g          provisioning.Grant
		n          node
		name       string
		categories provisioning.Category
		want       bool
	}{
		{provisioning.Grant{}, node{}, "Warmth", 0, false},
		{provisioning.Grant{Scope: some.Scope}, node{ID: "a"}, "Warmth", 0, false},
		{everything, node{}, "Warmth", sensordata.Peak, true},
		{everything, node{ID: "a"}, "", 0, true},

		{some, node{ID: "a"}, "Warmth", sensordata.Momentary, true},
		{some, node{ID: "a", Source: "s", Cache: "k"}, "Damp", sensordata.HistoricalDay | sensordata.HistoricalHour, true},
		{some, node{ID: "a"}, "Power", sensordata.Momentary, false},
		{some, node{ID: "a"}, "warmth", sensordata.Momentary, false},
		{some, node{ID: "a"}, "Warmth", sensordata.Peak, false},
		{some, node{ID: "a"}, "Warmth", 0, true},
		{some, node{ID: "a"}, "Warmth", sensordata.Momentary | sensordata.Peak, false},
		{some, node{ID: "a"}, "Warmth", sensordata.HistoricalHour, false},
		{some, node{ID: "a"}, "Warmth", sensordata.HistoricalMonth, true}, // a value of a month is one of a day
		{some, node{}, "Warmth", sensordata.Momentary, false},
		{some, node{ID: "d"}, "Warmth", sensordata.Momentary, false},
		{some, node{ID: "b", Source: "s"}, "Warmth", sensordata.Momentary, true},
		{some, node{ID: "b", Source: "t"}, "Warmth", sensordata.Momentary, false},
		{some, node{ID: "b"}, "Warmth", sensordata.Momentary, false}, // that of another source may be meant
		{some, node{ID: "c", Source: "s"}, "Warmth", sensordata.Momentary, false},
		{some, node{ID: "c", Source: "s", Cache: "k"}, "Warmth", sensordata.Momentary, true},
	} {
		if got := c.g.Allows(c.n, c.name, c.categories); got != c.want {
			t.Errorf("%s: %+v %s %s is %t", &c.g, c.n, c.name, c.categories, got)
		}
	}
}

// Where two grants have nothing in common nothing is allowed, and never all.
func TestNothingInCommon(t *testing.T) {
	for _, c := range []struct{ a, b scope }{
		{scope{Names: []string{"a"}}, scope{Names: []string{"b"}}},
		{scope{Nodes: nodes("a")}, scope{Nodes: nodes("b")}},
		{scope{Nodes: []node{{ID: "a", Source: "s"}}}, scope{Nodes: []node{{ID: "a", Source: "t"}}}},
		{scope{Categories: sensordata.Peak}, scope{Categories: sensordata.Momentary}},
		{scope{Names: []string{"a"}, Nodes: nodes("a")}, scope{Names: []string{"a"}, Nodes: nodes("b")}},
	} {
		a, b := allowed(c.a), allowed(c.b)
		for _, g := range []provisioning.Grant{a.Intersect(&b), b.Intersect(&a), a.Limit(&c.b), b.Limit(&c.a)} {
			if g.Allowed || g.String() != "nothing" {
				t.Errorf("%s and %s: %s", &a, &b, &g)
			}
		}
	}
	none, all := provisioning.Grant{}, provisioning.Everything()
	for _, g := range []provisioning.Grant{none.Intersect(&all), all.Intersect(&none), none.Limit(&scope{})} {
		if g.Allowed {
			t.Errorf("nothing and everything: %s", &g)
		}
	}
}

// scopes draws scopes of a few nodes, names and categories, of which many meet.
func scopes() *rapid.Generator[scope] {
	return rapid.Custom(func(t *rapid.T) scope {
		few := rapid.SampledFrom([]string{"", "a", "b"})
		return scope{
			Nodes: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) node {
				return node{ID: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id"), Source: few.Draw(t, "source"), Cache: few.Draw(t, "cache")}
			}), 0, 3).Draw(t, "nodes"),
			Names:      rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "names"),
			Categories: provisioning.Category(rapid.IntRange(0, 7).Draw(t, "categories")),
		}
	})
}

// What two grants both allow is what their intersection allows, for whatever is asked of nodes that are named in whole.
func TestIntersect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := allowed(scopes().Draw(t, "a")), allowed(scopes().Draw(t, "b"))
		both := a.Intersect(&b)
		if both.Allowed {
			if err := both.Scope.Check(); err != nil {
				t.Fatalf("the intersection is none: %v", err)
			}
		}
		category := provisioning.Category(rapid.IntRange(0, 7).Draw(t, "category"))
		for _, n := range []node{{}, {ID: "a", Source: "a", Cache: "a"}, {ID: "a", Source: "b", Cache: "a"}, {ID: "b", Source: "a", Cache: "b"}} {
			for _, name := range []string{"a", "b", "c", "d"} {
				want := a.Allows(n, name, category) && b.Allows(n, name, category)
				if got := both.Allows(n, name, category); got != want {
					t.Fatalf("%s and %s are %s: %+v %s %s is %t", &a, &b, &both, n, name, category, got)
				}
			}
		}
	})
}

// What a server answers, a thing makes a limit of, and readouts and commands are reduced by that: what comes out is
// what was asked for, and what was allowed of it.
func TestLimit(t *testing.T) {
	house := allowed(scope{Nodes: nodes("hall", "cellar"), Names: []string{"Warmth", "Light"}, Categories: sensordata.Momentary})
	for _, c := range []struct {
		asked sensordata.Request
		want  string // the request that is left
	}{
		{sensordata.Request{}, "[hall cellar] [Warmth Light] momentary"},
		{sensordata.Request{Nodes: nodes("hall", "attic"), Names: []string{"Warmth", "Power"}}, "[hall] [Warmth] momentary"},
		{sensordata.Request{Nodes: nodes("attic")}, ""},
		{sensordata.Request{Names: []string{"Power"}}, ""},
		{sensordata.Request{Categories: sensordata.Peak}, ""},
	} {
		q := provisioning.CanRead{JID: meter, Scope: scope{Nodes: c.asked.Nodes, Names: c.asked.Names, Categories: c.asked.Categories}}
		answer := q.Answer(&house)
		if answer.JID != meter || answer.Grant.Allowed != (c.want != "") {
			t.Errorf("%+v is answered by %+v", c.asked, answer)
			continue
		}
		if !answer.Grant.Allowed {
			continue
		}
		left, ok := c.asked.Reduce(answer.Grant.Scope.Limit())
		if !ok {
			t.Errorf("%+v: nothing is left", c.asked)
			continue
		}
		var ids []string
		for _, n := range left.Nodes {
			ids = append(ids, n.ID)
		}
		if got := fmt.Sprint(ids, " ", left.Names, " ", left.Categories); got != c.want {
			t.Errorf("%+v becomes %s", c.asked, got)
		}
	}
	// Who may read everything is not kept to a list.
	all := provisioning.Everything()
	if left, ok := (&sensordata.Request{}).Reduce(all.Scope.Limit()); !ok || left.Nodes != nil || left.Names != nil || left.Categories != 0 {
		t.Errorf("everything becomes %+v, %t", left, ok)
	}
}

// A command without nodes is for the thing itself, which is none of its nodes.
func TestControl(t *testing.T) {
	on := control.Parameter{Name: "On"}
	for _, c := range []struct {
		g     provisioning.Grant
		nodes []node
		want  string
	}{
		{allowed(scope{Nodes: nodes("lamp1"), Names: []string{"On"}}), nil, "nothing"},
		{allowed(scope{Nodes: nodes("lamp1"), Names: []string{"On"}}), nodes("lamp1", "lamp2"), "On of lamp1"},
		{allowed(scope{Names: []string{"On", "Level"}}), nil, "On"},
		{allowed(scope{Names: []string{"Level"}}), nil, "nothing"},
		{provisioning.Everything(), nodes("lamp2"), "On of lamp2"},
		{provisioning.Grant{}, nodes("lamp2"), "nothing"},
	} {
		command := control.Set{Nodes: c.nodes, Parameters: []control.Parameter{on}}
		q := provisioning.CanControl{JID: meter, Scope: scope{Nodes: command.Nodes, Names: command.Names()}}
		answer := q.Answer(&c.g)
		if answer.Grant.String() != c.want {
			t.Errorf("%s for %v: %s", &c.g, c.nodes, &answer.Grant)
		}
		if !answer.Grant.Allowed {
			continue
		}
		l := answer.Grant.Scope.Limit()
		left, _, ok := command.Reduce(control.Limit{Nodes: l.Nodes, Names: l.Names})
		if !ok || len(left.Nodes) != len(answer.Grant.Scope.Nodes) || len(left.Parameters) != 1 {
			t.Errorf("%s for %v leaves %+v, %t", &c.g, c.nodes, left, ok)
		}
	}
}

func TestString(t *testing.T) {
	for want, g := range map[string]provisioning.Grant{
		"nothing":                          {Scope: scope{Names: []string{"Warmth"}}},
		"everything":                       allowed(scope{Categories: sensordata.All}),
		"Warmth, Damp":                     allowed(scope{Names: []string{"Warmth", "Damp"}}),
		"everything (momentary, peak)":     allowed(scope{Categories: sensordata.Momentary | sensordata.Peak}),
		"everything (status, historical)":  allowed(scope{Categories: sensordata.Status | sensordata.Historical}),
		"Warmth (historicalDay) of a, s/b": allowed(scope{Names: []string{"Warmth"}, Categories: sensordata.HistoricalDay, Nodes: []node{{ID: "a"}, {ID: "b", Source: "s"}}}),
		"everything of s/k/b":              allowed(scope{Nodes: []node{{ID: "b", Source: "s", Cache: "k"}}}),
	} {
		if got := g.String(); got != want {
			t.Errorf("%+v is %q", g, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		s    scope
		want stanza.Condition
	}{
		{"all", scope{}, ""},
		{"the most", scope{Nodes: nodes(strings.Split(strings.Repeat("n ", provisioning.MaxNodes-1)+"n", " ")...),
			Names: strings.Split(strings.Repeat("n ", provisioning.MaxNames-1)+"n", " "), Categories: sensordata.All}, ""},
		{"a node too many", scope{Nodes: make([]node, provisioning.MaxNodes+1)}, stanza.PolicyViolation},
		{"a name too many", scope{Names: make([]string, provisioning.MaxNames+1)}, stanza.PolicyViolation},
		{"a node of no name", scope{Nodes: []node{{Source: "s"}}}, stanza.BadRequest},
		{"a name of nothing", scope{Names: []string{""}}, stanza.BadRequest},
		{"a long node", scope{Nodes: []node{{ID: "a", Cache: strings.Repeat("x", provisioning.MaxNode+1)}}}, stanza.PolicyViolation},
		{"a long name", scope{Names: []string{strings.Repeat("x", provisioning.MaxName+1)}}, stanza.PolicyViolation},
		{"a category of the future", scope{Categories: 1 << 15}, stanza.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) { xmpptest.Condition(t, c.s.Check(), c.want) })
	}
}
