// SPDX-License-Identifier: Apache-2.0

package presence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/presence"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// owner is a roster of so many things.
type owner struct {
	contacts
	things int
}

func (o owner) Each(*server.User) (list []store.RosterItem) {
	for i := range o.things {
		list = append(list, store.RosterItem{Contact: jid.MustParse(fmt.Sprintf("t%d@things", i)), Subscription: store.SubscriptionTo})
	}
	return list
}

// Who sees more than limits.fanout_copies comes all the same, and each of those whom he sees is asked once, in order.
func TestSeesMany(t *testing.T) {
	for _, things := range []int{99, 100, 999, 1000, 2500, 5001} {
		t.Run(fmt.Sprint(things), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := server.DefaultLimits()
				l.FanoutCopies = 1500
				s := servertest.Start(t, servertest.Options{Limits: &l, Modules: func() []server.Module {
					return []server.Module{presence.New(presence.Config{Directed: 10, RequestBytes: 1000}, 0, owner{things: things})}
				}})
				at := new(place)
				if _, err := s.Attach("things", at); err != nil {
					t.Fatal(err)
				}
				s.Account("juliet@d")
				juliet := s.Client("juliet@d/j")
				juliet.Send("<presence/>")
				if juliet.Stream.Aborted() {
					t.Error("the stream was dropped")
				}
				var asked, want []string
				for _, x := range at.got {
					_, x, _ = strings.Cut(x, " to='")
					x, _, _ = strings.Cut(x, "'")
					asked = append(asked, x)
				}
				for i := range things {
					want = append(want, fmt.Sprintf("t%d@things", i))
				}
				if !slices.Equal(asked, want) {
					t.Errorf("%d are asked, of %d", len(asked), len(want))
				}
			})
		})
	}
}
