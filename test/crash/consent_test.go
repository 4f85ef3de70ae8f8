// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// The keeper of what an owner has decided: what was answered holds after any crash, and nothing else does.

const (
	consents   = "things." + domain
	consentOf  = "stonechat:consent:"
	strangers  = 12 // of whom rules speak
	askers     = 3  // of whom the owner is asked
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
	list, err := v.items("rules")
	if err != nil {
		return nil, nil, err
	}
	says, numbers = map[string]string{}, map[string]string{}
	for _, item := range list {
		who, what, ok := strings.Cut(field(item, "what"), " may ")
		if !ok || numbers[who] != "" {
			return nil, nil, fmt.Errorf("rules: two of %s", item)
		}
		says[who], numbers[who] = "allow", field(item, "rule")
		if strings.HasPrefix(what, "not ") {
			says[who] = "forbid"
		}
	}
	return says, numbers, nil
}

// items are those of the list that a command answers.
func (v *life) items(node string) (list []*element, err error) {
	c, err := v.decide(node)
	if err != nil {
		return nil, err
	}
	if x := c.child(nsForm, "x"); x != nil {
		for _, item := range x.children {
			if item.is(nsForm, "item") {
				list = append(list, item)
			}
		}
	}
	return list, nil
}

// here gets messages from now on; those that waited have come.
func (v *life) here() error {
	if v.present {
		return nil
	}
	v.present = true
	if err := v.available(); err != nil {
		return err
	}
	return v.drained()
}

// hears does something and waits until the service says what is so, and returns its submatches.
func (v *life) hears(pattern string, do func() error) (m []string, err error) {
	if err := v.here(); err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.words = nil
	v.mu.Unlock()
	if err := do(); err != nil {
		return nil, err
	}
	re := regexp.MustCompile(pattern)
	err = v.await(pattern, func() bool {
		for _, words := range v.words {
			if m = re.FindStringSubmatch(words); m != nil {
				return true
			}
		}
		return false
	})
	return m, err
}

// says is hears for words.
func (v *life) says(words, pattern string) ([]string, error) {
	return v.hears(pattern, func() error {
		return v.send("<message to='"+consents+"' type='chat'><body>"+words+"</body></message>", nil)
	})
}

// questions are the numbers of those that wait for an answer, by who is asked about.
func (v *life) questions() (map[string]string, error) {
	m, err := v.says("questions", `(?s)^Nobody asks\.$|^\d+: .*Say "yes N"`)
	if err != nil {
		return nil, err
	}
	numbers := map[string]string{}
	for _, q := range regexp.MustCompile(`(?m)^(\d+): (\S+) wants to read`).FindAllStringSubmatch(m[0], -1) {
		if numbers[q[2]] != "" {
			return nil, fmt.Errorf("two questions about %s: %s", q[2], m[0])
		}
		numbers[q[2]] = q[1]
	}
	return numbers, nil
}

// answers changes what there is of somebody who asks: a question, which is answered in words, then a rule, which is taken back.
func (v *life) answers(others sides, r *rand.Rand, name string) error {
	who := name + "@" + domain
	key := v.key("%s", who)
	switch v.ledger.value(key) {
	case "":
		side, err := others.as(v, name)
		if err != nil {
			return err
		}
		return v.ledger.change(key, "asked", func() error {
			_, err := v.hears("^"+regexp.QuoteMeta(who)+" wants to read ", func() error {
				return side.send("<iq type='get' id='want' to='"+v.address+"'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1'><field name='t'/></req></iq>", nil)
			})
			return err
		})
	case "asked":
		numbers, err := v.questions()
		if err != nil {
			return err
		}
		to, words := "allow", "yes "
		if r.IntN(2) == 0 {
			to, words = "forbid", "no "
		}
		return v.ledger.change(key, to, func() error {
			_, err := v.says(words+numbers[who], "^"+regexp.QuoteMeta(who)+" may (not )?read t of ")
			return err
		})
	}
	_, numbers, err := v.rules()
	if err != nil {
		return err
	}
	return v.ledger.change(key, "", func() error {
		_, err := v.decide("revoke", "rule", numbers[who])
		return err
	})
}

// guardian is a thing that belongs to itself, and decides who reads it: as it likes, and where it is asked.
func guardian() *keeper {
	me := "guardian@" + domain
	others := sides{}
	var names []string
	for n := range askers {
		names = append(names, fmt.Sprintf("asker%d", n))
	}
	return &keeper{
		name: "guardian", others: names,
		prepare: func(v *life) error {
			_, err := v.session.ask(consents, "set", "<register xmlns='urn:xmpp:iot:discovery' selfOwned='true'><str name='SN' value='1'/></register>")
			return err
		},
		change: func(v *life, r *rand.Rand, _ int) error {
			if r.IntN(2) == 0 {
				return v.answers(others, r, names[r.IntN(askers)])
			}
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
			if err != nil {
				return nil, err
			}
			asked, err := v.questions()
			if err != nil {
				return nil, err
			}
			got := map[string]string{}
			for who, what := range says {
				got[v.key("%s", who)] = what
			}
			for who := range asked {
				if says[who] != "" {
					return nil, fmt.Errorf("half made: it is said that %s may (%s), and asked whether", who, says[who])
				}
				got[v.key("%s", who)] = "asked"
			}
			return got, nil
		},
	}
}
