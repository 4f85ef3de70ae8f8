// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// parseRule reads "+read caller romeo@x t,h" (or -, and @node behind the right) as a rule of juliet's.
func parseRule(t *testing.T, text string) store.Rule {
	t.Helper()
	owner := "juliet@d"
	if rest, ok := strings.CutPrefix(text, "other "); ok {
		owner, text = "other@d", rest
	}
	f := strings.Fields(text)
	r := store.Rule{Owner: jid.MustParse(owner), Thing: store.ThingName{JID: jid.MustParse("meter@d")}, Allow: f[0][0] == '+'}
	right, node, _ := strings.Cut(f[0][1:], "@")
	r.Thing.ID = node
	for x := store.RightFriend; x <= store.RightUse; x++ {
		if x.String() == right {
			r.Right = x
		}
	}
	kinds := []string{"caller", "group", "domain", "all"}
	r.Subject.Kind = store.SubjectKind(slices.Index(kinds, f[1]))
	f = f[2:]
	if r.Subject.Kind != store.SubjectAll {
		r.Subject.Name, f = f[0], f[1:]
	}
	if len(f) > 0 {
		r.Names = strings.Split(f[0], ",")
	}
	return r
}

func (d Decision) String() string {
	s := [...]string{"none", "unknown", "some", "all"}[d.Verdict]
	for _, x := range []struct {
		what string
		list []string
	}{{"", d.Names}, {"except ", d.Except}, {"unknown ", d.Unknown}} {
		if len(x.list) > 0 {
			s += " " + x.what + strings.Join(x.list, ",")
		}
	}
	return s
}

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		rules string // separated by ;
		ask   string // right[@node] names
		want  string
	}{
		// No rule is no.
		{"", "read", "unknown"},
		{"", "read t", "unknown unknown t"},
		{"+control all", "read t", "unknown unknown t"},
		{"+friend all", "read", "unknown"},
		// Each kind of subject, for whom it is and for whom not.
		{"+read caller romeo@x", "read", "all"},
		{"+read caller paris@x", "read", "unknown"},
		{"+read caller romeo@y", "read", "unknown"},
		{"+read group nurses", "read", "all"},
		{"+read group doctors", "read", "unknown"},
		{"+read domain x", "read", "all"},
		{"+read domain y", "read", "unknown"},
		{"+read all", "read", "all"},
		// The most specific wins, whatever it says.
		{"-read all;+read caller romeo@x", "read t", "all"},
		{"+read all;-read caller romeo@x", "read t", "none"},
		{"-read group nurses;+read caller romeo@x", "read t", "all"},
		{"+read domain x;-read group nurses", "read t", "none"},
		{"-read domain x;+read group nurses", "read t", "all"},
		{"-read all;+read domain x", "read t", "all"},
		{"+read all;-read domain x", "read t", "none"},
		{"+read all;-read group doctors", "read t", "all"},
		// Of one subject a refusal wins, in whatever order.
		{"+read caller romeo@x;-read caller romeo@x", "read t", "none"},
		{"-read caller romeo@x;+read caller romeo@x t", "read t", "none"},
		{"+read caller romeo@x;-read caller romeo@x t", "read t,h", "some h"},
		{"+read group nurses;-read group night", "read t", "none"},
		// Names.
		{"+read caller romeo@x t", "read t", "all"},
		{"+read caller romeo@x t", "read h", "unknown unknown h"},
		{"+read caller romeo@x t", "read t,h", "some t unknown h"},
		{"+read caller romeo@x t;-read all h", "read t,h", "some t"},
		{"+read caller romeo@x t;+read domain x h", "read t,h", "all"},
		{"+read all;-read caller romeo@x t", "read t", "none"},
		{"-read all t;-read all h", "read t,h", "none"},
		{"-read all t", "read t,h", "unknown unknown h"},
		{"+read all T", "read t", "all"},
		{"+read all;-read all Ж", "read ж", "none"},
		// Everything.
		{"+read caller romeo@x t;+read all h", "read", "some t,h"},
		{"+read all;-read caller romeo@x t", "read", "all except t"},
		{"+read all;-read caller romeo@x t;+read caller romeo@x t", "read", "all except t"},
		{"+read all;-read all t;+read caller romeo@x t", "read", "all"},
		{"-read all;+read caller romeo@x t", "read", "some t"},
		{"-read all", "read", "none"},
		{"-read caller romeo@x t", "read", "unknown"},
		{"+read caller paris@x t", "read", "unknown"},
		// Nodes.
		{"+read@1 all", "read@1", "all"},
		{"+read@1 all", "read@2", "unknown"},
		{"+read@1 all", "read", "unknown"},
		{"+read all", "read@1", "all"},
		{"+read all;-read@1 all", "read@1", "none"},
		{"+read all;-read@1 all", "read@2", "all"},
		{"-read all;+read@1 all", "read@1", "none"},
		// What somebody else has decided is nothing.
		{"other +read all", "read", "unknown"},
		{"+read all;other -read all", "read", "all"},
		// Rights are apart.
		{"+control caller romeo@x on", "control on,off", "some on unknown off"},
		{"+friend domain x", "friend", "all"},
		{"+read all;-friend all", "friend", "none"},
		// To use it is to read and to control it.
		{"+use all", "read", "all"},
		{"+use all t", "control t,h", "some t unknown h"},
		{"+use all", "friend", "unknown"},
		{"+use all;-control all", "control", "none"},
		{"+use all;-control all", "read", "all"},
		{"+use all;-control caller romeo@x", "use", "none"},
		{"-use all;+read all", "read", "none"},
		{"+read all", "use", "unknown"},
		{"+read all;+control all", "use", "all"},
		{"+read all t;+control all t", "use", "some t"},
		{"+use caller romeo@x;-read domain x", "read", "all"},
	} {
		s := standing{
			caller: jid.MustParse("romeo@x"), groups: []membership{{jid.MustParse("juliet@d"), "nurses"}, {jid.MustParse("juliet@d"), "night"}, {jid.MustParse("other@d"), "doctors"}},
			owners: owners{{}: {owner: jid.MustParse("juliet@d")}},
		}
		for text := range strings.SplitSeq(test.rules, ";") {
			if text != "" {
				s.rules = append(s.rules, parseRule(t, text))
			}
		}
		what, list, _ := strings.Cut(test.ask, " ")
		asked := parseRule(t, "+"+what+" all")
		var names []string
		if list != "" {
			names = strings.Split(list, ",")
		}
		for range 2 { // the order of rules is nothing
			if got := s.decide(asked.Thing.ThingNode, asked.Right, names).String(); !sameWords(got, test.want) {
				t.Errorf("%s; %s: %s, want %s", test.rules, test.ask, got, test.want)
			}
			slices.Reverse(s.rules)
		}
	}
}

