// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// newThings is a slixmpp that knows things.
func newThings(s *server, name string) *agent {
	s.t.Helper()
	interpreter, err := python()
	if err != nil {
		s.t.Fatal(err)
	}
	own := name + "@" + domain
	return startAgent(s.t, "slixmpp-"+name, own, s.authority.environment(), interpreter, "-W", "ignore", filepath.Join("clients", "slixmpp_things.py"),
		own, password, s.client.IP.String(), strconv.Itoa(s.client.Port), "starttls")
}

// online arrives, and returns the full address.
func (a *agent) online() string {
	a.t.Helper()
	a.do("connect")
	full, _, _ := strings.Cut(a.expect("online"), " ")
	return full
}

// TestThingsOfOthers lets slixmpp read a thing of Smack through our server, which is then not what fails when they do not
// understand a thing of ours. More of each other these two do not understand: Smack 4.4 reads no numeric fields and no time
// without a zone, as slixmpp tells it, and what it sets, or is told to set, is no boolean but a bool; slixmpp has the last field alone.
func TestThingsOfOthers(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, smack)
	s := start(t)
	python, java := newThings(s, s.name("python")), newSmack(s, s.name("java"), s.authority)
	python.online()
	other := java.online()
	befriend(java, python)
	java.do("thing 1 secret")
	java.expect("ready")
	python.do("read %s -", other)
	python.expect("field " + other + " lamp boolean true")
	python.expect("read " + other + " done")
}

// TestOurThing lets slixmpp and Smack read and set a thing of our SDK, and others be refused.
func TestOurThing(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, smack)
	s := start(t)
	owner := newThings(s, s.name("owner"))
	owner.online()
	lamp := ours(s, s.name("lamp"), "thing", "run", "--owner", owner.own, "--stdin", "--field", "temperature", "--unit", "Cel", "--set", "lamp=boolean", "--set", "level=numeric")
	owner.ask(lamp.own)
	at := owner.expect("at " + lamp.own)
	lamp.do("21.5")
	owner.expect("message " + lamp.own + " temperature 21.5")

	owner.do("read %s -", at)
	owner.expect("field " + at + " temperature numeric 21.5 °C")
	owner.expect("field " + at + " lamp boolean false")
	owner.expect("read " + at + " done")
	owner.do("set %s boolean lamp true", at)
	lamp.expect("lamp on")
	owner.expect("set " + at)
	owner.do("tell %s double level 0.5", at)
	lamp.expect("level 0.5")
	owner.do("commands %s", at)
	owner.expect("command " + at + " read")
	owner.expect("commands " + at)
	owner.do("command %s set/lamp lamp=0", at)
	lamp.expect("lamp off")
	owner.expect("done " + at)
}

