// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"log/slog"
)

// TestArchivePlans: a page of an archive is read in the order of an index, without sorting and without going through what is
// not asked for.
func TestArchivePlans(t *testing.T) {
	c, err := openConn(filepath.Join(t.TempDir(), fileName), writing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := migrate(c, topics, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	const (
		rows    = "SEARCH r USING PRIMARY KEY (archive=? AND seq>? AND seq<?)"
		peers   = "SEARCH r USING COVERING INDEX archive_row_peer (peer=? AND seq>? AND seq<?)"
		message = "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"
	)
	for query, want := range map[string][]string{
		pageOfArchive + ` LIMIT ?4`:            {rows, message},
		pageOfArchive + backward + ` LIMIT ?4`: {rows, message},
		pageOfPeer + ` LIMIT ?4`:               {peers, message},
		pageOfPeer + backward + ` LIMIT ?4`:    {peers, message},
		countOfArchive:                         {"SEARCH archive_row USING PRIMARY KEY (archive=? AND seq>? AND seq<?)"},
		countOfPeer:                            {"SEARCH archive_row USING COVERING INDEX archive_row_peer (peer=? AND seq>? AND seq<?)"},
		pageOfText:                             {"SCAN t VIRTUAL TABLE INDEX", rows, message},
		pageOfText + backward:                  {"SCAN t VIRTUAL TABLE INDEX", rows, message},
	} {
		var plan []string
		err := c.each(`EXPLAIN QUERY PLAN `+query, []any{1, 2, 3, "x", 5, 6}[:highest(query)],
			func(scan func(...any) error) (bool, error) {
				var id, parent, unused int
				var detail string
				err := scan(&id, &parent, &unused, &detail)
				plan = append(plan, detail)
				return true, err
			})
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		ok := len(plan) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = strings.HasPrefix(plan[i], want[i])
		}
		if !ok {
			t.Errorf("%s:\n%s\nwant:\n%s", query, strings.Join(plan, "\n"), strings.Join(want, "\n"))
		}
	}
}

// highest is the greatest number of a parameter.
func highest(query string) (n int) {
	for i, r := range query {
		if r == '?' && i+1 < len(query) {
			n = max(n, int(query[i+1]-'0'))
		}
	}
	return n
}
