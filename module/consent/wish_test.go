// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestWished(t *testing.T) {
	for said, want := range map[string]string{
		"read":                              "read",
		"Read temperature humidity":         "read temperature,humidity",
		`read "outer temperature"`:          "read outer temperature",
		"set lamp on":                       "control lamp",
		"SET “big lamp” off":                "control big lamp",
		"set":                               "control set",
		"stop":                              "control",
		"switch":                            "control switch",
		"dim level=20":                      "control dim",
		"at meter1 read power":              "read power @meter1",
		"at meter1 switch":                  "control switch @meter1",
		"at meter1":                         "control at",
		"help":                              "read",
		"nodes":                             "read",
		"what's that?":                      "read",
		"":                                  "read",
		"\"open":                            "read",
		"привет":                            "read",
		strings.Repeat("x", 65):             "read",
		"read " + strings.Repeat("x", 4096): "read",
		"set " + strings.Repeat("y", 1024) + " on": "control",
	} {
		w := wished(said)
		got := w.right.String()
		if len(w.names) > 0 {
			got += " " + strings.Join(w.names, ",")
		}
		if len(w.nodes) > 0 {
			got += " @" + w.nodes[0].ID
		}
		if got != want {
			t.Errorf("%.60q wants %.60q, not %q", said, got, want)
		}
	}
}

func FuzzWished(f *testing.F) {
	for _, s := range []string{"read t", "set a b", "at n stop", "\"", "at \"\" x", "\"\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		w := wished(said)
		if w.right != store.RightRead && w.right != store.RightControl || len(w.nodes) > 1 {
			t.Fatalf("%+v", w)
		}
		q := store.Question{Thing: store.ThingName{JID: jid.MustParse("thing@d")}, Owner: jid.MustParse("owner@d"), Caller: jid.MustParse("c@d"), Right: w.right, Names: w.names}
		if err := (store.AskQuestion{Question: q}).Validate(); err != nil && !strings.Contains(strings.Join(w.names, ""), "\x00") {
			t.Fatal(err)
		}
	})
}

// TestOneWish: whoever may do nothing with a thing and says something to it makes one question, about what he wants; when that is
// allowed, it is done.
func TestOneWish(t *testing.T) {
	for _, test := range []struct {
		name   string
		speaks bool
		rules  string // that there are, as parseRule reads them, of romeo alone
		said   string
		want   string // right and names of the only question, "" for none
	}{
		{"a thing that asks is switched", true, "", "set lamp on", "control lamp"},
		{"a thing that asks is read", true, "", "read", "read"},
		{"one field of it", true, "", "read temperature", "read temperature"},
		{"its command", true, "", "switch", "control switch"},
		{"help", true, "", "help", "read"},
		{"what is forbidden is no question", true, "-control", "set lamp on", ""},
		{"what is forbidden is no question about something else", true, "-control", "switch", ""},
		{"what is allowed goes on", true, "+read", "set lamp on", ""},
		{"another thing might do anything", false, "", "set lamp on", "use"},
		{"it may be read already", false, "+read", "set lamp on", "control"},
		{"it may be controlled already", false, "+control", "read", "read"},
		{"it may be read in part", false, "+read t", "read", "use"},
		{"it may be used", false, "+use", "read", ""},
		{"one is forbidden", false, "-read", "set lamp on", ""},
		{"using is forbidden", false, "-use", "read", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, usual(), "thing@d", "owner@d", "romeo@d")
				romeo := b.Client("romeo@d/r")
				thing := jid.MustParse("thing@d")
				b.m.spoke.set(thing, test.speaks, 10)
				right, names, _ := strings.Cut(strings.TrimLeft(test.rules, "+-"), " ")
				for r := store.RightFriend; r <= store.RightUse; r++ {
					if r.String() == right {
						b.rule("thing@d", test.rules[0] == '+', "romeo@d", r, strings.Fields(names)...)
					}
				}
				for range 3 {
					romeo.Send("<message to='thing@d' type='chat' id='1'><body>" + test.said + "</body></message>")
					synctest.Wait()
				}
				list, err := b.Disk.Questions(t.Context(), jid.MustParse("owner@d"), 0, 10)
				if err != nil || len(list) > 1 {
					t.Fatalf("%v %v", list, err)
				}
				got := ""
				for _, q := range list {
					got = strings.TrimSpace(q.Right.String() + " " + strings.Join(q.Names, ","))
				}
				if got != test.want {
					t.Errorf("asked %q, want %q", got, test.want)
				}
				if len(list) == 0 {
					return
				}
				if _, _, err := b.m.answer(t.Context(), jid.MustParse("owner@d"), list[0].Number, true, nil, nil); err != nil {
					t.Fatal(err)
				}
				romeo.Send("<message to='thing@d' type='chat' id='1'><body>" + test.said + "</body></message>")
				synctest.Wait()
				if list, err = b.Disk.Questions(t.Context(), jid.MustParse("owner@d"), 0, 10); err != nil || len(list) > 0 {
					t.Errorf("asked again: %v %v", list, err)
				}
			})
		})
	}
}

// TestByTheWay: what a thing asks so that it knows what to say is no question to its owner.
func TestByTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d", "romeo@d", "nurse@d")
		thing := jid.MustParse("thing@d")
		b.rule("thing@d", true, "romeo@d", store.RightRead)
		consult := func(p stanza.Payload) {
			t.Helper()
			for _, h := range b.handlers {
				if h.Name != p.XMLName() || h.Type != stanza.Get {
					continue
				}
				s := stanza.New(stanza.IQ, stanza.Get, jid.MustParse("things.d"), p)
				s.From, s.ID = thing, []byte("c")
				s, err := stanza.Parse(s.Append(nil, stanza.NSClient))
				if err != nil {
					t.Fatal(err)
				}
				turn := b.NewTurn()
				if _, err := h.Do(turn, &server.Query{Stanza: s}); err != nil {
					t.Fatal(err)
				}
				turn.End()
			}
			synctest.Wait()
		}
		questions := func(want ...string) {
			t.Helper()
			list, err := b.Disk.Questions(t.Context(), jid.MustParse("owner@d"), 0, 10)
			var got []string
			for _, q := range list {
				got = append(got, fmt.Sprintf("%s %s%v", q.Caller.Local(), q.Right, q.Names))
			}
			if err != nil || strings.Join(got, ", ") != strings.Join(want, ", ") {
				t.Errorf("asked %q, want %q (%v)", got, want, err)
			}
		}
		romeo, nurse := jid.MustParse("romeo@d"), jid.MustParse("nurse@d")
		control := func(who jid.JID, names ...string) {
			consult(&provisioning.CanControl{JID: who, Scope: provisioning.Scope{Names: names}})
		}
		read := func(who jid.JID, names ...string) {
			consult(&provisioning.CanRead{JID: who, Scope: provisioning.Scope{Names: names}})
		}
		romeoSays := b.Client("romeo@d/r")
		b.m.spoke.set(thing, true, 10)
		romeoSays.Send(fmt.Sprintf(help, "thing@d"))
		control(romeo) // what he may say
		questions()
		control(romeo, "lamp") // he has said it
		questions("romeo control[lamp]")
		control(nurse) // for all that is known, she wants that
		questions("romeo control[lamp]", "nurse control[]")
		read(nurse) // right behind it
		questions("romeo control[lamp]", "nurse control[]")
		<-time.After(6 * time.Second)
		read(nurse)
		questions("romeo control[lamp]", "nurse control[]", "nurse read[]")
	})
}
