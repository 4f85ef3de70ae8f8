// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

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

// TestRosterBeforeRemoved: of a file from before there was the column nothing is known of removals.
func TestRosterBeforeRemoved(t *testing.T) {
	c, err := openConn(filepath.Join(t.TempDir(), "file"), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	before := roster
	before.migrations = before.migrations[:1]
	if err := migrate(c, []topic{addresses, accounts, before}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := c.script(`INSERT INTO account VALUES (1, 'd', 'alice', 0, 0);
		INSERT INTO roster (account, version) VALUES (1, 7)`); err != nil {
		t.Fatal(err)
	}
	if err := migrate(c, []topic{addresses, accounts, roster}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	var version, removed int
	if _, err := c.row(`SELECT version, removed FROM roster`, nil, &version, &removed); err != nil || version != 7 || removed != 7 {
		t.Errorf("version %d, removed %d, %v", version, removed, err)
	}
}
