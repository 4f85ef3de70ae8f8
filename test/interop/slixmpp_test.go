// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"path/filepath"
	"strconv"
	"sync"
)

// slixmpp is a library for Python, from PyPI, in an environment of its own.
var slixmpp = client{
	name:      "slixmpp",
	available: func() error { _, err := python(); return err },
	person: func(s *server, name string, trusted *authority) person {
		return newSlixmpp(s, name, trusted, "starttls")
	},
}

// python is the interpreter of an environment that has what clients/requirements.txt names.
var python = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(tools.folder, "python")
	if err := output("", "python3", "-m", "venv", folder); err != nil {
		return "", err
	}
	interpreter := filepath.Join(folder, "bin", "python")
	return interpreter, output("clients", interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary", ":all:", "-r", "requirements.txt")
})

func newSlixmpp(s *server, name string, trusted *authority, transport string) *agent {
	s.t.Helper()
	interpreter, err := python()
	if err != nil {
		s.t.Fatal(err)
	}
	at := s.client
	if transport == "direct" {
		at = s.clientTLS
	}
	own := name + "@" + domain
	return startAgent(s.t, "slixmpp-"+name, own, trusted.environment(), interpreter, "-W", "ignore", "clients/slixmpp_agent.py",
		own, password, at.IP.String(), strconv.Itoa(at.Port), transport)
}