// TestClaim lets Smack and slixmpp have a thing of ours, and one of Smack's, one after the other: by its code in the chat, by
// XEP-0347, and as whoever the owner allows.
func TestClaim(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, smack)
	s := start(t)
	python, java := newThings(s, s.name("python")), newSmack(s, s.name("java"), s.authority)
	python.online()
	other := java.online()
	meter := ours(s, s.name("meter"), "thing", "run", "--maker", "example.org", "--model", "M1", "--serial", "7",
		"--stdin", "--field", "power", "--unit", "W", "--set", "lamp=boolean")
	code := meter.says(`IoTDisco;\S*KEY:[^\s;]+\S*`)

	java.do("registry")
	java.expect("registry " + things)
	java.do("provisioning")
	java.expect("provisioning " + things)

	// In the chat, with words that any client can say.
	python.say(things, "claim "+code)
	python.expect("message " + things)
	python.sees(meter.own, "available")
	at := python.expect("at " + meter.own)
	meter.do("230")
	python.expect("message " + meter.own + " power 230")
	python.do("read %s -", at)
	python.expect("field " + at + " power")
	python.expect("read " + at + " done")

	// The second who comes with the code, and whoever has none, are refused.
	java.say(things, "claim "+code)
	java.expect("message " + things)
	java.do("read %s", at)
	java.expect("error read service-unavailable")
	java.do("set %s boolean lamp true", at)
	java.expect("error set service-unavailable")

	// Who may do something else is forbidden it, in a way that both understand: slixmpp waits for more than the error, and Smack ends
	// its connection where an error is within that.
	guest := newThings(s, s.name("guest"))
	guest.online()
	for _, who := range []*agent{guest, java} {
		python.do("say %s allow %s to control meter other", things, who.own)
		python.says(regexp.QuoteMeta(who.own) + ` may control other of `)
	}
	guest.do("read %s -", at)
	guest.expect("read " + at + " rejected")
	guest.do("set %s boolean lamp true", at)
	guest.expect("set " + at + " InsufficientPrivileges")
	java.do("read %s", at)
	java.expect("error read forbidden")
	java.do("set %s boolean lamp true", at)
	java.expect("error set forbidden")

	// The owner is asked, and lets the other read one field.
	python.says(things + ` java@\S+ wants to read `)
	python.do("say %s allow %s to read meter power", things, java.own)
	python.says(things + ` java@\S+ may read power of `)
	java.do("read %s", at)
	java.expect("read " + at)
	java.do("set %s boolean lamp true", at)
	java.expect("error set forbidden")

	// A thing of Smack's is claimed with what is on its label.
	java.do("thing 42 s3cret-key-of-smack")
	java.expect("ready")
	java.do("register")
	java.expect("registered " + things)
	python.say(things, "claim IoTDisco;MAN:Ignite;MODEL:Smack;SN:42;KEY:s3cret-key-of-smack")
	java.expect("owned " + python.own)
	python.do("read %s -", other)
	python.expect("field " + other + " lamp boolean true")
	python.do("set %s int lamp 0", other) // by int, since Smack knows no boolean, but a bool
	java.expect("control " + python.own + " lamp 0")
}

// TestTheirThings lets our reader read and set things of slixmpp and of Smack, of which one is a contact's and one its own, and others be
// refused by the server. Neither library has the form that tells of what type a parameter is. Smack 4.4 reads no names of fields: it answers a
// request that has some by XML that is not well-formed.
func TestTheirThings(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, smack)
	s := start(t)
	owner, python, java := newThings(s, s.name("owner")), newThings(s, s.name("python")), newSmack(s, s.name("java"), s.authority)
	owner.online()
	sensor, other := python.online(), java.online()
	python.do("thing")
	python.expect("ready")
	befriend(owner, python)
	java.do("thing 42 s3cret-key-of-smack")
	java.expect("ready")
	java.do("register")
	java.expect("registered " + things)
	owner.say(things, "claim IoTDisco;MAN:Ignite;MODEL:Smack;SN:42;KEY:s3cret-key-of-smack")
	java.expect("owned " + owner.own)
	stranger := s.name("stranger") + "@" + domain

	ours(s, "owner", "thing", "read", sensor).says(`temperature 22\.5 °C$`)
	ours(s, "owner", "thing", "read", other).says(`temperature 23$`)
	ours(s, "owner", "thing", "set", sensor, "lamp", "on")
	python.expect("control lamp true")
	// Smack knows no boolean.
	ours(s, "owner", "thing", "set", "--type", "int", other, "lamp", "1")
	java.expect("control " + owner.own + " lamp 1")
	for _, at := range []string{sensor, other} {
		c := exec.CommandContext(t.Context(), stonechat.MustPath(t), "thing", "set", "--type", "int", at, "lamp", "0")
		c.Env = append(os.Environ(), s.as(stranger)...)
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "service-unavailable") {
			t.Errorf("a stranger sets %s: %v, %s", at, err, out)
		}
	}
	python.heardNothing("control lamp 0")
	java.heardNothing("control " + stranger)
}

// things is the service that knows whose a thing is.
const things = "things." + domain

// says waits for a line with that in it, and returns what matches.
func (a *agent) says(pattern string) (found string) {
	a.t.Helper()
	re := regexp.MustCompile(pattern)
	a.await("no line with "+pattern, func() bool {
		for _, l := range a.lines {
			if found = re.FindString(l.text); found != "" {
				return true
			}
		}
		return false
	})
	return found
}
