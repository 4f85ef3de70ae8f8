// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: Answer is for every archive. A query is read into a search, which fetches what matches; its results
// are sent before the answer.

// usualPage is how many messages a query gets that does not say.
const usualPage = 50

// account answers what an account asks of its own archive, or of one of its nodes. Nobody else may: a stranger gets the
// service-unavailable of an account that does not exist (RFC 6121 §8.5.1).
//
// Deviation: XEP-0313 §8.1 would have strangers told forbidden, which tells them that there is such an account.
func (m *Module) account(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	if !q.Own() || q.User.Guest() {
		return nil, stanza.Forbidden.Err("")
	}
	if node := nodeOf(q); node != "" {
		if m.nodes == nil {
			return nil, stanza.ItemNotFound.Err("no such node")
		}
		return m.nodes(t, q, node)
	}
	return m.Answer(t, q, store.ArchiveName{JID: q.User.JID}, nil)
}

// nodeOf is the node that a request names.
func nodeOf(q *server.Query) string {
	if i := q.First(); i >= 0 {
		return q.Reader(i).Attr("node")
	}
	return ""
}

// Answer answers a request to an archive: for the form of a query, for messages, or for its ends. The results go to who asked,
// who must be one that may read the archive, before Answer returns. Each message is shown to see first, unless that is nil: it
// says whether the reader may see it, and may take away from it what is not for him. Who must not learn whose messages there
// are is not to be let ask 'with' (mam.ReadFilter): that is for the caller to refuse.
//
// It may wait: it is for handlers that are Blocking. XEP-0313 §4, §5
func (m *Module) Answer(t *server.Turn, q *server.Query, a store.ArchiveName, see func(s *stanza.Stanza) bool) (stanza.Payload, error) {
	ctx := context.Background()
	if q.Has(mam.NS, "metadata") {
		return m.metadata(ctx, t, q, a)
	}
	var query mam.Query
	if found, err := q.Decode(&query); err != nil || !found {
		return nil, errors.Join(err, notFound(found))
	}
	c := m.config.Load()
	if q.Type == stanza.Get {
		return &mam.Query{Node: query.Node, Form: mam.Fields(c.FullText)}, nil
	}
	x := search{m: m, name: a, see: see, limit: query.Set.Limit(min(usualPage, c.Page), c.Page), countOnly: query.Set != nil && query.Set.Max != nil && *query.Set.Max == 0}
	if err := x.read(&query, c); err != nil {
		return nil, err
	}
	if err := m.settle(ctx, t); err != nil {
		return nil, err
	}
	if err := m.burials.wait(ctx, a); err != nil {
		return nil, err
	}
	if x.countOnly {
		return x.count(ctx)
	}
	page, err := x.fetch(ctx, c)
	if errors.Is(err, store.ErrNotFound) {
		return nil, stanza.ItemNotFound.Err("")
	}
	if err != nil {
		return nil, err
	}
	fin := &mam.Fin{Complete: x.whole}
	if len(page) > 0 {
		fin.Set.First, fin.Set.Last = m.ids.id(a, page[0].Seq), m.ids.id(a, page[len(page)-1].Seq)
	}
	if x.whole && !x.paged && see == nil {
		fin.Set.Count = new(len(page))
		if len(page) > 0 {
			fin.Set.FirstIndex = new(0)
		}
	}
	m.remember(t, q, a, page)
	if query.FlipPage {
		slices.Reverse(page)
	}
	m.send(t, q, &query, a, page)
	return fin, nil
}

func notFound(found bool) error {
	if found {
		return nil
	}
	return stanza.BadRequest.Err("")
}

// settle waits until every message that has its number already can be read: M1.
func (m *Module) settle(ctx context.Context, t *server.Turn) error {
	if t != nil {
		if b := m.batches.Of(t); b != nil && b.inside {
			b.Flush(t) // of this turn itself
			m.batches.Set(t, nil)
		}
	}
	if err := m.fence.wait(ctx, m.handOver); err != nil {
		return err
	}
	if m.queued.Load() == 0 {
		return nil
	}
	return m.store.Commit().Wait(ctx)
}

// search is a query being answered.
type search struct {
	m         *Module
	name      store.ArchiveName
	see       func(*stanza.Stanza) bool
	q         store.ArchiveQuery
	only      []int64 // rows asked for by their ids; nil: all
	full      jid.JID // messages to or from this resource alone; zero: all
	limit     int
	countOnly bool
	paged     bool // it asks for the page behind or before a message
	whole     bool // nothing else matches
}

