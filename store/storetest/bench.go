// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// Bench measures an engine. All writes are durable; entries are stanzas of 400 bytes.
func Bench(b *testing.B, e Engine) {
	b.Run("commit/one", func(b *testing.B) { benchCommit(b, e, 1, 1) })
	b.Run("commit/64 committers", func(b *testing.B) { benchCommit(b, e, 64, 1) })
	b.Run("commit/64 committers of 3 operations", func(b *testing.B) { benchCommit(b, e, 64, 3) })
	b.Run("commit/pipelined", func(b *testing.B) { benchPipeline(b, e) })
	b.Run("spool/add and delete", func(b *testing.B) { benchAddDelete(b, e) })
	b.Run("spool/page of 50", func(b *testing.B) { benchPage(b, e, false) })
	b.Run("spool/page of 50 while writing", func(b *testing.B) { benchPage(b, e, true) })
	b.Run("account", func(b *testing.B) { benchAccount(b, e) })
	b.Run("roster of 50", func(b *testing.B) { benchRoster(b, e) })
}

const stanzaBytes = 400

var stanza = string(make([]byte, stanzaBytes))

// benchCommit: each committer waits for one call before the next.
func benchCommit(b *testing.B, e Engine, committers, opsPerCall int) {
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

func benchAccount(b *testing.B, e Engine) {
	s := e.open(b)
	const n = 1000
	for i := range n {
		a := store.Account{JID: user(fmt.Sprint("thing", i))}
		a.Keys = append(a.Keys, key("SCRAM-SHA-1", 1), key("SCRAM-SHA-256", 2), key("SCRAM-SHA-512", 3))
		s.Commit(store.CreateAccount{Account: a})
	}
	commit(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := s.Account(context.Background(), user(fmt.Sprint("thing", i%n))); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRoster(b *testing.B, e Engine) {
	s := e.open(b, "juliet")
	for i := range int64(50) {
		item := store.RosterItem{Contact: contact(fmt.Sprint("thing", i)), Name: "a thing", Groups: []string{"Things"}, Version: i}
		s.Commit(store.SetRosterItem{User: user("juliet"), Item: item})
	}
	commit(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, _, err := s.Roster(context.Background(), user("juliet")); err != nil {
			b.Fatal(err)
		}
	}
}
