// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// How to read this file: Run is the module's own work, in slices that hold up nobody else's commits for long.

const (
	sliceRows   = 200 // removed or counted in one commit: a few milliseconds
	sliceGap    = 20 * time.Millisecond
	indexEvery  = 2 * time.Second
	retainEvery = 10 * time.Minute
	settled     = time.Minute // a row of that age is on the disk, and so are all before it
)

// Run implements server.Runner.
func (m *Module) Run(ctx context.Context) error {
	var retractions sync.WaitGroup
	retractions.Go(func() { m.buryAll(ctx) })
	defer retractions.Wait()
	index, retain := time.NewTicker(indexEvery), time.NewTicker(retainEvery)
	defer index.Stop()
	defer retain.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-index.C:
			if err := m.index(ctx, time.Now()); err != nil && ctx.Err() == nil {
				m.log.Error("texts of archived messages not indexed", "err", err)
			}
		case <-retain.C:
			if err := m.retain(ctx, time.Now()); err != nil && ctx.Err() == nil {
				m.log.Error("archived messages that are too old or too many not removed", "err", err)
			}
		}
	}
}

// rest lets others write.
func rest(ctx context.Context) error {
	timer := time.NewTimer(sliceGap)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// slice commits one slice of work.
func (m *Module) slice(ctx context.Context, op store.Op) error {
	if err := m.store.Commit(op).Wait(ctx); err != nil {
		return err
	}
	return rest(ctx)
}

// retain goes through all archives and removes what is too old or too much, always from the oldest end.
func (m *Module) retain(ctx context.Context, now time.Time) error {
	for after := int64(0); ; {
		page, err := m.store.Archives(ctx, after, 100)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			after = page[i].ID
			if err := m.retainOne(ctx, page[i], now); err != nil {
				return err
			}
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
	for {
		n, err := m.store.ForgottenArchives(ctx)
		if err != nil || n == 0 {
			return err
		}
		if err := m.slice(ctx, store.PurgeArchives{Rows: sliceRows}); err != nil {
			return err
		}
	}
}

// retainOne does it for one archive.
func (m *Module) retainOne(ctx context.Context, a store.Archive, now time.Time) error {
	c := m.config.Load()
	age, messages, bytes := c.Age.D(), int(c.Messages), int64(c.Bytes)
	if !a.Account || a.Name.Node != "" {
		age, messages, bytes = c.RoomAge.D(), int(c.RoomMessages), int64(c.RoomBytes)
	}
	until := now.Add(-settled).UnixMicro()
	for a.Last > a.Counted && a.Counted < until {
		before := a.Counted
		if err := m.slice(ctx, store.CountArchive{Archive: a.Name, Before: until, Rows: store.MaxPage}); err != nil {
			return err
		}
		if again, err := m.again(ctx, a); err != nil || again.ID != a.ID || again.Counted == before {
			if err != nil || again.ID != a.ID {
				return err
			}
			break
		} else {
			a = again
		}
	}
	oldest := int64(0) // what is before it goes
	if age > 0 {
		oldest = now.Add(-age).UnixMicro()
	}
	for a.First != 0 {
		rows, before := sliceRows, oldest
		tooMany, tooMuch := messages > 0 && a.Messages > messages, bytes > 0 && a.Bytes > bytes
		if tooMany || tooMuch {
			before = max(before, a.Counted+1)
		}
		if a.First >= oldest { // not for its age
			switch {
			case tooMany:
				rows = min(rows, a.Messages-messages)
			case tooMuch: // about as many as are too much
				rows = min(rows, max(1, int((a.Bytes-bytes)/(a.Bytes/int64(a.Messages)+1))))
			default:
				return nil
			}
		}
		if err := m.slice(ctx, store.TrimArchive{Archive: a.Name, Before: before, Rows: rows}); err != nil {
			return err
		}
		again, err := m.again(ctx, a)
		if err != nil || again.ID != a.ID || again.First == a.First {
			return err
		}
		m.metrics.removed.Add(float64(max(a.Messages-again.Messages, 0)))
		a = again
	}
	return nil
}

// again reads an archive anew.
func (m *Module) again(ctx context.Context, a store.Archive) (store.Archive, error) {
	page, err := m.store.Archives(ctx, a.ID-1, 1)
	if err != nil || len(page) == 0 {
		return store.Archive{}, err
	}
	return page[0], nil
}
