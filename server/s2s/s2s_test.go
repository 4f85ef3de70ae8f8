// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// Two servers talk, whatever proves who they are.
func TestTalk(t *testing.T) {
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	for _, c := range []struct {
		name    string
		a, b    setup
		in, out string // how it was verified, by the receiving side and by the calling one
	}{
		{name: "EXTERNAL", in: "EXTERNAL", out: "EXTERNAL"},
		{name: "direct TLS", a: setup{direct: true}, b: setup{direct: true}, in: "EXTERNAL", out: "EXTERNAL"},
		{name: "goroutines", a: setup{driver: goroutines}, b: setup{driver: goroutines}, in: "EXTERNAL", out: "EXTERNAL"},
		{name: "dialback", a: setup{preferred: true, stranger: true}, b: setup{preferred: true, stranger: true}, in: "dialback", out: "dialback"},
		{name: "expired", a: setup{preferred: true, change: old}, b: setup{preferred: true, change: old}, in: "dialback", out: "dialback"},
		{name: "one without a certificate", a: setup{preferred: true, stranger: true}, b: setup{preferred: true}, in: "dialback", out: "dialback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.town("capulet.example", c.a), w.town("montague.example", c.b)
			for i := range 5 {
				a.send("juliet@house.montague.example", fmt.Sprint("m", i))
			}
			for i := range 5 {
				b.gets("from='romeo@house.capulet.example'", fmt.Sprintf("id='m%d'", i))
			}
			b.send("juliet@house.capulet.example", "back")
			a.gets("from='romeo@house.montague.example'", "id='back'")
			b.logs("server verified", "direction=in", "by="+c.in, "peer=house.capulet.example")
			a.logs("server verified", "direction=out", "by="+c.out, "peer=house.montague.example", "bidi=true")
			if n := a.count("connections_total"); c.in == "EXTERNAL" && n != 0 {
				t.Errorf("%v connections came back, though the stream has both directions", n)
			}
			// What nobody has there comes back over the same way.
			a.send("nobody@montague.example", "x")
			a.gets("type='error'", "id='x'")
		})
	}
}

func goroutines(log *slog.Logger) (drive.Driver, error) { return drive.NewGoroutines(log), nil }

// A connection that nobody uses is closed in order, and made again when it is wanted.
func TestIdle(t *testing.T) {
	w := newWorld(t)
	soon := setup{policy: func(p *Policy) { p.Idle = time.Second }}
	a, m := w.town("capulet.example", soon), w.town("montague.example", setup{})
	for i := range 2 {
		id := fmt.Sprint("m", i)
		a.send("juliet@"+montague, id)
		m.gets("id='" + id + "'")
		eventually(t, "the connection goes", func() bool { return m.count("connections") == 0 })
	}
	if n := m.count("connections_total"); n != 2 {
		t.Errorf("%v connections", n)
	}
	if n := a.count(`stream_errors_total{condition="connection-timeout"}`); n != 0 {
		t.Errorf("%v were not closed in order", n)
	}
}

// A domain that DNS does not know, or that says it has no service, is not found at once.
func TestNowhere(t *testing.T) {
	w := newWorld(t)
	a := w.town("capulet.example", setup{})
	w.services["xmpp-server none.example"] = []*net.SRV{{Target: "."}}
	for _, domain := range []string{"nowhere.example", "none.example"} {
		a.send("juliet@"+domain, domain)
		a.gets("type='error'", "id='"+domain+"'", "remote-server-not-found")
	}
	if n := a.count(`dial_failed_total{reason="dns"}`); n != 2 {
		t.Errorf("%v failed", n)
	}
}
