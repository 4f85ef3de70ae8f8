// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// prosody is Debian's. Its resolver is told what none of its manuals says: to ask a name server on loopback
// (do-not-query-localhost), on a port that is not 53.
func prosody() software {
	return software{name: "prosody", program: "prosody", configure: configureProsody,
		command: func(_ *testing.T, s *server) *exec.Cmd {
			return exec.Command("prosody", "--config", filepath.Join(s.folder, "prosody.cfg.lua"), "-F")
		},
		reasons: map[kindOf][]string{expired: {"expired"}, wrongName: {"identity"}, untrusted: {"self signed", "self-signed", "unable to get local issuer"}},
	}
}

func configureProsody(t *testing.T, s *server) {
	plugins, err := filepath.Abs("../conformance/targets")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.folder, "prosody.cfg.lua"), fmt.Appendf(nil, `daemonize = false
run_as_root = true
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s"
plugin_paths = { "%[7]s" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "carbons", "pep", "private", "blocklist", "vcard4", "vcard_legacy", "version",
	"time", "ping", "register_ibr", "user_account_management", "smacks", "mam", "dialback", "s2s_bidi", "offline" }
allow_registration = true
authentication = "internal_hashed"
storage = "internal"
limits = { }
unbound = { resolvconf = false, hoststxt = false, forward = { "%[4]s@%[5]d" }, options = { ["do-not-query-localhost:"] = "no" } }
log = { debug = "%[1]s/prosody.log" }
interfaces = { "%[2]s" }
c2s_ports = { %[8]d }
c2s_direct_tls_ports = { %[11]d }
s2s_ports = { %[9]d }
s2s_direct_tls_ports = { %[10]d }
s2s_require_encryption = true
s2s_secure_auth = %[6]t
ssl = { key = "%[1]s/key.pem", certificate = "%[1]s/cert.pem", cafile = "%[1]s/roots.pem" }
VirtualHost "%[3]s"
Component "conference.%[3]s" "muc"
	modules_enabled = { "muc_mam" }
	restrict_room_creation = false
Component "pubsub.%[3]s" "pubsub"
	modules_enabled = { "pubsub_anyone" }
`, s.folder, s.host, s.domain, s.bed.names.host, s.bed.names.port, !s.lenient, plugins, clientPort, serverPort, serverTLSPort, clientTLSPort))
}
