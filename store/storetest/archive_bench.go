// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// benchArchive measures writing, as a loop of sessions does it, and pages of an archive of a million messages.
func benchArchive(b *testing.B, e Engine) {
	b.Run("write, both sides", func(b *testing.B) { benchArchiveWrite(b, e) })
	var once sync.Once
	var s store.Store
	million := func() store.Store {
		once.Do(func() { s = fillArchive(b, e, 1_000_000) })
		return s
	}
	const first, step = 1_700_000_000_000_000, 1000
	whole := int64(1_000_000 * step)
	contact := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("contact%d@capulet.example", i)) }
	at := func() int64 { return first + rand.Int64N(whole) }
	for _, page := range []struct {
		name string
		q    func() store.ArchiveQuery
	}{
		{"first page", func() store.ArchiveQuery { return store.ArchiveQuery{} }},
		{"last page", func() store.ArchiveQuery { return store.ArchiveQuery{Backward: true} }},
		{"after", func() store.ArchiveQuery { return store.ArchiveQuery{After: at()} }},
		{"before", func() store.ArchiveQuery { return store.ArchiveQuery{Before: at(), Backward: true} }},
		{"with, last page", func() store.ArchiveQuery {
			return store.ArchiveQuery{With: contact(rand.IntN(contacts)), Backward: true}
		}},
		{"with, after", func() store.ArchiveQuery {
			return store.ArchiveQuery{With: contact(rand.IntN(contacts)), After: first + rand.Int64N(whole/2)}
		}},
		{"with, start and end", func() store.ArchiveQuery {
			return store.ArchiveQuery{With: contact(rand.IntN(contacts)), After: first + whole/4, Before: first + whole/2}
		}},
		{"with a rare one", func() store.ArchiveQuery { return store.ArchiveQuery{With: contact(contacts), Backward: true} }},
	} {
		b.Run("page of 50 of a million/"+page.name, func(b *testing.B) {
			s := million()
			var took []time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				q := page.q()
				q.Limit = 50
				start := time.Now()
				got, _, err := s.Archived(context.Background(), store.ArchiveName{JID: user("juliet")}, q)
				if err != nil || len(got) == 0 {
					b.Fatal(len(got), err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
	if s != nil {
		b.Cleanup(func() { _ = s.Close() })
	}
}

const contacts = 100

// fillArchive makes an archive of n messages with a hundred contacts, each in both archives, and ten with one more.
func fillArchive(b *testing.B, e Engine, n int) store.Store {
	s := e.Open(b)
	names := []string{"juliet"}
	for i := range contacts + 1 {
		names = append(names, fmt.Sprint("contact", i))
	}
	for _, name := range names {
		commit(b, s, store.CreateAccount{Account: store.Account{JID: user(name)}})
	}
	body := stanza()
	for i := range n {
		seq := 1_700_000_000_000_000 + 1000*int64(i)
		with := user(names[1+i%contacts])
		if i%(n/10) == 77 {
			with = user(names[1+contacts])
		}
		p := s.Commit(archived(seq, body, own(with, seq, "juliet@capulet.example"), own(user("juliet"), seq+1, with.String())))
		if i%5000 == 0 {
			wait(b, p)
		}
	}
	commit(b, s)
	return s
}

func benchArchiveWrite(b *testing.B, e Engine) {
	const people = 200
	names := make([]string, people)
	for i := range names {
		names[i] = fmt.Sprint("p", i)
	}
	s := e.open(b, names...)
	body := stanza()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		seq := 1_700_000_000_000_000 + 20*int64(i)
		from, to := user(names[i%people]), user(names[(i+7)%people])
		p := s.Commit(archived(seq, body, own(from, seq, to.String()), own(to, seq+1, from.String())))
		if i%1000 == 999 && s.Backlog().Ops > 2000 {
			wait(b, p)
		}
	}
	commit(b, s)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
