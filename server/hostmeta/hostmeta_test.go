// SPDX-License-Identifier: Apache-2.0

package hostmeta_test

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server/hostmeta"
	"github.com/stonechat-im/stonechat/server/httpd"
)

// listen serves a configuration to a proxy that is believed.
func listen(t *testing.T, publicURL string) string {
	t.Helper()
	s := httpd.New(httpd.Config{
		Routes: hostmeta.Routes(hostmeta.Config{
			Serves:    func(domain string) bool { return domain == "d.test" || domain == "müller.test" },
			PublicURL: publicURL,
			Links: []hostmeta.Link{
				{Relation: hostmeta.WebSocket, Scheme: "wss", Path: "/ws"},
				{Relation: "urn:xmpp:alt-connections:xbosh", Scheme: "https", Path: "/bosh"},
			},
		}),
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Admit:   func(interface{ Abort() }, netip.Addr) (<-chan struct{}, func()) { return nil, func() {} },
		Limits:  httpd.DefaultLimits(), Log: slog.New(slog.DiscardHandler), Metrics: metrics.New(),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen(l, nil)
	t.Cleanup(func() { s.Close(context.Background()) })
	return l.Addr().String()
}

// get asks for a host; behind is "https" if the proxy says that it was asked over TLS.
func get(t *testing.T, address, method, path, host, behind string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	forwarded := ""
	if behind != "" {
		forwarded = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: " + behind + "\r\n"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", method, path, host, forwarded)
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page of another origin may not read it")
	}
	return r
}

// Both formats name the same addresses, for a domain that is served, and to whom came over TLS.
func TestLinks(t *testing.T) {
	for _, tt := range []struct {
		name, public, host, behind string
		base                       string // "": 404
	}{
		{"by host", "", "d.test", "https", "d.test"},
		{"with a port", "", "D.test:5443", "https", "d.test:5443"},
		{"an international domain", "", "xn--mller-kva.test", "https", "xn--mller-kva.test"},
		{"by configuration", "https://web.test/chat/", "d.test", "https", "web.test/chat"},
		{"by configuration, asked without TLS", "https://web.test:8443", "d.test", "", "web.test:8443"},
		{"without TLS", "", "d.test", "http", ""},
		{"without a proxy", "", "d.test", "", ""},
		{"another domain", "", "other.test", "https", ""},
		{"another domain, by configuration", "https://web.test", "web.test", "https", ""},
		{"a part of ours", "", "x.d.test", "https", ""},
		{"no domain", "", "d.test:x", "https", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := listen(t, tt.public)
			x := get(t, address, "GET", hostmeta.Path, tt.host, tt.behind)
			j := get(t, address, "GET", hostmeta.Path+".json", tt.host, tt.behind)
			if tt.base == "" {
				if x.StatusCode < 400 || j.StatusCode < 400 {
					t.Errorf("answered with %s, %s", x.Status, j.Status)
				}
				return
			}
			type link struct {
				Rel  string `xml:"rel,attr"  json:"rel"`
				Href string `xml:"href,attr" json:"href"`
			}
			want := []link{
				{"urn:xmpp:alt-connections:websocket", "wss://" + tt.base + "/ws"},
				{"urn:xmpp:alt-connections:xbosh", "https://" + tt.base + "/bosh"},
			}
			var xrd struct {
				XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
				Links   []link   `xml:"Link"`
			}
			if err := xml.NewDecoder(x.Body).Decode(&xrd); err != nil || !reflect.DeepEqual(xrd.Links, want) {
				t.Errorf("XML: %v %v", xrd.Links, err)
			}
			var jrd struct {
				Links []link `json:"links"`
			}
			if err := json.NewDecoder(j.Body).Decode(&jrd); err != nil || !reflect.DeepEqual(jrd.Links, want) {
				t.Errorf("JSON: %v %v", jrd.Links, err)
			}
			if x.Header.Get("Content-Type") != "application/xrd+xml" || j.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s, %s", x.Header.Get("Content-Type"), j.Header.Get("Content-Type"))
			}
		})
	}
}

func TestMethods(t *testing.T) {
	address := listen(t, "")
	for method, status := range map[string]int{"HEAD": 200, "OPTIONS": 204, "POST": 405, "DELETE": 405} {
		r := get(t, address, method, hostmeta.Path, "d.test", "https")
		if body, _ := io.ReadAll(r.Body); r.StatusCode != status || status < 300 && len(body) > 0 {
			t.Errorf("%s: %s %s", method, r.Status, body)
		}
	}
}
