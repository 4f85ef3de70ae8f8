// SPDX-License-Identifier: Apache-2.0

package storetest

// How to read this file: the topic and what its tests use, then the tests in the order of testArchive. The benchmarks are
// in archive_bench.go.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var archive = topic{
	name:  "archive",
	test:  testArchive,
	bench: benchArchive,
	give: func(user jid.JID) []store.Op {
		seq := time.Now().UnixNano() // numbers are never given again
		return []store.Op{
			archived(seq, "<message/>", own(user, seq, "nurse@capulet.example")),
			archived(seq+1, "<message/>", store.ArchiveRow{Archive: store.ArchiveName{JID: user, Node: "urn:x"}, Account: true, Seq: seq + 1}),
			store.SetArchivePreferences{User: user, Preferences: []byte{1}},
		}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		page, _, err := s.Archived(ctx, store.ArchiveName{JID: user}, store.ArchiveQuery{})
		node, _, again := s.Archived(ctx, store.ArchiveName{JID: user, Node: "urn:x"}, store.ArchiveQuery{})
		prefs, reading := s.ArchivePreferences(ctx, user)
		return len(page) + len(node) + len(prefs), errors.Join(err, again, reading)
	},
}

// own is a row in the archive of an account.
func own(user jid.JID, seq int64, with string) store.ArchiveRow {
	return store.ArchiveRow{Archive: store.ArchiveName{JID: user}, Account: true, Seq: seq, With: jid.MustParse(with)}
}

// archived adds a message under the number of its first row.
func archived(message int64, stanza string, rows ...store.ArchiveRow) store.Op {
	return store.AddArchived{Message: message, Stanza: []byte(stanza), Rows: rows}
}

// room is an archive that belongs to no account.
func room(name string) store.ArchiveName {
	return store.ArchiveName{JID: jid.MustParse(name + "@rooms.capulet.example")}
}

func inRoom(name string, seq int64) store.ArchiveRow {
	return store.ArchiveRow{Archive: room(name), Seq: seq}
}

