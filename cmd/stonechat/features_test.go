// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"path/filepath"
	"testing"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// authenticated is a stream in the state in which capabilities are offered.
type authenticated struct {
	server.Stream
	account jid.JID
}

func (authenticated) State() stream.State { return stream.Authenticated }
func (authenticated) Secure() bool        { return true }
func (a authenticated) Account() jid.JID  { return a.account }

// TestCapabilities asks a running server of the default configuration what it can do: the hash in
// its stream features says the same.
func TestCapabilities(t *testing.T) {
	c := config.Default()
	dir := t.TempDir()
	c.Data, c.Log.Level = filepath.Join(dir, "data"), "error"
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil
	c.Listen.Client, c.Listen.ClientTLS, c.Listen.Metrics = []string{"127.0.0.1:0"}, nil, nil
	in, err := start(c, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	}()
	account := jid.MustParse("alice@" + c.Domains[0])
	if err := in.server.CreateAccount(t.Context(), account, "secret"); err != nil {
		t.Fatal(err)
	}
	alice, err := client.Dial(t.Context(), client.Config{
		Account: account, Password: "secret", Address: in.listens[0].address.String(),
		TLS: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // its certificate was made a moment ago
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alice.Close() }()

	host := account.Host()
	var all disco.Info
	if err := alice.Ask(t.Context(), host, &disco.Info{}, &all); err != nil {
		t.Fatal(err)
	}
	features := in.server.StreamFeatures([]byte("<features xmlns='jabber:client'>"), authenticated{account: account})
	r := xmlstream.NewReader(append(features, "</features>"...), stanza.NSClient)
	var told caps.Caps
	for name := range r.Children() {
		if name == told.XMLName() {
			if err := told.DecodeXML(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := told.Verify(&all); err != nil {
		t.Errorf("the hash %q is not that of the answer: %v", told.Ver, err)
	}
	var named disco.Info
	if err := alice.Ask(t.Context(), host, &disco.Info{Node: told.InfoNode()}, &named); err != nil {
		t.Fatal(err)
	}
	if err := told.Verify(&named); err != nil || named.Node != told.InfoNode() {
		t.Errorf("asked at node %s: %v, %s", told.InfoNode(), err, named.Node)
	}
	if err := alice.Ask(t.Context(), host, &disco.Info{Node: "nonsense"}, &named); err == nil {
		t.Error("any node has an answer")
	}
}
