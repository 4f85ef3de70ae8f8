// SPDX-License-Identifier: Apache-2.0

package private_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/private"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// wire is a client.
type wire struct{ *servertest.Peer }

// ask sends a request and returns the answer.
func (w *wire) ask(t *testing.T, typ, content string) string {
	t.Helper()
	w.Send("<iq type='" + typ + "' id='1'><query xmlns='jabber:iq:private'>" + content + "</query></iq>")
	return strings.Join(w.Got(), "")
}

// open starts a server for a@d and returns a session of it, and the module.
func open(t *testing.T, c private.Config) (*wire, *private.Module) {
	t.Helper()
	m, k := private.New(c), new(keeper)
	m.Keep(xmlstream.Name{Space: "u:kept", Local: "k"}, k)
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{m} }})
	k.store = s.Disk
	s.Account("a@d")
	return &wire{s.Client("a@d/r")}, m
}

// keeper keeps the element k of u:kept.
type keeper struct {
	store store.Store
	has   []byte
}

func (k *keeper) Get(context.Context, *server.User) ([]byte, error) { return k.has, nil }

func (k *keeper) Set(_ *server.Turn, _ *server.User, element []byte) (*store.Pending, error) {
	if strings.Contains(string(element), "bad") {
		return nil, stanza.BadRequest.Err("")
	}
	k.has = element
	return k.store.Commit(), nil
}

var roomy = private.Config{Bytes: 1000, Elements: 10}

func expect(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s: %s\nwithout %s", what, got, part)
		}
	}
}

func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := open(t, roomy)
		for _, c := range []struct{ set, get, want string }{
			{"", "<a xmlns='u:a'/>", "<a xmlns='u:a'/>"},
			{"<a xmlns='u:a'>1</a><b xmlns='u:a'>2</b><a xmlns='u:b'>3</a>", "<a xmlns='u:a'/>", "<a xmlns='u:a'>1</a>"},
			{"", "<b xmlns='u:a'/>", "<b xmlns='u:a'>2</b>"},
			{"", "<a xmlns='u:b'/>", "<a xmlns='u:b'>3</a>"},
			{"", "<a xmlns='u:a'/><b xmlns='u:a'/>", "<a xmlns='u:a'>1</a><b xmlns='u:a'>2</b>"},
			{"<a xmlns='u:a'>4</a><a xmlns='u:a'/><a xmlns='u:a' b='5'/>", "<a xmlns='u:a'/>", "<a xmlns='u:a'>4</a><a xmlns='u:a' b='5'/>"},
			{"", "<a xmlns='u:a'/><a xmlns='u:a'/>", "<a xmlns='u:a'>4</a><a xmlns='u:a' b='5'/>"},
			{"<a xmlns='u:a'/>", "<a xmlns='u:a'/>", "<a xmlns='u:a'/>"},
			{"<a xmlns='u:a'></a>", "<a xmlns='u:a'/>", "<a xmlns='u:a'/>"},
			{"", "<b xmlns='u:a'/>", "<b xmlns='u:a'>2</b>"},
			{"<p:a xmlns:p='u:a' p:b='1'><c xmlns=''/></p:a>", "<a xmlns='u:a'/>", "<p:a xmlns:p='u:a' p:b='1'><c xmlns=''/></p:a>"},
			{"<k xmlns='u:kept'>6</k><a xmlns='u:c'>7</a>", "<k xmlns='u:kept'/>", "<k xmlns='u:kept'>6</k>"},
			{"", "<a xmlns='u:c'/>", "<a xmlns='u:c'>7</a>"},
			{"<k xmlns='u:kept'/>", "<k xmlns='u:kept'/>", "<k xmlns='u:kept'/>"},
		} {
			if c.set != "" {
				expect(t, "set "+c.set, w.ask(t, "set", c.set), "<iq", "type='result'/>")
			}
			expect(t, "get "+c.get, w.ask(t, "get", c.get), "type='result'><query xmlns='jabber:iq:private'>"+c.want+"</query>")
		}
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := open(t, roomy)
		expect(t, "set", w.ask(t, "set", "<a xmlns='u:a'>1</a>"), "type='result'")
		for _, c := range []struct{ typ, content, want string }{
			{"get", "", "not-acceptable"},
			{"set", "", "not-acceptable"},
			{"get", "<a/>", "not-acceptable"},
			{"set", "<a xmlns=''>1</a>", "not-acceptable"},
			{"set", "<a xmlns='u:a'>2</a><vCard xmlns='vcard-temp'>1</vCard>", "not-acceptable"},
			{"get", "<query xmlns='jabber:iq:roster'/>", "not-acceptable"},
			{"set", "<x xmlns='http://jabber.org/protocol/muc'>1</x>", "not-acceptable"},
			{"get", "<a xmlns='u:a'/><a xmlns='u:b'/>", "bad-request"},
			{"set", "<a xmlns='u:a'>2</a><k xmlns='u:kept'>bad</k>", "bad-request"},
		} {
			expect(t, c.typ+" "+c.content, w.ask(t, c.typ, c.content), "type='error'", "<"+c.want+" ")
		}
		w.Server.Disk.Failing.Store(true)
		expect(t, "full disk", w.ask(t, "set", "<a xmlns='u:a'>2</a>"), "type='error'", "<resource-constraint ")
		w.Server.Disk.Failing.Store(false)
		expect(t, "get", w.ask(t, "get", "<a xmlns='u:a'/>"), "<a xmlns='u:a'>1</a>")
	})
}

