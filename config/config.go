// SPDX-License-Identifier: Apache-2.0

// Package config reads stonechat.yaml, the one configuration file, for the
// programs that are made of the server, and for the modules whose keys are in it.
//
// Every key has a default, which stands in the tag of its field; the comment of
// a field is what the manual says of the key (docs/configuration.md is made of
// both, see internal/gen/configdoc). An unknown key, a bad value, a key given
// twice, and a listener or mode that is not built yet, are errors that name
// file, line and key; all errors of a file are reported at once.
//
// How to read this package: config.go has the keys, check.go what must hold
// between them, modules.go the keys of modules, changed.go what differs between two,
// value.go numbers with units, decode.go the way from YAML to fields.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

//go:generate go run ../internal/gen/configdoc -o ../docs/configuration.md

// maxFile is the size of a configuration file that is read at all, in bytes.
const maxFile = 1 << 20

// Config is the whole configuration. It is not changed once loaded and may be
// read from any goroutine.
//
// A field tagged `live:"yes"` takes effect when a running server reads the file again; the others
// do with the next start. [Changed] tells them apart.
//
// A field tagged `unbuilt:"what"` belongs to a part that is not built yet: any
// value but its default is an error. Whoever builds the part deletes the tag
// and sets the default that the key shall have.
type Config struct {
	// The domains served here. The first is the one that a client means which names none.
	Domains []string `yaml:"domains" default:"[localhost]"`
	// The folder of the embedded store, of certificates made here and of the socket for administration; made if it is missing. Relative to the folder in which the server is started.
	Data string `yaml:"data" default:"./data"`
	// A PostgreSQL database instead of the embedded store, as postgres://user:password@host/name.
	Database string `yaml:"database" default:"" unbuilt:"PostgreSQL"`

	TLS    TLS    `yaml:"tls"`
	Listen Listen `yaml:"listen"`
	HTTP   HTTP   `yaml:"http"`

	// Who may make an account over XMPP: nobody (closed), who was invited (invite), anyone (open).
	Registration string `yaml:"registration" default:"closed" oneof:"closed invite open" live:"yes"`
	// Domains, some of `domains`, where clients may log in without an account (SASL ANONYMOUS, XEP-0175). Such a guest has a random name for as long as it is connected, keeps nothing, and talks to nobody at other servers.
	Anonymous []string `yaml:"anonymous" default:"[]"`
	// Lets clients log in without TLS. For test beds only.
	AllowPlaintext bool `yaml:"allow_plaintext" default:"false"`

	Federation Federation `yaml:"federation"`
	// External components (XEP-0114) that may connect, by their domains: `sms.example.org: {secret: …}`. Their domains are not among `domains`. What one may do in the name of accounts (XEP-0356) is `privilege`: `{roster: both, push: true, message: outgoing, presence: managed_entity, iq: {"http://jabber.org/protocol/pubsub": both}}`, all of it off if it is left out; whose requests it answers in place of the server (XEP-0355) `delegation`: namespaces, each with the attributes that a request must have, as `{"urn:xmpp:mam:2": [node]}`; for the accounts of which domains, `for`: if that is left out, of the domain that it belongs to, as irc.example.org does to example.org. These three are followed live, secrets and names with the next start. docs/gateways.md has examples.
	Components map[string]Component `yaml:"components" default:"{}"`
	Limits     Limits               `yaml:"limits"`
	// The keys of modules, each under its module's name; `false` turns a module off.
	Modules Modules `yaml:"modules"`
	Log     Log     `yaml:"log"`
	// How long clients are still let in after SIGTERM, while /readyz says 503 already, so that a load balancer can turn to another server.
	Drain Duration `yaml:"drain" default:"none"`
}

