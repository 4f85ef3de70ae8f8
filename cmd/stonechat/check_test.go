// SPDX-License-Identifier: Apache-2.0

package main

// How to read these tests: fakeDNS is what DNS says; what a checkup finds is compared as lines
// "level where what", each by a part of it.

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

type fakeDNS struct {
	srv       map[string][]*net.SRV // by service.name
	addresses map[string]string
	broken    bool
}

func (f *fakeDNS) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	if f.broken {
		return "", nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	if list := f.srv[service+"."+name]; len(list) > 0 {
		return name, list, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (f *fakeDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a := f.addresses[host]; a != "" && !f.broken {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: !f.broken}
}

func lead(host string, port uint16) []*net.SRV { return []*net.SRV{{Target: host, Port: port}} }

func newCheckup(dns *fakeDNS) *checkup {
	return &checkup{resolver: dns, timeout: 10 * time.Second, now: time.Now()}
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
	for _, c := range []struct {
		name  string
		dns   fakeDNS
		leads int
		want  []string
	}{
		{"as it should be", fakeDNS{
			srv: map[string][]*net.SRV{
				"xmpp-client.example.org": lead("xmpp.example.org.", 5222), "xmpps-client.example.org": lead("xmpp.example.org.", 443),
			},
			addresses: map[string]string{"xmpp.example.org": "192.0.2.1"},
		}, 2, []string{"ok dns _xmpp-client._tcp.example.org leads to xmpp.example.org port 5222", "ok dns _xmpps-client._tcp.example.org leads to xmpp.example.org port 443"}},
		{"no direct TLS", fakeDNS{
			srv:       map[string][]*net.SRV{"xmpp-client.example.org": lead("xmpp.example.org.", 5222)},
			addresses: map[string]string{"xmpp.example.org": "192.0.2.1"},
		}, 1, []string{"ok dns", "warning dns example.org has no record for direct TLS"}},
		{"its own address", fakeDNS{addresses: map[string]string{"example.org": "2001:db8::1"}}, 1, []string{"ok dns example.org has no SRV record"}},
		{"nothing", fakeDNS{}, 0, []string{"error dns example.org has neither SRV records for clients nor an address"}},
		{"a host without address", fakeDNS{
			srv: map[string][]*net.SRV{"xmpp-client.example.org": lead("gone.example.org.", 5222), "xmpps-client.example.org": lead("gone.example.org.", 5223)},
		}, 0, []string{"error dns _xmpp-client._tcp.example.org leads to gone.example.org, which has no address", "error dns _xmpps-client"}},
		{"an address as host", fakeDNS{
			srv: map[string][]*net.SRV{"xmpp-client.example.org": lead("192.0.2.1", 5222), "xmpps-client.example.org": lead(".", 0)},
		}, 0, []string{`error dns _xmpp-client._tcp.example.org leads to "192.0.2.1"`, "warning dns _xmpps-client._tcp.example.org says that there is no such service"}},
		{"no answer", fakeDNS{broken: true}, 0, []string{"error dns xmpp-client of example.org", "error dns xmpps-client of example.org", "error dns address of example.org", "error dns example.org has neither"}},
	} {
		k := newCheckup(&c.dns)
		if list := k.records(t.Context(), "example.org", "example.org"); len(list) != c.leads {
			t.Errorf("%s: leads to %v", c.name, list)
		}
		k.finds(t, c.name, c.want...)
	}
	k := newCheckup(new(fakeDNS))
	k.domain(t.Context(), "localhost")
	k.domain(t.Context(), "thing.local")
	k.domain(t.Context(), "192.0.2.1")
	k.finds(t, "not public", "DNS is not looked at", "DNS is not looked at", "DNS is not looked at")
}

// TestCheckPorts: a server of ours, and what may stand where one should be.
func TestCheckPorts(t *testing.T) {
	in := started(t, "")
	dns := &fakeDNS{addresses: map[string]string{"xmpp.d.test": "127.0.0.1"}}
	at := func(address string, direct bool) destination {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return destination{"xmpp.d.test", uint16(n), direct}
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
	_ = closed.Close()
	const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='x' from='d.test'>"
	for _, c := range []struct {
		name, domain string
		at           destination
		want         []string
	}{
		{"STARTTLS", "d.test", at(in.address("client"), false), []string{"answers with STARTTLS, TLS 1.3", "warning port the certificate for d.test is self-signed"}},
		{"direct TLS", "d.test", at(in.address("client_tls"), true), []string{"answers with direct TLS, TLS 1.3", "self-signed"}},
		{"another's domain", "other.test", at(in.address("client"), false), []string{"stream error"}},
		{"a name that is not in the certificate", "other.test", at(in.address("client_tls"), true), []string{"ok port", "error port the certificate is not for other.test"}},
		{"direct TLS where there is STARTTLS", "d.test", at(in.address("client"), true), []string{"TLS: "}},
		{"STARTTLS where there is direct TLS", "d.test", at(in.address("client_tls"), false), []string{"error port"}},
		{"nobody", "d.test", at(closed.Addr().String(), false), []string{"cannot be reached"}},
		{"another protocol", "d.test", at(says("220 mail ESMTP\r\n"), false), []string{"what answers is not XMPP"}},
		{"silence", "d.test", at(says(""), false), []string{"no XMPP answers"}},
		{"no STARTTLS", "d.test", at(says(header+"<stream:features/>"), false), []string{"offers no STARTTLS"}},
		{"a host that is none", "d.test", destination{"nowhere.test", 5222, false}, []string{"cannot be reached"}},
	} {
		k := newCheckup(dns)
		k.port(t.Context(), c.domain, c.at)
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
		{"good", good[:2], good[2], "ok certificate the certificate for example.org is trusted, for 100 days more"},
		{"ends soon", soon[:2], soon[2], "warning certificate the certificate for example.org is valid for 5 days more"},
		{"without its chain", good[:1], good[2], "error certificate the certificate for example.org comes without its chain"},
		{"of an authority nobody knows", good[:2], soon[2], "error certificate the certificate for example.org is not trusted"},
		{"expired", chain(t, "example.org", now.Add(-9*day), now.Add(-day), 1)[:1], good[2], "error certificate the certificate for example.org has expired"},
		{"of the future", chain(t, "example.org", now.Add(day), now.Add(9*day), 1)[:1], good[2], "error certificate the certificate for example.org is not valid before"},
		{"of another name", chain(t, "xmpp.example.org", now.Add(-day), now.Add(100*day), 1), good[2], "error certificate the certificate is not for example.org"},
		{"its own", chain(t, "example.org", now.Add(-day), now.Add(100*day), 0), good[2], "warning certificate the certificate for example.org is self-signed"},
	} {
		k := newCheckup(new(fakeDNS))
		k.roots = x509.NewCertPool()
		k.roots.AddCert(c.trusts)
		k.judge("certificate", "example.org", c.shows)
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
	if err := newCheckup(nil).trust("/nowhere"); err == nil {
		t.Error("a missing file is trusted")
	}
}