// TestBounds: more bytes or names than may be are refused, with all that came with them; what makes less is not.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := open(t, private.Config{Bytes: 100, Elements: 2})
		long := func(name string, n int) string {
			return "<" + name + " xmlns='u:a'>" + strings.Repeat("x", n) + "</" + name + ">"
		}
		for _, c := range []struct{ set, want string }{
			{long("a", 90), "resource-constraint"},
			{long("a", 60), "type='result'"},
			{long("a", 62), "type='result'"},
			{long("b", 20), "resource-constraint"},
			{long("a", 1) + long("b", 1) + long("c", 1), "resource-constraint"},
			{long("a", 1) + long("b", 1), "type='result'"},
			{long("c", 1), "resource-constraint"},
			{long("c", 1) + "<a xmlns='u:a'/>", "type='result'"},
			{long("c", 1), "type='result'"},
		} {
			expect(t, "set "+c.set, w.ask(t, "set", c.set), c.want)
		}
		expect(t, "get", w.ask(t, "get", "<a xmlns='u:a'/><b xmlns='u:a'/><c xmlns='u:a'/>"), "<a xmlns='u:a'/>"+long("b", 1)+long("c", 1))
		m.Reload(private.New(private.Config{Bytes: 10, Elements: 2}))
		expect(t, "more than is allowed now", w.ask(t, "set", long("c", 1)), "resource-constraint")
		expect(t, "less", w.ask(t, "set", "<b xmlns='u:a'/>"), "type='result'")
	})
}

// TestAtOnce: of requests that come at the same time all count.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := open(t, private.Config{Bytes: 1000, Elements: 4})
		clients := make([]*servertest.Peer, 8)
		for i := range clients {
			clients[i] = w.Server.Client(fmt.Sprintf("a@d/%d", i))
		}
		for i, c := range clients {
			c.Try(fmt.Sprintf("<iq type='set' id='%d'><query xmlns='jabber:iq:private'><a%d xmlns='u:a'>1</a%d></query></iq>", i, i, i))
		}
		got := ""
		for _, c := range clients {
			got += strings.Join(c.Got(), "")
		}
		if strings.Count(got, "type='result'") != 4 || strings.Count(got, "<resource-constraint") != 4 {
			t.Error(got)
		}
	})
}
