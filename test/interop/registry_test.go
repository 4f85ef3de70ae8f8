// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import "testing"

// TestSmackRegistry has Smack find the registry, register a thing with it, and claim, use and disown that as its owner; others
// are refused.
func TestSmackRegistry(t *testing.T) {
	t.Parallel()
	need(t, smack)
	s := start(t)
	thing, owner, stranger := newSmack(s, s.name("thing"), s.authority), newSmack(s, s.name("owner"), s.authority), newSmack(s, s.name("stranger"), s.authority)
	sensor := thing.online()
	owner.online()
	stranger.online()
	for _, a := range []*agent{thing, owner, stranger} {
		a.do("registry")
		a.expect("registry things." + domain)
	}
	thing.do("thing 7 %s", "a-key-of-"+thing.own)
	thing.expect("ready")
	thing.do("register")
	thing.expect("registered things." + domain)

	stranger.do("read %s", sensor)
	stranger.expect("error read service-unavailable")
	stranger.do("claim 7 %s", "a-key-of-somebody")
	stranger.expect("error claim item-not-found")
	owner.do("claim 7 %s", "a-key-of-"+thing.own)
	thing.expect("owned " + owner.own)
	owner.expect("claimed " + thing.own)
	stranger.do("claim 7 %s", "a-key-of-"+thing.own)
	stranger.expect("error claim item-not-found")

	owner.do("read %s", sensor)
	owner.expect("field " + sensor + " temperature 23")
	stranger.do("read %s", sensor)
	stranger.expect("error read service-unavailable")
	stranger.do("disown %s", thing.own)
	stranger.expect("error disown item-not-found")

	thing.do("register")
	thing.expect("owned " + owner.own)
	owner.do("disown %s", thing.own)
	owner.expect("disowned " + thing.own)
	owner.do("read %s", sensor)
	owner.expect("error read service-unavailable")
	stranger.do("claim 7 %s", "a-key-of-"+thing.own)
	stranger.expect("error claim item-not-found")
}