// sameWords compares what does not depend on order.
func sameWords(a, b string) bool {
	words := func(s string) []string {
		return slices.Sorted(slices.Values(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })))
	}
	return slices.Equal(words(a), words(b))
}

func TestOwnersAndNobodys(t *testing.T) {
	node, other := store.ThingNode{ID: "1"}, store.ThingNode{ID: "2"}
	juliet, nurse := jid.MustParse("juliet@d"), jid.MustParse("nurse@d")
	rules := []store.Rule{parseRule(t, "+read all"), parseRule(t, "+control@1 all")}
	for _, test := range []struct {
		caller jid.JID
		owners owners
		node   store.ThingNode
		right  store.Right
		want   string
	}{
		{juliet, owners{{}: {owner: juliet}}, store.ThingNode{}, store.RightControl, "all"},
		{juliet, owners{{}: {owner: juliet}}, other, store.RightControl, "all"},
		{nurse, owners{{}: {owner: juliet}}, other, store.RightControl, "unknown"},
		{nurse, owners{{}: {owner: juliet}}, node, store.RightControl, "all"},
		// A node of its own owner is not the account's.
		{juliet, owners{{}: {owner: juliet}, node: {owner: nurse}}, node, store.RightControl, "unknown"},
		{nurse, owners{{}: {owner: juliet}, node: {owner: nurse}}, node, store.RightControl, "all"},
		{nurse, owners{{}: {owner: juliet}, node: {owner: nurse}}, store.ThingNode{}, store.RightControl, "unknown"},
		// Nobody's is for nobody.
		{nurse, owners{{}: {}}, store.ThingNode{}, store.RightRead, "none"},
		{nurse, owners{}, store.ThingNode{}, store.RightRead, "none"},
		{nurse, owners{{}: {owner: juliet}, node: {}}, node, store.RightRead, "none"},
		{jid.JID{}, owners{{}: {}}, store.ThingNode{}, store.RightRead, "none"},
	} {
		s := standing{caller: test.caller, owners: test.owners, rules: rules}
		if got := s.decide(test.node, test.right, nil).String(); got != test.want {
			t.Errorf("%s, %v, %v: %s, want %s", test.caller, test.node, test.right, got, test.want)
		}
	}
}

