// SPDX-License-Identifier: Apache-2.0

package sessions_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/sessions"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// desk answers the commands that are offered, as module commands does, and takes presence.
type desk struct {
	leader *adhoc.Leader
	all    []adhoc.Command
}

func (d *desk) Offer(_ server.Where, c adhoc.Command) { d.all = append(d.all, c) }

func (*desk) Name() string { return "desk" }

func (d *desk) Init(h *server.Host) error {
	h.IQ(server.IQHandler{
		At: server.AtAccount, Type: stanza.Set, Name: (*command.Command)(nil).XMLName(), Others: true, Blocking: true,
		Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) { return d.leader.Do(t, q, d.all) },
	})
	h.OnSent(server.Handle, func(t *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence {
			return nil
		}
		t.Origin.SetPresence(t, server.Presence{Available: s.Type == stanza.Available, Priority: 5})
		return server.Handled
	})
	return nil
}

func ask(p *servertest.Peer, to, node, more string) string {
	p.Got()
	p.Send("<iq type='set' id='q' to='" + to + "'><command xmlns='" + command.NS + "' node='" + node + "' " + more + "</iq>")
	return strings.Join(p.Got(), "")
}

func choose(resources ...string) string {
	return "><x xmlns='jabber:x:data' type='submit'><field var='resource'><value>" + strings.Join(resources, "</value><value>") + "</value></field></x></command>"
}

// An account sees its sessions and ends others of them; nobody else does, and no guest.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := servertest.Start(t, servertest.Options{Domains: []string{"d", "guests"}, Modules: func() []server.Module {
			d := &desk{leader: adhoc.NewLeader(adhoc.Bounds{Sessions: 9, OfOne: 9, Expire: time.Minute}, func(int) {})}
			return []server.Module{sessions.New(d), d}
		}})
		b.Account("alice@d")
		b.Account("bob@d")
		alice, bob := b.Client("alice@d/home"), b.Client("bob@d/r")
		want := func(got, pattern string) {
			t.Helper()
			if !regexp.MustCompile(pattern).MatchString(got) {
				t.Errorf("%s\nwant %s", got, pattern)
			}
		}
		want(ask(alice, "alice@d", sessions.NodeEnd, "/>"), "completed.*This is your only session")
		phone, old := b.Client("alice@d/phone"), b.Client("alice@d/old")
		phone.Send("<presence/>")
		list := ask(alice, "alice@d", sessions.NodeList, "/>")
		for _, row := range []string{">home<.*>connected<", ">phone<.*>available<.*>5<", ">old<.*>connected<"} {
			want(list, row)
		}
		for _, node := range []string{sessions.NodeList, sessions.NodeEnd} {
			want(ask(bob, "alice@d", node, "/>"), "<service-unavailable ")
		}
		guest := b.Guest("g@guests/r")
		want(ask(guest, "g@guests", sessions.NodeList, "/>"), "<forbidden |<service-unavailable ")

		// It asks which, and on demand whether it is these; one's own is not among them.
		first := ask(alice, "alice@d", sessions.NodeEnd, "/>")
		want(first, "phone .available.*|old .connected.")
		if strings.Contains(first, "<value>home") {
			t.Error("one's own session is offered: ", first)
		}
		id := regexp.MustCompile(`sessionid='([^']+)'`).FindStringSubmatch(first)[1]
		want(ask(alice, "alice@d", sessions.NodeEnd, "sessionid='"+id+"' action='next'"+choose("old")), "These sessions will end.*old")
		if _, over := old.Stream.Ended(); over {
			t.Error("it ends before it is confirmed")
		}
		want(ask(alice, "alice@d", sessions.NodeEnd, "sessionid='"+id+"' action='complete'/>"), "completed.*1 sessions have ended")
		if e, over := old.Stream.Ended(); !over || e == nil || e.Condition != "conflict" {
			t.Errorf("%v %v", e, over)
		}
		if _, over := phone.Stream.Ended(); over {
			t.Error("another one has ended")
		}
		// What is not offered is not chosen.
		want(ask(alice, "alice@d", sessions.NodeEnd, choose("home")), "type='error'")
		if _, over := alice.Stream.Ended(); over {
			t.Error("one's own session has ended")
		}
	})
}
