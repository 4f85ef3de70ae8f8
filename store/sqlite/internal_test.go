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
	"github.com/stonechat-im/stonechat/xmpp/jid"
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

// TestAddressesAreReleased: an address is kept while somebody has it, and no longer.
func TestAddressesAreReleased(t *testing.T) {
	s, err := Open(Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	juliet, nurse := jid.MustParse("juliet@capulet.example"), jid.MustParse("nurse@capulet.example")
	contact := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("c%d@montague.example", i)) }
	set := func(user jid.JID, i int) store.Op {
		return store.SetRosterItem{User: user, Item: store.RosterItem{Contact: contact(i), Version: 1}}
	}
	remove := func(user jid.JID, i int) store.Op {
		return store.DeleteRosterItem{User: user, Contact: contact(i), Version: 2}
	}
	for i, step := range []struct {
		ops       []store.Op
		addresses int
	}{
		{[]store.Op{store.CreateAccount{Account: store.Account{JID: juliet}}, store.CreateAccount{Account: store.Account{JID: nurse}}}, 0},
		{[]store.Op{set(juliet, 1), set(juliet, 2), set(nurse, 2), set(nurse, 3)}, 3},
		{[]store.Op{remove(juliet, 1)}, 2},
		{[]store.Op{remove(juliet, 2)}, 2},
		{[]store.Op{set(juliet, 2), set(juliet, 4), remove(juliet, 9)}, 3},
		{[]store.Op{store.DeleteAccount{User: juliet}}, 2},
		{[]store.Op{store.DeleteAccount{User: nurse}}, 0},
	} {
		if err := s.Commit(step.ops...).Wait(t.Context()); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		n := 0
		err := s.read(t.Context(), "addresses", func(c *conn) error {
			_, err := c.row(`SELECT count(*) FROM address`, nil, &n)
			return err
		})
		if err != nil || n != step.addresses {
			t.Errorf("step %d: %d addresses, %v; want %d", i, n, err, step.addresses)
		}
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