func testArchive(t *testing.T, e Engine) {
	juliet, romeo := user("juliet"), user("romeo")
	of := func(j jid.JID) store.ArchiveName { return store.ArchiveName{JID: j} }
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t, "juliet", "romeo")
		commit(t, s, archived(100, "<message>a</message>", own(romeo, 100, juliet.String()), own(juliet, 101, romeo.String())))
		commit(t, s, archived(102, "<message>b</message>", own(romeo, 102, juliet.String())))
		commit(t, s, archived(102, "<message>b</message>", own(juliet, 110, romeo.String()))) // told of later
		commit(t, s, archived(120, "<message>c</message>", own(juliet, 120, "nurse@capulet.example")), archived(121, "<message>d</message>", inRoom("ball", 121)))
		check := func(s store.Store) {
			t.Helper()
			wantArchived(t, s, of(romeo), store.ArchiveQuery{}, "100 a", "102 b")
			wantArchived(t, s, of(juliet), store.ArchiveQuery{}, "101 a", "110 b", "120 c")
			wantArchived(t, s, of(juliet), store.ArchiveQuery{With: romeo}, "101 a", "110 b")
			wantArchived(t, s, of(juliet), store.ArchiveQuery{With: user("tybalt")})
			wantArchived(t, s, room("ball"), store.ArchiveQuery{}, "121 d")
			wantArchived(t, s, room("other"), store.ArchiveQuery{})
			wantArchived(t, s, store.ArchiveName{JID: juliet, Node: "urn:x"}, store.ArchiveQuery{})
		}
		check(s)
		check(e.reopen(t, s))
	})
	t.Run("the second row is told of first", func(t *testing.T) {
		s := e.open(t, "juliet", "romeo")
		commit(t, s, archived(102, "<message>b</message>", own(juliet, 110, romeo.String())))
		commit(t, s, archived(102, "<message>b</message>", own(romeo, 102, juliet.String())))
		wantArchived(t, s, of(juliet), store.ArchiveQuery{}, "110 b")
		wantArchived(t, s, of(romeo), store.ArchiveQuery{}, "102 b")
		if all := must[[]store.ArchivedMessage](t)(s.Unindexed(t.Context(), 1000, 0)); len(all) != 1 {
			t.Errorf("%d messages, want one that is shared", len(all))
		}
	})
	t.Run("pages", func(t *testing.T) { testArchivePages(t, e) })
	t.Run("rows by number", func(t *testing.T) {
		s := e.open(t, "juliet")
		commit(t, s, archived(1, "<message>a</message>", own(juliet, 1, romeo.String())), archived(2, "<message>b</message>", inRoom("ball", 2)),
			archived(3, "<message>c</message>", own(juliet, 3, romeo.String())))
		rows := must[[]store.ArchivedMessage](t)(s.ArchivedRows(t.Context(), of(juliet), []int64{3, 2, 1, 3, 9}))
		if got := texts(rows); !slices.Equal(got, []string{"1 a", "3 c"}) {
			t.Errorf("rows %q", got)
		}
		for _, test := range []struct {
			exist []int64
			want  error
		}{{[]int64{1, 3}, nil}, {[]int64{2}, store.ErrNotFound}, {[]int64{1, 9}, store.ErrNotFound}} {
			if _, _, err := s.Archived(t.Context(), of(juliet), store.ArchiveQuery{Exist: test.exist}); !errors.Is(err, test.want) {
				t.Errorf("exist %d: %v, want %v", test.exist, err, test.want)
			}
		}
		if _, _, err := s.Archived(t.Context(), room("none"), store.ArchiveQuery{Exist: []int64{1}}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a row of no archive: %v", err)
		}
	})
	t.Run("ends and counts", func(t *testing.T) {
		s := e.open(t, "juliet")
		wantEnds := func(first, last int64) {
			t.Helper()
			if f, l, err := s.ArchiveEnds(t.Context(), of(juliet)); f != first || l != last || err != nil {
				t.Errorf("ends %d, %d, %v; want %d, %d", f, l, err, first, last)
			}
		}
		wantEnds(0, 0)
		for i := int64(1); i <= 10; i++ {
			with := romeo.String()
			if i%2 == 0 {
				with = "nurse@capulet.example"
			}
			commit(t, s, archived(10*i, "<message/>", own(juliet, 10*i, with)))
		}
		wantEnds(10, 100)
		for _, test := range []struct {
			q           store.ArchiveQuery
			all, before int
		}{
			{store.ArchiveQuery{}, 10, 0},
			{store.ArchiveQuery{Index: 41}, 10, 4},
			{store.ArchiveQuery{After: 20, Before: 90}, 6, 0},
			{store.ArchiveQuery{With: romeo}, 5, 0},
			{store.ArchiveQuery{With: romeo, After: 10, Index: 70}, 4, 2},
			{store.ArchiveQuery{With: user("tybalt")}, 0, 0},
		} {
			if all, before, err := s.CountArchived(t.Context(), of(juliet), test.q); all != test.all || before != test.before || err != nil {
				t.Errorf("%+v: %d, %d before, %v; want %d, %d", test.q, all, before, err, test.all, test.before)
			}
		}
	})
	t.Run("replace", func(t *testing.T) {
		s := e.open(t, "juliet", "romeo")
		commit(t, s, archived(5, "<message>a</message>", own(romeo, 5, juliet.String()), own(juliet, 6, romeo.String())))
		commit(t, s, store.ReplaceArchived{Archive: of(juliet), Seq: 6, Stanza: []byte("<message>gone</message>")})
		wantArchived(t, s, of(juliet), store.ArchiveQuery{}, "6 gone")
		wantArchived(t, s, of(romeo), store.ArchiveQuery{}, "5 gone")
		commit(t, s, store.ReplaceArchived{Archive: of(juliet), Seq: 5, Stanza: []byte("x")}, // not hers
			store.ReplaceArchived{Archive: room("none"), Seq: 5, Stanza: []byte("x")})
		wantArchived(t, s, of(romeo), store.ArchiveQuery{}, "5 gone")
	})
	t.Run("trim", func(t *testing.T) { testTrim(t, e) })
	t.Run("forget and purge", func(t *testing.T) { testForget(t, e) })
	t.Run("numbers are never given again", func(t *testing.T) {
		s := e.open(t, "juliet")
		least := func(s store.Store, want int64) {
			t.Helper()
			if last := must[int64](t)(s.LastArchived(t.Context())); last < want || want == 0 && last != 0 {
				t.Errorf("last number %d, want %d or more", last, want)
			}
		}
		least(s, 0)
		commit(t, s, archived(7, "<message/>", inRoom("ball", 7)), archived(1<<40, "<message/>", own(juliet, 1<<40+9, "a@b")))
		least(s, 1<<40+9)
		commit(t, s, store.DeleteAccount{User: juliet})
		commit(t, s, store.PurgeArchives{Rows: 10})
		least(s, 1<<40+9)
		least(e.reopen(t, s), 1<<40+9)
	})
	t.Run("preferences", func(t *testing.T) {
		s := e.open(t, "juliet")
		want := func(want string) {
			t.Helper()
			if b := must[[]byte](t)(s.ArchivePreferences(t.Context(), juliet)); string(b) != want {
				t.Errorf("preferences %q, want %q", b, want)
			}
		}
		want("")
		commit(t, s, store.SetArchivePreferences{User: juliet, Preferences: []byte("a")})
		want("a")
		commit(t, s, store.SetArchivePreferences{User: juliet, Preferences: []byte("b")})
		want("b")
		commit(t, s, store.SetArchivePreferences{User: juliet})
		want("")
	})
	t.Run("text", func(t *testing.T) { testArchiveText(t, e) })
	t.Run("errors", func(t *testing.T) { testArchiveErrors(t, e) })
}

