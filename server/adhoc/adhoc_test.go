// SPDX-License-Identifier: Apache-2.0

package adhoc_test

// How to read this file: a bed is a server whose accounts, and which itself, have commands by this package alone: "all" is for
// everybody, "own" for the account itself, "form" asks before it is done, "wrong" fails and "falls" panics.

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type bed struct {
	*servertest.Server
	leader *adhoc.Leader
	ended  int
	after  int // what was done behind answers
	all    []adhoc.Command
}

func newBed(t *testing.T, bounds adhoc.Bounds) *bed {
	b := new(bed)
	b.leader = adhoc.NewLeader(bounds, func(n int) { b.ended += n })
	own := func(q *server.Query) error {
		if !q.Own() {
			return stanza.Forbidden.Err("")
		}
		return nil
	}
	b.all = []adhoc.Command{
		{Node: "own", Name: "Own", May: own, Do: done},
		{Node: "form", Name: "Form", May: own, Do: func(_ *server.Turn, _ *server.Query, x *command.Execution) error {
			if x.Stage() == 0 {
				x.Ask(form.New(form.Ask, "", form.Field{Var: "a", Type: form.TextSingle, Required: true}))
				return nil
			}
			x.Note(command.Info, "got "+x.Answer("a"))
			x.Done(nil)
			x.Then(func() { b.after++ })
			return nil
		}},
		{Node: "wrong", Name: "Wrong", May: own, Do: func(*server.Turn, *server.Query, *command.Execution) error { return errors.New("the disk is gone") }},
		{Node: "falls", Name: "Falls", May: own, Do: func(*server.Turn, *server.Query, *command.Execution) error { panic("falls") }},
	}
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{b} }})
	for _, name := range []string{"alice@d", "bob@d"} {
		b.Account(name)
	}
	return b
}

func done(_ *server.Turn, _ *server.Query, x *command.Execution) error {
	x.Done(nil)
	return nil
}

func (*bed) Name() string { return "bed" }

func (b *bed) Init(h *server.Host) error {
	whole := append([]adhoc.Command{{Node: "all", Name: "All", May: func(*server.Query) error { return nil }, Do: done}}, b.all...)
	answer := func(all []adhoc.Command) func(*server.Turn, *server.Query) (stanza.Payload, error) {
		return func(t *server.Turn, q *server.Query) (stanza.Payload, error) { return b.leader.Do(t, q, all) }
	}
	name := (*command.Command)(nil).XMLName()
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Set, Name: name, Others: true, Blocking: true, Do: answer(b.all)})
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Set, Name: name, Others: true, Blocking: true, Do: answer(whole)})
	infos, items := (*disco.Info)(nil).XMLName(), (*disco.Items)(nil).XMLName()
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Get, Name: infos, Others: true, Blocking: true, Do: func(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
		var ask disco.Info
		if _, err := q.Decode(&ask); err != nil {
			return nil, err
		}
		info, err := b.leader.Info(q, b.all, ask.Node)
		if err != nil {
			return nil, err
		}
		return info, nil
	}})
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Get, Name: items, Others: true, Blocking: true, Do: func(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
		var ask disco.Items
		if _, err := q.Decode(&ask); err != nil {
			return nil, err
		}
		list, err := b.leader.Items(q, b.all, ask.Node)
		if err != nil {
			return nil, err
		}
		return list, nil
	}})
	return nil
}

// ask sends a request and returns its answer.
func ask(p *servertest.Peer, to, typ, payload string) string {
	p.Got()
	p.Send("<iq type='" + typ + "' id='q' to='" + to + "'>" + payload + "</iq>")
	return strings.Join(p.Got(), "")
}

func execute(node, more string) string {
	return "<command xmlns='" + command.NS + "' node='" + node + "' " + more
}

const filled = "><x xmlns='jabber:x:data' type='submit'><field var='a'><value>x</value></field></x></command>"

var session = regexp.MustCompile(`sessionid='([^']+)'`)

