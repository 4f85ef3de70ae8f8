// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
	others := sides{}
	as := func(v *life, name string) (*life, error) {
		side, err := others.as(v, name)
		if err == nil && name == "heir" {
			err = side.here()
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
		if owner == a.name && r.IntN(2) == 0 { // what he decides goes when the thing goes
			_, err := v.decide("allow", "thing", name+"@"+domain, "subject", fmt.Sprintf("c%d@example.org", r.IntN(4)), "may", "allow", "right", "read")
			return err
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
			if err := side.decides(owned); err != nil {
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

// decides says whether all that the account has decided is about these.
func (v *life) decides(owned []string) error {
	rules, err := v.items("rules")
	for _, item := range rules {
		what := field(item, "what")
		if !slices.ContainsFunc(owned, func(name string) bool { return strings.Contains(what, name+"@") }) {
			return fmt.Errorf("half made: %s owns %v, and says still that %s", v.session.user, owned, what)
		}
	}
	return err
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
	if from := e.attr("from"); from != registry && from != "registry@"+registry {
		return false
	}
	if body := e.child(nsClient, "body"); body != nil {
		v.words = append(v.words, body.text)
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

// friends says whether the account's roster has these, subscribed both ways, and nobody else but the registry, which whoever has owned
// something sees.
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
	if got["registry@"+registry] == "to" {
		delete(got, "registry@"+registry)
	}
	if len(got) > 0 {
		return fmt.Errorf("half made: in the roster of %s are still %v", v.session.user, got)
	}
	return nil
}
