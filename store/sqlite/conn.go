// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"github.com/stonechat-im/stonechat/store"
)

// conn is one connection to the file with the statements it has prepared. Statements are constants of this package, so
// their number is bounded. Its methods run without a context that can end: interrupting a statement has broken
// connections, and what cannot be interrupted is kept short. Not for concurrent use.
type conn struct {
	path  string
	db    *sql.DB // of this one connection
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

type access string

const (
	reading access = "ro"
	writing access = "rwc"
	still   access = "still" // nobody else has the file, and nothing is made beside it
)

// busyMillis is how long a statement waits for a lock that an operator's sqlite3 shell has. We never wait for ourselves.
const busyMillis = 5000

// walLimitBytes is what the file of the write-ahead log keeps on the disk when it has once grown beyond it.
const walLimitBytes = 16 << 20

// cachedPageBytes is what a page of 4 KiB takes in memory: with what SQLite notes of it it is a little more, and the allocator
// gives the next power of two.
const cachedPageBytes = 8 << 10

func openConn(path string, a access, cacheBytes int) (*conn, error) {
	q := url.Values{"mode": {string(a)}, "_dqs": {"0"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyMillis),
		"foreign_keys(1)",
		"temp_store(MEMORY)",
		"cell_size_check(1)",
		fmt.Sprintf("cache_size(%d)", max(cacheBytes/cachedPageBytes, 1)),
	}}
	switch a {
	case still:
		q["mode"], q["immutable"] = []string{string(reading)}, []string{"1"}
	case writing:
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)",
			fmt.Sprintf("journal_size_limit(%d)", walLimitBytes))
	}
	connector, err := sqlite.NewConnector(uri(path, q))
	if err != nil {
		return nil, err
	}
	c := &conn{path: path, db: sql.OpenDB(connector), stmts: map[string]*sql.Stmt{}}
	if c.c, err = c.db.Conn(context.Background()); err != nil {
		c.db.Close()
		return nil, err
	}
	return c, nil
}

// uri names a file as SQLite wants it.
func uri(path string, q url.Values) string {
	file := filepath.ToSlash(path)
	if !strings.HasPrefix(file, "/") {
		file = "/" + file // C:/…
	}
	name := url.URL{Scheme: "file", Path: file, RawQuery: q.Encode()}
	return name.String()
}

func (c *conn) stmt(query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(context.Background(), query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// script runs the statements of a migration, which are used once.
func (c *conn) script(statements string) error {
	_, err := c.c.ExecContext(context.Background(), statements)
	return err
}

// row reads the first row of a query into dest; found is false when there is none.
func (c *conn) row(query string, args []any, dest ...any) (found bool, err error) {
	s, err := c.stmt(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls f for the rows of a query until it returns false or an error.
func (c *conn) each(query string, args []any, f func(scan func(dest ...any) error) (more bool, err error)) error {
	s, err := c.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := f(rows.Scan); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// snapshot runs f in a read transaction: all its queries see the same commit.
func (c *conn) snapshot(f func() error) error {
	if _, err := c.exec(`BEGIN`); err != nil {
		return err
	}
	err := f()
	_, end := c.exec(`ROLLBACK`) // nothing was written
	return errors.Join(err, end)
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	return errors.Join(c.c.Close(), c.db.Close())
}

// pool lends connections to readers. It is open while it holds connections: closing takes them all.
type pool struct {
	free   chan *conn
	closed chan struct{}
}

func openPool(path string, n, cacheBytes int) (*pool, error) {
	p := &pool{free: make(chan *conn, n), closed: make(chan struct{})}
	for range n {
		c, err := openConn(path, reading, cacheBytes)
		if err != nil {
			close(p.free)
			for c := range p.free {
				c.close()
			}
			return nil, err
		}
		p.free <- c
	}
	return p, nil
}

// close waits for the reads that run. It is called once.
func (p *pool) close() {
	close(p.closed)
	for _, c := range p.takeAll() {
		c.close()
	}
}

// takeAll waits for the reads that run and keeps others from beginning. Only one may do this at a time: the writer's
// goroutine, and close after its end.
func (p *pool) takeAll() []*conn {
	var all []*conn
	for range cap(p.free) {
		all = append(all, <-p.free)
	}
	return all
}

func (p *pool) give(all []*conn) {
	for _, c := range all {
		p.free <- c
	}
}

// read lends f a connection. ctx counts until then; what says what is read, for errors.
func (s *Store) read(ctx context.Context, what string, f func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sqlite: reading %s: %w", what, context.Cause(ctx))
	}
	select {
	case <-s.pool.closed:
		return fmt.Errorf("sqlite: reading %s: %w", what, store.ErrClosed)
	default:
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("sqlite: reading %s: %w", what, context.Cause(ctx))
	case <-s.pool.closed:
		return fmt.Errorf("sqlite: reading %s: %w", what, store.ErrClosed)
	case c := <-s.pool.free:
		defer func() { s.pool.free <- c }()
		if s.beforeRead != nil {
			s.beforeRead()
		}
		if err := f(c); err != nil {
			return fmt.Errorf("sqlite: reading %s: %w", what, meaning(err))
		}
		return nil
	}
}
