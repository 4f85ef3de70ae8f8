// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/c2s"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// onSlowDisk is the server, with TLS from the first byte, on a disk that takes so long for each commit.
func onSlowDisk(t *testing.T, takes time.Duration, accounts ...string) (address string) {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("domains: [d.test]\ndata: "+t.TempDir()+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := certificates(c)
	if err != nil {
		t.Fatal(err)
	}
	mods, err := modules(c)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(sqlite.Options{Folder: c.Data, BeforeCommit: func() { <-time.After(takes) }})
	if err != nil {
		t.Fatal(err)
	}
	reg, log := metrics.New(), slog.New(slog.DiscardHandler)
	s, err := server.New(server.Config{Domains: c.Domains, Limits: serverLimits(c), Store: st, Log: log, Metrics: reg}, mods)
	if err != nil {
		t.Fatal(err)
	}
	clients := c2s.New(c2s.Config{Server: s, Store: st, Driver: drive.NewGoroutines(log), Log: log, Metrics: reg,
		TLS: certs.Config(), Secret: make([]byte, 32), Limits: clientLimits(c)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	clients.Listen(l, certs.Config("xmpp-client"))
	t.Cleanup(func() {
		clients.StopListening()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		clients.Close(context.Background())
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, a := range accounts {
		if err := s.CreateAccount(t.Context(), jid.MustParse(a+"@d.test"), "secret"); err != nil {
			t.Fatal(err)
		}
	}
	return l.Addr().String()
}

// wire is a client word for word.
type wire struct {
	t    *testing.T
	conn net.Conn
	got  []byte // since send
}

func (w *wire) send(xml string) {
	w.t.Helper()
	w.got = nil
	if _, err := w.conn.Write([]byte(xml)); err != nil {
		w.t.Fatal(err)
	}
}

// await reads until all of it has come, in that order.
func (w *wire) await(parts ...string) {
	w.t.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	buf, last := make([]byte, 4096), parts[len(parts)-1]
	for !bytes.Contains(w.got, []byte(last)) {
		n, err := w.conn.Read(buf)
		if err != nil {
			w.t.Fatalf("%v; no %s in %s", err, last, w.got)
		}
		w.got = append(w.got, buf[:n]...)
	}
	at := 0
	for _, p := range parts {
		i := bytes.Index(w.got[at:], []byte(p))
		if i < 0 {
			w.t.Fatalf("no %s, or not in its place, in %s", p, w.got)
		}
		at += i
	}
}

// come logs in, becomes available and asks for the roster.
func come(t *testing.T, address, name string) *wire {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: "d.test", InsecureSkipVerify: true}) // it is self-signed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w := &wire{t: t, conn: conn}
	const open = "<stream:stream to='d.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	w.send(open)
	w.await("</stream:features>")
	w.send(fmt.Sprintf("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
		base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00secret"))))
	w.await("<success")
	w.send(open)
	w.await("</stream:features>")
	w.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
	w.await("id='b'")
	w.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	w.await("id='g'", "<presence")
	return w
}

// TestSubscriptionOrder: a client hears of a contact before it hears from it. Some ignore the presence
// of who is not in their roster, and show them as away for ever (RFC 6121 §3.1.5, §3.1.6).
func TestSubscriptionOrder(t *testing.T) {
	address := onSlowDisk(t, 50*time.Millisecond, "romeo", "juliet")
	romeo, juliet := come(t, address, "romeo"), come(t, address, "juliet")

	romeo.send("<presence type='subscribe' to='juliet@d.test'/>")
	juliet.await("type='subscribe'")
	romeo.await("ask='subscribe'") // pushed, not only stored, before she is asked

	romeo.got, juliet.got = nil, nil
	juliet.send("<presence type='subscribed' to='romeo@d.test'/><message to='romeo@d.test' type='chat'><body>hi</body></message>")
	romeo.await("type='subscribed'", "subscription='to'", "from='juliet@d.test/r'", "<body>hi")
	juliet.await("subscription='from'")

	romeo.send("<presence type='unsubscribe' to='juliet@d.test'/>")
	juliet.await("type='unsubscribe'", "subscription='none'")
	romeo.await("subscription='none'", "type='unavailable'")
}
