// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read it: the topic and what its tests use, then the tests in the order of testSpool, then the benchmarks
// in the order of benchSpool.

var spool = topic{
	name:  "spool",
	test:  testSpool,
	bench: benchSpool,
	give: func(user jid.JID) []store.Op {
		h := fnv.New32() // ids are unique among the users
		h.Write([]byte(user.String()))
		id := 2*int64(h.Sum32()) + 1
		return []store.Op{add(user, id, "<message>1</message>"), add(user, id+1, "<message>2</message>")}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		n, bytes, err := s.SpoolSize(ctx, user)
		page, reading := s.Spool(ctx, user, 0, 0)
		return n + int(bytes) + len(page), errors.Join(err, reading)
	},
}

func add(user jid.JID, id int64, stanza string) store.Op {
	at := time.UnixMicro(1_000_000_000_000_000 + id)
	return store.AddSpool{User: user, Entry: store.SpoolEntry{ID: id, At: at, Stanza: []byte(stanza)}}
}

func testSpool(t *testing.T, e Engine) {
	juliet, nurse := user("juliet"), user("nurse")
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		commit(t, s, add(juliet, 10, "<message>a</message>"), add(nurse, 11, "<message/>"), add(juliet, 12, "<iq/>"))
		check := func(s store.Store) {
			t.Helper()
			wantSpool(t, s, juliet, 10, 12)
			wantSpool(t, s, nurse, 11)
			wantSpool(t, s, user("nobody"))
			page := must[[]store.SpoolEntry](t)(s.Spool(t.Context(), juliet, 0, 1))
			if len(page) != 1 {
				t.Fatalf("a page of %d entries, want 1", len(page))
			}
			want := store.SpoolEntry{ID: 10, At: time.UnixMicro(1_000_000_000_000_010).UTC(), Stanza: []byte("<message>a</message>")}
			if got := page[0]; got.ID != want.ID || got.At != want.At || !bytes.Equal(got.Stanza, want.Stanza) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if n, size, err := s.SpoolSize(t.Context(), juliet); n != 2 || size != 25 || err != nil {
				t.Errorf("size %d entries, %d bytes, %v; want 2, 25", n, size, err)
			}
			if n, size, err := s.SpoolSize(t.Context(), user("nobody")); n != 0 || size != 0 || err != nil {
				t.Errorf("size of nothing: %d entries, %d bytes, %v", n, size, err)
			}
		}
		check(s)
		check(e.reopen(t, s))
	})
	t.Run("delete", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		commit(t, s, add(juliet, 1, "a"), add(juliet, 2, "b"), add(nurse, 3, "c"), add(juliet, 4, "d"))
		commit(t, s, store.DeleteSpool{User: juliet, IDs: []int64{1, 3, 4, 99}}) // 3 is not hers, 99 not there
		wantSpool(t, s, juliet, 2)
		wantSpool(t, s, nurse, 3)
		commit(t, s, store.DeleteSpool{User: juliet}, store.DeleteSpool{User: user("nobody"), IDs: []int64{2}})
		wantSpool(t, s, juliet, 2)
	})
	t.Run("ids are never given again", func(t *testing.T) {
		s := e.open(t, "juliet")
		wantLast := func(s store.Store, want int64) {
			t.Helper()
			if got := must[int64](t)(s.LastSpoolID(t.Context())); got != want {
				t.Errorf("last id %d, want %d", got, want)
			}
		}
		wantLast(s, 0)
		commit(t, s, add(juliet, 7, "a"), add(juliet, 1<<40, "b"))
		wantLast(s, 1<<40)
		commit(t, s, store.DeleteSpool{User: juliet, IDs: []int64{1 << 40}})
		wantLast(s, 1<<40)
		s = e.reopen(t, s)
		wantLast(s, 1<<40)
		commit(t, s, store.DeleteAccount{User: juliet})
		wantLast(s, 1<<40)
		wantLast(e.reopen(t, s), 1<<40)
	})
	t.Run("pages", func(t *testing.T) { testSpoolPages(t, e) })
	t.Run("errors", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		commit(t, s, add(juliet, 5, "a"))
		tests := []struct {
			op   store.Op
			want error
		}{
			{add(user("nobody"), 6, "a"), store.ErrNotFound},
			{add(juliet, 5, "b"), store.ErrExists},
			{add(nurse, 5, "b"), store.ErrExists},
			{add(juliet, 0, "b"), store.ErrInvalid},
			{add(juliet, 6, ""), store.ErrInvalid},
			{add(jid.MustParse("capulet.example"), 6, "b"), store.ErrInvalid},
			{add(juliet, 6, string(make([]byte, store.MaxOpBytes))), store.ErrTooLarge},
			{store.DeleteSpool{User: juliet, IDs: make([]int64, store.MaxPage+1)}, store.ErrTooLarge},
		}
		for i, test := range tests {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
			}
		}
		wantSpool(t, s, juliet, 5)
		if _, err := s.Spool(t.Context(), jid.JID{}, 0, 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("spool of nobody: %v, want %v", err, store.ErrInvalid)
		}
	})
}

