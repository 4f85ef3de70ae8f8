// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// archive keeps messages in memory, by the node.
type archive struct {
	mu   sync.Mutex
	kept map[string][]string
	full bool
}

func (a *archive) Add(_ *server.Turn, n store.ArchiveName, _ jid.JID, s *stanza.Stanza) (string, *store.Pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full {
		return "", store.Resolved(store.ErrOverloaded)
	}
	a.kept[n.Node] = append(a.kept[n.Node], string(s.Append(nil, "")))
	return n.Node + strconv.Itoa(len(a.kept[n.Node])), store.Resolved(nil)
}

func (a *archive) Answer(*server.Turn, *server.Query, store.ArchiveName, func(*stanza.Stanza) bool) (stanza.Payload, error) {
	return nil, nil
}

func (a *archive) Forget(n store.ArchiveName) *store.Pending {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, n.Node)
	return store.Resolved(nil)
}

func (*archive) Features() []string { return []string{mam.NS} }

func (a *archive) of(node string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[node]
}

// TestArchive: a node that wants it has an archive, which is read as its items are, and goes with it.
func TestArchive(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("kept", "x-pubsub#archive", "1", "pubsub#access_model", "whitelist")
		w.node("plain")
		for _, node := range []string{"kept", "plain"} {
			w.must(w.set(romeo, subscribe(node, romeo)))
			w.must(w.set(romeo, publish(node, "a")))
		}
		if kept := w.archive.of("kept"); len(kept) != 1 || !strings.Contains(kept[0], items("kept", "a")) {
			t.Errorf("kept: %q", kept)
		}
		if kept := w.archive.of("plain"); len(kept) > 0 {
			t.Errorf("kept without being asked: %q", kept)
		}
		if got := w.got(romeo); len(got) != 2 || !strings.Contains(got[0], "<stanza-id xmlns='urn:xmpp:sid:0' id='kept1' by='pubsub.d'/>") &&
			!strings.Contains(got[0], "<stanza-id xmlns='urn:xmpp:sid:0' by='pubsub.d' id='kept1'/>") || strings.Contains(got[1], "stanza-id") {
			t.Errorf("told: %q", got)
		}
		query := func(who, node string) string {
			return w.ask(who, service, "set", "<query xmlns='"+mam.NS+"' node='"+node+"'/>")
		}
		w.want(query(romeo, "kept"), "")
		w.want(query(juliet, "kept"), "cancel not-allowed closed-node")
		w.want(query(juliet, "no"), "cancel item-not-found")
		w.want(query(juliet, ""), "modify bad-request nodeid-required")

		w.archive.mu.Lock()
		w.archive.full = true
		w.archive.mu.Unlock()
		w.want(w.set(romeo, publish("kept", "b")), "wait resource-constraint")
		w.hears(romeo)
		w.must(w.own(romeo, "set", "<delete node='kept'/>"))
		if kept := w.archive.of("kept"); len(kept) > 0 {
			t.Errorf("kept of a node that is gone: %q", kept)
		}
		if got := w.ask(juliet, service, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"); !strings.Contains(got, mam.NS) || !strings.Contains(got, ps.NS+"#publish-options") {
			t.Errorf("features: %s", got)
		}
	})
}
