// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// first makes a data folder as the first version of the store left it.
func first(t *testing.T) (folder string) {
	t.Helper()
	schema, err := os.ReadFile("testdata/first.sql")
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	c, err := openConn(filepath.Join(folder, fileName), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(string(schema)), c.close()); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestFirstVersion: what the first version of the store has written is there, and every topic is
// brought to the version of this program.
func TestFirstVersion(t *testing.T) {
	folder := first(t)
	var said strings.Builder
	s, err := Open(Options{Folder: folder, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "topic=roster from=1") {
		t.Errorf("it does not say what it does: %s", said.String())
	}
	ctx, juliet := t.Context(), jid.MustParse("juliet@capulet.example")
	if a, err := s.Account(ctx, juliet); err != nil || a.Created.Year() != 2026 || len(a.Keys) != 1 || a.Keys[0].Iterations != 4096 {
		t.Errorf("account: %+v, %v", a, err)
	}
	if r, err := s.Roster(ctx, juliet); err != nil || r.Version != 3 || len(r.Items) != 1 || r.Items[0].Name != "Romeo" || r.Items[0].Contact.Local() != "romeo" {
		t.Errorf("roster: %+v, %v", r, err)
	}
	if page, err := s.Spool(ctx, juliet, 0, 0); err != nil || len(page) != 1 || page[0].ID != 41 || string(page[0].Stanza) != "<message/>" {
		t.Errorf("spool: %+v, %v", page, err)
	}
	if id, err := s.LastSpoolID(ctx); err != nil || id != 41 {
		t.Errorf("the next of the spool follows %d, %v", id, err)
	}
	if b, err := s.Setting(ctx, "login secret"); err != nil || string(b) != "\x01\x02" {
		t.Errorf("setting: %q, %v", b, err)
	}
	if err := s.Commit(store.DeleteAccount{User: juliet}).Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(filepath.Join(folder, fileName), reading, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	want := map[string]int{}
	for _, topic := range topics {
		want[topic.name] = len(topic.migrations)
	}
	if have, err := versions(c); err != nil || !maps.Equal(have, want) {
		t.Errorf("versions %v, %v; want %v", have, err, want)
	}
}

// TestEveryVersion: from whatever version a topic has in a file, with or without those that came
// after it, this program brings the file to the same tables.
func TestEveryVersion(t *testing.T) {
	want := schema(t, topics)
	for i, topic := range topics {
		for v := range len(topic.migrations) {
			old := append([]topicAt(nil), all(topics[:i])...)
			old = append(old, topicAt{topic.name, topic.migrations[:v]})
			if got := schema(t, cut(old), topics); got != want {
				t.Errorf("from version %d of %s on the tables are\n%s\nwant\n%s", v, topic.name, got, want)
			}
		}
	}
}

type topicAt struct {
	name       string
	migrations []string
}

func all(list []topic) (at []topicAt) {
	for _, t := range list {
		at = append(at, topicAt{t.name, t.migrations})
	}
	return at
}

func cut(at []topicAt) (list []topic) {
	for _, t := range at {
		list = append(list, topic{name: t.name, migrations: t.migrations})
	}
	return list
}

// schema is what a new file has after the migrations of each program in turn.
func schema(t *testing.T, programs ...[]topic) string {
	t.Helper()
	c, err := openConn(filepath.Join(t.TempDir(), fileName), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, list := range programs {
		if err := migrate(c, list, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	b := strings.Builder{}
	err = c.each(`SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1`, nil, func(scan func(...any) error) (bool, error) {
		var line string
		err := scan(&line)
		b.WriteString(line + "\n")
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNewerIsLetAlone: a newer file is refused with words that say what to do, and stays as it is.
func TestNewerIsLetAlone(t *testing.T) {
	for _, topic := range topics {
		folder := first(t)
		path := filepath.Join(folder, fileName)
		c, err := openConn(path, writing, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.exec(`INSERT INTO topic VALUES (?, 99) ON CONFLICT DO UPDATE SET version = 99`, topic.name)
		if err := errors.Join(err, c.close()); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(Options{Folder: folder})
		if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), topic.name+" has version 99") ||
			!strings.Contains(err.Error(), "run the version that wrote it or a later one") {
			t.Errorf("%s: %v", topic.name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s: the file was changed (%v)", topic.name, err)
		}
	}
}

// TestBytesOfOlderNodes: what nodes and items count that were there before anybody counted.
func TestBytesOfOlderNodes(t *testing.T) {
	folder := t.TempDir()
	c, err := openConn(filepath.Join(folder, fileName), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	old := all(topics)
	for i := range old {
		if old[i].name == "pubsub" {
			old[i].migrations = old[i].migrations[:2]
		}
	}
	err = errors.Join(migrate(c, cut(old), slog.New(slog.DiscardHandler)), c.script(`
		INSERT INTO address (id, jid) VALUES (1, 'pubsub.d');
		INSERT INTO pubsub_node VALUES (1, 1, NULL, 'ж', 0, 'juliet@d', x'010203', 0, 0, '', 2), (2, 1, NULL, 'b', 0, 'juliet@d', x'', 0, 0, 'xmpp:é', 0);
		INSERT INTO pubsub_item VALUES (1, 1, 'я', 'romeo@d', x'0102'), (1, 2, 'b', '', NULL)`), c.close())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := s.NodeBytes(t.Context(), store.NodeMaker{At: jid.MustParse("pubsub.d"), Creator: jid.MustParse("juliet@d")})
	if want := int64(4*64 + 2 + 3 + 1 + 7 + 2 + 7 + 2 + 1); n != want || err != nil {
		t.Errorf("%d bytes (%v), want %d", n, err, want)
	}
}