func testArchivePages(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	juliet, romeo := user("juliet"), user("romeo")
	name := store.ArchiveName{JID: juliet}
	var all, with []int64
	for i := int64(1); i <= 300; i++ {
		other := "nurse@capulet.example"
		if i%3 == 0 {
			other = romeo.String()
			with = append(with, 10*i)
		}
		all = append(all, 10*i)
		s.Commit(archived(10*i, "<message/>", own(juliet, 10*i, other)))
	}
	commit(t, s)
	for _, test := range []struct {
		q     store.ArchiveQuery
		want  []int64
		whole bool
	}{
		{store.ArchiveQuery{Limit: 10}, all[:10], false},
		{store.ArchiveQuery{Limit: 300}, all, true},
		{store.ArchiveQuery{Limit: 299}, all[:299], false},
		{store.ArchiveQuery{}, all, true},
		{store.ArchiveQuery{Limit: 10, Backward: true}, all[290:], false},
		{store.ArchiveQuery{Limit: 10, After: 100}, all[10:20], false},
		{store.ArchiveQuery{Limit: 10, After: 105}, all[10:20], false},
		{store.ArchiveQuery{Limit: 10, Before: 100, Backward: true}, all[:9], true},
		{store.ArchiveQuery{Limit: 5, After: 100, Before: 200, Backward: true}, all[14:19], false},
		{store.ArchiveQuery{Limit: 5, After: 3000}, nil, true},
		{store.ArchiveQuery{Limit: 10, With: romeo}, with[:10], false},
		{store.ArchiveQuery{Limit: 10, With: romeo, Backward: true}, with[90:], false},
		{store.ArchiveQuery{With: romeo, After: 1500, Before: 1800}, with[50:59], true},
		{store.ArchiveQuery{Bytes: 25}, all[:3], false},
		{store.ArchiveQuery{Bytes: 25, Backward: true}, all[297:], false},
	} {
		page, whole, err := s.Archived(t.Context(), name, test.q)
		var got []int64
		for _, m := range page {
			got = append(got, m.Seq)
		}
		if !slices.Equal(got, test.want) || whole != test.whole || err != nil {
			t.Errorf("%+v: %d, whole %v, %v; want %d, %v", test.q, got, whole, err, test.want, test.whole)
		}
	}
}

