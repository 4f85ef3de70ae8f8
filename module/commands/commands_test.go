// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/commands"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

// asks asks something and never ends.
func asks(_ *server.Turn, _ *server.Query, x *command.Execution) error {
	x.Ask(form.New(form.Ask, "", form.Field{Var: "a", Type: form.TextSingle}))
	return nil
}

func everybody(*server.Query) error { return nil }

// start starts a server with a command of its own, one of accounts, and one of both.
func start(t *testing.T, c commands.Config, offers bool) (*servertest.Server, *commands.Module) {
	m := commands.New(c)
	if offers {
		for node, at := range map[string]server.Where{"host": server.AtHost, "account": server.AtAccount, "both": server.AtHost | server.AtAccount} {
			m.Offer(at, adhoc.Command{Node: node, Name: node, May: everybody, Do: asks})
		}
	}
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{m} }})
	s.Account("alice@d")
	return s, m
}

func ask(p *servertest.Peer, to, node string) string {
	p.Got()
	p.Send("<iq type='set' id='q' to='" + to + "'><command xmlns='" + command.NS + "' node='" + node + "'/></iq>")
	return strings.Join(p.Got(), "")
}

// Commands are where they are offered, and nowhere else.
func TestOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := start(t, commands.Config{Sessions: 9, SessionsOfOne: 9, Expire: time.Minute}, true)
		alice := s.Client("alice@d/r")
		for node, at := range map[string]server.Where{"host": server.AtHost, "account": server.AtAccount, "both": server.AtHost | server.AtAccount, "none": 0} {
			for to, where := range map[string]server.Where{"d": server.AtHost, "alice@d": server.AtAccount} {
				want := "<item-not-found "
				if at&where != 0 {
					want = "status='executing'"
				}
				if got := ask(alice, to, node); !strings.Contains(got, want) {
					t.Errorf("%s of %s: %s, want %s", node, to, got, want)
				}
				_, is, _ := m.InfoAt(where, &server.Query{}, node)
				_, lists, _ := m.ItemsAt(where, &server.Query{}, node)
				if wants := at&where != 0; is != wants || lists != wants {
					t.Errorf("%s at %v: described %v, listed %v, want %v", node, where, is, lists, wants)
				}
			}
		}
		if got := s.Metric("stonechat_commands_under_way"); got != "4" {
			t.Errorf("%q are under way", got)
		}
	})
}

// Where nobody offers anything there are no commands.
func TestNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := start(t, commands.Config{Sessions: 9, SessionsOfOne: 9, Expire: time.Minute}, false)
		if got := ask(s.Client("alice@d/r"), "d", "host"); !strings.Contains(got, "<service-unavailable ") {
			t.Error(got)
		}
		if _, is, err := m.InfoAt(server.AtHost, &server.Query{}, command.NS); is || err != nil {
			t.Errorf("%v %v", is, err)
		}
	})
}

// Bounds follow the configuration while the server runs.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := start(t, commands.Config{Sessions: 1, SessionsOfOne: 9, Expire: time.Minute}, true)
		alice := s.Client("alice@d/r")
		ask(alice, "d", "host")
		if got := ask(alice, "d", "both"); !strings.Contains(got, "<resource-constraint ") {
			t.Errorf("one more than there may be: %s", got)
		}
		if got := s.Metric("stonechat_commands_ended_total"); got != "1" {
			t.Errorf("the metric says %q", got)
		}
		m.Reload(commands.New(commands.Config{Sessions: 2, SessionsOfOne: 9, Expire: time.Minute}))
		if got := ask(alice, "d", "both"); !strings.Contains(got, "executing") {
			t.Errorf("when more may be: %s", got)
		}
	})
}
