// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConsent: a neighbour asks, the owner is asked in the chat and allows a domain one field; that holds through a crash, ends when it is
// taken back, and where nobody decides the answer is no.
func TestConsent(t *testing.T) {
	s := start(t, options{others: ", next.test"})
	owner := s.person(s.account("owner"))
	for _, a := range []string{"neighbour@next.test", "guest@next.test"} {
		s.command("user", "add", a)
	}
	neighbour, guest, stranger := s.person("neighbour@next.test"), s.person("guest@next.test"), s.person(s.account("stranger"))
	rows := "temperature [Cel],power [W]\n" + strings.Repeat("21.5,1200\n", 2000)
	const own = "meter@home.test"
	s.thing(s.account("meter"), "--csv", s.write("meter.csv", rows), "--every", "500ms", "--maker", "maker.test", "--serial", "1",
		"--state", filepath.Join(s.folder, "meter")).claimedBy(owner)
	owner.hears(own, "power")
	fields, at, err := owner.reads(own)
	if err != nil || fields != "power temperature" {
		t.Fatalf("the owner reads %q, %v", fields, err)
	}
	reads := func(p *person, want string) {
		t.Helper()
		if fields, _, err := p.reads(at.String()); err != nil || fields != want {
			t.Errorf("%s reads %q, %v; want %q", p.own, fields, err, want)
		}
	}

	// Asked, and allowed.
	began := time.Now()
	_, _, err = neighbour.reads(at.String(), "temperature", "power")
	refused(t, "what nobody has allowed", err)
	question, came := owner.hears(voice, `neighbour@next\.test wants to read .*temperature.*Say "yes (\d+)"`)
	figure(t, "from what somebody wants to the question in the owner's chat", came.Sub(began), 5*time.Second)
	rule, took := owner.asks(service, "yes "+question[1]+" temperature for domain", `Everybody at next\.test may read temperature.*"revoke (\d+)"`)
	figure(t, "a yes and its answer", took, 5*time.Second)
	s.kill()
	s.run()
	await(t, owner, neighbour, guest, stranger)
	owner.hears(own, "power")
	_, at, err = owner.reads(own)
	if err != nil {
		t.Fatal(err)
	}
	reads(neighbour, "temperature")
	reads(guest, "temperature")
	fmt.Printf("%s: of temperature and power the allowed domain reads: temperature\n", t.Name())
	_, _, err = neighbour.reads(at.String(), "power")
	refused(t, "the field that was not allowed", err)
	_, _, err = stranger.reads(at.String())
	refused(t, "another domain", err)
	refused(t, "control", neighbour.sets(at.String(), "temperature", true))

	// Taken back, for whoever asks the thing in words, which it decides by itself.
	other, _ := owner.asks(service, "allow neighbour@next.test to read meter power", `"revoke (\d+)"`)
	neighbour.asks(own, "read", "temperature 21.5")
	owner.asks(service, "revoke "+rule[1], "is gone")
	gone := until(t, "the end of a permission", func() bool {
		said, _ := neighbour.asks(own, "read", "(?s).*power 1200.*")
		return !strings.Contains(said[0], "temperature")
	})
	figure(t, "taken back, at the thing", gone, 5*time.Second)
	reads(neighbour, "power")
	_, _, err = guest.reads(at.String())
	refused(t, "what was taken back", err)
	owner.asks(service, "revoke "+other[1], "is gone")
	_, _, err = neighbour.reads(at.String())
	refused(t, "what was taken back", err)

	// Who was refused what is written down, soon after.
	until(t, "what was refused", func() bool {
		said, _ := owner.asks(service, "refusals meter", "(?s).+")
		return strings.Contains(said[0], "guest@next.test") && strings.Contains(said[0], "stranger@home.test")
	})
}

// claimedBy has somebody claim a thing by the code that it shows.
func (p *process) claimedBy(who *person) {
	p.t.Helper()
	who.asks(service, "claim "+p.expect("^IoTDisco;.*")[0], "is yours")
}