func testTrim(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "romeo")
	juliet, romeo := user("juliet"), user("romeo")
	name := store.ArchiveName{JID: juliet}
	for i := int64(1); i <= 5; i++ { // shared
		commit(t, s, archived(10*i, "<message/>", own(romeo, 10*i, juliet.String()), own(juliet, 10*i+1, romeo.String())))
	}
	info := func(want string) {
		t.Helper()
		for _, a := range must[[]store.Archive](t)(s.Archives(t.Context(), 0, 0)) {
			if a.Name != name {
				continue
			}
			if got := fmt.Sprint(a.First, a.Last, a.Messages, a.Bytes, a.Counted, a.Account); got != want {
				t.Errorf("archive %s, want %s", got, want)
			}
			return
		}
		t.Error("it is not listed")
	}
	info("11 51 0 0 0 true")
	commit(t, s, store.CountArchive{Archive: name, Before: 1000, Rows: 2})
	info("11 51 2 20 21 true")
	commit(t, s, store.CountArchive{Archive: name, Before: 41, Rows: 10})
	info("11 51 3 30 31 true")
	commit(t, s, store.TrimArchive{Archive: name, Before: 1000, Rows: 2})
	info("31 51 1 10 31 true")
	wantArchived(t, s, name, store.ArchiveQuery{}, "31 ", "41 ", "51 ")
	wantArchived(t, s, store.ArchiveName{JID: romeo}, store.ArchiveQuery{}, "10 ", "20 ", "30 ", "40 ", "50 ")
	commit(t, s, store.TrimArchive{Archive: name, Before: 41, Rows: 10})
	info("41 51 0 0 31 true")
	commit(t, s, store.TrimArchive{Archive: name, Before: 1000, Rows: 10}, store.TrimArchive{Archive: room("none"), Before: 1000, Rows: 10},
		store.CountArchive{Archive: room("none"), Before: 1000, Rows: 10})
	info("0 0 0 0 31 true")
	wantArchived(t, s, name, store.ArchiveQuery{})
	wantArchived(t, s, name, store.ArchiveQuery{With: romeo})
	wantArchived(t, s, store.ArchiveName{JID: romeo}, store.ArchiveQuery{With: juliet}, "10 ", "20 ", "30 ", "40 ", "50 ")
	commit(t, s, archived(60, "<message>again</message>", own(juliet, 60, romeo.String())))
	wantArchived(t, s, name, store.ArchiveQuery{With: romeo}, "60 again")
	commit(t, s, store.TrimArchive{Archive: store.ArchiveName{JID: romeo}, Before: 1000, Rows: 10})
	wantArchived(t, s, name, store.ArchiveQuery{With: romeo}, "60 again")
}

func testForget(t *testing.T, e Engine) {
	s := e.open(t, "juliet")
	for i := int64(1); i <= 10; i++ {
		commit(t, s, archived(i, "<message/>", inRoom("ball", i)))
	}
	commit(t, s, archived(11, "<message>here</message>", inRoom("crypt", 11)))
	forgotten := func(want int) {
		t.Helper()
		if n := must[int](t)(s.ForgottenArchives(t.Context())); n != want {
			t.Errorf("%d forgotten, want %d", n, want)
		}
	}
	forgotten(0)
	commit(t, s, store.ForgetArchive{Archive: room("ball")}, store.ForgetArchive{Archive: room("none")})
	forgotten(1)
	wantArchived(t, s, room("ball"), store.ArchiveQuery{})
	commit(t, s, archived(20, "<message>new</message>", inRoom("ball", 20)))
	wantArchived(t, s, room("ball"), store.ArchiveQuery{}, "20 new")
	for range 3 {
		commit(t, s, store.PurgeArchives{Rows: 4})
	}
	forgotten(0)
	commit(t, s, store.PurgeArchives{Rows: 4})
	wantArchived(t, s, room("ball"), store.ArchiveQuery{}, "20 new")
	wantArchived(t, s, room("crypt"), store.ArchiveQuery{}, "11 here")
	if all := must[[]store.Archive](t)(s.Archives(t.Context(), 0, 0)); len(all) != 2 {
		t.Errorf("%d archives, want 2", len(all))
	}
}