// read makes a search of a query.
func (x *search) read(query *mam.Query, c *Config) error {
	f, err := mam.ReadFilter(query.Form)
	if e, _ := stanza.AsError(err); err != nil && e.Condition == stanza.PolicyViolation || len(f.IDs) > c.QueryIDs {
		x.m.metrics.limited.WithLabelValues("query_ids").Inc()
		return stanza.PolicyViolation.Err("too many ids")
	}
	if err != nil {
		return err
	}
	if f.FullText != "" && !c.FullText {
		return stanza.FeatureNotImplemented.Err("no such filter")
	}
	if len(strings.Fields(f.FullText)) > c.QueryWords {
		x.m.metrics.limited.WithLabelValues("query_words").Inc()
		return stanza.PolicyViolation.Err("too many words")
	}
	x.q.Text, x.q.With = f.FullText, f.With.Bare()
	if f.With.IsFull() {
		x.full = f.With
		if x.q.With == x.name.JID {
			x.q.With = jid.JID{} // an occupant of the room that is asked
		}
	}
	if !f.Start.IsZero() {
		x.after(f.Start.UnixMicro() - 1)
	}
	if !f.End.IsZero() {
		x.before(f.End.UnixMicro() + 1)
	}
	if err := x.readIDs(&f); err != nil {
		return err
	}
	return x.readSet(query.Set)
}

// after and before narrow the search.
func (x *search) after(seq int64) { x.q.After = max(x.q.After, seq) }

func (x *search) before(seq int64) {
	if x.q.Before == 0 || seq < x.q.Before {
		x.q.Before = max(seq, 1)
	}
}

// row is the row of an id, which has to be there.
func (x *search) row(id string) (int64, error) {
	seq, ok := x.m.ids.seq(x.name, id)
	if !ok {
		return 0, stanza.ItemNotFound.Err("no such message in this archive")
	}
	x.q.Exist = append(x.q.Exist, seq)
	return seq, nil
}

func (x *search) readIDs(f *mam.Filter) error {
	if f.AfterID != "" {
		seq, err := x.row(f.AfterID)
		if err != nil {
			return err
		}
		x.after(seq)
	}
	if f.BeforeID != "" {
		seq, err := x.row(f.BeforeID)
		if err != nil {
			return err
		}
		x.before(seq)
	}
	for _, id := range f.IDs {
		seq, err := x.row(id)
		if err != nil {
			return err
		}
		x.only = append(x.only, seq)
	}
	if f.IDs != nil && x.only == nil {
		x.only = []int64{}
	}
	return nil
}

// readSet reads which page is wanted. XEP-0059 §2
func (x *search) readSet(set *rsm.Set) error {
	if set == nil {
		return nil
	}
	if set.Index != nil {
		return stanza.FeatureNotImplemented.Err("pages are asked for by the id of a message") // XEP-0059 §2.6
	}
	if set.After != "" {
		seq, err := x.row(set.After)
		if err != nil {
			return err
		}
		x.after(seq)
		x.paged = true
	}
	if set.Before != nil {
		x.q.Backward = true
		if *set.Before != "" {
			seq, err := x.row(*set.Before)
			if err != nil {
				return err
			}
			x.before(seq)
			x.paged = true
		}
	}
	return nil
}

// picky reports whether messages have to be looked at one by one.
func (x *search) picky() bool { return x.see != nil || !x.full.IsZero() }

// shows reports whether a message is one of those asked for, as the reader may see it; it is rewritten where see has changed
// it.
func (x *search) shows(row *store.ArchivedMessage) (bool, error) {
	if !x.picky() {
		return true, nil
	}
	s, err := stanza.Parse(row.Stanza)
	if err != nil {
		return false, fmt.Errorf("mam: message %d of %s: %w", row.Seq, x.name.JID, err)
	}
	if !x.full.IsZero() && s.From != x.full && s.To != x.full {
		return false, nil
	}
	if x.see == nil {
		return true, nil
	}
	if !x.see(s) {
		return false, nil
	}
	row.Stanza = s.Append(make([]byte, 0, s.Size()), stanza.NSClient)
	return true, nil
}

// count answers a query for nothing but how many there are. XEP-0059 §2.7
func (x *search) count(ctx context.Context) (stanza.Payload, error) {
	n := 0
	if x.picky() || x.only != nil {
		x.limit = x.m.config.Load().ScanRows
		page, err := x.all(ctx)
		if err != nil {
			return nil, err
		}
		n = len(page)
	} else {
		if _, _, err := x.m.store.Archived(ctx, x.name, store.ArchiveQuery{Exist: x.q.Exist, Limit: 1}); err != nil {
			return nil, missing(err)
		}
		var err error
		if n, _, err = x.m.store.CountArchived(ctx, x.name, x.q); err != nil {
			return nil, err
		}
	}
	return &mam.Fin{Complete: n == 0, Set: rsm.Set{Count: &n}}, nil
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return stanza.ItemNotFound.Err("no such message in this archive")
	}
	return err
}

