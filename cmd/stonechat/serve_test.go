// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

// started is a server of its own, with those further lines of configuration.
func started(t *testing.T, lines string) *instance {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("domains: [d.test]\ndata: "+t.TempDir()+`
listen:
  client: ["127.0.0.1:0"]
  client_tls: ["127.0.0.1:0"]
  server: []
  server_tls: []
  http: []
  https: []
  metrics: []
log: {level: error}
`+lines))
	if err != nil {
		t.Fatal(err)
	}
	in, err := start(c, "auto")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// TestALPN: TLS from the first byte answers to xmpp-client and to who asks for nothing, and turns away
// who came for another protocol (XEP-0368 §3).
func TestALPN(t *testing.T) {
	in := started(t, "")
	for _, c := range []struct {
		name   string
		offers []string
		want   string
		fails  bool
	}{
		{"xmpp-client", []string{"xmpp-client"}, "xmpp-client", false},
		{"among others", []string{"h2", "xmpp-client"}, "xmpp-client", false},
		{"nothing", nil, "", false},
		{"another", []string{"h2"}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", in.address("client_tls"),
				&tls.Config{ServerName: "d.test", InsecureSkipVerify: true, NextProtos: c.offers}) // it is self-signed
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; got != c.want {
				t.Errorf("protocol %q, not %q", got, c.want)
			}
		})
	}
}
