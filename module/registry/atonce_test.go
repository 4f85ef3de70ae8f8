// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// However many claims of one owner are under way at one time, and from wherever, he has no more than he may.
func TestClaimsAtOnce(t *testing.T) {
	const most, sessions = 3, 12
	code := func(i int) string { return fmt.Sprintf("<str name='KEY' value='secret-%02d'/>", i) }
	begin := func(t *testing.T) (b *bed, claimants []*servertest.Peer) {
		b = start(t, func(c *registry.Config) { c.ThingsPerOwner = most })
		for i := range sessions {
			asks(b.peer(fmt.Sprintf("lamp%d@d/l", i)), "set", register(code(i)), ok)
		}
		for i := range sessions {
			claimants = append(claimants, b.peer(fmt.Sprintf("juliet@d/%d", i)))
		}
		return b, claimants
	}
	owns := func(b *bed) int {
		b.T.Helper()
		n, err := b.Disk.CountThings(b.T.Context(), store.ThingFilter{Owner: jid.MustParse("juliet@d")})
		if err != nil {
			b.T.Fatal(err)
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		b, claimants := begin(t)
		var wait sync.WaitGroup
		for i, p := range claimants {
			wait.Go(func() { p.Feed("<iq type='set' id='1' to='things.d'>" + mine(code(i)) + "</iq>") })
		}
		wait.Wait()
		synctest.Wait()
		if n := owns(b); n != most {
			t.Errorf("%d things are hers", n)
		}
		claimed, refused := 0, 0
		for _, p := range claimants {
			switch got := strings.Join(p.Got(), ""); {
			case strings.Contains(got, "<claimed"):
				claimed++
			case strings.Contains(got, "<resource-constraint"):
				refused++
			}
		}
		if claimed != most || refused != sessions-most {
			t.Errorf("%d are claimed, %d refused", claimed, refused)
		}
		if !b.Counts(fmt.Sprintf("stonechat_registry_limited_total{key=%q} %d", "things_per_owner", refused)) {
			t.Error("what was refused is not counted")
		}
	})
	// Others are committed between the look at how many there are and the commit of one that would be one too many.
	synctest.Test(t, func(t *testing.T) {
		b, claimants := begin(t)
		b.relating = func() {
			for i := range most {
				x := b.kept(fmt.Sprintf("lamp%d@d", i), "")
				if err := b.Disk.Commit(store.ClaimThing{Name: x.ThingName, Digest: x.Key, Owner: jid.MustParse("juliet@d"), At: time.Now()}).Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		asks(claimants[0], "set", mine(code(most)), "type='error'.*resource-constraint")
		if n := owns(b); n != most || !b.kept(fmt.Sprintf("lamp%d@d", most), "").Owner.IsZero() {
			t.Errorf("%d things are hers", n)
		}
	})
}
