// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// newcomer is a stream that is not logged in.
type newcomer struct {
	server.Stream
	b     *bed
	notes sync.Map
}

func (*newcomer) Address() string    { return "192.0.2.1:1" }
func (n *newcomer) Notes() *sync.Map { return &n.notes }

// ask asks the server, and is the answer.
func (n *newcomer) ask(xml string) (answer string) {
	n.b.t.Helper()
	p := xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1000, Depth: 9, Attributes: 9, Children: 9})
	p.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + xml))
	for range 2 {
		if _, err := p.Next(); err != nil {
			n.b.t.Fatal(err)
		}
	}
	if !n.b.BeforeLogin(n, jid.MustParse("d"), p.Element(), func(s *stanza.Stanza) { answer = string(s.Append(nil, "")) }) {
		n.b.t.Fatalf("%s is not taken", xml)
	}
	synctest.Wait()
	return answer
}

// TestTokenShown: whoever has shown a token in time registers with it later, on the same stream alone, unless it was
// used up or revoked meanwhile. XEP-0445 §4
func TestTokenShown(t *testing.T) {
	const show = "<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='x'/></iq>"
	register := func(name string) string {
		return "<iq type='set' id='2'><query xmlns='jabber:iq:register'><username>" + name + "</username><password>y</password></query></iq>"
	}
	digest := sha256.Sum256([]byte("x"))
	for name, c := range map[string]struct {
		meanwhile store.Op
		later     time.Duration
		want      string
	}{
		"at once": {nil, 0, "type='result'"},
		"expired": {nil, 2 * time.Hour, "type='result'"},
		"used up": {store.UseToken{Digest: digest, Domain: "d"}, 0, "<not-allowed"},
		"revoked": {store.RemoveToken{ID: (&store.Token{Digest: digest}).ID()}, 0, "<not-allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, "registration: invite\n")
				b.t = t
				add := store.AddToken{Token: store.Token{Digest: digest, Domain: "d", Uses: 1, Created: time.Now(), Expires: time.Now().Add(time.Hour)}}
				if err := b.Disk.Commit(add).Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				n, other := &newcomer{b: b}, &newcomer{b: b}
				if got := n.ask(show); !strings.Contains(got, "type='result'") {
					t.Fatalf("shown: %s", got)
				}
				if got := other.ask(register("other")); !strings.Contains(got, "<not-allowed") {
					t.Errorf("another stream: %s", got)
				}
				if got := n.ask("<iq type='get' id='3'><query xmlns='jabber:iq:register'/></iq>"); !strings.Contains(got, "<username/>") {
					t.Errorf("what it takes: %s", got)
				}
				if c.meanwhile != nil {
					if err := b.Disk.Commit(c.meanwhile).Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.later)
				if got := n.ask(register("lamp")); !strings.Contains(got, c.want) {
					t.Errorf("registers: %s, want %s", got, c.want)
				}
				_, err := b.Disk.Account(t.Context(), jid.MustParse("lamp@d"))
				if made := err == nil; made != (c.want == "type='result'") {
					t.Errorf("made %v", made)
				}
			})
		})
	}
}
