// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// startServer starts a whole server at free ports of 127.0.0.1.
func startServer(t *testing.T) *instance {
	t.Helper()
	c := config.Default()
	c.Data, c.Log.Level = t.TempDir(), "error"
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil
	c.Listen.Client, c.Listen.ClientTLS, c.Listen.Metrics = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, nil
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

// cutter makes connections that break after some bytes in either direction, while it is on.
type cutter struct {
	on   atomic.Bool
	cuts atomic.Int32
}

type cutConn struct {
	net.Conn
	*cutter
	left atomic.Int64
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k := &cutConn{Conn: conn, cutter: c}
	k.left.Store(4000 + rand.Int64N(20_000)) // a login takes some 3,000
	return k, nil
}

func (c *cutConn) count(n int) {
	if c.left.Add(-int64(n)) < 0 && c.on.Load() {
		c.cuts.Add(1)
		_ = c.Close()
	}
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.count(n)
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.count(n)
	return n, err
}

// A program notices a broken network by the clock alone: whatever is cut on either side, each
// message arrives once and in order.
func TestBrokenNetwork(t *testing.T) {
	in := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	network := &cutter{}
	network.on.Store(true)
	login := func(name string) *client.Client {
		t.Helper()
		account := jid.MustParse(name + "@localhost")
		if err := in.server.CreateAccount(ctx, account, "secret"); err != nil {
			t.Fatal(err)
		}
		config := client.Config{
			Account: account, Password: "secret", Address: in.address("client"), Dial: network.dial,
			BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
		}
		if err := config.Trust(filepath.Join(in.config.Data, "tls", "self-signed.crt")); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const messages = 3000
	arrived := make(chan string, 2*messages)
	juliet, romeo := login("juliet"), login("romeo")
	juliet.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { arrived <- stanza.BodyOf(s) })
	sessions := 0
	juliet.HandleSession(func(context.Context) { sessions++ })
	if err := juliet.Announce(ctx, client.Availability{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{juliet, romeo} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := juliet.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		if err := romeo.Send(ctx, stanza.Text(stanza.Chat, jid.MustParse("juliet@localhost"), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := romeo.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		select {
		case body := <-arrived:
			if body != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, body)
			}
		case <-ctx.Done():
			t.Fatalf("message %d does not arrive", i)
		}
	}
	network.on.Store(false)
	if err := juliet.Sync(ctx); err != nil {
		t.Error(err)
	}
	for _, c := range []*client.Client{romeo, juliet} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(arrived) > 0 {
		t.Errorf("%d messages arrived twice", len(arrived))
	}
	if sessions != 1 || network.cuts.Load() < 20 {
		t.Errorf("%d sessions over %d cuts", sessions, network.cuts.Load())
	}
	t.Logf("%d cuts", network.cuts.Load())
}
