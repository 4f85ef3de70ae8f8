// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: a lamp in a hall belongs to somebody, and a friend of his may do everything with it. Then what the friend may cannot be looked
// up any more, because the disk stalls (TestStalled), or because the store is damaged (TestDamaged): by every way he is told that, and nothing is done.

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const hall = "hall@conference.home.test"

// undecided is part of what everybody is told while nobody decides.
const undecided = "cannot be looked up now"

// house is that of the lamp.
type house struct {
	*server
	owner, friend *person
	lamp          *process
	at            string // the lamp's session
}

// build has a server keep the rules of one thing in memory: another one that is asked for drives the lamp's out.
func build(t *testing.T, o options) *house {
	o.more = "modules: {consent: {cached_things: 1, read_within: 1s}}\n"
	o.troubled = true
	h := &house{server: start(t, o)}
	h.owner, h.friend = h.person(h.account("owner")), h.person(h.account("friend"))
	h.owner.enters(hall)
	if err := h.owner.asksRoom(&muc.OwnerQuery{Form: form.New(form.Submit, muc.FormConfig, form.Value("muc#roomconfig_whois", "anyone"),
		form.Bool("muc#roomconfig_persistentroom", true))}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lamp", "other"} {
		p := h.thing(h.account(name), "--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1h", "--set", "lamp=boolean", "--set", "level=numeric",
			"--serial", name, "--room", hall, "--state", filepath.Join(h.folder, name))
		p.claimedBy(h.owner)
		h.owner.hears(hall+"/"+name, "^presence normal")
		if name == "lamp" {
			h.lamp = p
		}
		for _, may := range []string{"read", "control", "see"} {
			h.owner.asks(service, "allow friend@home.test to "+may+" "+name, "may ")
		}
	}
	h.gather()
	h.usual("at first")
	return h
}

func (p *person) asksRoom(change stanza.Payload) error {
	_, err := p.client.IQ(p.t.Context(), jid.MustParse(hall), stanza.Set, change)
	return err
}

// gather brings the two into the room, and makes the friend a moderator there.
func (h *house) gather() {
	h.t.Helper()
	await(h.t, h.owner, h.friend)
	h.owner.enters(hall)
	h.friend.enters(hall)
	until(h.t, "the friend's role", func() bool {
		<-time.After(20 * time.Millisecond)
		return h.owner.asksRoom(&muc.AdminQuery{Items: []muc.Item{{Nick: "friend", Role: muc.Moderator}}}) == nil
	})
}

// usual shows that the friend may do all that, by words, by what programs send and in the room; and forgets it.
func (h *house) usual(when string) {
	h.t.Helper()
	sessions := make(map[string]string) // the owner sees them
	for _, name := range []string{"lamp", "other"} {
		until(h.t, "the owner's reading of "+name, func() bool {
			_, at, err := h.owner.reads(name + "@home.test")
			sessions[name] = at.String()
			return err == nil
		})
	}
	h.at = sessions["lamp"]
	figure(h.t, when+": the friend reads after", until(h.t, "a reading", func() bool {
		fields, _, err := h.friend.reads(h.at)
		return err == nil && fields == "lamp level temperature"
	}), 20*time.Second)
	if err := h.friend.sets(h.at, "lamp", true); err != nil {
		h.t.Fatal(err)
	}
	h.lamp.expect("^lamp on")
	h.friend.asks("lamp@home.test", "set lamp off", "done")
	h.lamp.expect("^lamp off")
	done := h.lamp.said("^lamp on")
	until(h.t, "what is said in the room", func() bool {
		h.friend.shouts(hall, "@lamp set lamp on")
		<-time.After(500 * time.Millisecond)
		return h.lamp.said("^lamp on") > done
	})
	off := h.lamp.said("^lamp off")
	h.friend.shouts(hall, "@lamp set lamp off") // behind all of that, of which some may be done only now
	until(h.t, "what is said behind it", func() bool { return h.lamp.said("^lamp off") > off })
	if _, _, err := h.friend.reads(sessions["other"]); err != nil {
		h.t.Fatal(err)
	}
}

