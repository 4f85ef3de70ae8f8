// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestRestored: of a file that is put back every roster looks new, whatever version somebody has seen.
func TestRestored(t *testing.T) {
	now := time.UnixMilli(2_000_000_000_000)
	for _, c := range []struct {
		name    string
		folder  func(*testing.T) string
		version map[string]int64 // of each account's roster
	}{
		{"of this program", func(t *testing.T) string {
			folder := t.TempDir()
			s, err := Open(Options{Folder: folder})
			if err != nil {
				t.Fatal(err)
			}
			var ops []store.Op
			for name, version := range map[string]int64{"juliet": 5, "romeo": now.UnixMilli() + 7, "nurse": 0} {
				user := jid.MustParse(name + "@capulet.example")
				ops = append(ops, store.CreateAccount{Account: store.Account{JID: user}})
				if version > 0 {
					ops = append(ops, store.SetRosterItem{User: user, Item: store.RosterItem{Contact: user, Version: version}})
				}
			}
			if err := errors.Join(s.Commit(ops...).Wait(t.Context()), s.Close()); err != nil {
				t.Fatal(err)
			}
			return folder
		}, map[string]int64{"juliet": now.UnixMilli(), "romeo": now.UnixMilli() + 8, "nurse": 0}},
		{"of the first one", first, map[string]int64{"juliet": now.UnixMilli()}},
	} {
		folder := c.folder(t)
		if err := Restored(filepath.Join(folder, fileName), now); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if left, err := filepath.Glob(filepath.Join(folder, fileName+"-*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left beside it: %v, %v", c.name, left, err)
		}
		s, err := Open(Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range c.version {
			r, err := s.Roster(t.Context(), jid.MustParse(name+"@capulet.example"))
			if err != nil || r.Version != want || r.Removed != want || len(r.Items) != int(min(want, 1)) {
				t.Errorf("%s: roster of %s %+v, %v; want version %d", c.name, name, r, err, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	damaged := filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restored(damaged, now); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}