// TLS says with which certificate the server answers.
type TLS struct {
	// A PEM file with the certificate and its chain. Empty: a self-signed one, made at first start. Both files are read again at SIGHUP, and looked at every minute.
	Certificate string `yaml:"certificate" default:"" live:"yes"`
	// A PEM file with the private key of the certificate.
	Key string `yaml:"key" default:"" live:"yes"`
	// Certificates of their own for some of the domains: `example.net: {certificate: net.crt, key: net.key}`. A client gets the one that names the domain it asks for (SNI).
	Domains map[string]Certificate `yaml:"domains" default:"{}" live:"yes"`
	// A PEM file with the authorities whose certificates let clients log in without a password (SASL EXTERNAL, XEP-0178). They must be authorities of yours: whatever address they certify is believed. It is read again at SIGHUP.
	ClientCA string `yaml:"client_ca" default:"" live:"yes"`
	// Where a client's certificate names its account: in XMPP addresses alone (id-on-xmppAddr, RFC 6120 §13.7.1.4); without one also in mail addresses (email); without either also in its common name (common_name), an address or the part before the @.
	ClientIdentity string `yaml:"client_identity" default:"xmpp_address" oneof:"xmpp_address email common_name"`
	ACME           ACME   `yaml:"acme"`
}

// Certificate is one with its key.
type Certificate struct {
	// A PEM file with the certificate and its chain.
	Certificate string `yaml:"certificate" default:""`
	// A PEM file with the private key of the certificate.
	Key string `yaml:"key" default:""`
}

// ACME says where certificates come from by themselves.
type ACME struct {
	// The address that the certificate authority may write to. Certificates are fetched if it is set.
	Email string `yaml:"email" default:"" unbuilt:"ACME"`
	// The address of the authority's directory. Empty: Let's Encrypt.
	Directory string `yaml:"directory" default:"" unbuilt:"ACME"`
}

// Listen holds the addresses of listeners, as host:port; an empty list turns a
// listener off.
type Listen struct {
	// Clients, with STARTTLS.
	Client []string `yaml:"client" default:"[\"[::]:5222\"]"`
	// Clients, with TLS from the first byte (XEP-0368).
	ClientTLS []string `yaml:"client_tls" default:"[\"[::]:5223\"]"`
	// Other servers, with STARTTLS.
	Server []string `yaml:"server" default:"[\"[::]:5269\"]"`
	// Other servers, with TLS from the first byte (XEP-0368).
	ServerTLS []string `yaml:"server_tls" default:"[\"[::]:5270\"]"`
	// External components (XEP-0114). Their streams are not encrypted: keep it on the loopback interface, or within a tunnel. Nothing listens while `components` is empty.
	Component []string `yaml:"component" default:"[127.0.0.1:5347]"`
	// WebSocket and host-meta, for a reverse proxy. Clients log in here only where such a proxy says that they came over TLS.
	HTTP []string `yaml:"http" default:"[\"127.0.0.1:5280\"]"`
	// The same over TLS.
	HTTPS []string `yaml:"https" default:"[\"[::]:5443\"]"`
	// Metrics, health and profiles: /metrics, /healthz, /readyz, /debug/pprof. Whoever can connect may read them.
	Metrics []string `yaml:"metrics" default:"[\"127.0.0.1:9090\"]"`
	// MQTT devices.
	MQTT []string `yaml:"mqtt" default:"[]" unbuilt:"the MQTT gateway"`
	// MQTT devices, over TLS.
	MQTTTLS []string `yaml:"mqtt_tls" default:"[]" unbuilt:"the MQTT gateway"`
	// CoAP devices.
	CoAP []string `yaml:"coap" default:"[]" unbuilt:"the CoAP gateway"`
	// CoAP devices, over DTLS.
	CoAPS []string `yaml:"coaps" default:"[]" unbuilt:"the CoAP gateway"`
}

// HTTP says how the listeners http and https behave.
type HTTP struct {
	// Addresses and networks of reverse proxies: from these alone X-Forwarded-* and Forwarded are believed. https there counts as secure, and offers no channel binding.
	TrustedProxies []string `yaml:"trusted_proxies" default:"[127.0.0.1/32]"`
	// The https address under which clients reach these listeners, as https://example.org or https://example.org/path, for host-meta. Empty: host-meta names the host and port at which it was asked for.
	PublicURL string `yaml:"public_url" default:""`
}