// undecided tries every way, and returns when each was refused, with the reason.
func (h *house) undecided(damaged bool) {
	h.t.Helper()
	lamp, done := jid.MustParse(h.at), h.lamp.said("^l")
	asked := func(to jid.JID, typ stanza.Type, p stanza.Payload) func() error {
		return func() error {
			_, err := h.friend.client.IQ(h.t.Context(), to, typ, p)
			return err
		}
	}
	told := func(do func(), from string) func() error {
		return func() error {
			do()
			m, _ := h.friend.hears(from, "(?:^error ([a-z-]+) |^()).*"+undecided)
			return stanza.Condition(cmp.Or(m[1], string(stanza.InternalServerError))).Err(m[0])
		}
	}
	type way struct {
		name string
		do   func() error
	}
	refusals := 0
	ways := []way{
		{"reading (XEP-0323)", func() error { _, _, err := h.friend.reads(h.at); return err }},
		{"reading by its owner", func() error { _, _, err := h.owner.reads(h.at); return err }}, // whose it is cannot be looked up, too
		{"control (XEP-0325)", func() error { return h.friend.sets(h.at, "lamp", false) }},
		{"a command (XEP-0050)", asked(lamp, stanza.Set, &command.Command{Node: "set/lamp", Action: command.Execute})},
		{"what it is (XEP-0030)", asked(lamp, stanza.Get, &disco.Info{})},
		{"what it publishes (XEP-0163)", asked(lamp.Bare(), stanza.Get, &pubsub.Request{Items: &pubsub.Items{Node: thing.NodeOf("temperature")}})},
		{"following what it publishes", func() error { return h.friend.follows(lamp.Bare().String(), "temperature") }},
		{"words", told(func() { h.friend.say(h.at, "set lamp off") }, "lamp@home.test")},
		{"words to the account", told(func() { h.friend.say("lamp@home.test", "set lamp off") }, "lamp@home.test")},
		{"seeing it", told(func() {
			if err := h.friend.client.Subscribe(h.t.Context(), lamp.Bare()); err != nil {
				h.t.Error(err)
			}
		}, "lamp@home.test")},
		{"words in the room", told(func() { h.friend.shouts(hall, "@lamp set level 3") }, hall+"/lamp")}, // of the lamp it knows, and remembers
	}
	if damaged { // then his own server does not keep that he has asked, and the request stays there
		ways = slices.DeleteFunc(ways, func(w way) bool { return w.name == "seeing it" })
	}
	for _, way := range ways {
		began := time.Now()
		err := way.do()
		figure(h.t, "nobody decides: "+way.name+" is refused after", time.Since(began), 10*time.Second)
		if e, ok := stanza.AsError(err); !ok || !strings.Contains(e.Text, undecided) {
			h.t.Errorf("%s: %v", way.name, err)
			continue
		}
		refusals++
	}
	count(h.t, "nobody decides: ways that are refused with the reason", refusals, len(ways))
	count(h.t, "nobody decides: what was done", h.lamp.said("^l")-done, 0)
}

// TestStalled: while the disk stalls everybody is refused, and when it does no more all is as it was.
func TestStalled(t *testing.T) {
	stall := filepath.Join(t.TempDir(), "stall")
	h := build(t, options{program: testBuild(t), environment: []string{"STONECHAT_TEST_STALL=" + stall}})
	if err := os.WriteFile(stall, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.undecided(false)
	if err := os.Remove(stall); err != nil {
		t.Fatal(err)
	}
	h.usual("the disk is back")
}

// TestDamaged: the store is damaged while the server runs. Everybody is refused, until a backup is put back.
func TestDamaged(t *testing.T) {
	h := build(t, options{})
	backup := filepath.Join(h.folder, "backup")
	h.command("backup", backup)
	h.stop() // all is in the one file now
	h.run()
	h.gather()
	h.usual("after a restart")
	h.account("somebody") // a change, from which on what was read before is read again
	file := filepath.Join(h.folder, "data", "stonechat.db")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()-page)), page); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	h.undecided(true)
	h.kill()
	data := filepath.Join(h.folder, "data")
	if err := os.Rename(data, data+".damaged"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(stonechat.MustPath(t), "restore", "--data", data, backup).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.run()
	h.gather()
	h.usual("from the backup")
}

// testBuild is the program with what tests do to it.
func testBuild(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stonechat")
	if out, err := exec.Command("go", "build", "-tags=invariants", "-o", path, "../../cmd/stonechat").CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("go build: %w\n%s", err, out))
	}
	return path
}
