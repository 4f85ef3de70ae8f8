// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var outgoing = topic{name: "outgoing", test: testOutgoing}

func route(from, to string) store.Route {
	return store.Route{From: jid.MustParse(from), To: jid.MustParse(to)}
}

func addOutgoing(r store.Route, id int64, stanza string) store.Op {
	at := time.UnixMicro(1_000_000_000_000_000 + id)
	return store.AddOutgoing{Route: r, Entry: store.SpoolEntry{ID: id, At: at, Stanza: []byte(stanza)}}
}

func testOutgoing(t *testing.T, e Engine) {
	a, b, back := route("a.example", "x.example"), route("b.example", "x.example"), route("a.example", "y.example")
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t)
		commit(t, s, addOutgoing(a, 1, "<message>1</message>"), addOutgoing(b, 2, "<iq/>"), addOutgoing(a, 3, "<message/>"), addOutgoing(back, 4, "<message/>"))
		check := func(s store.Store) {
			t.Helper()
			wantOutgoing(t, s, a, 1, 3)
			wantOutgoing(t, s, b, 2)
			wantOutgoing(t, s, back, 4)
			wantOutgoing(t, s, route("b.example", "y.example"))
			got := must[[]store.SpoolEntry](t)(s.Outgoing(t.Context(), a, 0, 1))
			if len(got) != 1 || string(got[0].Stanza) != "<message>1</message>" || got[0].At != time.UnixMicro(1_000_000_000_000_001).UTC() {
				t.Errorf("got %+v", got)
			}
		}
		check(s)
		check(e.reopen(t, s))
	})
	t.Run("routes", func(t *testing.T) {
		s := e.open(t)
		if got := must[[]store.RouteSize](t)(s.OutgoingRoutes(t.Context(), store.Route{}, 0)); len(got) != 0 {
			t.Errorf("routes of nothing: %v", got)
		}
		commit(t, s, addOutgoing(b, 2, "<iq/>"), addOutgoing(a, 1, "<message>1</message>"), addOutgoing(back, 4, "<message/>"), addOutgoing(a, 3, "<message/>"))
		want := []store.RouteSize{{Route: a, Entries: 2, Bytes: 30}, {Route: b, Entries: 1, Bytes: 5}, {Route: back, Entries: 1, Bytes: 10}}
		for _, limit := range []int{0, 1, 2} {
			var got []store.RouteSize
			for after := (store.Route{}); ; after = got[len(got)-1].Route {
				page := must[[]store.RouteSize](t)(s.OutgoingRoutes(t.Context(), after, limit))
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %v, want %v", limit, got, want)
			}
		}
	})
	t.Run("delete", func(t *testing.T) {
		s := e.open(t)
		commit(t, s, addOutgoing(a, 1, "1"), addOutgoing(a, 2, "2"), addOutgoing(b, 3, "3"))
		commit(t, s, store.DeleteOutgoing{Route: a, IDs: []int64{2, 3, 99}}) // 3 is not its own, 99 not there
		wantOutgoing(t, s, a, 1)
		wantOutgoing(t, s, b, 3)
		if id := must[int64](t)(s.LastOutgoingID(t.Context())); id != 3 {
			t.Errorf("last id %d, want 3", id)
		}
		commit(t, s, store.DeleteOutgoing{Route: b, IDs: []int64{3}}, store.DeleteOutgoing{Route: a, IDs: []int64{1}})
		if id := must[int64](t)(e.reopen(t, s).LastOutgoingID(t.Context())); id != 3 {
			t.Errorf("last id %d after all is gone, want 3", id)
		}
	})
	t.Run("pages", func(t *testing.T) {
		s := e.open(t)
		for i := range int64(5) {
			commit(t, s, addOutgoing(a, 10+i, strings.Repeat("x", store.MaxPageBytes/2)))
		}
		if got := must[[]store.SpoolEntry](t)(s.Outgoing(t.Context(), a, 0, 0)); len(got) != 2 {
			t.Errorf("%d entries of half a page, want 2", len(got))
		}
		wantOutgoing(t, s, a, 10, 11, 12, 13, 14)
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t)
		commit(t, s, addOutgoing(a, 5, "a"))
		for i, test := range []struct {
			op   store.Op
			want error
		}{
			{addOutgoing(a, 5, "b"), store.ErrExists},
			{addOutgoing(b, 5, "b"), store.ErrExists},
			{addOutgoing(a, 0, "b"), store.ErrInvalid},
			{addOutgoing(a, 6, ""), store.ErrInvalid},
			{addOutgoing(route("u@a.example", "x.example"), 6, "b"), store.ErrInvalid},
			{addOutgoing(store.Route{From: a.From}, 6, "b"), store.ErrInvalid},
			{addOutgoing(a, 6, string(make([]byte, store.MaxOpBytes))), store.ErrTooLarge},
			{store.DeleteOutgoing{Route: a, IDs: make([]int64, store.MaxPage+1)}, store.ErrTooLarge},
		} {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
			}
		}
		wantOutgoing(t, s, a, 5)
		if _, err := s.Outgoing(t.Context(), store.Route{}, 0, 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a route from nowhere: %v", err)
		}
	})
}

// wantOutgoing reads a route in pages and checks its ids.
func wantOutgoing(t *testing.T, s store.Store, r store.Route, ids ...int64) {
	t.Helper()
	var got []int64
	for after := int64(0); ; {
		page := must[[]store.SpoolEntry](t)(s.Outgoing(t.Context(), r, after, 2))
		if len(page) == 0 {
			break
		}
		for _, entry := range page {
			got = append(got, entry.ID)
		}
		after = got[len(got)-1]
	}
	if !slices.Equal(got, ids) {
		t.Errorf("outgoing from %s to %s: %d, want %d", r.From, r.To, got, ids)
	}
}
