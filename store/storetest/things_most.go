// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// testThingMost: who has as many as he may claims no more, in whatever way, until he has fewer.
func testThingMost(t *testing.T, e Engine) {
	s := e.open(t, "lamp", "juliet")
	for _, node := range []string{"m1", "m2", "m3"} {
		commit(t, s, store.RegisterThing{Thing: thing("lamp", node)})
	}
	claim := func(node string, most int) store.ClaimThing {
		x := thing("lamp", node)
		return store.ClaimThing{Name: x.ThingName, Digest: x.Key, Owner: user("juliet"), At: dawn, Most: most}
	}
	refused := func(why string, ops ...store.Op) {
		t.Helper()
		if err := outcome(t, s.Commit(append([]store.Op{create("nobody")}, ops...)...)); !errors.Is(err, store.ErrOwnsMost) {
			t.Errorf("%s: %v", why, err)
		}
	}
	commit(t, s, claim("m1", 2))
	refused("two in one call", claim("m2", 2), claim("m3", 2))
	wantThing(t, s, thing("lamp", "m2")) // nor the first of them
	commit(t, s, claim("m2", 2))
	refused("one too many", claim("m3", 2))
	offered := thing("lamp", "m4")
	offered.Owner = user("romeo")
	commit(t, s, store.RegisterThing{Thing: offered},
		store.OfferThing{Name: offered.ThingName, Owner: user("romeo"), Digest: []byte("m4"), To: user("juliet"), Until: dawn.Add(time.Hour)})
	given := claim("m4", 2)
	given.Digest = []byte("m4")
	refused("one that was offered", given)
	other := claim("m3", 2)
	other.Owner = user("tybalt")
	commit(t, s, other, store.DisownThing{Name: other.Name, Owner: user("tybalt")}) // each for himself
	commit(t, s, store.DisownThing{Name: claim("m1", 2).Name, Owner: user("juliet")}, given)
	if n := must[int](t)(s.CountThings(t.Context(), store.ThingFilter{Owner: user("juliet")})); n != 2 {
		t.Errorf("%d are hers", n)
	}
	commit(t, s, store.RegisterThing{Thing: thing("lamp", "m3")}, claim("m3", 0)) // an operator's hand is not bound
}
