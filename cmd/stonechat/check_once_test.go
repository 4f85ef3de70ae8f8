// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dns/dnstest"
)

// What is wrong with a server is said once, though it shows at four ports, to clients and to other servers, and in the
// configuration: from outside, and from the server itself.
func TestCheckSaysOnce(t *testing.T) {
	ca := issue(t, nil, "", nil)
	day := 24 * time.Hour
	const web = "warning web https://d.test/.well-known/host-meta"
	for _, c := range []struct {
		name string
		cert *authority // nil: the server makes its own
		zone func(*dnstest.Zone)
		want []string
		from []string // as the server sees it, where that differs
	}{
		{"good", issue(t, ca, "d.test", nil), nil, []string{web}, nil},
		{"ends soon", issue(t, ca, "d.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(5*day + time.Hour) }), nil,
			[]string{"warning client port the certificate for d.test is valid for 5 days more", web},
			[]string{"warning certificate the certificate for d.test is valid for 5 days more", web}},
		{"expired", issue(t, ca, "d.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil,
			[]string{"error client port the certificate for d.test has expired", web},
			[]string{"error certificate the certificate for d.test has expired", web}},
		{"wrong name", issue(t, ca, "xmpp.d.test", nil), nil,
			[]string{"error client port the certificate is not for d.test", web},
			[]string{"error certificate the certificate is not for d.test", web}},
		{"an authority nobody knows", issue(t, issue(t, nil, "", nil), "d.test", nil), nil,
			[]string{"error client port the certificate for d.test comes without its chain", web},
			[]string{"error certificate the certificate for d.test comes without its chain", web}},
		{"for clients alone", issue(t, ca, "d.test", func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }), nil,
			[]string{"error client port the certificate is for clients alone (clientAuth)", web},
			[]string{"error certificate the certificate is for clients alone (clientAuth)", web}},
		{"made by the server", nil, nil,
			[]string{"warning client port the certificate for d.test is self-signed", web},
			[]string{"warning certificate the server makes its certificate itself", web}},
		{"no records", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) {
			for _, name := range ways() {
				z.Remove(name, "SRV")
			}
		}, []string{"error dns d.test has neither SRV records for clients nor an address", "warning dns d.test has neither SRV records for servers", web},
			[]string{"error dns d.test has neither SRV records for clients nor an address", "error dns d.test has neither SRV records for servers", web}},
		{"no address", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) { z.Remove("xmpp.d.test", "A") },
			[]string{"error dns _xmpp-client._tcp.d.test leads to xmpp.d.test, which has no address", web}, nil},
		{"an alias", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) {
			z.Remove("xmpp.d.test", "A")
			z.Set("xmpp.d.test. 60 IN CNAME www.d.test.", "www.d.test. 60 IN A 127.0.0.1")
		}, []string{"warning dns _xmpp-client._tcp.d.test leads to xmpp.d.test, an alias (CNAME) of www.d.test", web}, nil},
		{"DNS that answers nothing", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) {
			for _, name := range ways() {
				z.Trouble(name, "SRV", dnstest.ServFail)
			}
		}, []string{"error dns xmpp-client of d.test: ", web}, nil},
		{"one question without an answer", issue(t, ca, "d.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), func(z *dnstest.Zone) {
			z.Trouble("_xmpps-server._tcp.d.test", "SRV", dnstest.Silent)
		}, []string{"error dns xmpps-server of d.test: no answer within 3s", "error client port the certificate for d.test has expired", web},
			[]string{"error certificate the certificate for d.test has expired", "error dns xmpps-server of d.test: no answer within 3s", web}},
		{"no address is known", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) {
			for _, name := range ways() {
				z.Remove(name, "SRV")
			}
			z.Trouble("d.test", "A", dnstest.ServFail)
			z.Trouble("d.test", "AAAA", dnstest.ServFail)
		}, []string{"error dns address of d.test: ", web}, nil},
		{"silent DNS", issue(t, ca, "d.test", nil), func(z *dnstest.Zone) {
			for _, name := range ways() {
				z.Trouble(name, "SRV", dnstest.Silent)
			}
		}, []string{"error dns xmpp-client of d.test: no DNS server answers within 500ms"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, zone := reachable(t, c.cert)
			if c.zone != nil {
				c.zone(zone)
			}
			if c.from == nil {
				c.from = c.want
			}
			for place, want := range map[string][]string{"outside": c.want, "inside": c.from} {
				k := newCheckup(zone)
				k.roots = x509.NewCertPool()
				k.roots.AddCert(ca.cert)
				switch c.name {
				case "silent DNS":
					k.timeout = 500 * time.Millisecond
				case "one question without an answer":
					k.timeout = 3 * time.Second
				}
				if place == "inside" {
					k.inside(operator{Config: file})
				}
				k.at = "d.test"
				k.domain(t.Context(), "d.test")
				k.found = slices.DeleteFunc(k.found, func(f found) bool { return f.Level == well || f.Where == "data" })
				k.finds(t, place, want...)
			}
		})
	}
}

