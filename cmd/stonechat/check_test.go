// SPDX-License-Identifier: Apache-2.0

package main

// How to read these tests: a zone of dnstest is what DNS says; what a checkup finds is compared as lines
// "level where what", each by a part of it.

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dns/dnstest"
)

func newCheckup(z *dnstest.Zone) *checkup {
	return &checkup{resolver: z.Prover(), timeout: 10 * time.Second, now: time.Now(), said: map[string]bool{}}
}

// finds compares what was found, in order.
func (c *checkup) finds(t *testing.T, name string, want ...string) {
	t.Helper()
	ok := len(c.found) == len(want)
	var got []string
	for i, f := range c.found {
		line := fmt.Sprintf("%s %s %s", f.Level, f.Where, f.What)
		got = append(got, line)
		ok = ok && strings.Contains(line, want[i])
		if f.Level == wrong && f.Where != "config" && f.Advice == "" {
			t.Errorf("%s: %q does not say what to change", name, line)
		}
	}
	if !ok {
		t.Errorf("%s: found\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestCheckRecords(t *testing.T) {
	const client, direct = "_xmpp-client._tcp.example.org. 60 IN SRV 5 0 ", "_xmpps-client._tcp.example.org. 60 IN SRV 5 0 "
	const host, unsigned = "xmpp.example.org. 60 IN A 192.0.2.1", "ok dns DNSSEC proves nothing about example.org"
	for _, c := range []struct {
		name  string
		zone  []string
		leads int
		want  []string
	}{
		{"as it should be", []string{client + "5222 xmpp.example.org.", direct + "443 xmpp.example.org.", host}, 2,
			[]string{unsigned, "ok dns _xmpp-client._tcp.example.org leads to xmpp.example.org port 5222", "ok dns _xmpps-client._tcp.example.org leads to xmpp.example.org port 443"}},
		{"no direct TLS", []string{client + "5222 xmpp.example.org.", host}, 1, []string{unsigned, "ok dns", "warning dns example.org has no record for direct TLS"}},
		{"its own address", []string{"example.org. 60 IN AAAA 2001:db8::1"}, 1, []string{unsigned, "ok dns example.org has no SRV record: clients try port 5222"}},
		{"nothing", nil, 0, []string{unsigned, "error dns example.org has neither SRV records for clients nor an address"}},
		{"a host without address", []string{client + "5222 gone.example.org.", direct + "5223 gone.example.org."}, 0,
			[]string{unsigned, "error dns _xmpp-client._tcp.example.org leads to gone.example.org, which has no address"}},
		{"an address as host", []string{client + "5222 192.0.2.1.", direct + "0 ."}, 0,
			[]string{unsigned, `error dns _xmpp-client._tcp.example.org leads to "192.0.2.1"`, "warning dns _xmpps-client._tcp.example.org says that there is no such service"}},
		{"no port", []string{client + "0 xmpp.example.org.", direct + "5223 xmpp.example.org.", host}, 1, []string{unsigned, "error dns _xmpp-client", "ok dns"}},
		{"a service and none", []string{client + "5222 xmpp.example.org.", client + "0 .", direct + "5223 xmpp.example.org.", host}, 2,
			[]string{unsigned, "ok dns", "error dns _xmpp-client._tcp.example.org says that there is no such service (.), and where it is", "ok dns"}},
		{"no service at all", []string{client + "0 .", direct + "0 ."}, 0,
			[]string{unsigned, "warning dns _xmpp-client", "warning dns _xmpps-client", "error dns example.org says that it has no service for clients"}},
		{"for servers alone", []string{"_xmpp-server._tcp.example.org. 60 IN SRV 0 0 5269 xmpp.example.org.", host}, 0,
			[]string{unsigned, "warning dns example.org has neither SRV records for clients nor an address"}},
		{"an alias", []string{client + "5222 www.example.org.", direct + "5223 xmpp.example.org.", "www.example.org. 60 IN CNAME xmpp.example.org.", host}, 2,
			[]string{unsigned, "warning dns _xmpp-client._tcp.example.org leads to www.example.org, an alias (CNAME) of xmpp.example.org", "ok dns", "ok dns"}},
	} {
		k := newCheckup(dnstest.New(t, c.zone...))
		if list := k.records(t.Context(), clients, "example.org", "example.org"); len(list) != c.leads {
			t.Errorf("%s: leads to %v", c.name, list)
		}
		k.finds(t, c.name, c.want...)
	}
	broken := dnstest.New(t)
	broken.Trouble("_xmpp-client._tcp.example.org", "SRV", dnstest.ServFail)
	broken.Trouble("_xmpps-client._tcp.example.org", "SRV", dnstest.Refused)
	k := newCheckup(broken)
	k.records(t.Context(), clients, "example.org", "example.org")
	k.finds(t, "no answer", "error dns xmpp-client of example.org", "error dns xmpps-client of example.org")

	k = newCheckup(dnstest.New(t))
	k.domain(t.Context(), "localhost")
	k.domain(t.Context(), "thing.local")
	k.domain(t.Context(), "192.0.2.1")
	k.finds(t, "not public", "DNS is not looked at", "DNS is not looked at", "DNS is not looked at")
}

// Of other servers: what is wrong for a domain of ours may be meant so elsewhere.
func TestCheckRecordsOfServers(t *testing.T) {
	const server, direct = "_xmpp-server._tcp.example.org. 60 IN SRV 5 0 ", "_xmpps-server._tcp.example.org. 60 IN SRV 5 0 "
	const host = "xmpp.example.org. 60 IN A 192.0.2.1"
	for _, c := range []struct {
		name  string
		zone  []string
		want  []string
		worse string // of the last line, where the domain is ours
	}{
		{"as it should be", []string{server + "5269 xmpp.example.org.", direct + "5270 xmpp.example.org.", host},
			[]string{"ok dns _xmpp-server._tcp.example.org leads to xmpp.example.org port 5269", "ok dns _xmpps-server._tcp.example.org leads to xmpp.example.org port 5270"}, "ok"},
		{"no direct TLS", []string{server + "5269 xmpp.example.org.", host}, []string{"ok dns"}, "ok"},
		{"its own address", []string{"example.org. 60 IN A 192.0.2.1"}, []string{"ok dns example.org has no SRV record: servers try port 5269"}, "ok"},
		{"nothing", nil, []string{"warning dns example.org has neither SRV records for servers nor an address"}, "error"},
		{"none", []string{server + "0 ."}, []string{"ok dns _xmpp-server", "warning dns example.org says that it has no service for servers"}, "error"},
	} {
		for _, ours := range []bool{false, true} {
			k := newCheckup(dnstest.New(t, c.zone...))
			if ours {
				k.config = &config.Config{Domains: []string{"example.org"}}
				_, last, _ := strings.Cut(c.want[len(c.want)-1], " ")
				c.want[len(c.want)-1] = c.worse + " " + last
			}
			k.records(t.Context(), servers, "example.org", "example.org")
			k.finds(t, c.name, c.want...)
		}
	}
}

// A name that leads to another machine, though the server runs here.
func TestCheckHere(t *testing.T) {
	z := dnstest.New(t, "_xmpp-client._tcp.example.org. 60 IN SRV 0 0 5222 old.example.org.", "_xmpps-client._tcp.example.org. 60 IN SRV 0 0 5223 here.example.org.",
		"old.example.org. 60 IN A 192.0.2.1", "here.example.org. 60 IN A 127.0.0.1")
	z.Prove(true)
	k := newCheckup(z)
	k.running, k.config = true, &config.Config{Domains: []string{"example.org"}}
	k.records(t.Context(), clients, "example.org", "example.org")
	k.finds(t, "elsewhere", "ok dns DNSSEC proves what DNS says of example.org", "ok dns _xmpp-client", "warning dns old.example.org is at [192.0.2.1], which is no address of this machine", "ok dns _xmpps-client")
}

// TestCheckPorts: a server of ours, and what may stand where one should be.
func TestCheckPorts(t *testing.T) {
	in := started(t, "")
	dns := dnstest.New(t, "xmpp.d.test. 60 IN A 127.0.0.1")
	at := func(address string, direct bool) destination {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return destination{host: "xmpp.d.test", port: uint16(n), direct: direct}
	}
	says := func(text string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = bufio.NewReader(conn).ReadString('>') // so that what is said is read before the end
				_, _ = conn.Write([]byte(text))
				_ = conn.Close()
			}
		}()
		return l.Addr().String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close() //nolint:errcheck // it is closed before
	const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='x' from='d.test'>"
	for _, c := range []struct {
		name, domain string
		at           destination
		want         []string
	}{
		{"STARTTLS", "d.test", at(in.address("client"), false), []string{"answers with STARTTLS, TLS 1.3", "warning client port the certificate for d.test is self-signed", "offers SCRAM-SHA"}},
		{"direct TLS", "d.test", at(in.address("client_tls"), true), []string{"answers with direct TLS, TLS 1.3", "self-signed", "offers SCRAM-SHA"}},
		{"another's domain", "other.test", at(in.address("client"), false), []string{"stream error"}},
		{"a name that is not in the certificate", "other.test", at(in.address("client_tls"), true), []string{"ok client port", "error client port the certificate is not for other.test", "over TLS"}},
		{"direct TLS where there is STARTTLS", "d.test", at(in.address("client"), true), []string{"TLS: "}},
		{"STARTTLS where there is direct TLS", "d.test", at(in.address("client_tls"), false), []string{"error client port"}},
		{"nobody", "d.test", at(closed.Addr().String(), false), []string{"cannot be reached"}},
		{"another protocol", "d.test", at(says("220 mail ESMTP\r\n"), false), []string{"what answers is not XMPP"}},
		{"silence", "d.test", at(says(""), false), []string{"no XMPP answers"}},
		{"no STARTTLS", "d.test", at(says(header+"<stream:features/>"), false), []string{"offers no STARTTLS"}},
		{"a host that is none", "d.test", destination{host: "nowhere.test", port: 5222}, []string{"cannot be reached"}},
	} {
		if c.name == "nobody" {
			_ = closed.Close() // not before: the next to listen could get the port
		}
		k := newCheckup(dns)
		k.port(t.Context(), clients, c.domain, c.at)
		k.finds(t, c.name, c.want...)
	}
}

// chain makes a certificate and what it was signed by: by itself where there are no authorities.
func chain(t *testing.T, name string, from, to time.Time, authorities int) (list []*x509.Certificate) {
	t.Helper()
	var parent *x509.Certificate
	var parentKey *ecdsa.PrivateKey
	for i := authorities; i >= 0; i-- {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), NotBefore: from, NotAfter: to, BasicConstraintsValid: true,
			IsCA: i > 0, KeyUsage: x509.KeyUsageDigitalSignature,
		}
		if i == 0 {
			template.DNSNames = []string{name}
		} else {
			template.KeyUsage |= x509.KeyUsageCertSign
		}
		template.Subject.CommonName = fmt.Sprint(name, i)
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		list = append([]*x509.Certificate{made}, list...)
		parent, parentKey = made, key
	}
	return list
}

