// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// caller is a client with stream management: the account a@d.
type caller struct {
	d    *depot
	se   *server.Session
	in   *xmlstream.Parser
	sent int

	mu  sync.Mutex
	out []byte
}

func (d *depot) caller() *caller {
	d.t.Helper()
	c := &caller{d: d, in: xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})}
	c.in.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"))
	if _, err := c.in.Next(); err != nil {
		d.t.Fatal(err)
	}
	t := d.server.NewTurn()
	defer t.End()
	se, err := d.server.Bind(d.t.Context(), t, c, jid.MustParse("a@d/r"), "")
	if err != nil {
		d.t.Fatal(err)
	}
	c.se = se
	se.Manage(0)
	return c
}

// send sends chats with these ids to one address, in one batch.
func (c *caller) send(to string, ids ...string) {
	for _, id := range ids {
		c.in.Feed(fmt.Appendf(nil, "<message to='%s' id='%s' type='chat'><body>hi</body></message>", to, id))
	}
	t := c.d.server.NewTurn()
	for range ids {
		if ev, err := c.in.Next(); ev != xmlstream.EventElement || err != nil {
			c.d.t.Fatal(ev, err)
		}
		if _, err := c.se.Receive(t, c, c.in.Element()); err != nil {
			c.d.t.Fatal(err)
		}
		c.sent++
	}
	t.End()
	c.d.settle()
}

// safe is how many of its stanzas are.
func (c *caller) safe() int {
	c.d.settle()
	return int(c.se.Received())
}

// returned is the errors that it got, in short.
func (c *caller) returned() (got []string) {
	c.d.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range regexp.MustCompile(`<message .*?</message>`).FindAllString(string(c.out), -1) {
		got = append(got, briefly(x))
	}
	c.out = nil
	return got
}

func (c *caller) Queue(b []byte) {
	c.mu.Lock()
	c.out = append(c.out, b...)
	c.mu.Unlock()
}
func (*caller) Flush()                     {}
func (*caller) Queued() int                { return 0 }
func (*caller) Pause()                     {}
func (*caller) Resume()                    {}
func (*caller) End(*stream.Error)          {}
func (*caller) Abort()                     {}
func (*caller) State() stream.State        { return stream.Bound }
func (*caller) Account() jid.JID           { return jid.MustParse("a@d") }
func (*caller) Secure() bool               { return true }
func (*caller) Address() string            { return "127.0.0.1" }
func (*caller) Notes() *sync.Map           { return nil }
func (*caller) Adopt(*server.Session) bool { return false }
