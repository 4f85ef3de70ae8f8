// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
)

func TestMigrations(t *testing.T) {
	c, err := openConn(filepath.Join(t.TempDir(), "file"), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	list := func(a, b []string) []topic { return []topic{{name: "a", migrations: a}, {name: "b", migrations: b}} }
	const (
		makeA  = `CREATE TABLE a (x); INSERT INTO a VALUES (1)`
		makeB  = `CREATE TABLE b (x REFERENCES a)`
		moreA  = `ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1`
		mistak = `CREATE TABLE b2 (x); SELECT nonsense`
	)
	steps := []struct {
		name  string
		list  []topic
		fails string
		a, b  int // versions afterwards
	}{
		{"new", list([]string{makeA}, nil), "", 1, 0},
		{"again", list([]string{makeA}, nil), "", 1, 0},
		{"another topic", list([]string{makeA}, []string{makeB}), "", 1, 1},
		{"a failure undoes all", list([]string{makeA, moreA}, []string{makeB, mistak}), "b from version 1 to 2", 1, 1},
		{"next version", list([]string{makeA, moreA}, []string{makeB}), "", 2, 1},
		{"without a topic", list([]string{makeA, moreA}, nil)[:1], "", 2, 1},
	}
	for _, step := range steps {
		err := migrate(c, step.list, slog.New(slog.DiscardHandler))
		if step.fails == "" && err != nil || step.fails != "" && (err == nil || !strings.Contains(err.Error(), step.fails)) {
			t.Fatalf("%s: %v, want %q", step.name, err, step.fails)
		}
		have, err := versions(c)
		if err != nil || have["a"] != step.a || have["b"] != step.b {
			t.Errorf("%s: versions %v, %v; want a %d, b %d", step.name, have, err, step.a, step.b)
		}
	}
	var y int
	if _, err := c.row(`SELECT y FROM a`, nil, &y); err != nil || y != 2 {
		t.Errorf("what a migration has written: %d, %v", y, err)
	}
	if err := checkVersions(c, list([]string{makeA}, []string{makeB})); !errors.Is(err, store.ErrNewer) {
		t.Errorf("an older program: %v, want %v", err, store.ErrNewer)
	}
}

func TestTopicsHaveDistinctNames(t *testing.T) {
	seen := map[string]bool{}
	for _, topic := range topics {
		if topic.name == "" || seen[topic.name] || len(topic.migrations) == 0 {
			t.Errorf("topic %q: no name, named twice or without tables", topic.name)
		}
		seen[topic.name] = true
	}
}
