// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestShared: who is subscribed to many nodes is in memory once, however long after the others a node is read.
func TestShared(t *testing.T) {
	var first *byte
	var nodes []*node
	for range 3 {
		n := &node{subscriptions: make(map[jid.JID]*subscription)}
		s := &subscription{jid: jid.MustParse("juliet@d/balcony")}
		n.put(s)
		nodes = append(nodes, n)
		for range 3 {
			runtime.GC()
		}
		at := unsafe.StringData(s.jid.String())
		if first == nil {
			first = at
		}
		if at != first {
			t.Error("the address is there once more")
		}
	}
	runtime.KeepAlive(nodes)
}
