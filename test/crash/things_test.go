// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The keeper of things: who owns which, and that both rosters say the same. A claim, a transfer or a disowning that is half
// made is found by looking from all sides.

const (
	registry   = "things." + domain
	nsRegistry = "urn:xmpp:iot:discovery"
	nsCommands = "http://jabber.org/protocol/commands"
	lamps      = 5
	codePrefix = "IoTDisco;KEY:"
)

func lamp(n int) string { return fmt.Sprintf("lamp%d", n) }

// claimer claims things, gives them to its heir and disowns them; the things register again with other keys.
func claimer() *keeper {
	a := &keeper{name: "claimer", others: []string{"heir"}}
	for n := range lamps {
		a.others = append(a.others, lamp(n))
	}
	sides := map[string]*life{} // of one life of the server
	as := func(v *life, name string) (*life, error) {
		if name == a.name {
			return v, nil
		}
		if old := sides[name]; old != nil && old.server == v.server {
			return old, nil
		}
		side, err := a.openAs(name, v.server, v.ledger, v.round)
		if err != nil {
			return nil, err
		}
		sides[name] = side
		if name == "heir" {
			err = side.available() // it gets messages
		}
		return side, err
	}
	a.prepare = func(*life) error { return nil }
	a.change = func(v *life, r *rand.Rand, n int) error {
		name := lamp(r.IntN(lamps))
		key := v.key("%s", name)
		owner := v.ledger.value(key)
		if owner == "" {
			thing, err := as(v, name)
			if err != nil {
				return err
			}
			tags := fmt.Sprintf("<str name='KEY' value='a long key of %s, %d %d'/>", name, v.round, n)
			if _, err := thing.ask(registry, "set", "<register xmlns='"+nsRegistry+"'>"+tags+"</register>"); err != nil {
				return err
			}
			return v.ledger.change(key, a.name, func() error { return v.claim(tags) })
		}
		side, err := as(v, owner)
		if err != nil {
			return err
		}
		if owner == "heir" || r.IntN(2) == 0 {
			return v.ledger.change(key, "", func() error {
				_, err := side.ask(registry, "set", "<disown xmlns='"+nsRegistry+"' jid='"+name+"@"+domain+"'/>")
				return err
			})
		}
		heir, err := as(v, "heir")
		if err != nil {
			return err
		}
		if err := v.give(name, heir); err != nil {
			return err
		}
		return v.ledger.change(key, "heir", func() error { return heir.claim("<str name='KEY' value='" + heir.given + "'/>") })
	}
	a.look = func(v *life) (map[string]string, error) {
		got := map[string]string{}
		for _, owner := range []string{a.name, "heir"} {
			side, err := as(v, owner)
			if err != nil {
				return nil, err
			}
			owned, err := side.owned()
			if err != nil {
				return nil, err
			}
			for _, name := range owned {
				if got[v.key("%s", name)] != "" {
					return nil, fmt.Errorf("%s belongs to two", name)
				}
				got[v.key("%s", name)] = owner
			}
			if err := side.friends(owned); err != nil {
				return nil, err
			}
		}
		for n := range lamps {
			thing, err := as(v, lamp(n))
			if err != nil {
				return nil, err
			}
			var owners []string
			if owner := got[v.key("%s", lamp(n))]; owner != "" {
				owners = []string{owner}
			}
			if err := thing.friends(owners); err != nil {
				return nil, err
			}
		}
		return got, nil
	}
	return a
}

func (v *life) claim(tags string) error {
	_, err := v.session.ask(registry, "set", "<mine xmlns='"+nsRegistry+"'>"+tags+"</mine>")
	return err
}

// give gives a thing to the heir, and returns when he has had the message with its key.
func (v *life) give(name string, heir *life) error {
	heir.mu.Lock()
	heir.given = ""
	heir.mu.Unlock()
	begun, err := v.command("give-thing", "", "")
	if err != nil {
		return err
	}
	if _, err := v.command("give-thing", begun.attr("sessionid"), form("", "thing", name+"@"+domain, "to", "heir@"+domain)); err != nil {
		return err
	}
	return heir.await("what is given", func() bool { return heir.given != "" })
}

func (v *life) command(node, session, form string) (*element, error) {
	if session != "" {
		session = " sessionid='" + escape(session) + "'"
	}
	answer, err := v.session.ask(registry, "set", "<command xmlns='"+nsCommands+"' node='stonechat:"+node+"'"+session+">"+form+"</command>")
	if err != nil {
		return nil, err
	}
	return answer.child(nsCommands, "command"), nil
}

// gets takes a message of the registry. The session's mutex is held.
func (v *life) gets(e *element) bool {
	if e.attr("from") != registry {
		return false
	}
	if body := e.child(nsClient, "body"); body != nil {
		if _, key, ok := strings.Cut(body.text, codePrefix); ok {
			v.given = key
		}
	}
	return true
}

// owned are the things that the account owns.
func (v *life) owned() (names []string, err error) {
	answer, err := v.command("things", "", "")
	if err != nil {
		return nil, err
	}
	list := answer.child(nsForm, "x")
	if list == nil {
		return nil, fmt.Errorf("no list: %s", answer)
	}
	for _, item := range list.children {
		if item.is(nsForm, "item") {
			names = append(names, strings.TrimSuffix(field(item, "thing"), "@"+domain))
		}
	}
	return names, nil
}

// friends says whether the account's roster has these, subscribed both ways, and nobody else.
func (v *life) friends(want []string) error {
	answer, err := v.session.ask("", "get", "<query xmlns='"+nsRoster+"'/>")
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, item := range answer.child(nsRoster, "query").children {
		got[strings.TrimSuffix(item.attr("jid"), "@"+domain)] = item.attr("subscription")
	}
	for _, name := range want {
		if got[name] != "both" {
			return fmt.Errorf("half made: %s and %s belong together, and in the roster that is %q", v.session.user, name, got[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		return fmt.Errorf("half made: in the roster of %s are still %v", v.session.user, got)
	}
	return nil
}
