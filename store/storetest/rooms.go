// SPDX-License-Identifier: Apache-2.0

package storetest

// How to read this file: testRooms is one room and all that belongs to it, what goes with a deleted account, the lists that
// people and operators read, and errors, in this order.

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var rooms = topic{
	name: "rooms",
	test: testRooms,
}

const service = "rooms.capulet.example"

var (
	cave = jid.MustParse("cave@" + service)
	dawn = time.Date(2026, 11, 27, 6, 30, 0, 123456000, time.UTC)
)

func testRooms(t *testing.T, e Engine) {
	want := func(t *testing.T, s store.Store, want store.Room) {
		t.Helper()
		got := must[store.Room](t)(s.Room(t.Context(), want.JID))
		slices.SortFunc(got.Affiliations, func(a, b store.RoomAffiliation) int {
			return strings.Compare(a.User.String(), b.User.String())
		})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	room := store.Room{
		JID: cave, Creator: user("hecate"), Created: dawn, Name: "A dark <cave>", Public: true, Config: []byte("<x/>\x00"),
	}
	affiliation := func(who, what, nick string) store.RoomAffiliation {
		return store.RoomAffiliation{User: jid.MustParse(who), Affiliation: what, Nick: nick}
	}
	t.Run("a room", func(t *testing.T) {
		s := e.open(t)
		commit(t, s, store.SetRoom{Room: room})
		want(t, s, room)
		with := room
		with.Affiliations = []store.RoomAffiliation{
			affiliation("a@x.example", "none", "only a nick"), affiliation("b@x.example", "outcast", ""),
			affiliation("x.example", "outcast", ""),
		}
		with.Affiliations[1].Reason = "treason"
		with.Extras = map[string][]byte{"subject": []byte("<message/>"), "empty": {}}
		for _, a := range with.Affiliations {
			commit(t, s, store.SetRoomAffiliation{Room: cave, Affiliation: a})
		}
		for name, value := range with.Extras {
			commit(t, s, store.SetRoomExtra{Room: cave, Name: name, Value: value})
		}
		want(t, s, with)
		with.Name, with.Public, with.Config = "", false, []byte("other")
		again := with
		again.Creator, again.Created = user("nurse"), dawn.Add(time.Hour)
		commit(t, s, store.SetRoom{Room: again}) // neither maker nor age change
		want(t, s, with)
		with.Affiliations[0].Affiliation = "admin"
		commit(t, s, store.SetRoomAffiliation{Room: cave, Affiliation: with.Affiliations[0]},
			store.SetRoomAffiliation{Room: cave, Affiliation: affiliation("x.example", "none", "")},
			store.SetRoomAffiliation{Room: cave, Affiliation: affiliation("nobody@x.example", "none", "")},
			store.SetRoomExtra{Room: cave, Name: "subject"}, store.SetRoomExtra{Room: cave, Name: "nothing"})
		with.Affiliations = with.Affiliations[:2]
		delete(with.Extras, "subject")
		s = e.reopen(t, s)
		want(t, s, with)

		commit(t, s, store.DeleteRoom{Room: cave}, store.DeleteRoom{Room: cave})
		if _, err := s.Room(t.Context(), cave); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted room: %v", err)
		}
		commit(t, s, store.SetRoom{Room: room}) // nothing of the old one comes back
		want(t, s, room)
	})
	t.Run("of a deleted account", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		juliet := store.SetRoomAffiliation{Room: cave, Affiliation: store.RoomAffiliation{User: user("juliet"), Affiliation: "owner"}}
		nurse := store.SetRoomAffiliation{Room: cave, Affiliation: store.RoomAffiliation{User: user("nurse"), Affiliation: "member"}}
		made := room
		made.Creator = user("juliet")
		commit(t, s, store.SetRoom{Room: made}, juliet, nurse)
		made.Affiliations = []store.RoomAffiliation{juliet.Affiliation, nurse.Affiliation}
		if err := outcome(t, s.Commit(store.DeleteAccount{User: user("juliet")}, create("nurse"))); !errors.Is(err, store.ErrExists) {
			t.Errorf("a call that fails: %v", err)
		}
		want(t, s, made) // nothing is lost
		commit(t, s, store.DeleteAccount{User: user("juliet")}, create("juliet"))
		made.Affiliations = made.Affiliations[1:]
		want(t, e.reopen(t, s), made) // the room stays; the new juliet is nobody there
	})
	t.Run("lists", func(t *testing.T) {
		s := e.open(t)
		for i := range 5 {
			commit(t, s, store.SetRoom{Room: store.Room{
				JID: jid.MustParse(fmt.Sprintf("r%d@%s", i, service)), Creator: user([]string{"juliet", "nurse"}[i%2]),
				Created: dawn, Name: fmt.Sprint("room ", i), Public: i != 2,
			}})
		}
		commit(t, s, store.SetRoom{Room: store.Room{JID: jid.MustParse("r9@other.example"), Creator: user("juliet"), Public: true}})
		names := func(after string, limit int) (got string) {
			for _, r := range must[[]store.RoomName](t)(s.PublicRooms(t.Context(), service, after, limit)) {
				got += fmt.Sprintf("%s=%s ", r.JID.Local(), r.Name)
			}
			return got
		}
		for _, c := range []struct {
			after string
			limit int
			want  string
		}{
			{"", 2, "r0=room 0 r1=room 1 "}, {"r1", 9, "r3=room 3 r4=room 4 "}, {"r4", 9, ""}, {"r2", 1, "r3=room 3 "},
		} {
			if got := names(c.after, c.limit); got != c.want {
				t.Errorf("%d after %q: %q, want %q", c.limit, c.after, got, c.want)
			}
		}
		if n := must[int](t)(s.RoomCount(t.Context(), service)); n != 5 {
			t.Errorf("%d rooms", n)
		}
		for who, want := range map[string]int{"juliet": 3, "nurse": 2, "romeo": 0} {
			if n := must[int](t)(s.RoomsOf(t.Context(), service, user(who))); n != want {
				t.Errorf("%d rooms of %s, want %d", n, who, want)
			}
		}
	})
	t.Run("found", func(t *testing.T) {
		s := e.open(t, "juliet")
		for i, name := range []string{"Cellar", "", "wine CELLAR", "attic"} {
			at := jid.MustParse(fmt.Sprintf("r%d@%s", i, service))
			commit(t, s, store.SetRoom{Room: store.Room{JID: at, Creator: user("nurse"), Created: dawn, Name: name, Public: i > 0}})
			for who, what := range map[string]string{"juliet@capulet.example": "owner", "x.example": "outcast", "nick@x.example": "none"} {
				if i != 3 {
					commit(t, s, store.SetRoomAffiliation{Room: at, Affiliation: affiliation(who, what, who)})
				}
			}
		}
		commit(t, s, store.SetRoomAffiliation{Room: jid.MustParse("r1@" + service), Affiliation: affiliation("b@x.example", "owner", "")},
			store.SetRoom{Room: store.Room{JID: jid.MustParse("r5@other.example"), Creator: user("juliet")}})
		find := func(q store.RoomQuery) (got string) {
			q.Service = service
			for _, r := range must[[]store.RoomEntry](t)(s.FindRooms(t.Context(), q)) {
				if r.Creator != user("nurse") || !r.Created.Equal(dawn) || r.Public != (r.JID.Local() != "r0") {
					t.Errorf("%+v", r)
				}
				got += fmt.Sprintf("%s %q %d/%d ", r.JID.Local(), r.Name, r.Owners, r.Affiliations)
			}
			return got
		}
		for _, c := range []struct {
			q    store.RoomQuery
			want string
		}{
			{store.RoomQuery{Limit: 2}, `r0 "Cellar" 1/2 r1 "" 2/3 `},
			{store.RoomQuery{After: "r1"}, `r2 "wine CELLAR" 1/2 r3 "attic" 0/0 `},
			{store.RoomQuery{After: "r3"}, ``},
			{store.RoomQuery{Find: "cellar"}, `r0 "Cellar" 1/2 r2 "wine CELLAR" 1/2 `},
			{store.RoomQuery{Find: "R3"}, `r3 "attic" 0/0 `},
			{store.RoomQuery{Find: "%"}, ``},
			{store.RoomQuery{Ownerless: true}, `r3 "attic" 0/0 `},
		} {
			if got := find(c.q); got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
		}
		commit(t, s, store.DeleteAccount{User: user("juliet")})
		if got := find(store.RoomQuery{Ownerless: true}); got != `r0 "Cellar" 0/1 r2 "wine CELLAR" 0/1 r3 "attic" 0/0 ` {
			t.Errorf("when their owner has gone: %s", got)
		}
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t)
		a := affiliation("a@x.example", "member", "")
		for i, test := range []struct {
			op   store.Op
			want error
		}{
			{store.SetRoomAffiliation{Room: cave, Affiliation: a}, store.ErrNotFound},
			{store.SetRoomExtra{Room: cave, Name: "x", Value: []byte("x")}, store.ErrNotFound},
			{store.SetRoom{Room: store.Room{JID: cave}}, store.ErrInvalid},
			{store.SetRoom{Room: store.Room{Creator: user("juliet")}}, store.ErrInvalid},
			{store.SetRoom{Room: store.Room{JID: cave, Creator: user("juliet"), Config: bytes.Repeat([]byte("x"), store.MaxOpBytes)}}, store.ErrTooLarge},
			{store.SetRoomAffiliation{Room: cave}, store.ErrInvalid},
			{store.SetRoomAffiliation{Room: cave, Affiliation: affiliation("a@x.example/r", "member", "")}, store.ErrInvalid},
			{store.SetRoomAffiliation{Room: cave, Affiliation: affiliation("a@x.example", "king", "")}, store.ErrInvalid},
			{store.SetRoomAffiliation{Affiliation: a}, store.ErrInvalid},
			{store.SetRoomExtra{Room: cave}, store.ErrInvalid},
			{store.SetRoomExtra{Name: "x"}, store.ErrInvalid},
			{store.DeleteRoom{}, store.ErrInvalid},
		} {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
			}
		}
		if _, err := s.Room(t.Context(), jid.JID{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("no room: %v", err)
		}
	})
}