func testArchiveText(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "romeo")
	juliet, romeo := user("juliet"), user("romeo")
	of := func(j jid.JID) store.ArchiveName { return store.ArchiveName{JID: j} }
	commit(t, s, archived(10, "<message>a</message>", own(romeo, 10, juliet.String()), own(juliet, 11, romeo.String())))
	commit(t, s, archived(20, "<message>b</message>", own(romeo, 20, "nurse@capulet.example")))
	commit(t, s, archived(30, "<message>c</message>", own(juliet, 30, "nurse@capulet.example")))
	page := must[[]store.ArchivedMessage](t)(s.Unindexed(t.Context(), 30, 0))
	if got := texts(page); !slices.Equal(got, []string{"10 a", "20 b"}) {
		t.Errorf("not in the index: %q", got)
	}
	commit(t, s, store.IndexArchived{Texts: []store.ArchivedText{{Seq: 10, Text: "Thus with a kiss I die"}, {Seq: 20, Text: "the kiss of the rose"}}, UpTo: 20})
	commit(t, s, store.IndexArchived{Texts: []store.ArchivedText{{Seq: 30, Text: "Où est la rose? a1"}}, UpTo: 30})
	if page := must[[]store.ArchivedMessage](t)(s.Unindexed(t.Context(), 100, 0)); len(page) != 0 {
		t.Errorf("not in the index: %q", texts(page))
	}
	s = e.reopen(t, s)
	for _, test := range []struct {
		who  jid.JID
		q    store.ArchiveQuery
		want []string
	}{
		{romeo, store.ArchiveQuery{Text: "kiss"}, []string{"10 a", "20 b"}},
		{romeo, store.ArchiveQuery{Text: "kiss", Limit: 1}, []string{"10 a"}},
		{romeo, store.ArchiveQuery{Text: "kiss", Limit: 1, Backward: true}, []string{"20 b"}},
		{romeo, store.ArchiveQuery{Text: "kiss", After: 10}, []string{"20 b"}},
		{romeo, store.ArchiveQuery{Text: "kiss", Before: 20}, []string{"10 a"}},
		{romeo, store.ArchiveQuery{Text: "KISS rose"}, []string{"20 b"}},
		{romeo, store.ArchiveQuery{Text: "kiss", With: juliet}, []string{"10 a"}},
		{juliet, store.ArchiveQuery{Text: "kiss"}, []string{"11 a"}},
		{juliet, store.ArchiveQuery{Text: "ou"}, []string{"30 c"}},
		{juliet, store.ArchiveQuery{Text: "a1 OR kiss"}, nil},
		{juliet, store.ArchiveQuery{Text: `"kiss* body:rose (`}, nil},
		{juliet, store.ArchiveQuery{Text: "nothing"}, nil},
		{user("nobody"), store.ArchiveQuery{Text: "kiss"}, nil},
	} {
		wantArchived(t, s, of(test.who), test.q, test.want...)
		all, _, err := s.CountArchived(t.Context(), of(test.who), store.ArchiveQuery{Text: test.q.Text, With: test.q.With, After: test.q.After, Before: test.q.Before})
		if want := len(test.want); err != nil || test.q.Limit == 0 && all != want {
			t.Errorf("%+v: counted %d, %v; want %d", test.q, all, err, want)
		}
	}
	// What is told of after it is in the index is found all the same once it is looked at.
	commit(t, s, archived(20, "<message>b</message>", own(juliet, 41, romeo.String())))
	late := must[[]store.ArchivedMessage](t)(s.Unindexed(t.Context(), 100, 0))
	if got := texts(late); !slices.Equal(got, []string{"41 b"}) {
		t.Fatalf("not in the index: %q", got)
	}
	commit(t, s, store.IndexArchived{Texts: []store.ArchivedText{{Seq: 41, Text: "the kiss of the rose"}}, UpTo: 41})
	wantArchived(t, s, of(juliet), store.ArchiveQuery{Text: "kiss rose"}, "41 b")
	// A tombstone is not found by what it was, nor what was removed.
	commit(t, s, store.ReplaceArchived{Archive: of(romeo), Seq: 10, Stanza: []byte("<message/>")})
	wantArchived(t, s, of(romeo), store.ArchiveQuery{Text: "kiss"}, "20 b")
	wantArchived(t, s, of(juliet), store.ArchiveQuery{Text: "kiss"}, "41 b")
	commit(t, s, store.TrimArchive{Archive: of(romeo), Before: 100, Rows: 10})
	wantArchived(t, s, of(romeo), store.ArchiveQuery{Text: "kiss"})
}

