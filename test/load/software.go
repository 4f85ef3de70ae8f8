// SPDX-License-Identifier: Apache-2.0

package main

// The servers that are compared, each with what a service of its kind would
// run with, no limits, and an archive in the rows that are about it. The first
// target of each is the encrypted one.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// software is one kind of server.
type software struct {
	name    string
	listens []string // its ports, by names of its own
	// install makes sure that it is there, once; configure is called before each start.
	install   func(ctx context.Context, s *server) error
	configure func(s *server) error
	// command is how it runs in the foreground, and what its environment has more.
	command func(s *server) (command, env []string)
	targets func(s *server) []bench.Target
}

func known() []software {
	return []software{
		{"stonechat", []string{"client", "metrics", federating, attaching}, buildStonechat, configureStonechat, serveStonechat("auto"), xmppTargets},
		{"stonechat-goroutine", []string{"client", "metrics", federating, attaching}, buildStonechat, configureStonechat, serveStonechat("goroutine"), xmppTargets},
		{"prosody", []string{"client", federating, attaching}, debianOf("prosody", "lua-sec", "lua-unbound"), configureProsody, func(s *server) ([]string, []string) {
			return []string{"prosody", "--config", filepath.Join(s.dir, "prosody.cfg.lua"), "-F"}, nil
		}, xmppTargets},
		{"ejabberd", []string{"client", federating, attaching}, debianOf("ejabberd"), configureEjabberd, ejabberdCommand, xmppTargets},
		{"mosquitto", []string{"tls", "plain"}, debianOf("mosquitto"), configureMosquitto, func(s *server) ([]string, []string) {
			return []string{"mosquitto", "-c", filepath.Join(s.dir, "mosquitto.conf")}, nil
		}, mqttTargets},
	}
}

// xmppTargets are STARTTLS and no encryption on one port.
func xmppTargets(s *server) []bench.Target {
	t := bench.Target{Name: s.name, Kind: bench.XMPP, Security: bench.StartTLS, Addr: s.addr("client"), Domain: s.domain,
		Accounts: bench.Accounts{Pattern: "bench%d", Password: password}, Component: s.addr(attaching)}
	if strings.HasPrefix(s.name, ours) {
		t.Metrics = s.addr("metrics")
	}
	plain := t
	plain.Name, plain.Security = s.name+" plain", bench.Plain
	return []bench.Target{t, plain}
}

func mqttTargets(s *server) []bench.Target {
	return []bench.Target{
		{Name: s.name, Kind: bench.MQTT, Security: bench.DirectTLS, Addr: s.addr("tls")},
		{Name: s.name + " plain", Kind: bench.MQTT, Security: bench.Plain, Addr: s.addr("plain")},
	}
}

func (s *server) addr(listen string) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[listen]) }

// write puts a configuration into the server's folder.
func (s *server) write(file, format string, args ...any) error {
	return os.WriteFile(filepath.Join(s.dir, file), fmt.Appendf(nil, format, args...), 0o644)
}

// debian makes sure that packages of Debian's are installed.
func debian(ctx context.Context, packages ...string) error {
	var missing []string
	for _, p := range packages {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Status}", p).Output()
		if err != nil || string(out) != "install ok installed" {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs Debian's %s; scripts/peers installs them, as root", strings.Join(missing, " "))
	}
	install := exec.CommandContext(ctx, "bash", append([]string{"scripts/peers"}, missing...)...)
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("could not install Debian's %s: %w: %.300s", strings.Join(missing, " "), err, out)
	}
	return nil
}

func debianOf(packages ...string) func(context.Context, *server) error {
	return func(ctx context.Context, _ *server) error { return debian(ctx, packages...) }
}

func buildStonechat(ctx context.Context, s *server) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.dir, "stonechat"), "./cmd/stonechat")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("does not build: %w: %.500s", err, out)
	}
	return nil
}

func configureStonechat(s *server) error {
	return s.write("stonechat.yaml", "%s", stonechatConfig(s))
}

// serveStonechat runs our server with one of its drivers.
func serveStonechat(driver string) func(*server) (command, env []string) {
	return func(s *server) ([]string, []string) {
		return []string{filepath.Join(s.dir, "stonechat"), "serve", "--driver", driver, "-c", filepath.Join(s.dir, "stonechat.yaml")},
			[]string{"SSL_CERT_FILE=" + filepath.Join(s.dir, rootsFile), "SSL_CERT_DIR=/nonexistent"}
	}
}

// stonechatConfig is the defaults, without the limits that a stranger on the
// internet needs and one address with thousands of sessions does not.
func stonechatConfig(s *server) string {
	server, federation := "", "federation: {enabled: false}\n"
	if s.federated {
		server, federation = `"`+s.addr(federating)+`"`, `federation: {certificates: required, resolver: "`+s.resolver+"\"}\n"
	}
	return fmt.Sprintf(`domains: [%s]
data: %s
tls: {certificate: %[2]s/cert.pem, key: %[2]s/key.pem}
listen:
  client: ["%[3]s"]
  client_tls: []
  server: [%[5]s]
  server_tls: []
  http: []
  https: []
  metrics: ["%[6]s"]
  component: ["%[8]s"]
components: {%[9]s: {secret: %[10]s}}
registration: open
allow_plaintext: true
limits:
  unauthenticated_connections_per_address: none
  unauthenticated_connections: none
  failed_logins_per_minute: none
  registrations_per_hour: none
  stanzas_per_second: none
  federation_connections: none
  federation_connections_per_address: none
  federation_dials: 100
%[7]s%[4]slog: {level: warn}
`, s.domain, s.dir, s.addr("client"), stonechatModules(s.archive), server, s.addr("metrics"), federation, s.addr(attaching), echoName+s.domain, password)
}

