// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// says writes to somebody, whom the client calls by the local part of the address if he is a contact, and waits for the answer.
func (p *profane) says(to, text, answer string) {
	p.t.Helper()
	p.enter("/msg " + to)
	name, _, _ := strings.Cut(to, "@")
	p.until("chat with "+to, func(screen string) bool { return strings.HasPrefix(strings.TrimSpace(screen), name) })
	p.enter(text)
	p.until(answer, contains(answer))
}

// newLamp is a lamp of ours that is nobody's, and the words by which it is claimed.
func newLamp(s *server) (lamp string, thing *agent, code string) {
	s.t.Helper()
	lamp = s.name("lamp") + "@" + domain
	thing = startAgent(s.t, "lamp", lamp, []string{"STONECHAT_JID=" + lamp + "/lamp", "STONECHAT_PASSWORD=" + password,
		"STONECHAT_ADDRESS=" + s.client.String(), "STONECHAT_CA=" + s.authority.file},
		stonechat.MustPath(s.t), "thing", "run", "--name", "Lamp", "--serial", "1", "--stdin", "--set", "lamp=boolean")
	thing.await("no code", func() bool {
		for _, l := range thing.lines {
			if strings.HasPrefix(l.text, "IoTDisco;") {
				code, _, _ = strings.Cut("claim "+l.text, ";R:")
			}
		}
		return code != ""
	})
	return lamp, thing, code
}

// TestHome lets somebody with a client that knows nothing of things claim one by its code, read and switch it by words and by
// commands, and answer for a neighbour, who is refused until then.
func TestHome(t *testing.T) {
	t.Parallel()
	need(t, profanity)
	s := start(t)
	lamp, thing, code := newLamp(s)
	service := "registry@things." + domain

	owner := newProfanity(s, s.name("owner"), s.authority).(*profane)
	neighbour := newProfanity(s, s.name("neighbour"), s.authority).(*profane)
	owner.arrive()
	neighbour.arrive()
	neighbour.says(lamp, "read", "Error from "+lamp+": service-unavailable")
	owner.says(service, code, "lamp ("+lamp+") is yours.")
	owner.console()
	owner.until("the lamp among the contacts", contains("lamp (lamp) is online"))
	owner.until("the registry among the contacts", contains("Things (stonechat) is online"))
	owner.says(lamp, "set lamp on", "done: lamp on")
	thing.expect("lamp on")
	owner.says(lamp, "read", ": lamp on")

	// By commands.
	owner.console()
	owner.enter("/cmd list " + service + "/stonechat")
	owner.until("commands of the registry", contains("stonechat:claim"))
	owner.enter("/cmd list " + lamp + "/lamp")
	owner.until("commands", contains("set/lamp"))
	owner.enter("/cmd exec set/lamp " + lamp + "/lamp")
	owner.until("form", contains("[field1] lamp (required): TRUE"))
	owner.enter("/field1 off")
	owner.until("filled in", contains("FALSE"))
	owner.enter("/form submit")
	thing.expect("lamp off")
	owner.console()
	owner.enter("/cmd exec read " + lamp + "/lamp")
	owner.until("reading", contains("lamp off"))

	// The neighbour wanted to read it before it was the owner's, who is not asked about that; now he is.
	neighbour.enter("read")
	owner.enter("/msg " + service)
	owner.until("question", contains("neighbour@"+domain+" wants to read lamp ("+lamp+"). Say \"yes 1\""))
	owner.enter("yes 1")
	owner.until("rule", contains("\"revoke 1\" takes that back."))
	neighbour.says(lamp, "read", ": lamp off")
	neighbour.says(lamp, "set lamp on", "You may not set lamp")
	owner.says(lamp, "read lamp", ": lamp off")
}

// TestConverseHome lets somebody with a browser claim a lamp, switch and read it, and answer for a neighbour: the registry is a contact
// to whom she writes.
func TestConverseHome(t *testing.T) {
	t.Parallel()
	need(t, converse)
	s := start(t)
	lamp, thing, code := newLamp(s)
	juliet, romeo, service := s.name("juliet"), s.name("romeo"), "registry@things."+domain
	web := newConverse(s, juliet, s.authority)
	web.do("connect")
	web.expect("online juliet@" + domain)
	says := func(to string, said ...string) {
		t.Helper()
		web.do("open %s", to)
		web.expect("open " + to)
		for i := 0; i < len(said); i += 2 {
			if said[i] != "" {
				web.do("say %s", said[i])
			}
			web.do("shows %s", said[i+1])
			web.expect("shown " + said[i+1])
		}
	}
	web.do("add %s", service)
	web.expect("added " + service)
	web.do("sees %s online", service)
	web.expect("seen " + service)
	says(service, "help", "makes a thing yours", code, "lamp ("+lamp+") is yours.")
	web.do("sees %s online", lamp)
	web.expect("seen " + lamp)
	says(lamp, "help", "set lamp on|off", "set lamp on", "done: lamp on", "read", "lamp on")
	thing.expect("lamp on")
	ours(s, romeo, "send", lamp, "set lamp off")
	says(service, "", "romeo@"+domain+" wants to control lamp of lamp ("+lamp+").", "yes 1", "\"revoke 1\" takes that back.")
	registry := filepath.Join(t.ArtifactDir(), "converse-registry.png")
	web.do("picture %s", registry)
	web.expect("picture")
	ours(s, romeo, "send", lamp, "set lamp off")
	thing.expect("lamp off")
	says(lamp, "read", "lamp off")
	picture := filepath.Join(t.ArtifactDir(), "converse-home.png")
	web.do("picture %s", picture)
	web.expect("picture")
	web.do("leave")
}
