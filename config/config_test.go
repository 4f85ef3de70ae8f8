// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
)

func TestDefault(t *testing.T) {
	c := config.Default()
	if len(c.Domains) != 1 || c.Domains[0] != "localhost" || c.Data != "./data" {
		t.Errorf("domains %v, data %q", c.Domains, c.Data)
	}
	if len(c.Listen.Client) != 1 || c.Listen.Client[0] != "[::]:5222" || c.Listen.ClientTLS[0] != "[::]:5223" {
		t.Errorf("listen %+v", c.Listen)
	}
	if c.Registration != "closed" || c.AllowPlaintext || c.Log.Level != "info" || c.Log.Format != "text" {
		t.Errorf("%+v", c)
	}
	l := c.Limits
	if l.StanzaBytes != 262144 || l.QueueBytes != 1<<20 || l.LoginTimeout.D() != 30*time.Second || l.SpoolAge != 0 {
		t.Errorf("limits %+v", l)
	}
}

// TestEveryKeyHasADefault also sees to it that no default is `none` by
// accident: a limit of 0 is no limit.
func TestEveryKeyHasADefault(t *testing.T) {
	unlimited := map[string]bool{
		"limits.spool_age": true, // waiting messages are counted, not dated
		"drain":            true, // it is no limit: there is nothing to wait for
	}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
			_, hasDefault := f.Tag.Lookup("default")
			switch v.Field(i).Interface().(type) {
			case config.Modules:
				continue
			case config.Limit, config.Bytes, config.Duration:
				if v.Field(i).IsZero() != unlimited[key] {
					t.Errorf("%s is %v", key, v.Field(i))
				}
			}
			if f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no key", path, f.Name)
			}
			if f.Type.Kind() == reflect.Struct {
				walk(v.Field(i), key)
			} else if !hasDefault {
				t.Errorf("%s has no default", key)
			}
		}
	}
	walk(reflect.ValueOf(*config.Default()), "")
}

