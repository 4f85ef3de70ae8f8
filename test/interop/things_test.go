// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"path/filepath"
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

// TestThingsOfOthers lets slixmpp and Smack read and set each other through our server, which is then not
// what fails when they do not understand a thing of ours.
func TestThingsOfOthers(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, smack)
	s := start(t)
	python, java := newThings(s, s.name("python")), newSmack(s, s.name("java"), s.authority)
	sensor, other := python.online(), java.online()
	befriend(java, python)
	python.do("thing")
	python.expect("ready")

	java.do("read %s", sensor)
	java.expect("field " + sensor + " temperature 22.5")
	java.expect("read " + sensor)
	java.do("set %s boolean lamp true", sensor)
	python.expect("control lamp true")
	java.expect("set " + sensor + " lamp true")

	java.do("thing 1 secret")
	java.expect("ready")
	python.do("read %s -", other)
	python.expect("field " + other + " temperature int 23")
	python.expect("field " + other + " lamp boolean true")
	python.expect("read " + other + " done")
	python.do("set %s boolean lamp false", other)
	java.expect("control " + python.own + " lamp false")
	python.expect("set " + other)
}
