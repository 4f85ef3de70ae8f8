-- SPDX-License-Identifier: Apache-2.0
-- Prosody as the conformance scripts expect a server to be set up; the test fills in what is between braces.
daemonize = false
run_as_root = true
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
modules_enabled = {
	"roster"; "saslauth"; "tls"; "disco"; "version"; "time"; "ping"; "smacks"; "websocket";
	"user_account_management"; "server_contact_info"; "adhoc"; "uptime"; "carbons"; "private"; "pep"; "bookmarks"; "mam"; "lastactivity";
	{{if ne .Variant "registration closed"}} "register_ibr";{{end}}
	{{if eq .Variant "registration by token"}} "invites"; "invites_register";{{end}}
}
plugin_paths = { "{{.Targets}}" }
allow_registration = true
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
{{if eq .Variant "guests allowed"}}authentication = "anonymous"{{else}}authentication = "internal_plain" -- so that every SCRAM can be offered{{end}}
smacks_hibernation_time = {{if eq .Variant "resumption for 1 second"}}1{{else}}300{{end}}
storage = "internal"
limits = {}
log = { info = "{{.Dir}}/prosody.log" }
interfaces = { "{{.Host}}" }
c2s_ports = { {{.TCP}} }
c2s_direct_tls_ports = { {{.TLS}} }
s2s_ports = {}
contact_info = {
	admin = { "mailto:xmpp@{{.Domain}}", "xmpp:admin@{{.Domain}}" };
	status = { "https://status.example.org/" };
}
http_ports = {}
https_ports = { {{.WS}} }
https_ssl = { key = "{{.Dir}}/key.pem", certificate = "{{.Dir}}/cert.pem" }
ssl = { key = "{{.Dir}}/key.pem", certificate = "{{.Dir}}/cert.pem" }
VirtualHost "{{.Domain}}"
VirtualHost "{{.Second}}"
Component "conference.{{.Domain}}" "muc"
	modules_enabled = { "muc_mam" }
	muc_tombstones = false
	muc_room_cache_size = 10000
	muc_registration_include_form = true
	allow_unaffiliated_register = true
	restrict_room_creation = {{if eq .Variant "rooms by nobody"}}true{{else}}false{{end}}
Component "pubsub.{{.Domain}}" "pubsub"
	modules_enabled = { "pubsub_anyone" } -- in this folder
Component "away.{{.Domain}}"
	component_secret = "nobody has it"