func TestCheckCertificates(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	good := chain(t, "example.org", now.Add(-day), now.Add(100*day+time.Hour), 2)
	soon := chain(t, "example.org", now.Add(-day), now.Add(5*day+time.Hour), 2)
	for _, c := range []struct {
		name   string
		shows  []*x509.Certificate
		trusts *x509.Certificate
		want   string
	}{
		{"good", good[:2], good[2], "ok certificate the certificate for example.org is trusted by clients, for 100 days more"},
		{"ends soon", soon[:2], soon[2], "warning certificate the certificate for example.org is valid for 5 days more"},
		{"without its chain", good[:1], good[2], "error certificate the certificate for example.org comes without its chain"},
		{"of an authority nobody knows", good[:2], soon[2], "error certificate the certificate for example.org is not trusted"},
		{"expired", chain(t, "example.org", now.Add(-9*day), now.Add(-day), 1)[:1], good[2], "error certificate the certificate for example.org has expired"},
		{"of the future", chain(t, "example.org", now.Add(day), now.Add(9*day), 1)[:1], good[2], "error certificate the certificate for example.org is not valid before"},
		{"of another name", chain(t, "xmpp.example.org", now.Add(-day), now.Add(100*day), 1), good[2], "error certificate the certificate is not for example.org"},
		{"its own", chain(t, "example.org", now.Add(-day), now.Add(100*day), 0), good[2], "warning certificate the certificate for example.org is self-signed"},
	} {
		k := newCheckup(dnstest.New(t))
		k.roots = x509.NewCertPool()
		k.roots.AddCert(c.trusts)
		k.judge("certificate", "example.org", clients, c.shows)
		k.finds(t, c.name, c.want)
	}
}

func TestCheckVerdict(t *testing.T) {
	for _, c := range []struct {
		list []found
		want string
	}{
		{nil, ""},
		{[]found{{Level: well}, {Level: warning}}, ""},
		{[]found{{Level: wrong}, {Level: warning}, {Level: warning}}, "1 error, 2 warnings"},
	} {
		err := verdict(c.list)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := (Check{Domains: []string{"a@b"}}).domains(); err == nil {
		t.Error("an address is taken for a domain")
	}
	if err := newCheckup(dnstest.New(t)).trust("/nowhere"); err == nil {
		t.Error("a missing file is trusted")
	}
}
