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

// TestThingsOfOthers lets slixmpp read a thing of Smack through our server, which is then not what fails when they do not
// understand a thing of ours. More of each other these two do not understand: Smack 4.4 reads no numeric fields, breaks its
// connection at a time without a zone, as slixmpp tells it, and as a thing refuses to be set; slixmpp has the last field alone.
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
