// SPDX-License-Identifier: Apache-2.0

package mds_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/mds"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// nodes take what is published, once they are open.
type nodes struct {
	gate chan struct{}

	mu        sync.Mutex
	published []string
	config    pubsub.Config
	pending   []*store.Pending
}

func (n *nodes) Publish(_ *server.Turn, owner jid.JID, node string, item store.Item, configure func(*pubsub.Config)) *store.Pending {
	<-n.gate
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published = append(n.published, fmt.Sprintf("%s %s %s %s", owner, node, item.ID, item.Payload))
	configure(&n.config)
	p := new(store.Pending)
	n.pending = append(n.pending, p)
	return p
}

// got takes what was published; store says that it is stored.
func (n *nodes) got() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.published = nil }()
	return n.published
}

func (n *nodes) store(err error) {
	n.mu.Lock()
	pending := n.pending
	n.pending = nil
	n.mu.Unlock()
	for _, p := range pending {
		p.Resolve(err)
	}
	synctest.Wait()
}

// observer sees what others see of what is sent.
type observer struct{ saw []string }

func (*observer) Name() string { return "observer" }

func (o *observer) Init(h *server.Host) error {
	h.OnSent(server.Handle, func(_ *server.Turn, s *stanza.Stanza) error {
		o.saw = append(o.saw, string(s.AppendContent(nil)))
		return server.Handled
	})
	return nil
}

// wire is a client.
type wire struct{ *servertest.Peer }

func (w *wire) send(t *testing.T, element string) {
	t.Helper()
	w.Feed(element)
}

// inBed gives f a session of a@d whose server runs the module.
func inBed(t *testing.T, c mds.Config, f func(t *testing.T, w *wire, n *nodes, o *observer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, o := &nodes{gate: make(chan struct{})}, new(observer)
		s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{mds.New(c, n), o} }})
		s.Account("a@d")
		f(t, &wire{s.Client("a@d/r")}, n, o)
	})
}

func displayed(id string) string {
	return "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='a@d' id='" + id + "'/></displayed>"
}

const marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"

// TestAssist: the state is published under the address of the message as it is, and nobody else sees it.
func TestAssist(t *testing.T) {
	inBed(t, mds.Config{Waiting: 10}, func(t *testing.T, w *wire, n *nodes, o *observer) {
		close(n.gate)
		for _, c := range []struct{ message, seen, published string }{
			{"<message to='b@d' type='chat'>" + marker + displayed("1") + "</message>", marker, "b@d " + displayed("1")},
			{"<message to='b@d/r'>" + displayed("2") + marker + "</message>", marker, "b@d/r " + displayed("2")},
			{"<message to='r@rooms.d' type='groupchat'>" + displayed("3") + marker + displayed("4") + "</message>", marker, "r@rooms.d " + displayed("3")},
			{"<message>" + displayed("5") + "</message>", "", "a@d " + displayed("5")},
			{"<message to='b@d' type='error'>" + displayed("6") + "</message>", "", ""},
			{"<message to='b@d'>" + marker + "</message>", marker, ""},
			{"<message to='b@d'><x xmlns='u:x'>" + displayed("7") + "</x></message>", "<x xmlns='u:x'>" + displayed("7") + "</x>", ""},
		} {
			o.saw = nil
			w.send(t, c.message)
			got := n.got()
			n.store(nil)
			want := []string{"a@d urn:xmpp:mds:displayed:0 " + c.published}
			if c.published == "" {
				want = nil
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s\npublished %s\nwant      %s", c.message, got, want)
			}
			if len(o.saw) != 1 || o.saw[0] != c.seen {
				t.Errorf("%s\nis seen as %q", c.message, o.saw)
			}
		}
		if c := n.config; !c.Persist || c.Access != pubsub.AccessWhitelist || c.MaxItems != pubsub.Max || c.SendLast != pubsub.SendNever {
			t.Errorf("the node is made %+v", c)
		}
	})
}

// TestAcked: the sender's ack waits for the disk, whose failure is no failure of the message.
func TestAcked(t *testing.T) {
	inBed(t, mds.Config{Waiting: 10}, func(t *testing.T, w *wire, n *nodes, _ *observer) {
		close(n.gate)
		w.Session.Manage(0)
		for h, err := range []error{nil, store.ErrNoSpace} {
			w.send(t, "<message to='b@d'>"+marker+displayed("1")+"</message>")
			if n.got(); w.Session.Received() != uint32(h) {
				t.Errorf("acked %d before it is stored", w.Session.Received())
			}
			n.store(err)
			if w.Session.Received() != uint32(h+1) {
				t.Errorf("acked %d, stored: %v", w.Session.Received(), err)
			}
		}
		if out := strings.Join(w.Got(), ""); strings.Contains(out, "error") {
			t.Error(out)
		}
	})
}

// TestWaiting: of one conversation the last word waits, of too many a message is refused.
func TestWaiting(t *testing.T) {
	inBed(t, mds.Config{Waiting: 2}, func(t *testing.T, w *wire, n *nodes, _ *observer) {
		w.send(t, "<message to='z@d'>"+displayed("0")+"</message>")
		synctest.Wait() // it is being published
		for i, to := range []string{"b@d", "c@d", "b@d", "e@d", "b@d"} {
			w.send(t, fmt.Sprintf("<message to='%s' id='%d'>%s</message>", to, i, displayed(fmt.Sprint(i))))
		}
		if out := strings.Join(w.Got(), ""); strings.Count(out, "type='error'") != 1 || !strings.Contains(out, "id='3'") || !strings.Contains(out, "<resource-constraint ") {
			t.Errorf("refused %s", out)
		}
		close(n.gate)
		const p = "a@d urn:xmpp:mds:displayed:0 "
		want := []string{p + "z@d " + displayed("0"), p + "b@d " + displayed("4"), p + "c@d " + displayed("1")}
		if got := n.got(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("published %s", got)
		}
		n.store(nil)
	})
}
