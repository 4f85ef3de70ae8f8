// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ejabberd is Debian's, run by the Erlang machine itself, so that it ends when it is killed.
func ejabberd() software {
	return software{name: "ejabberd", program: "erl", configure: configureEjabberd, command: ejabberdCommand,
		reasons: map[kindOf][]string{expired: {"expired"}, wrongName: {"name", "host"}, untrusted: {"issuer", "self-signed", "self signed"}},
	}
}

func ejabberdCommand(t *testing.T, s *server) *exec.Cmd {
	args := []string{"-noinput", "+S", "1"}
	for _, pattern := range []string{"/usr/lib/*/ejabberd*/ebin", "/usr/lib/*-linux-gnu*/ebin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range found {
			args = append(args, "-pa", folder)
		}
	}
	args = append(args, "-kernel", "inetrc", `"`+s.folder+`/inetrc"`, "-mnesia", "dir", `"`+s.folder+`/db"`, "-ejabberd", "config", `"`+s.folder+`/ejabberd.yml"`,
		"-ejabberd", "log_path", `"`+s.folder+`/ejabberd.log"`, "-s", "ejabberd")
	// It finds SRV records by Erlang's resolver, and addresses by that of the system, which reads a hosts file of ours.
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm"
	}
	own := []string{flags, "sh", "-c", `mount --bind "$1" /etc/hosts && shift && exec erl "$@"`, "sh", s.bed.names.hostsFile()}
	cmd := exec.Command("unshare", append(own, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.folder)
	return cmd
}

func configureEjabberd(t *testing.T, s *server) {
	// The name server comes last: that there is no resolv.conf takes away those named before.
	write(t, filepath.Join(s.folder, "inetrc"), fmt.Appendf(nil, "{lookup, [dns]}.\n{resolv_conf, \"\"}.\n{hosts_file, \"\"}.\n{cache_size, 0}.\n{nameserver, {%s}, %d}.\n",
		strings.ReplaceAll(s.bed.names.host, ".", ","), s.bed.names.port))
	// Where TLS is required it verifies certificates, and does no dialback.
	starttls, dialback := "required", ""
	if s.lenient {
		starttls, dialback = "optional", "  mod_s2s_dialback: {}\n"
	}
	write(t, filepath.Join(s.folder, "ejabberd.yml"), fmt.Appendf(nil, `hosts: [%[3]s]
loglevel: debug
certfiles: ["%[1]s/both.pem"]
ca_file: "%[1]s/roots.pem"
auth_password_format: scram
registration_timeout: infinity
s2s_use_starttls: %[4]s
s2s_max_retry_delay: 1
s2s_cafile: "%[1]s/roots.pem"
listen:
  - {port: %[5]d, ip: "%[2]s", module: ejabberd_c2s, starttls: true, access: all, shaper: none}
  - {port: %[9]d, ip: "%[2]s", module: ejabberd_c2s, tls: true, access: all, shaper: none}
  - {port: %[6]d, ip: "%[2]s", module: ejabberd_s2s_in, shaper: none}
  - {port: %[7]d, ip: "%[2]s", module: ejabberd_s2s_in, tls: true, shaper: none}
acl: {}
access_rules: {}
modules:
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_disco: {}
  mod_mam: {assume_mam_usage: false, default: always}
  mod_muc: {host: "conference.@HOST@", min_message_interval: 0, default_room_options: {mam: true}}
  mod_muc_admin: {}
  mod_offline: {}
  mod_ping: {}
  mod_privacy: {}
  mod_pubsub: {host: "pubsub.@HOST@", plugins: [flat, pep], access_createnode: all}
  mod_register: {ip_access: all}
  mod_roster: {versioning: true}
%[8]s  mod_stream_mgmt: {}
  mod_time: {}
  mod_vcard: {}
  mod_version: {}
`, s.folder, s.host, s.domain, starttls, clientPort, serverPort, serverTLSPort, dialback, clientTLSPort))
}
