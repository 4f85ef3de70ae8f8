// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"path/filepath"
	"strconv"
	"sync"
)

// libstrophe is a library for C, for small devices among others, from Debian, over STARTTLS; over
// direct TLS it is libstropheDirect.
var (
	libstrophe       = strophe("libstrophe", "starttls")
	libstropheDirect = strophe("libstrophe-direct", "direct")
)

func strophe(name, transport string) client {
	return client{
		name:      name,
		available: func() error { _, err := stropheAgent(); return err },
		person: func(s *server, name string, trusted *authority) person {
			return newStrophe(s, name, trusted, transport)
		},
	}
}

// stropheAgent builds clients/libstrophe_agent.c.
var stropheAgent = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(tools.folder, "libstrophe_agent")
	return binary, output("clients", "cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o", binary,
		"libstrophe_agent.c", "-lstrophe")
})

func newStrophe(s *server, name string, trusted *authority, transport string) *agent {
	s.t.Helper()
	binary, err := stropheAgent()
	if err != nil {
		s.t.Fatal(err)
	}
	at := s.client
	if transport == "direct" {
		at = s.clientTLS
	}
	own := name + "@" + domain
	return startAgent(s.t, "libstrophe-"+name, own, trusted.environment(), binary,
		own, password, at.IP.String(), strconv.Itoa(at.Port), trusted.file, transport)
}
