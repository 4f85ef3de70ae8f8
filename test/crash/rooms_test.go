// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
)

// The keepers of archives and rooms.

const (
	rooms  = "conference." + domain
	people = 12 // that a room's owner gives affiliations to
)

// enter joins a room.
func (v *life) enter(room, nick string) error {
	v.mu.Lock()
	v.entered = ""
	v.mu.Unlock()
	if err := v.send("<presence to='"+room+"/"+nick+"'><x xmlns='"+nsMUC+"'><history maxstanzas='0'/></x></presence>", nil); err != nil {
		return err
	}
	return v.await("entering "+room, func() bool { return v.entered == room+"/"+nick || v.ended != "" })
}

func (v *life) configure(room string, fields ...string) error {
	fields = append([]string{"muc#roomconfig_persistentroom", "1"}, fields...)
	_, err := v.session.ask(room, "set", "<query xmlns='"+nsMUC+"#owner'>"+form(nsMUC+"#roomconfig", fields...)+"</query>")
	return err
}

// roomKeeper changes a room's configuration and affiliations.
func roomKeeper() *keeper {
	const room = "kept@" + rooms
	affiliations := []string{"member", "admin", "outcast", ""}
	return &keeper{
		name: "owner",
		prepare: func(v *life) error {
			if err := v.enter(room, "owner"); err != nil {
				return err
			}
			return v.ledger.change(v.key("name"), "first", func() error { return v.configure(room, "muc#roomconfig_roomname", "first") })
		},
		change: func(v *life, r *rand.Rand, n int) error {
			if r.IntN(3) == 0 {
				return v.ledger.change(v.key("name"), v.value(n), func() error { return v.configure(room, "muc#roomconfig_roomname", v.value(n)) })
			}
			who := fmt.Sprintf("c%d@example.org", r.IntN(people))
			to := affiliations[r.IntN(len(affiliations))]
			return v.ledger.change(v.key("%s", who), to, func() error {
				name := to
				if name == "" {
					name = "none"
				}
				_, err := v.session.ask(room, "set", "<query xmlns='"+nsMUC+"#admin'><item affiliation='"+name+"' jid='"+who+"'/></query>")
				return err
			})
		},
		look: func(v *life) (map[string]string, error) {
			answer, err := v.session.ask(room, "get", "<query xmlns='"+nsMUC+"#owner'/>")
			if err != nil {
				return nil, err
			}
			got := map[string]string{v.key("name"): field(answer.child(nsMUC+"#owner", "query").child(nsForm, "x"), "muc#roomconfig_roomname")}
			for _, a := range affiliations[:3] {
				answer, err := v.session.ask(room, "get", "<query xmlns='"+nsMUC+"#admin'><item affiliation='"+a+"'/></query>")
				if err != nil {
					return nil, err
				}
				for _, item := range answer.child(nsMUC+"#admin", "query").children {
					key := v.key("%s", item.attr("jid"))
					if got[key] != "" {
						return nil, fmt.Errorf("%s is %s and %s", item.attr("jid"), got[key], a)
					}
					got[key] = a
				}
			}
			return got, nil
		},
	}
}

// tell sends a message whose acknowledgement says that it is in an archive.
func (v *life) tell(xml string, m message) error {
	key := v.key("%v", m)
	v.ledger.ask(key, "there")
	if err := v.send(xml, func() { v.ledger.ok(key) }); err != nil {
		return err
	}
	if m.n%5 < 4 {
		return nil
	}
	if err := v.demand(); err != nil {
		return err
	}
	return v.await("acks", func() bool { return len(v.out) <= 20 })
}

// roomTalker sends messages to a room that archives them.
func roomTalker() *keeper {
	const room = "talk@" + rooms
	return &keeper{
		name: "talker", managed: true,
		prepare: func(v *life) error {
			if err := v.enter(room, "talker"); err != nil {
				return err
			}
			return v.configure(room, "muc#roomconfig_enablearchiving", "1")
		},
		change: func(v *life, r *rand.Rand, n int) error {
			if n == 0 {
				if err := v.enter(room, "talker"); err != nil {
					return err
				}
			}
			m := message{"talker", "talk", v.round*stateChanges + n}
			id := fmt.Sprintf("talker.talk.%d", m.n)
			return v.tell("<message type='groupchat' to='"+room+"' id='"+id+"'><body>"+id+" hello</body></message>", m)
		},
		look: func(v *life) (map[string]string, error) { return v.ofArchive(room) },
	}
}

// ofArchive is an archive's messages by the keys of the ledger.
func (v *life) ofArchive(to string) (map[string]string, error) {
	found, err := v.archived(to)
	got := map[string]string{}
	for m, there := range found {
		got[v.key("%s", m)] = there
	}
	return got, err
}

// writer sends messages to one who is away. Both archives have each of them.
func writer() *keeper {
	const reader = "reader"
	always := "<prefs xmlns='" + nsMAM + "' default='always'><always/><never/></prefs>"
	a := &keeper{name: "writer", managed: true, others: []string{reader}}
	a.prepare = func(v *life) error {
		if _, err := v.session.ask("", "set", always); err != nil {
			return err
		}
		w, err := a.openAs(reader, v.server, v.ledger, v.round)
		if err != nil {
			return err
		}
		defer w.drop()
		_, err = w.session.ask("", "set", always)
		return err
	}
	a.change = func(v *life, r *rand.Rand, n int) error {
		m := message{"writer", reader, v.round*stateChanges + n}
		return v.tell(m.xml(reader+"@"+domain, r.IntN(300)), m)
	}
	a.look = func(v *life) (map[string]string, error) {
		sent, err := v.ofArchive("")
		if err != nil {
			return nil, err
		}
		w, err := a.openAs(reader, v.server, v.ledger, v.round)
		if err != nil {
			return nil, err
		}
		defer w.drop()
		had, err := w.ofArchive("")
		if err != nil {
			return nil, err
		}
		for key := range had {
			if sent[key] == "" {
				return nil, fmt.Errorf("%s is in the archive of its receiver alone", key)
			}
		}
		return had, nil // what is in the sender's alone counts as lost
	}
	return a
}