// Who may have which command, and what the others are told: as little as that there is such an account.
func TestWho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, adhoc.Bounds{Sessions: 9, OfOne: 9, Expire: time.Minute})
		alice, bob := b.Client("alice@d/r"), b.Client("bob@d/r")
		list := func(node string) string { return "<query xmlns='" + disco.NSItems + "' node='" + node + "'/>" }
		info := func(node string) string { return "<query xmlns='" + disco.NSInfo + "' node='" + node + "'/>" }
		for _, c := range []struct {
			who          *servertest.Peer
			to, typ, ask string
			want         string
		}{
			{alice, "alice@d", "set", execute("own", "/>"), "status='completed'"},
			{bob, "alice@d", "set", execute("own", "/>"), "<service-unavailable "},
			{bob, "alice@d", "set", execute("nothing", "/>"), "<service-unavailable "},
			{bob, "alice@d", "set", execute("own", "action='dance'/>"), "<service-unavailable "},
			{bob, "nobody@d", "set", execute("own", "/>"), "<service-unavailable "},
			{alice, "alice@d", "set", execute("nothing", "/>"), "<item-not-found "},
			{alice, "alice@d", "set", execute("own", "action='dance'/>"), "<bad-request "},
			{alice, "alice@d", "set", execute("own", "sessionid='mine'/>"), "<bad-request "},
			{alice, "alice@d", "set", execute("form", filled), "got x"}, // at once, for who knows the form
			{alice, "alice@d", "set", execute("wrong", "/>"), "<internal-server-error "},
			{alice, "alice@d", "set", execute("falls", "/>"), "<internal-server-error "},
			{bob, "d", "set", execute("all", "/>"), "status='completed'"},
			{bob, "d", "set", execute("own", "/>"), "<forbidden "},
			{alice, "alice@d", "get", list(command.NS), "node='own' name='Own'/.*node='form'|name='Own' node='own'/.*node='form'"},
			{alice, "alice@d", "get", list("own"), "type='result'"},
			{alice, "alice@d", "get", list("nothing"), "<item-not-found "},
			{bob, "alice@d", "get", list(command.NS), "<service-unavailable |type='result'><query[^>]*/>"},
			{bob, "alice@d", "get", list("own"), "<service-unavailable "},
			{alice, "alice@d", "get", info("form"), "type='command-node' name='Form'|name='Form' type='command-node'"},
			{alice, "alice@d", "get", info(command.NS), "command-list"},
			{bob, "alice@d", "get", info("form"), "<service-unavailable "},
		} {
			if got := ask(c.who, c.to, c.typ, c.ask); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("%s asks %s %s: %s, want %s", c.who.Session.JID, c.to, c.ask, got, c.want)
			}
		}
		if n := b.leader.Len(); n != 0 {
			t.Errorf("%d are under way", n)
		}
		for node, want := range map[string]bool{command.NS: true, "own": true, "nothing": false, "": false} {
			if got := adhoc.Has(b.all, node); got != want {
				t.Errorf("has %q: %v", node, got)
			}
		}
		if adhoc.Has(nil, command.NS) {
			t.Error("who has no commands has a list of them")
		}
	})
}

// A command goes on for who has begun it, as long as it may.
func TestStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, adhoc.Bounds{Sessions: 3, OfOne: 2, Expire: time.Minute})
		alice, other, bob := b.Client("alice@d/r"), b.Client("alice@d/s"), b.Client("bob@d/r")
		begin := func(p *servertest.Peer) string {
			t.Helper()
			got := ask(p, p.Session.JID.Bare().String(), "set", execute("form", "/>"))
			m := session.FindStringSubmatch(got)
			if m == nil {
				return got
			}
			return m[1]
		}
		goOn := func(p *servertest.Peer, id, want string) {
			t.Helper()
			if got := ask(p, "alice@d", "set", execute("form", "sessionid='"+id+"'"+filled)); !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", p.Session.JID, got, want)
			}
		}
		first := begin(alice)
		goOn(other, first, "<bad-sessionid ")
		goOn(alice, first, "got x")
		if b.after != 1 {
			t.Errorf("done behind the answer %d times", b.after)
		}
		goOn(alice, first, "<session-expired ")
		// The oldest of one goes for one more; more than there may be of all are refused.
		first = begin(alice)
		second, third := begin(alice), begin(alice)
		goOn(alice, first, "<session-expired ")
		begin(bob)
		if got := begin(bob); !strings.Contains(got, "<resource-constraint ") || b.ended != 2 {
			t.Errorf("%s; %d have ended", got, b.ended)
		}
		b.leader.Bound(adhoc.Bounds{Sessions: 4, OfOne: 2, Expire: time.Minute})
		if got := begin(bob); strings.Contains(got, "error") {
			t.Errorf("within new bounds: %s", got)
		}
		goOn(alice, second, "got x")
		<-time.After(2 * time.Minute)
		goOn(alice, third, "<session-expired ")
	})
}
