// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"slices"

	"github.com/stonechat-im/stonechat/store"
)

// namedRows is how many messages that are asked for by their ids are read at once.
const namedRows = 16

// named returns the messages asked for by their ids that match. All must be there. bytes is 0 for no bound.
func (x *search) named(ctx context.Context, bytes int) (page []store.ArchivedMessage, err error) {
	if len(x.q.Exist) > 0 {
		if _, _, err := x.m.store.Archived(ctx, x.name, store.ArchiveQuery{Exist: x.q.Exist, Limit: 1}); err != nil {
			return nil, missing(err)
		}
	}
	slices.Sort(x.only)
	only, size := slices.Compact(x.only), 0
	if x.q.Backward {
		slices.Reverse(only)
	}
	for some := range slices.Chunk(only, namedRows) {
		rows, err := x.m.store.ArchivedRows(ctx, x.name, some)
		if err != nil {
			return nil, err
		}
		if x.q.Backward {
			slices.Reverse(rows)
		}
		for i := range rows {
			if rows[i].Seq <= x.q.After || x.q.Before > 0 && rows[i].Seq >= x.q.Before {
				continue
			}
			switch ok, err := x.with(ctx, &rows[i]); {
			case err != nil:
				return nil, err
			case !ok:
			case len(page) == x.limit || bytes > 0 && size >= bytes:
				return x.ordered(page), nil // there is another
			default:
				page = append(page, x.taken(rows[i]))
				size += len(rows[i].Stanza)
			}
		}
	}
	x.whole = true
	return x.ordered(page), nil
}

// with reports whether a row that was asked for by its id matches the other filters as well.
func (x *search) with(ctx context.Context, row *store.ArchivedMessage) (bool, error) {
	if x.q.Text != "" || !x.q.With.IsZero() {
		q := x.q
		q.Exist, q.After, q.Before, q.Backward, q.Limit = nil, row.Seq-1, row.Seq+1, false, 1
		one, _, err := x.m.store.Archived(ctx, x.name, q)
		if err != nil || len(one) == 0 {
			return false, err
		}
	}
	return x.shows(row)
}