// Federation says with which servers this one talks, and how.
type Federation struct {
	// Whether this server talks with others at all. If not, nothing listens for them, and what is for their domains comes back.
	Enabled bool `yaml:"enabled" default:"true"`
	// Whether other servers must show a trusted certificate (required), or may prove their name by dialback over TLS (preferred), which is worth as much as DNS is.
	Certificates string `yaml:"certificates" default:"required" oneof:"required preferred" live:"yes"`
	// The only domains to talk with. Empty: all. `.example.net` stands for example.net and all that ends in it.
	Allow []string `yaml:"allow" default:"[]" live:"yes"`
	// Domains never to talk with, written as in `allow`, over which this goes.
	Block []string `yaml:"block" default:"[]" live:"yes"`
	// How long a connection stays that nobody uses; ten seconds at most where seven eighths of limits.federation_connections or limits.federation_routes are in use.
	Idle Duration `yaml:"idle" default:"10m" live:"yes"`
	// How long a message waits for a server that cannot be reached; then it comes back to its sender. Requests come back sooner.
	GiveUp Duration `yaml:"give_up" default:"15m" live:"yes"`
	// After so many stanzas a server without stream management is asked whether it has read them (a ping): what it has not is sent again where that is known.
	FenceStanzas Limit `yaml:"fence_stanzas" default:"32" live:"yes"`
	// After so long it is asked in any case.
	FenceAfter Duration `yaml:"fence_after" default:"50ms" live:"yes"`
	// How long another server may leave unconfirmed what it is sent; then its connection is dropped. What may go again goes on the next one, requests come back. 0: for ever.
	ConfirmWithin Duration `yaml:"confirm_within" default:"2m" live:"yes"`
	// Whether TLSA records that DNSSEC secures stand in for authorities (DANE, RFC 7673), whatever `certificates` says. The DNS server must validate: `resolver`, or one on this machine.
	DANE bool `yaml:"dane" default:"false"`
	// The DNS server to ask, an address or address:port. Empty: the system's.
	Resolver string `yaml:"resolver" default:""`
	// What differs for some domains: `example.net: {connect: "10.0.0.5:5269", certificates: preferred}`.
	Domains map[string]FederationDomain `yaml:"domains" default:"{}" live:"yes"`
}

// FederationDomain is what differs for one domain.
type FederationDomain struct {
	// The address of its server, as host:port, instead of what DNS says. Its certificate must name the domain all the same.
	Connect string `yaml:"connect" default:""`
	// Whether TLS begins with the first byte there.
	DirectTLS bool `yaml:"direct_tls" default:"false"`
	// As federation.certificates; empty: as that says.
	Certificates string `yaml:"certificates" default:""`
	// Stanzas from there, averaged over 10 s; more are read more slowly. none: as limits.stanzas_per_second says.
	StanzasPerSecond Limit `yaml:"stanzas_per_second" default:"none"`
}

// Component is an external component.
type Component struct {
	// What the component proves itself with: whoever has it speaks for the domain and everybody at it.
	Secret string `yaml:"secret" default:""`
	// What it may do in the name of accounts (XEP-0356).
	Privilege Privilege `yaml:"privilege"`
	// The namespaces whose requests, to accounts and their domain, it answers in place of the server (XEP-0355), with the attributes that such a request must have: `{"http://jabber.org/protocol/pubsub": [], "urn:xmpp:mam:2": [node]}`. Followed live.
	Delegation map[string][]string `yaml:"delegation" default:"{}"`
	// The domains, some of `domains`, for whose accounts privilege and delegation hold. Empty: the one that the component belongs to, as `irc.example.org` does to example.org.
	For []string `yaml:"for" default:"[]"`
}

// Privilege is what a component may do in the name of accounts. It must be trusted as the server is.
// Changes are followed live, and told to the component.
type Privilege struct {
	// Read rosters (get), change them (set), or both. It is told of changes if it may read.
	Roster string `yaml:"roster" default:"none" oneof:"none get set both"`
	// Whether it is told of changes of rosters that it may read.
	Push bool `yaml:"push" default:"true"`
	// Send messages in the name of accounts (outgoing).
	Message string `yaml:"message" default:"none" oneof:"none outgoing"`
	// Make requests of these namespaces in the name of accounts: `{"http://jabber.org/protocol/pubsub": both}`, one of get, set and both.
	IQ map[string]string `yaml:"iq" default:"{}"`
	// See the presence of accounts (managed_entity), or also that of their contacts (roster), for which it must be allowed to read rosters.
	Presence string `yaml:"presence" default:"none" oneof:"none managed_entity roster"`
}

