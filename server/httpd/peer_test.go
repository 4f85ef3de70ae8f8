// SPDX-License-Identifier: Apache-2.0

package httpd

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
)

// trusting is a server that believes 10.0.0.0/8 and 2001:db8::1.
func trusting() *Server {
	return &Server{config: Config{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}}}
}

// Who a request is from, by the socket it came on and the headers it has.
func TestPeer(t *testing.T) {
	const stranger, proxy = "192.0.2.66:1", "10.0.0.1:1"
	type headers map[string][]string
	one := func(s ...string) []string { return s }
	for _, tt := range []struct {
		name    string
		from    string
		headers headers
		address string // "" refuses
		secure  bool
		proxied bool
		host    string
	}{
		{"nothing said", stranger, nil, stranger, false, false, "d.test"},
		{"a stranger claims", stranger, headers{"X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("https"), "X-Forwarded-Host": one("x.test"), "Forwarded": one("for=198.51.100.1;proto=https")}, stranger, false, false, "d.test"},
		{"a program of the proxy's machine", proxy, nil, proxy, false, false, "d.test"},

		{"one hop", proxy, headers{"X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("https"), "X-Forwarded-Host": one("x.test:8443")}, "198.51.100.1:0", true, true, "x.test:8443"},
		{"one hop without TLS", proxy, headers{"X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("http")}, "198.51.100.1:0", false, true, "d.test"},
		{"the protocol is not said", proxy, headers{"X-Forwarded-For": one("198.51.100.1")}, "198.51.100.1:0", false, true, "d.test"},
		{"the client is not said", proxy, headers{"X-Forwarded-Proto": one("HTTPS")}, proxy0, true, true, "d.test"},
		{"the client invents a hop", proxy, headers{"X-Forwarded-For": one("203.0.113.9, 198.51.100.1"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"in a header of its own", proxy, headers{"X-Forwarded-For": one("203.0.113.9", "198.51.100.1"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"the client invents a proxy of ours", proxy, headers{"X-Forwarded-For": one("10.0.0.7, 198.51.100.1"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"two proxies", proxy, headers{"X-Forwarded-For": one("198.51.100.1, 10.2.2.2"), "X-Forwarded-Proto": one("https, http")}, "198.51.100.1:0", true, true, "d.test"},
		{"two proxies, an inventive client", proxy, headers{"X-Forwarded-For": one("203.0.113.9,198.51.100.1,10.2.2.2"), "X-Forwarded-Proto": one("https,http,https")}, "198.51.100.1:0", false, true, "d.test"},
		{"the nearest says the protocol", proxy, headers{"X-Forwarded-For": one("198.51.100.1, 10.2.2.2"), "X-Forwarded-Proto": one("http")}, "198.51.100.1:0", false, true, "d.test"},
		{"only proxies", proxy, headers{"X-Forwarded-For": one("10.3.3.3, 10.2.2.2"), "X-Forwarded-Proto": one("https")}, "10.3.3.3:0", true, true, "d.test"},
		{"a port", proxy, headers{"X-Forwarded-For": one("198.51.100.1:4711"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"nonsense", proxy, headers{"X-Forwarded-For": one("'; DROP TABLE"), "X-Forwarded-Proto": one("https")}, proxy0, true, true, "d.test"},
		{"nonsense behind a proxy", proxy, headers{"X-Forwarded-For": one("nonsense, 10.2.2.2"), "X-Forwarded-Proto": one("https")}, "10.2.2.2:0", true, true, "d.test"},
		{"IPv6", "[2001:db8::1]:1", headers{"X-Forwarded-For": one("2001:db8::2"), "X-Forwarded-Proto": one("https")}, "[2001:db8::2]:0", true, true, "d.test"},
		{"IPv4 in IPv6", proxy, headers{"X-Forwarded-For": one("::ffff:198.51.100.1"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"empty", proxy, headers{"X-Forwarded-For": one(""), "Forwarded": one(" , ,")}, proxy, false, false, "d.test"},

		{"RFC 7239", proxy, headers{"Forwarded": one(`for=198.51.100.1; proto=https; by=10.0.0.1; host="x.test:8443"`)}, "198.51.100.1:0", true, true, "x.test:8443"},
		{"RFC 7239, IPv6", proxy, headers{"Forwarded": one(`For="[2001:db8::2]:4711";Proto=HTTPS`)}, "[2001:db8::2]:0", true, true, "d.test"},
		{"RFC 7239, two proxies", proxy, headers{"Forwarded": one(`for=203.0.113.9;proto=https, for=198.51.100.1;proto=http`, `for=10.2.2.2;proto=https`)}, "198.51.100.1:0", false, true, "d.test"},
		{"RFC 7239, quoted commas", proxy, headers{"Forwarded": one(`for="198.51.100.1";x="a,b;c\",d";proto=https`)}, "198.51.100.1:0", true, true, "d.test"},
		{"RFC 7239, hidden", proxy, headers{"Forwarded": one(`for=_secret;proto=https`)}, proxy0, true, true, "d.test"},
		{"RFC 7239, unknown", proxy, headers{"Forwarded": one(`for=unknown;proto=https, for=10.2.2.2`)}, "10.2.2.2:0", true, true, "d.test"},

		{"both agree", proxy, headers{"Forwarded": one(`for=198.51.100.1;proto=https`), "X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("https")}, "198.51.100.1:0", true, true, "d.test"},
		{"the addresses contradict", proxy, headers{"Forwarded": one(`for=203.0.113.9;proto=https`), "X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("https")}, "", false, false, ""},
		{"the protocols contradict", proxy, headers{"Forwarded": one(`for=198.51.100.1;proto=http`), "X-Forwarded-For": one("198.51.100.1"), "X-Forwarded-Proto": one("https")}, "", false, false, ""},
		{"a client claims TLS in the other form", proxy, headers{"Forwarded": one(`proto=https`), "X-Forwarded-For": one("198.51.100.1")}, "", false, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := trusting()
			r := &http.Request{Host: "d.test", Header: http.Header(tt.headers)}
			p, err := s.peer(&conn{server: s, from: netip.MustParseAddrPort(tt.from)}, r)
			if tt.address == "" {
				if !errors.Is(err, errForwarded) {
					t.Fatalf("%+v, %v", p, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Address != netip.MustParseAddrPort(tt.address) || p.Secure != tt.secure || p.Proxied != tt.proxied || p.Host != tt.host {
				t.Errorf("%+v", p)
			}
		})
	}
}

const proxy0 = "10.0.0.1:1"

// Whatever a proxy says, nothing panics, and the address is the socket's or one that stands in the headers.
func FuzzForwarded(f *testing.F) {
	f.Add("for=192.0.2.1;proto=https", "", "")
	f.Add(`for="[2001:db8::1]:1", for=_x`, "10.0.0.1, 192.0.2.1", "https")
	f.Add(`for="\`, ",,", ",")
	f.Fuzz(func(t *testing.T, standard, x, proto string) {
		s := trusting()
		h := http.Header{}
		for name, value := range map[string]string{"Forwarded": standard, "X-Forwarded-For": x, "X-Forwarded-Proto": proto} {
			if value != "" {
				h.Set(name, value)
			}
		}
		c := &conn{server: s, from: netip.MustParseAddrPort(proxy0)}
		p, err := s.peer(c, &http.Request{Host: "d.test", Header: h})
		if err != nil {
			return
		}
		if !p.Address.IsValid() || p.Secure && !p.Proxied {
			t.Errorf("%+v", p)
		}
	})
}