func TestParse(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte(`
# a comment
domains: [Example.ORG, bücher.example]
tls:
  certificate: a.pem
  key: "b.pem"
listen:
  client: ["127.0.0.1:0", "[::1]:5222"]
  client_tls: []
  server: []
registration: open
allow_plaintext: true
anonymous: [EXAMPLE.org]
components: {SMS.example.org: {secret: 0123}}
limits:
  stanza_bytes: 256KiB
  queue_bytes: 2 MB
  sessions: none
  login_timeout: 1m30s
  spool_age: 7d
log: {level: debug}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Domains[0] != "example.org" || c.Domains[1] != "bücher.example" {
		t.Errorf("domains %v", c.Domains)
	}
	if c.TLS.Certificate != "a.pem" || c.TLS.Key != "b.pem" || len(c.Listen.Client) != 2 || len(c.Listen.ClientTLS) != 0 {
		t.Errorf("%+v", c)
	}
	if len(c.Components) != 1 || c.Components["sms.example.org"].Secret != "0123" || len(c.Listen.Component) != 1 || c.Anonymous[0] != "example.org" {
		t.Errorf("components %v, %v, anonymous %v", c.Components, c.Listen.Component, c.Anonymous)
	}
	l := c.Limits
	if l.StanzaBytes != 262144 || l.QueueBytes != 2e6 || l.Sessions != 0 || l.LoginTimeout.D() != 90*time.Second ||
		l.SpoolAge.D() != 7*24*time.Hour || l.StanzasPerSecond != 1000 {
		t.Errorf("limits %+v", l)
	}
	if c.Log.Level != "debug" || c.Log.Format != "text" || !c.AllowPlaintext || c.Registration != "open" {
		t.Errorf("%+v", c)
	}
}

// A proxy is named by its address or by its network.
func TestProxies(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte("http:\n  trusted_proxies: [192.0.2.1, 10.1.2.3/8, '2001:db8::1', '2001:db8:1::/48']\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.HTTP.Proxies()); got != "[192.0.2.1/32 10.0.0.0/8 2001:db8::1/128 2001:db8:1::/48]" {
		t.Error(got)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"domain: [a.example]", "x.yaml:1: domain: there is no such key; did you mean domains?"},
		{"a: 1\nb: 2", "x.yaml:1: a: there is no such key\nx.yaml:2: b: there is no such key"},
		{"limits:\n  stanza_byte: 5", "x.yaml:2: limits.stanza_byte: there is no such key; did you mean stanza_bytes?"},
		{"limits:\n  stanza_bytes: much", `x.yaml:2: limits.stanza_bytes: "much" is not a size, like 262144 or 256KiB`},
		{"limits:\n  stanza_bytes: 0", "x.yaml:2: limits.stanza_bytes: 0 would let nothing pass; `none` turns a limit off"},
		{"limits:\n  stanza_bytes: 9000000000TiB", "x.yaml:2: limits.stanza_bytes: 9000000000TiB is too large"},
		{"limits: {sessions: -1}", "x.yaml:1: limits.sessions: -1 would let nothing pass; `none` turns a limit off"},
		{"limits: {sessions: 1.5}", `x.yaml:1: limits.sessions: "1.5" is not a whole number`},
		{"limits: {login_timeout: 30}", `x.yaml:1: limits.login_timeout: "30" is not a length of time with its unit, like 100ms, 30s, 10m, 2h or 7d`},
		{"limits: {login_timeout: -3s}", "x.yaml:1: limits.login_timeout: -3s is no length of time; `none` turns it off"},
		{"limits: 5", "x.yaml:1: limits: is not a list of keys with values"},
		{"domains: a.example", "x.yaml:1: domains: is not a list"},
		{"domains: []", "x.yaml:1: domains: is empty; a server serves at least one domain"},
		{"domains:\n- a.example\n- A.example", "x.yaml:3: domains[1]: a.example stands twice"},
		{"domains:\n- me@a.example", `x.yaml:2: domains[0]: "me@a.example" is not a domain`},
		{"domains:\n-\n", "x.yaml:2: domains[0]: is empty"},
		{"allow_plaintext: sure", `x.yaml:1: allow_plaintext: "sure" is neither true nor false`},
		{"data: [a]", "x.yaml:1: data: is not a single value"},
		{"data: ''", "x.yaml:1: data: is empty; it names a folder"},
		{"registration: all", `x.yaml:1: registration: "all" is none of: closed invite open`},
		{"listen:\n  coap:\n  - '[::]:5683'", "x.yaml:2: listen.coap: is not built yet: the CoAP gateway"},
		{"components:\n  sms.example.org:\n    secret: ''", "x.yaml:2: components.sms.example.org: has no secret"},
		{"components:\n  sms.example.org:", "x.yaml:2: components.sms.example.org: has no secret"},
		{"components: {a@b: {secret: s}}", `x.yaml:1: components.a@b: "a@b" is not a domain`},
		{"components: {localhost: {secret: s}}", "x.yaml:1: components.localhost: localhost is one of domains, which have accounts"},
		{"components:\n  Sms.example: {secret: s}\n  sms.example: {secret: s}", "x.yaml:3: components.sms.example: sms.example stands twice"},
		{"federation:\n  certificates: some", `x.yaml:2: federation.certificates: "some" is none of: required preferred`},
		{"federation: {allow: [a@b.example]}", `x.yaml:1: federation.allow[0]: "a@b.example" is not a domain`},
		{"federation:\n  block:\n  - .b.example\n  - .", `x.yaml:4: federation.block[1]: "." is not a domain`},
		{"federation: {resolver: dns.example}", `x.yaml:1: federation.resolver: "dns.example" is not the address of a DNS server, like 127.0.0.1:53`},
		{"federation:\n  domains:\n    a@b.example: {connect: 'c.example:1'}", `x.yaml:3: federation.domains.a@b.example: "a@b.example" is not a domain`},
		{"federation: {domains: {localhost: {certificates: preferred}}}", "x.yaml:1: federation.domains.localhost: localhost is one of domains"},
		{"federation:\n  domains:\n    b.example: {direct_tls: true}", "x.yaml:3: federation.domains.b.example: direct_tls says how to begin at connect, which is missing"},
		{"federation:\n  domains:\n    b.example:\n      connect: c.example", `x.yaml:4: federation.domains.b.example.connect: "c.example" is not an address, like 192.0.2.1:5269`},
		{"federation: {domains: {b.example: {connect: ':5269'}}}", `x.yaml:1: federation.domains.b.example.connect: ":5269" is not an address, like 192.0.2.1:5269`},
		{"federation:\n  domains:\n    b.example:\n      certificates: some", `x.yaml:4: federation.domains.b.example.certificates: "some" is none of: required preferred`},
		{"federation:\n  domains:\n    B.example: {}\n    b.example: {}", "x.yaml:4: federation.domains.b.example: b.example stands twice"},
		{"federation: {enabled: perhaps}", `x.yaml:1: federation.enabled: "perhaps" is neither true nor false`},
		{"federation: {give_up: 15}", `x.yaml:1: federation.give_up: "15" is not a length of time with its unit, like 100ms, 30s, 10m, 2h or 7d`},
		{"anonymous: [example.org]", `x.yaml:1: anonymous[0]: "example.org" is none of domains`},
		{"anonymous: [a@localhost]", `x.yaml:1: anonymous[0]: "a@localhost" is none of domains`},
		{"components: {sms.example: {password: s}}", "x.yaml:1: components.sms.example.password: there is no such key"},
		{"listen:\n  client: ['5222']", `x.yaml:2: listen.client[0]: "5222" is not an address, like [::]:5222`},
		{"listen:\n  client: ['[::]:xmpp']", `x.yaml:2: listen.client[0]: "xmpp" is not a port`},
		{"listen:\n  client: ['[::]:1', '[::]:1']", "x.yaml:2: listen.client[1]: [::]:1 is taken by listen.client[0]"},
		{"tls:\n  key: k.pem", "x.yaml:1: tls: certificate and key go together; without both a self-signed certificate is made"},
		{"http:\n  trusted_proxies: [10.0.0.0/8, proxy.example]", `x.yaml:2: http.trusted_proxies[1]: "proxy.example" is not an address or a network, like 192.0.2.0/24`},
		{"http:\n  trusted_proxies: ['10.0.0.0/33']", `x.yaml:2: http.trusted_proxies[0]: "10.0.0.0/33" is not an address or a network, like 192.0.2.0/24`},
		{"http:\n  public_url: http://a.example", `x.yaml:2: http.public_url: "http://a.example" is not an address like https://example.org or https://example.org/path`},
		{"http:\n  public_url: https://a.example?x", `x.yaml:2: http.public_url: "https://a.example?x" is not an address like https://example.org or https://example.org/path`},
		{"http:\n  public_url: a.example", `x.yaml:2: http.public_url: "a.example" is not an address like https://example.org or https://example.org/path`},
		{"data: a\ndata: b", "x.yaml:2: is not YAML: mapping key \"data\" already defined at [1:1]"},
		{"data: &a b", "x.yaml:1: data: anchors, aliases and tags are not read here; write the value"},
		{"data: !x b", "x.yaml:1: data: anchors, aliases and tags are not read here; write the value"},
		{"data: b\n---\ndata: c", "x.yaml:3: is a second document; a configuration is one"},
		{"limits:\n\tspool_age: 1h", "x.yaml:2: is not YAML: found character '\t' that cannot start any token; YAML is indented by spaces, not by tabs"},
		{"data: [", "x.yaml:1: is not YAML: sequence end token ']' not found"},
		{"just text", "x.yaml:1: is not a list of keys with values"},
		{strings.Repeat("[", 200), "x.yaml:1: nests deeper than 100"},
		{"#" + strings.Repeat("x", 1<<20), "x.yaml: is larger than 1048576 bytes"},
	} {
		_, err := config.Parse("x.yaml", []byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.60s\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	name := filepath.Join(t.TempDir(), "stonechat.yaml")
	if _, err := config.Load(name); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(name, []byte("\ndate: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(name)
	e, ok := errors.AsType[*config.Error](err)
	if !ok || e.File != "stonechat.yaml" || e.Line != 2 || e.Key != "date" {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(name, []byte("data: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load(name); err != nil || c.Data != "x" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestModules(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte(`modules:
  sm:
    spool_after: 250ms
    resume: 10m
  mam: {default: roster, colour: red}
  ping: false
  disco: true
  caps:
  rooster: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	type sm struct {
		SpoolAfter config.Duration `yaml:"spool_after" default:"100ms"`
		Resume     time.Duration   `yaml:"resume" default:"5m"`
		Hibernate  time.Duration   `yaml:"hibernate" default:"1d"`
		Peers      []string        `yaml:"peers" default:"[a, b]"`
		Window     config.Limit    `yaml:"window" default:"50"`
	}
	got := sm{Window: 7}
	if err := c.Modules.Decode("sm", &got); err != nil {
		t.Fatal(err)
	}
	want := sm{config.Duration(250 * time.Millisecond), 10 * time.Minute, 24 * time.Hour, []string{"a", "b"}, 7}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	var absent sm
	if err := c.Modules.Decode("absent", &absent); err != nil || absent.Resume != 5*time.Minute {
		t.Errorf("%+v, %v", absent, err)
	}

	var mam struct {
		Default string `yaml:"default" default:"always" oneof:"always roster never"`
	}
	err = c.Modules.Decode("mam", &mam)
	if err == nil || err.Error() != "x.yaml:5: modules.mam.colour: there is no such key" {
		t.Errorf("unknown key: %v", err)
	}
	ends, err := config.Parse("x.yaml", []byte("modules:\n  sm: {resume: none, spool_after: none}\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = ends.Modules.Decode("sm", &struct {
		SpoolAfter config.Duration `yaml:"spool_after" default:"100ms"`
		Resume     config.Duration `yaml:"resume" default:"5m" none:"no"`
	}{})
	if err == nil || err.Error() != "x.yaml:2: modules.sm.resume: there must be a length of time: `none` would be over at once" {
		t.Errorf("no length of time: %v", err)
	}
	if !c.Modules.Off("ping") || c.Modules.Off("disco") || c.Modules.Off("caps") || c.Modules.Off("sm") || c.Modules.Off("absent") {
		t.Error("only ping is off")
	}
	for _, name := range []string{"ping", "disco", "caps"} {
		var none struct{}
		if err := c.Modules.Decode(name, &none); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err = c.Modules.Check("sm", "mam", "ping", "disco", "caps", "roster")
	if err == nil || err.Error() != "x.yaml:9: modules.rooster: there is no such module; did you mean roster?" {
		t.Errorf("unknown module: %v", err)
	}
	if err := c.Modules.Check("sm", "mam", "ping", "disco", "caps", "rooster"); err != nil {
		t.Error(err)
	}
	if err := config.Default().Modules.Check(); err != nil {
		t.Error(err)
	}
	if err := c.Modules.Decode("sm", sm{}); err == nil {
		t.Error("not a pointer, and no error")
	}
}

func TestBadDefaultIsAnError(t *testing.T) {
	var bad struct {
		N config.Limit `yaml:"n" default:"many"`
	}
	if err := config.Default().Modules.Decode("bad", &bad); err == nil || !strings.Contains(err.Error(), "default of modules.bad.n") {
		t.Errorf("%v", err)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, text := range []string{"none", "1", "262144"} {
		var l config.Limit
		var b config.Bytes
		for _, v := range []interface {
			UnmarshalText([]byte) error
			MarshalText() ([]byte, error)
		}{&l, &b} {
			if err := v.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if out, err := v.MarshalText(); err != nil || string(out) != text {
				t.Errorf("%s became %s, %v", text, out, err)
			}
		}
	}
	for text, want := range map[string]string{"none": "none", "90s": "1m30s", "1d": "24h0m0s", "1d12h": "36h0m0s"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if out, err := d.MarshalText(); err != nil || string(out) != want {
			t.Errorf("%s became %s, %v", text, out, err)
		}
	}
	for _, text := range []string{"", "d", "1", "1y", "0s", "1d1", "1d-30h", "200000d", "9999999999h", "-1d", "1.5d"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

// FuzzParse: no file makes the loader panic, and what it accepts is within its
// own rules.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "domains: [a.example]\n", "limits: {stanza_bytes: 256KiB}\n", "modules: {sm: false, mam: {default: roster}}\n",
		"listen:\n  client: [\"[::]:5222\"]\n", "? a\n: b\n", "a: &x [*x]\n", "- - - a\n", "data: |\n  text\n", "<<: {a: 1}\n", "%YAML 1.2\n---\na: 1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("x.yaml", data)
		if err != nil {
			if _, ok := err.(config.Errors); !ok || len(err.(config.Errors)) == 0 || strings.HasPrefix(err.Error(), ":") {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(c.Domains) == 0 || c.Data == "" || c.Registration != "closed" && c.Registration != "invite" && c.Registration != "open" || c.Limits.StanzaBytes < 0 {
			t.Fatalf("accepted %+v", c)
		}
	})
}

// FuzzValues: what is written is what was read.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"none", "1", "256KiB", "9223372036854775807B", "1d12h", "100ms", "-1", "0x10", "1_000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var l, l2 config.Limit
		var b, b2 config.Bytes
		var d, d2 config.Duration
		for _, v := range []struct {
			read, again interface {
				UnmarshalText([]byte) error
				MarshalText() ([]byte, error)
			}
			same func() bool
		}{
			{&l, &l2, func() bool { return l == l2 && l >= 0 }},
			{&b, &b2, func() bool { return b == b2 && b >= 0 }},
			{&d, &d2, func() bool { return d == d2 && d >= 0 }},
		} {
			if v.read.UnmarshalText([]byte(text)) != nil {
				continue
			}
			written, err := v.read.MarshalText()
			if err == nil {
				err = v.again.UnmarshalText(written)
			}
			if err != nil || !v.same() {
				t.Fatalf("%q was written as %q: %v", text, written, err)
			}
		}
	})
}