func TestAnyRight(t *testing.T) {
	for rules, want := range map[string]string{
		"":                                   "false [false false false] []",
		"+read caller romeo@x t":             "true [false true false] []",
		"-read caller romeo@x t;+read all t": "false [false false false] []",
		"+control@1 all;+control@2 caller paris@x":  "true [false false true] [1]",
		"+friend all;-control@1 all;+control@1 all": "true [true false false] []",
		"other +read all":                           "false [false false false] []",
		"+read all;-read caller romeo@x":            "false [false false false] []",
		"+read all t,h;-read caller romeo@x t":      "true [false true false] []",
	} {
		s := standing{caller: jid.MustParse("romeo@x"), owners: owners{{}: {owner: jid.MustParse("juliet@d")}}}
		for text := range strings.SplitSeq(rules, ";") {
			if text != "" {
				s.rules = append(s.rules, parseRule(t, text))
			}
		}
		ids := []string{}
		for _, n := range s.nodes(store.RightControl) {
			ids = append(ids, n.ID)
		}
		got := fmt.Sprint(s.any(), []bool{s.some(store.RightFriend), s.some(store.RightRead), s.some(store.RightControl)}, ids)
		if got != want {
			t.Errorf("%s: %s, want %s", rules, got, want)
		}
	}
}

// An empty list would be nothing to who reads a limit, and one of nil everything: a request is reduced to what is in a list, or to all
// that it wanted, where the list is nil.
func TestReducedToSomething(t *testing.T) {
	if wireNodes(nil) != nil || wireNodes([]store.ThingNode{}) == nil {
		t.Error("no nodes and all nodes are the same")
	}
	var all []string
	for _, sign := range []string{"+", "-"} {
		for _, node := range []string{"", "@1", "@2"} {
			for _, names := range []string{"", " t", " h"} {
				all = append(all, sign+"read"+node+" all"+names, sign+"read"+node+" caller romeo@x"+names)
			}
		}
	}
	one, two := store.ThingNode{ID: "1"}, store.ThingNode{ID: "2"}
	m := newBed(t, usual(), "thing@d").m
	reduced := 0
	for i := range all {
		for k := range all[:i+1] {
			s := &standing{
				caller: jid.MustParse("romeo@x"), owners: owners{{}: {owner: jid.MustParse("juliet@d")}},
				rules: []store.Rule{parseRule(t, all[i]), parseRule(t, all[k])},
			}
			for _, nodes := range [][]store.ThingNode{nil, {one}, {one, two}} {
				for _, names := range [][]string{nil, {"t"}, {"t", "h"}} {
					w := &want{right: store.RightRead, nodes: nodes, names: names}
					w.reduce = func(n []store.ThingNode, x []string) bool {
						reduced++
						if n != nil && len(n) == 0 || x != nil && len(x) == 0 {
							t.Errorf("%s; %s: of %v %v: %v %v", all[i], all[k], nodes, names, n, x)
						}
						of := n
						if n == nil {
							of = []store.ThingNode{{}}
						}
						if x == nil {
							x = names
						}
						for _, n := range of {
							if d := s.decide(n, w.right, x); d.Verdict != All {
								t.Errorf("%s; %s: of %v %v: %v %v, where it is %s", all[i], all[k], nodes, names, n, x, d)
							}
						}
						return true
					}
					m.weigh(nil, w, s)
				}
			}
		}
	}
	if reduced == 0 {
		t.Error("nothing was reduced")
	}
}