// fetch returns a page in the order of the archive.
func (x *search) fetch(ctx context.Context, c *Config) ([]store.ArchivedMessage, error) {
	if x.only != nil {
		return x.named(ctx, int(c.PageBytes))
	}
	x.q.Bytes = int(c.PageBytes)
	if !x.picky() {
		x.q.Limit = x.limit
		page, whole, err := x.m.store.Archived(ctx, x.name, x.q)
		x.whole = whole
		return page, missing(err)
	}
	return x.scan(ctx, c.ScanRows, int(c.PageBytes))
}

// all is fetch without a bound of bytes, and without the messages themselves: for those who count.
func (x *search) all(ctx context.Context) ([]store.ArchivedMessage, error) {
	if x.only != nil {
		return x.named(ctx, 0)
	}
	return x.scan(ctx, x.limit, 0)
}

// taken is a row of a page: nothing but its number where rows are counted, of which there may be very many.
func (x *search) taken(row store.ArchivedMessage) store.ArchivedMessage {
	if x.countOnly {
		row.Stanza = nil
	}
	return row
}

// scan goes through what the store gives until the page is full. bytes is 0 for no bound.
func (x *search) scan(ctx context.Context, most, bytes int) (page []store.ArchivedMessage, err error) {
	size := 0
	q := x.q
	for seen := 0; ; {
		q.Limit = min(store.MaxPage, max(2*x.limit, 100))
		rows, whole, err := x.m.store.Archived(ctx, x.name, q)
		if err != nil {
			return nil, missing(err)
		}
		q.Exist = nil
		if x.q.Backward {
			slices.Reverse(rows)
		}
		for i := range rows {
			ok, err := x.shows(&rows[i])
			if err != nil {
				return nil, err
			}
			if ok && (len(page) == x.limit || bytes > 0 && size >= bytes) {
				return x.ordered(page), nil // there is another
			}
			if ok {
				page = append(page, x.taken(rows[i]))
				size += len(rows[i].Stanza)
			}
		}
		if whole || len(rows) == 0 {
			x.whole = true
			return x.ordered(page), nil
		}
		if seen += len(rows); seen >= most {
			if len(page) > 0 {
				return x.ordered(page), nil // it may ask on from there
			}
			x.m.metrics.scans.Inc()
			return nil, stanza.PolicyViolation.Err("too much would have to be searched: narrow the time")
		}
		last := rows[len(rows)-1].Seq
		if x.q.Backward {
			q.Before = last
		} else {
			q.After = last
		}
	}
}

func (x *search) ordered(page []store.ArchivedMessage) []store.ArchivedMessage {
	if x.q.Backward {
		slices.Reverse(page)
	}
	return page
}

// metadata answers XEP-0313 §5.
func (m *Module) metadata(ctx context.Context, t *server.Turn, q *server.Query, a store.ArchiveName) (stanza.Payload, error) {
	var ask mam.Metadata
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if err := m.settle(ctx, t); err != nil {
		return nil, err
	}
	first, last, err := m.store.ArchiveEnds(ctx, a)
	if err != nil {
		return nil, err
	}
	out := &mam.Metadata{Node: ask.Node}
	if first != 0 {
		out.Start = &mam.End{ID: m.ids.id(a, first), Timestamp: timeOf(first)}
		out.End = &mam.End{ID: m.ids.id(a, last), Timestamp: timeOf(last)}
	}
	return out, nil
}

// send sends the results. To a session of ours they go straight, to be lost with it: it would ask again.
func (m *Module) send(t *server.Turn, q *server.Query, query *mam.Query, a store.ArchiveName, page []store.ArchivedMessage) {
	to := t.Route
	if m.server.Serves(q.From.Domain()) {
		se := t.Origin
		if se == nil || se.JID != q.From {
			u, release, ok := m.server.Lookup(q.From)
			if !ok {
				return
			}
			defer release()
			if se = u.Session(q.From.Resource()); se == nil {
				return
			}
		}
		to = func(s *stanza.Stanza) { se.Send(t, s) }
	}
	mark := tag(a)
	for _, row := range page {
		s := stanza.New(stanza.Message, stanza.Normal, q.From, &mam.Result{
			QueryID: query.QueryID, ID: m.ids.tagged(mark, row.Seq),
			Forwarded: forward.Forwarded{Delay: &delay.Delay{Stamp: timeOf(row.Seq)}, Stanza: row.Stanza},
		})
		s.From = a.JID
		to(s)
	}
}