func testArchiveErrors(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "romeo")
	juliet, romeo := user("juliet"), user("romeo")
	commit(t, s, archived(5, "<message>a</message>", own(juliet, 5, romeo.String())))
	tests := []struct {
		op   store.Op
		want error
	}{
		{archived(5, "b", own(juliet, 5, romeo.String())), store.ErrExists},
		{archived(5, "b", own(romeo, 5, juliet.String())), store.ErrExists},
		{archived(5, "b", inRoom("ball", 5)), store.ErrExists},
		{archived(4, "b", own(romeo, 4, juliet.String()), own(juliet, 5, romeo.String())), store.ErrExists},
		{archived(6, "b", own(user("nobody"), 6, "a@b")), store.ErrNotFound},
		{archived(6, "b", own(juliet, 6, "a@b"), own(user("nobody"), 7, "a@b")), store.ErrNotFound},
		{archived(6, "", own(juliet, 6, "a@b")), store.ErrInvalid},
		{archived(6, "b"), store.ErrInvalid},
		{archived(0, "b", own(juliet, 0, "a@b")), store.ErrInvalid},
		{archived(6, "b", own(juliet, 5, "a@b")), store.ErrInvalid},
		{archived(6, "b", own(juliet, 6+store.MaxArchiveSpan, "a@b")), store.ErrInvalid},
		{archived(6, "b", own(juliet, 6, "a@b/c")), store.ErrInvalid},
		{archived(6, "b", own(juliet, 6, "a@b"), own(juliet, 7, "a@b")), store.ErrInvalid},
		{archived(6, "b", own(jid.MustParse("capulet.example"), 6, "a@b")), store.ErrInvalid},
		{archived(6, "b", store.ArchiveRow{Seq: 6}), store.ErrInvalid},
		{archived(6, string(make([]byte, store.MaxOpBytes)), own(juliet, 6, "a@b")), store.ErrTooLarge},
		{store.TrimArchive{Archive: room("ball"), Before: 1, Rows: 0}, store.ErrInvalid},
		{store.CountArchive{Archive: room("ball"), Rows: store.MaxPage + 1}, store.ErrInvalid},
		{store.PurgeArchives{}, store.ErrInvalid},
		{store.ForgetArchive{}, store.ErrInvalid},
		{store.ReplaceArchived{Archive: room("ball"), Seq: 1}, store.ErrInvalid},
		{store.IndexArchived{Texts: []store.ArchivedText{{Seq: 2}}, UpTo: 1}, store.ErrInvalid},
		{store.IndexArchived{Texts: make([]store.ArchivedText, store.MaxPage+1)}, store.ErrTooLarge},
		{store.SetArchivePreferences{User: juliet, Preferences: make([]byte, 2<<20)}, store.ErrTooLarge},
		{store.SetArchivePreferences{User: user("nobody"), Preferences: []byte{1}}, store.ErrNotFound},
	}
	for i, test := range tests {
		if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
			t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
		}
	}
	wantArchived(t, s, store.ArchiveName{JID: juliet}, store.ArchiveQuery{}, "5 a")
	wantArchived(t, s, store.ArchiveName{JID: romeo}, store.ArchiveQuery{})
	if _, _, err := s.Archived(t.Context(), store.ArchiveName{}, store.ArchiveQuery{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("the archive of nobody: %v, want %v", err, store.ErrInvalid)
	}
}

// texts are rows as "number text".
func texts(rows []store.ArchivedMessage) (list []string) {
	for _, m := range rows {
		text := ""
		if b := string(m.Stanza); len(b) > len("<message></message>") {
			text = b[len("<message>") : len(b)-len("</message>")]
		}
		list = append(list, fmt.Sprint(m.Seq, " ", text))
	}
	return list
}

func wantArchived(t *testing.T, s store.Store, a store.ArchiveName, q store.ArchiveQuery, want ...string) {
	t.Helper()
	page, _, err := s.Archived(t.Context(), a, q)
	if got := texts(page); err != nil || !slices.Equal(got, want) {
		t.Errorf("archive of %s, %+v: %q, %v; want %q", a.JID, q, got, err, want)
	}
}
