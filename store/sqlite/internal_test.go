// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
)

func TestIDs(t *testing.T) {
	c := newIDs()
	want := func(key string, id int64) {
		t.Helper()
		if got, ok := c.get(key); got != id || ok != (id != 0) {
			t.Errorf("%s is %d, %v; want %d", key, got, ok, id)
		}
	}
	c.put("a", 1)
	c.settle()
	c.put("b", 2)
	mark := len(c.learned)
	c.put("c", 3)
	c.unlearn(mark)
	want("a", 1)
	want("b", 2)
	want("c", 0)
	c.unlearn(0)
	want("a", 1)
	want("b", 0)
	c.forget("a")
	want("a", 0)
}

func TestIDsAreBounded(t *testing.T) {
	c := newIDs()
	c.put("often", 1)
	long := strings.Repeat("x", 3000)
	for i := range int64(5000) {
		c.put(fmt.Sprint(i, long), i+2)
		c.settle()
		if _, ok := c.get("often"); !ok {
			t.Fatalf("what is used all the time was forgotten after %d others", i)
		}
		if n := len(c.young) + len(c.old); n*len(long) > 2*idsBytes+4*len(long) {
			t.Fatalf("%d addresses of %d bytes are remembered", n, len(long))
		}
	}
	if _, ok := c.get("0" + long); ok {
		t.Error("the oldest is still remembered")
	}
	c.put("new", 1)
	c.unlearn(0)
	if _, ok := c.get("new"); ok {
		t.Error("what was undone is remembered")
	}
}

// TestReadWaitsItsTurn: while all connections are lent, a read waits for one, for its context or for Close.
func TestReadWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{pool: &pool{free: make(chan *conn, 1), closed: make(chan struct{})}}
		read := func(ctx context.Context) chan error {
			result := make(chan error, 1)
			go func() { result <- s.read(ctx, "something", func(*conn) error { return nil }) }()
			synctest.Wait() // it waits
			return result
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := read(ctx)
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while it waited: %v", err)
		}
		second, third := read(t.Context()), read(t.Context())
		s.pool.free <- nil
		for _, err := range []error{<-second, <-third} {
			if err != nil {
				t.Errorf("a connection was free: %v", err)
			}
		}
		<-s.pool.free
		fourth := read(t.Context())
		close(s.pool.closed)
		if err := <-fourth; !errors.Is(err, store.ErrClosed) {
			t.Errorf("closed while it waited: %v", err)
		}
	})
}

// What a page takes in memory is reckoned for pages of 4 KiB.
func TestCache(t *testing.T) {
	s, err := Open(Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range readers {
		var pages, size int
		err := s.read(context.Background(), "the cache", func(c *conn) error {
			if _, err := c.row(`PRAGMA page_size`, nil, &size); err != nil {
				return err
			}
			_, err := c.row(`PRAGMA cache_size`, nil, &pages)
			return err
		})
		if err != nil || size != 4096 || pages != 128 {
			t.Errorf("a reader keeps %d pages of %d bytes, %v; want 128 of 4096", pages, size, err)
		}
	}
}
