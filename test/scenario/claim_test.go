// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// service is where a home's things are claimed, and permissions given.
const service = "things.home.test"

// voice is from where it speaks to people.
const voice = "registry@" + service

// unclaimed runs a thing that waits for an owner: it measures a temperature, and has a lamp.
func (s *server) unclaimed(name string, more ...string) (p *process, code string) {
	s.t.Helper()
	p = s.thing(s.account(name), append([]string{
		"--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1s", "--set", "lamp=boolean",
		"--maker", "maker.test", "--serial", "4711", "--state", filepath.Join(s.folder, name),
	}, more...)...)
	return p, p.expect("^IoTDisco;.*")[0]
}

// searches asks the registry by XEP-0347 for everything of a maker's, and returns the answer.
func (p *person) searches() string {
	p.t.Helper()
	answer, err := p.client.IQ(p.t.Context(), jid.MustParse(service), stanza.Get, &registry.Search{
		Max: 20, Operators: []registry.Operator{{Op: registry.StrEq, Name: "MAN", Text: "maker.test"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer.AppendContent(nil))
}

// loses waits until a thing refuses reading and control to one who had both.
func (p *person) loses(what, at string) {
	p.t.Helper()
	figure(p.t, what+": reading ends after", until(p.t, "the refusal", func() bool {
		_, _, err := p.reads(at)
		return err != nil
	}), 5*time.Second)
	figure(p.t, what+": control ends with it, within", until(p.t, "the refusal", func() bool { return p.sets(at, "lamp", true) != nil }), 5*time.Second)
	_, _, err := p.reads(at)
	refused(p.t, what+": reading", err)
	refused(p.t, what+": control", p.sets(at, "lamp", true))
}

// TestClaim: a thing is nobody's and hidden; whoever has its code owns it, once, and also after the server was killed; it is given up, claimed
// by another, and given away.
func TestClaim(t *testing.T) {
	s := start(t, options{})
	juliet, romeo, nurse, stranger := s.person(s.account("juliet")), s.person(s.account("romeo")), s.person(s.account("nurse")), s.person(s.account("stranger"))
	meter, code := s.unclaimed("meter")
	const own = "meter@home.test"

	// Nobody finds it, and it answers nobody.
	stranger.asks(service, "find MAN=maker.test", "There is none")
	count(t, "things without an owner that a stranger's search finds", strings.Count(stranger.searches(), own), 0)
	for _, p := range []*person{juliet, stranger} {
		p.say(own, "read")
		p.hears(own, "^error service-unavailable")
		_, _, err := p.reads(own + "/thing")
		refused(t, "reading a thing without an owner", err)
		refused(t, "control of a thing without an owner", p.sets(own+"/thing", "lamp", true))
	}

	// It is claimed; the server is killed as soon as that is said.
	_, took := juliet.asks(service, "claim "+code, "is yours")
	figure(t, "a claim and its answer", took, 5*time.Second)
	s.kill()
	s.run()
	await(t, juliet, romeo, nurse, stranger)
	second, _ := romeo.asks(service, "claim "+code, "^.*(claimed|yours).*")
	wrong, _ := romeo.asks(service, "claim IoTDisco;SN:4711;MAN:maker.test;KEY:WRONG", "^.*claimed.*")
	fmt.Printf("%s: who comes second is told: %q; who has a wrong key: %q\n", t.Name(), second[0], wrong[0])
	if second[0] != wrong[0] || strings.Contains(second[0], "yours") {
		t.Errorf("who comes second is told %q, who has a wrong key %q", second[0], wrong[0])
	}
	juliet.asks(service, "things", `You have one thing:\n.*meter@home\.test`)
	juliet.hears(own, `temperature \d`)
	fields, at, err := juliet.reads(own)
	if err != nil || fields != "lamp temperature" {
		t.Fatalf("the owner reads %q, %v", fields, err)
	}
	if err := juliet.sets(at.String(), "lamp", true); err != nil {
		t.Fatal(err)
	}
	meter.expect("^lamp on")

	// Found by everybody when its owner wants that; whose it is is not.
	juliet.asks(service, "show meter", "Everybody can find")
	found := stranger.searches()
	words, _ := stranger.asks(service, "find MAN=maker.test", ".*meter@home.test.*")
	if !strings.Contains(found, own) {
		t.Errorf("a stranger finds %s and %s", found, words[0])
	}
	count(t, "owners and keys in what a stranger's search finds", strings.Count(found+words[0], "juliet")+strings.Count(found+words[0], "KEY"), 0)

	// Given up: the one who owned it does so no more, and the next does.
	juliet.asks(service, "disown meter", "not yours any more")
	juliet.loses("given up", at.String())
	again := meter.expect("^IoTDisco;.*")[0]
	if again == code {
		t.Error("a key is used twice")
	}
	stale, _ := stranger.asks(service, "claim "+code, "^.*(claimed|yours).*")
	if stale[0] != wrong[0] {
		t.Errorf("who has a key that was used is told %q", stale[0])
	}
	romeo.asks(service, "claim "+again, "is yours")
	romeo.hears(own, `temperature \d`)
	if fields, _, err := romeo.reads(own); err != nil || fields != "lamp temperature" {
		t.Errorf("the next owner reads %q, %v", fields, err)
	}
	juliet.loses("claimed by another", at.String())

	// Given away.
	romeo.asks(service, "give meter to nurse@home.test", "nurse@home.test has a message")
	words, _ = nurse.hears(voice, `(?s)gives you .*(claim IoTDisco;\S+)`)
	stolen, _ := stranger.asks(service, words[1], "^.*(claimed|yours).*")
	if stolen[0] != wrong[0] {
		t.Errorf("a stranger with somebody else's words is told %q", stolen[0])
	}
	nurse.asks(service, words[1], "is yours")
	nurse.hears(own, `temperature \d`)
	if fields, _, err := nurse.reads(own); err != nil || fields != "lamp temperature" {
		t.Errorf("who was given it reads %q, %v", fields, err)
	}
	romeo.loses("given away", at.String())
}

// await waits until people are there again after a server was.
func await(t *testing.T, people ...*person) {
	t.Helper()
	for _, p := range people {
		p.asks(service, "things", "You have")
	}
}