// Limits holds what one peer, or all together, may take; `none` turns a limit
// off, for test beds.
type Limits struct {
	// The size of one stanza; a larger one ends the stream with policy-violation.
	StanzaBytes Bytes `yaml:"stanza_bytes" default:"262144" live:"yes"`
	// How deep elements of one stanza nest.
	StanzaDepth Limit `yaml:"stanza_depth" default:"100" live:"yes"`
	// Attributes and namespace declarations of one element.
	StanzaAttributes Limit `yaml:"stanza_attributes" default:"200" live:"yes"`
	// Elements within one stanza, at every depth; more end the stream with policy-violation.
	StanzaChildren Limit `yaml:"stanza_children" default:"5000" live:"yes"`
	// The size of one presence that a client sends, since it goes to every contact; a larger one is refused with policy-violation.
	PresenceBytes Bytes `yaml:"presence_bytes" default:"16KiB" live:"yes"`
	// Stanzas of one session, averaged over 10 s. Over it the session is read more slowly; nothing is lost.
	StanzasPerSecond Limit `yaml:"stanzas_per_second" default:"1000" live:"yes"`

	// Connections from one address (IPv6: one /64) that are logging in; more wait their turn, and take the place of one that makes no progress.
	UnauthenticatedConnectionsPerAddress Limit `yaml:"unauthenticated_connections_per_address" default:"1000" live:"yes"`
	// Connections in all that are logging in or wait to; for one more the address with most of them loses one.
	UnauthenticatedConnections Limit `yaml:"unauthenticated_connections" default:"10000" live:"yes"`
	// Failed logins per address and per account.
	FailedLoginsPerMinute Limit `yaml:"failed_logins_per_minute" default:"60" live:"yes"`
	// Guests from one address (IPv6: one /64); one more is refused with temporary-auth-failure.
	GuestsPerAddress Limit `yaml:"guests_per_address" default:"20" live:"yes"`
	// Guests in all.
	Guests Limit `yaml:"guests" default:"1000" live:"yes"`
	// How long a client may take to log in.
	LoginTimeout Duration `yaml:"login_timeout" default:"30s" live:"yes"`
	// How long a client's network may be silent before its connection is taken for dead. TCP keep-alives find out, in the second half of that time.
	DeadAfter Duration `yaml:"dead_after" default:"5m"`
	// The header of an HTTP request; a larger one is answered with 431.
	HTTPHeaderBytes Bytes `yaml:"http_header_bytes" default:"16KiB"`
	// How long an HTTP request may take to come, and its answer to be taken. Not for a WebSocket once it is open.
	HTTPTimeout Duration `yaml:"http_timeout" default:"30s"`
	// Accounts made from one address, where registration is not closed.
	RegistrationsPerHour Limit `yaml:"registrations_per_hour" default:"20" live:"yes"`

	// Sessions of one account; one more is refused with resource-constraint.
	SessionsPerAccount Limit `yaml:"sessions_per_account" default:"20" live:"yes"`
	// Sessions in all.
	Sessions Limit `yaml:"sessions" default:"1000000" live:"yes"`

	// Bytes that wait for a client which does not read; then its connection is dropped and its messages wait in the store. One answer to its own request, as a long roster, may wait besides. As many of what it has sent itself may wait for its acks.
	QueueBytes Bytes `yaml:"queue_bytes" default:"1MiB" live:"yes"`
	// Bytes that a session was sent and has not acked (XEP-0198); then it ends and its messages wait in the store. One answer to its own request is not counted; further ones wait from half of it on until it acks; where it acks nothing for a minute its connection is dropped.
	WindowBytes Bytes `yaml:"window_bytes" default:"4MiB" live:"yes"`
	// Stanzas that a session was sent and has not acked; then it ends. Answers to its own requests wait from half of it on.
	WindowStanzas Limit `yaml:"window_stanzas" default:"10000" live:"yes"`
	// Stanzas that a session has sent and that are not safe yet, or wait for its acks; then it is read no further for a while.
	UnackedStanzas Limit `yaml:"unacked_stanzas" default:"1000" live:"yes"`
	// Bytes of answers that wait for somebody who does not read and has no queue of his own: a client that has not logged in, or whose use of stream management is refused; another server to which nothing but answers is sent. Then its connection is dropped, with policy-violation where it is logged in.
	UnreadBytes Bytes `yaml:"unread_bytes" default:"64KiB" live:"yes"`
	// Copies of stanzas that wait to be sent for one room or node; then who sends more is slowed.
	FanoutCopies Limit `yaml:"fanout_copies" default:"100000" live:"yes"`
	// Requests that the server itself has made, of its clients and others, and that wait for an answer; one
	// more counts as not answered.
	Questions Limit `yaml:"questions" default:"10000" live:"yes"`

	// Connections with other servers in all. For one more the address with most unknown ones loses one; where all are known it is refused.
	FederationConnections Limit `yaml:"federation_connections" default:"10000" live:"yes"`
	// Connections of other servers from one address (IPv6: one /64); as above.
	FederationConnectionsPerAddress Limit `yaml:"federation_connections_per_address" default:"200" live:"yes"`
	// Pairs of domains, of ours and of others, that are verified on one connection; one more is refused with resource-constraint.
	FederationPairs Limit `yaml:"federation_pairs" default:"1000" live:"yes"`
	// Answers of DNS about other servers that are kept, each for as long as it says; for one more the one goes that was not used for longest.
	FederationNames Limit `yaml:"federation_names" default:"10000"`
	// Connections to other servers being made at one time, and keys of theirs being judged; further ones wait, or are refused with resource-constraint. Domains of one owner (all below one that is registered, as example.org or example.co.uk) have a quarter of the connections, one address a quarter of the keys.
	FederationDials Limit `yaml:"federation_dials" default:"100" live:"yes"`
	// Ways from a domain of ours to one of others that are in use; one more is refused with resource-constraint. What others open takes half of them at most.
	FederationRoutes Limit `yaml:"federation_routes" default:"10000" live:"yes"`
	// Bytes that wait in memory for one other domain, or that its server has not read; what must last waits on the disk, the rest is refused with resource-constraint. Where 64 times as much waits for all together, each domain has a 64th.
	FederationQueueBytes Bytes `yaml:"federation_queue_bytes" default:"4MiB" live:"yes"`
	// Stanzas that wait on the disk for one other domain; one more is refused with resource-constraint.
	FederationSpoolStanzas Limit `yaml:"federation_spool_stanzas" default:"10000" live:"yes"`

	// Messages that wait for one account; one more is refused with service-unavailable.
	SpoolMessages Limit `yaml:"spool_messages" default:"10000" live:"yes"`
	// How long a message waits for an account; one that has waited longer is dropped when the account comes.
	SpoolAge Duration `yaml:"spool_age" default:"none" live:"yes"`
}

