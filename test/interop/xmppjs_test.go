// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// xmppjs is @xmpp/client, a library for JavaScript, in Node: over TCP with STARTTLS and, as it is used
// in browsers, over WebSocket.
var (
	xmppjs = client{
		name:      "xmpp.js",
		available: func() error { _, err := node(); return err },
		person: func(s *server, name string, trusted *authority) person {
			return newXMPPJS(s, name, trusted, "xmpp")
		},
	}
	xmppjsWeb = client{
		name:      "xmpp.js-websocket",
		available: xmppjs.available,
		person: func(s *server, name string, trusted *authority) person {
			return newXMPPJS(s, name, trusted, "wss")
		},
	}
)

func newXMPPJS(s *server, name string, trusted *authority, scheme string) *agent {
	s.t.Helper()
	folder, err := node()
	if err != nil {
		s.t.Fatal(err)
	}
	at, path := s.client, ""
	switch scheme {
	case "xmpps":
		at = s.clientTLS
	case "wss":
		at, path = s.https, "/xmpp-websocket"
	}
	own := name + "@" + domain
	return startAgent(s.t, "xmppjs-"+scheme+"-"+name, own, trusted.environment(), "node", filepath.Join(folder, "xmppjs_agent.mjs"),
		own, password, fmt.Sprintf("%s://%s:%d%s", scheme, domain, at.Port, path), at.IP.String())
}

// TestXMPPJS lets it talk with our own commands, over each of its transports.
func TestXMPPJS(t *testing.T) {
	t.Parallel()
	need(t, xmppjs)
	s := start(t)
	for _, scheme := range []string{"xmpp", "xmpps", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			s := s.in(t)
			romeo := newXMPPJS(s, s.name("romeo-"+scheme), s.authority, scheme)
			juliet := s.name("juliet-" + scheme)
			romeo.arrive()
			listener := ours(s, juliet, "listen", "--json", "--count", "1")
			romeo.say(juliet+"@"+domain, "wherefore & where?")
			listener.await("no message", func() bool {
				return slices.ContainsFunc(listener.lines, func(l line) bool { return strings.Contains(l.text, `"wherefore & where?"`) })
			})
			ours(s, juliet, "send", romeo.own, "under <the> balcony 🌹")
			romeo.hears(juliet+"@"+domain, "under <the> balcony 🌹")
			romeo.leave()
		})
	}
}