func testSpoolPages(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	juliet := user("juliet")
	var ids []int64
	for i := range int64(2500) {
		s.Commit(add(juliet, 10+3*i, "<message/>"))
		ids = append(ids, 10+3*i)
	}
	commit(t, s)
	page := func(after int64, limit int) []store.SpoolEntry {
		t.Helper()
		return must[[]store.SpoolEntry](t)(s.Spool(t.Context(), juliet, after, limit))
	}
	for _, test := range []struct {
		after       int64
		limit, want int
	}{{0, 10, 10}, {0, 0, store.MaxPage}, {0, -1, store.MaxPage}, {0, 2000, store.MaxPage}, {ids[2499], 10, 0}, {ids[2497], 10, 2}} {
		if got := page(test.after, test.limit); len(got) != test.want {
			t.Errorf("after %d, limit %d: %d entries, want %d", test.after, test.limit, len(got), test.want)
		}
	}
	wantSpool(t, s, juliet, ids...)
	if got := page(11, 1); got[0].ID != 13 { // after an id that is not there
		t.Errorf("after 11: %d, want 13", got[0].ID)
	}

	// Large entries: a page ends when it is large enough, and has one entry at least.
	for i := range int64(10) {
		commit(t, s, add(juliet, 100_000+i, string(make([]byte, store.MaxPageBytes/4))))
	}
	commit(t, s, add(juliet, 200_000, string(make([]byte, 3*store.MaxPageBytes))))
	if got := page(99_999, 0); len(got) != 4 {
		t.Errorf("%d entries of a quarter of a page, want 4", len(got))
	}
	if got := page(100_009, 0); len(got) != 1 || len(got[0].Stanza) != 3*store.MaxPageBytes {
		t.Errorf("%d entries, want the one that is larger than a page", len(got))
	}
}

// wantSpool reads a spool in pages and checks its ids.
func wantSpool(t *testing.T, s store.Store, user jid.JID, ids ...int64) {
	t.Helper()
	var got []int64
	for after := int64(0); ; {
		page := must[[]store.SpoolEntry](t)(s.Spool(t.Context(), user, after, 100))
		if len(page) == 0 {
			break
		}
		for _, entry := range page {
			got = append(got, entry.ID)
		}
		after = got[len(got)-1]
	}
	if !slices.Equal(got, ids) {
		t.Errorf("spool of %s: %d, want %d", user, got, ids)
	}
}

// benchSpool measures commits too, because entries of the spool are what a server writes most. They have 400 bytes.
func benchSpool(b *testing.B, e Engine) {
	b.Run("commit", func(b *testing.B) { benchCommit(b, e, 1, 1) })
	b.Run("commit by 64", func(b *testing.B) { benchCommit(b, e, 64, 1) })
	b.Run("commit of 3 by 64", func(b *testing.B) { benchCommit(b, e, 64, 3) })
	b.Run("pipelined", func(b *testing.B) { benchPipeline(b, e) })
	b.Run("add and delete", func(b *testing.B) { benchAddDelete(b, e) })
	b.Run("page of 50", func(b *testing.B) { benchPage(b, e, false) })
	b.Run("page of 50 while writing", func(b *testing.B) { benchPage(b, e, true) })
}

func stanza() string { return strings.Repeat("x", 400) }

// benchCommit: each committer waits for one call before the next.
func benchCommit(b *testing.B, e Engine, committers, opsPerCall int) {
	stanza := stanza()
	s := e.open(b, "juliet")
	var next atomic.Int64
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range committers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				ops := make([]store.Op, opsPerCall)
				for i := range ops {
					ops[i] = add(user("juliet"), next.Add(1), stanza)
				}
				if err := s.Commit(ops...).Wait(context.Background()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// benchPipeline: one committer that does not wait, as a loop of sessions; it holds back at 10,000 operations.
func benchPipeline(b *testing.B, e Engine) {
	stanza := stanza()
	s := e.open(b, "juliet")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p := s.Commit(add(user("juliet"), int64(i+1), stanza))
		if i%1000 == 999 && s.Backlog().Ops > 10_000 {
			wait(b, p)
		}
	}
	commit(b, s)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// benchAddDelete: the way of a stanza that is spooled and then received.
func benchAddDelete(b *testing.B, e Engine) {
	stanza := stanza()
	s := e.open(b, "juliet")
	juliet := user("juliet")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		id := int64(i + 1)
		s.Commit(add(juliet, id, stanza))
		if id > 500 {
			s.Commit(store.DeleteSpool{User: juliet, IDs: []int64{id - 500}})
		}
		if i%1000 == 999 && s.Backlog().Ops > 10_000 {
			commit(b, s)
		}
	}
	commit(b, s)
}

func benchPage(b *testing.B, e Engine, writing bool) {
	stanza := stanza()
	s := e.open(b, "juliet", "nurse")
	const entries = 20_000
	for i := range int64(entries) {
		who := "juliet"
		if i%2 == 0 {
			who = "nurse"
		}
		s.Commit(add(user(who), i+1, stanza))
	}
	commit(b, s)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	if writing {
		writer.Go(func() {
			for id := int64(entries + 1); ; id++ {
				select {
				case <-stop:
					return
				default:
				}
				if p := s.Commit(add(user("nurse"), id, stanza)); id%64 == 0 {
					p.Wait(context.Background())
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	var slowest time.Duration
	for i := range b.N {
		start := time.Now()
		page, err := s.Spool(context.Background(), user("juliet"), int64(i*100%entries/2), 50)
		if err != nil || len(page) != 50 {
			b.Fatal(len(page), err)
		}
		slowest = max(slowest, time.Since(start))
	}
	b.StopTimer()
	b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
	close(stop)
	writer.Wait()
}