// Ports at which nobody answers are said one by one: each may have a firewall of its own.
func TestCheckClosedPorts(t *testing.T) {
	_, zone := reachable(t, nil)
	closed, err := net.Listen("tcp", net.JoinHostPort(ownHost(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	_, port, err := net.SplitHostPort(closed.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	zone.Set("closed.d.test. 60 IN A " + ownHost())
	for _, key := range []string{"client_tls", "server"} {
		zone.Remove(ways()[key], "SRV")
		zone.Set(ways()[key] + ". 60 IN SRV 0 0 " + port + " closed.d.test.")
	}
	k := newCheckup(zone)
	k.domain(t.Context(), "d.test")
	k.found = slices.DeleteFunc(k.found, func(f found) bool { return f.Level != wrong })
	k.finds(t, "closed", "error client port closed.d.test:"+port+" cannot be reached", "error server port closed.d.test:"+port+" cannot be reached")
}

// ways are the keys of the listeners of clients and servers, and the names of their SRV records.
func ways() map[string]string {
	return map[string]string{"client": "_xmpp-client._tcp.d.test", "client_tls": "_xmpps-client._tcp.d.test", "server": "_xmpp-server._tcp.d.test", "server_tls": "_xmpps-server._tcp.d.test"}
}

// reachable starts a server of d.test with all ports, and returns its configuration and the zone that leads there.
func reachable(t *testing.T, cert *authority) (file string, z *dnstest.Zone) {
	t.Helper()
	folder := t.TempDir()
	text := "domains: [d.test]\ndata: " + strconv.Quote(filepath.Join(folder, "data")) + "\nlog: {level: error}\nlisten:\n" +
		"  {client: [\"127.0.0.1:0\"], client_tls: [\"127.0.0.1:0\"], server: [\"127.0.0.1:0\"], server_tls: [\"127.0.0.1:0\"], http: [], https: [], metrics: []}\n"
	if cert != nil {
		crt, key := filepath.Join(folder, "crt.pem"), filepath.Join(folder, "key.pem")
		writePEM(t, crt, cert.cert)
		der, err := x509.MarshalPKCS8PrivateKey(cert.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		text += "tls: {certificate: " + strconv.Quote(crt) + ", key: " + strconv.Quote(key) + "}\n"
	}
	file = filepath.Join(folder, "stonechat.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	in, err := start(conf, "auto")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	})
	z = dnstest.New(t, "xmpp.d.test. 60 IN A 127.0.0.1")
	for key, name := range ways() {
		_, port, err := net.SplitHostPort(in.address(key))
		if err != nil {
			t.Fatal(err)
		}
		z.Set(name + ". 60 IN SRV 0 0 " + port + " xmpp.d.test.")
	}
	return file, z
}