// stonechatModules has no limits of rooms, nodes, archives and words either.
func stonechatModules(archive bool) string {
	kept := "false"
	if archive {
		kept = "{default: always, messages: 10000000, bytes: 100GiB}"
	}
	return `modules:
  mam: ` + kept + `
  muc: {max_rooms: 1000000, max_rooms_per_creator: 1000000}
  pubsub: {nodes: 1000000, nodes_per_owner: 1000000, bytes_per_owner: none, subscriptions: 10000000}
  registry: {messages_per_minute: 1000000}
`
}

func configureProsody(s *server) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "data"), 0o755); err != nil {
		return err
	}
	archive := ""
	if s.archive {
		archive = `, "mam"`
	}
	federation := `modules_disabled = { "s2s" }
s2s_ports = { }
`
	if s.federated {
		archive += `, "dialback"`
		federation = prosodyFederation(s)
	}
	return s.write("prosody.cfg.lua", `daemonize = false
run_as_root = true
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s/data"
network_backend = "epoll"
modules_enabled = { "roster", "saslauth", "tls", "disco", "carbons", "pep", "private", "blocklist", "vcard4", "vcard_legacy",
	"version", "uptime", "time", "ping", "register", "smacks", "csi_simple"%[4]s }
default_archive_policy = true
%[5]sallow_registration = true
c2s_require_encryption = false
authentication = "internal_hashed"
storage = "internal"
limits = { }
log = { warn = "%[1]s/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[2]d }
component_interfaces = { "127.0.0.1" }
component_ports = { %[6]d }
ssl = { key = "%[1]s/key.pem", certificate = "%[1]s/cert.pem", cafile = "%[1]s/roots.pem" }
VirtualHost "%[3]s"
Component "conference.%[3]s" "muc"
	muc_log_by_default = false
	restrict_room_creation = false
Component "pubsub.%[3]s" "pubsub"
	admins = { "bench0@%[3]s", "bench2@%[3]s" }
	default_admin_affiliation = "owner"
Component "%[7]s"
	component_secret = "%[8]s"
`, s.dir, s.ports["client"], s.domain, archive, federation, s.ports[attaching], echoName+s.domain, password)
}

func configureEjabberd(s *server) error {
	for _, sub := range []string{"db", "log"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	archive := ""
	if s.archive {
		archive = "  mod_mam: {assume_mam_usage: false, default: always}\n"
	}
	federation, listen := "", ""
	if s.federated {
		var err error
		if federation, listen, err = ejabberdFederation(s); err != nil {
			return err
		}
	}
	return s.write("ejabberd.yml", `hosts: [%[3]s]
loglevel: warning
certfiles: [%[1]s/both.pem]
auth_password_format: scram
registration_timeout: infinity
%[5]slisten:
  - {port: %[2]d, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, max_stanza_size: 262144, shaper: none, access: all, backlog: 1024}
  - {port: %[7]d, ip: "127.0.0.1", module: ejabberd_service, access: all, shaper: none, hosts: {"%[8]s": {password: "%[9]s"}}}
%[6]sacl: {}
access_rules: {}
modules:
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_disco: {}
  mod_last: {}
%[4]s  mod_muc: {host: "conference.@HOST@", default_room_options: {mam: false, max_users: 5000}, max_users: 5000, history_size: 0, min_message_interval: 0}
  mod_offline: {}
  mod_ping: {}
  mod_privacy: {}
  mod_pubsub: {plugins: [flat, pep], last_item_cache: false, access_createnode: all}
  mod_register: {ip_access: all}
  mod_roster: {versioning: true}
  mod_stream_mgmt: {}
  mod_vcard: {}
  mod_version: {}
`, s.dir, s.ports["client"], s.domain, archive, federation, listen, s.ports[attaching], echoName+s.domain, password)
}

// ejabberdCommand starts ejabberd without distribution, and so without the
// port mapper that would go on running after it.
func ejabberdCommand(s *server) (command, env []string) {
	command = []string{"erl", "-noinput", "+K", "true", "+P", "2000000"}
	for _, pattern := range []string{"/usr/lib/*/ejabberd*/ebin", "/usr/lib/*-linux-gnu*/ebin"} {
		found, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, dir := range found {
			command = append(command, "-pa", dir)
		}
	}
	if s.federated {
		command = ejabberdWithNames(s, command)
	}
	command = append(command, "-mnesia", "dir", `"`+s.dir+`/db"`, "-ejabberd", "config", `"`+s.dir+`/ejabberd.yml"`,
		"log_path", `"`+s.dir+`/log/ejabberd.log"`, "-s", "ejabberd")
	return command, []string{"ERL_MAX_PORTS=200000", "HOME=" + s.dir}
}

func configureMosquitto(s *server) error {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root\n"
	}
	return s.write("mosquitto.conf", `listener %d 127.0.0.1
certfile %s/cert.pem
keyfile %[2]s/key.pem
allow_anonymous true
listener %[3]d 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
%[4]s`, s.ports["tls"], s.dir, s.ports["plain"], user)
}
