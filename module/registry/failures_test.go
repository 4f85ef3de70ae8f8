// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Who fails by more addresses than are counted keeps those of other domains from nothing, and gets no further by more of them.
func TestFailuresBeyond(t *testing.T) {
	const most = 5
	var f failures
	now := time.Now()
	mayTry := func(who string) bool { return f.count(jid.MustParse(who), now) < most }
	for i := range mostFailures + most {
		who := fmt.Sprintf("m%d@evil.example", i)
		if !mayTry(who) {
			t.Fatalf("%s may not try", who)
		}
		f.add(jid.MustParse(who), now)
	}
	if mayTry("another@evil.example") {
		t.Error("one more address of a domain that has failed by all of them may try")
	}
	for range most {
		if !mayTry("juliet@d") {
			t.Fatal("an address of another domain may not try")
		}
		f.add(jid.MustParse("juliet@d"), now)
	}
	if mayTry("juliet@d") {
		t.Error("nothing bounds who came after so many")
	}
	if now = now.Add(time.Hour); !mayTry("juliet@d") || !mayTry("another@evil.example") {
		t.Error("not in the next hour either")
	}
}
