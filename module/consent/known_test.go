// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// What was read of a thing that was forgotten meanwhile, for lack of room, is not kept where changes of its owner's groups would not be
// heard of.
func TestForgottenWhileRead(t *testing.T) {
	owner, thing, other, romeo := jid.MustParse("owner@d"), jid.MustParse("thing@d"), jid.MustParse("other@d"), jid.MustParse("romeo@d")
	var k known
	k.init()
	read := func() *entry {
		return &entry{grouped: true, owners: owners{{}: {owner: owner}}, groups: map[jid.JID][]membership{romeo: {{owner, "Family"}}}}
	}
	k.own(owner, thing)
	if !k.put(k.turn(thing), thing, read(), 1) {
		t.Fatal("not kept")
	}
	turn := k.turn(thing)
	k.own(owner, thing) // it is read again, for somebody else
	if !k.put(k.turn(other), other, &entry{owners: owners{{}: {}}}, 1) || k.len() != 1 {
		t.Fatal("nothing was forgotten for it")
	}
	k.put(turn, thing, read(), 2)
	k.regrouped(owner, romeo)
	if s, ok := k.get(thing, nil, romeo); ok {
		t.Errorf("who has left his groups is in %v", s.groups)
	}
}
