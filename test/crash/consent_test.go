// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The keeper of what an owner has decided: what was answered holds after any crash, and nothing else does.

const (
	consents   = "things." + domain
	consentOf  = "stonechat:consent:"
	strangers  = 12 // of whom rules speak
	nsConsents = "http://jabber.org/protocol/commands"
)

// decide has the service do a command in one step, and returns the answer.
func (v *life) decide(node string, fields ...string) (*element, error) {
	x := ""
	if len(fields) > 0 {
		x = form("", fields...)
	}
	answer, err := v.session.ask(consents, "set", "<command xmlns='"+nsConsents+"' node='"+consentOf+node+"' action='complete'>"+x+"</command>")
	if err != nil {
		return nil, err
	}
	c := answer.child(nsConsents, "command")
	if c == nil || c.attr("status") != "completed" {
		return nil, fmt.Errorf("%s is answered %s", node, answer)
	}
	if note := c.child(nsConsents, "note"); note != nil && note.attr("type") == "error" {
		return nil, fmt.Errorf("%s is answered %s", node, answer)
	}
	return c, nil
}

// rules are those that there are, by whom they are for: what they say, and their numbers.
func (v *life) rules() (says, numbers map[string]string, err error) {
	c, err := v.decide("rules")
	if err != nil {
		return nil, nil, err
	}
	says, numbers = map[string]string{}, map[string]string{}
	x := c.child(nsForm, "x")
	if x == nil {
		return says, numbers, nil
	}
	for _, item := range x.children {
		if !item.is(nsForm, "item") {
			continue
		}
		who, what, ok := strings.Cut(field(item, "what"), " may ")
		if !ok || numbers[who] != "" {
			return nil, nil, fmt.Errorf("rules: %s", c)
		}
		says[who], numbers[who] = "allow", field(item, "rule")
		if strings.HasPrefix(what, "not ") {
			says[who] = "forbid"
		}
	}
	return says, numbers, nil
}

// guardian is a thing that belongs to itself, and decides who reads it.
func guardian() *keeper {
	me := "guardian@" + domain
	return &keeper{
		name: "guardian",
		prepare: func(v *life) error {
			_, err := v.session.ask(consents, "set", "<register xmlns='urn:xmpp:iot:discovery' selfOwned='true'><str name='SN' value='1'/></register>")
			return err
		},
		change: func(v *life, r *rand.Rand, _ int) error {
			who := fmt.Sprintf("c%d@example.org", r.IntN(strangers))
			key := v.key("%s", who)
			to := []string{"allow", "forbid", ""}[r.IntN(3)]
			if to != "" {
				return v.ledger.change(key, to, func() error {
					_, err := v.decide("allow", "thing", me, "subject", who, "may", to, "right", "read")
					return err
				})
			}
			_, numbers, err := v.rules()
			if err != nil || numbers[who] == "" {
				return err
			}
			return v.ledger.change(key, "", func() error {
				_, err := v.decide("revoke", "rule", numbers[who])
				return err
			})
		},
		look: func(v *life) (map[string]string, error) {
			says, _, err := v.rules()
			got := map[string]string{}
			for who, what := range says {
				got[v.key("%s", who)] = what
			}
			return got, err
		},
	}
}
