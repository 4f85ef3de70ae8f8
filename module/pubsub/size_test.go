// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestDeletionsDoNotCount: who deletes accounts does not have a whole service counted anew each time, as long as there is room.
func TestDeletionsDoNotCount(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("a")
		w.store.counts.Store(0)
		for i := range 5 {
			w.account("paris")
			w.must(w.set("paris@d/square", subscribe("a", "paris@d")))
			if err := w.DeleteAccount(context.Background(), jid.MustParse("paris@d"), nil); err != nil {
				t.Fatal(err)
			}
			w.must(w.set(juliet, subscribe("a", fmt.Sprint("juliet@people/", i))))
		}
		if n := w.store.counts.Load(); n != 0 {
			t.Errorf("counted %d times", n)
		}
	})
}