// Log says what the server writes to its standard error.
type Log struct {
	// The least that is written.
	Level string `yaml:"level" default:"info" oneof:"debug info warn error" live:"yes"`
	// Lines for people (text) or for programs (json).
	Format string `yaml:"format" default:"text" oneof:"text json" live:"yes"`
}

// Default returns the configuration of a server without a file.
func Default() *Config {
	c, err := Parse("", nil)
	if err != nil {
		panic(fmt.Sprintf("config: a tag of Config is wrong: %v", err)) // a test loads the defaults
	}
	return c
}

// Load reads a file. The error is an [Errors] if the file can be read.
func Load(name string) (*Config, error) {
	f, err := os.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("config: there is no file %s", name)
		}
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(filepath.Base(name), data)
}

// Parse reads the text of a file; name is what errors call it. An empty text is
// the default configuration.
func Parse(name string, data []byte) (*Config, error) {
	d := &decoder{file: name, lines: map[string]int{}}
	c := new(Config)
	root := d.parse(data)
	d.fill(c, root, "")
	if len(d.errs) == 0 {
		c.check(d)
	}
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	return c, nil
}

// Decode reads the text of another file that is as strict as a configuration into a pointer to a struct, whose tags are those of
// [Config]; name is what errors call the file. The error is an [Errors].
func Decode(name string, data []byte, into any) error {
	d := &decoder{file: name, lines: map[string]int{}}
	d.fill(into, d.parse(data), "")
	if len(d.errs) > 0 {
		return d.errs
	}
	return nil
}
