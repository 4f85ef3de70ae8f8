// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: TestPowerCut records a load, picks places in the trace, and at each rebuilds the data folder in
// several ways (disk_test.go). What had been acknowledged at that place must be in it (missing), unless its receiver had
// it. Most images are opened through package store, some by the whole server.

const (
	cutPlaces = 140
	cutServes = 6 // of them
)

func TestPowerCut(t *testing.T) {
	c := newChance(t)
	calls, folder := record(t, func(s *server) { tracedLoad(t, c, s, 1500) })
	root := filepath.Join(folder, "data")
	d, err := readDisk(calls, root)
	if err != nil {
		t.Fatal(err)
	}
	if !followed(t, d, root) {
		return
	}
	moved, logged, last := 0, 0, lastAck(calls)
	for _, c := range calls {
		if c.name == "pwrite64" && c.start < last && strings.HasSuffix(c.file(0), ".db") {
			moved++
		}
		if c.name == "pwrite64" && strings.HasSuffix(c.file(0), "-wal") {
			logged++
		}
	}
	t.Logf("%d writes to the log, %d pages moved from it to the file under load", logged, moved)
	if moved < 300 {
		t.Errorf("only %d pages moved from the log to the file under load: checkpoints are not tried", moved)
	}
	all := streams(calls)
	v, promises := collectEvidence(calls, all), collectPromises(all)
	for _, kind := range []string{"a.", "b.", "c.", "g.", "i.", "k.", "p.", "x.", "r.", "n."} {
		if !slices.ContainsFunc(promises, func(p promise) bool { return strings.HasPrefix(p.what, kind) }) {
			t.Errorf("nothing was promised of kind %q", kind)
		}
	}
	r := c.of("places")
	images, served, checked := 0, 0, 0
	at := places(calls, d, r.IntN, cutPlaces)
	for i, place := range at {
		due := owed(v, promises, place)
		for _, f := range []fate{
			{name: "nothing that was not synced"},
			{name: "all that was not synced", keep: 1},
			{name: "half of what was not synced", keep: 0.5, torn: true},
			{name: "most of what was not synced", keep: 0.9, torn: true},
		} {
			f.r = c.of("fate", place, f.name)
			dir := fastFolder(t)
			if err := d.image(filepath.Join(dir, "data"), place, f); err != nil {
				t.Fatal(err)
			}
			images++
			checked += len(due)
			if err := missing(t.Context(), filepath.Join(dir, "data"), due); err != nil {
				t.Errorf("power lost before line %d of the trace, and there is %s: %v", place+1, f.name, err)
			}
			if i%(cutPlaces/cutServes) == 0 && f.torn && f.keep == 0.5 && len(due) > 0 {
				served++
				if err := serveImage(t, dir, due); err != nil {
					t.Errorf("served after power lost before line %d: %v", place+1, err)
				}
			}
			_ = os.RemoveAll(dir)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d images of %d places in %d calls: %d promises found kept, %d images served", images, len(at), len(calls), checked, served)
	if checked < 1000 || served == 0 || len(at) < 100 {
		t.Errorf("too few to prove anything")
	}
	lossy(t, c, d, v, promises)
}

// lastAck is the place of the last call that wrote to a client: checkpoints behind it are those of the end.
func lastAck(calls []*call) (place int) {
	for _, c := range calls {
		if c.name == "write" && strings.HasPrefix(c.file(0), "socket:") {
			place = c.start
		}
	}
	return place
}

// lossy shows that the check can fail: a disk that forgets its syncs loses what was promised. It looks right behind promises, until
// it has seen that: what a lying sync was for is there again behind the next one.
func lossy(t *testing.T, c chance, d *disk, v evidence, promises []promise) {
	t.Helper()
	for _, f := range d.files {
		for i := range f.syncs {
			if i%2 == 1 {
				f.syncs[i].end = math.MaxInt // it lies: nothing is on the disk when it returns
			}
		}
		f.syncs = slices.DeleteFunc(f.syncs, func(s span) bool { return s.end == math.MaxInt })
	}
	const enough = 5
	r := c.of("lossy")
	found, looked := 0, 0
	for ; found < enough && looked < 200; looked++ {
		place := promises[r.IntN(len(promises))].place + 1
		dir := fastFolder(t)
		if err := d.image(filepath.Join(dir, "data"), place, fate{r: r}); err != nil {
			t.Fatal(err)
		}
		if missing(t.Context(), filepath.Join(dir, "data"), owed(v, promises, place)) != nil {
			found++
		}
		_ = os.RemoveAll(dir)
	}
	if found < enough {
		t.Error("a disk of which every second sync lies passes: the check is blind")
	}
	t.Logf("a disk of which every second sync lies is found out at %d of %d places", found, looked)
}

// followed compares what the trace says with the folder as it is in the end.
func followed(t *testing.T, d *disk, root string) bool {
	t.Helper()
	dir := fastFolder(t)
	if err := d.image(dir, math.MaxInt, fate{keep: 1, r: chance{}.of()}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || shared(p) {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		is, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(dir, rel))
		if err != nil {
			return err
		}
		if string(is) != string(got) {
			return fmt.Errorf("%s has %d bytes, rebuilt from the trace %d, or others", rel, len(is), len(got))
		}
		return nil
	})
	if err != nil {
		t.Errorf("the trace does not tell all: %v", err)
	}
	return err == nil
}

// fastFolder is in memory where there is such a place: images are looked at once.
func fastFolder(t *testing.T) string {
	t.Helper()
	where := "/dev/shm"
	if _, err := os.Stat(where); err != nil {
		where = ""
	}
	dir, err := os.MkdirTemp(where, "stonechat-image")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// places picks n places of a trace, ascending: before and behind what happens to files, and behind what is written to
// sockets, as many around each kind of call.
func places(calls []*call, d *disk, intn func(int) int, n int) []int {
	kinds := map[string][]int{}
	ready := 0 // nothing is promised before the first connection
	for _, c := range calls {
		file := c.file(0)
		_, ours := d.path(file)
		switch {
		case strings.HasPrefix(file, "socket:") && c.name == "write" && !c.failed:
			ready = max(ready, 1)
			kinds["answer"] = append(kinds["answer"], c.end+1)
		case ours && ready > 0 && !shared(file):
			kind := c.name + " " + filepath.Ext(file)
			kinds[kind] = append(kinds[kind], c.start, c.end, c.end+1)
		}
	}
	names := slices.Sorted(maps.Keys(kinds))
	picked := map[int]bool{}
	for tries := 0; len(picked) < n && tries < 100*n; tries++ {
		at := kinds[names[intn(len(names))]]
		picked[at[intn(len(at))]] = true
	}
	return slices.Sorted(maps.Keys(picked))
}

// owed is what had been promised at that place and was with no receiver.
func owed(v evidence, promises []promise, place int) (due []string) {
	for _, p := range promises {
		if p.place >= place {
			continue
		}
		gone := false
		for _, w := range []why{acked, left} {
			at, ok := v[p.what][w]
			gone = gone || ok && at < place
		}
		if !gone {
			due = append(due, p.what)
		}
	}
	return due
}

// missing looks for all of due in a data folder.
func missing(ctx context.Context, dir string, due []string) error {
	st, err := sqlite.Open(sqlite.Options{Folder: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return err
	}
	found, err := findAll(ctx, st, due)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	for _, m := range due {
		if !found[m] {
			return fmt.Errorf("%s is missing, one of %d", m, len(due))
		}
	}
	return nil
}

// findAll reads what accounts have: messages that wait, contacts, and the accounts themselves.
func findAll(ctx context.Context, st store.Store, due []string) (map[string]bool, error) {
	found := map[string]bool{}
	spools := map[string]bool{}
	for _, m := range due {
		if found[m] {
			continue
		}
		f := strings.Split(m, ".")
		switch f[0] {
		case "a", "b", "c", "g", "i", "k", "p", "x":
			if err := findState(ctx, st, f[0], jid.MustParse(f[1]+"@"+domain), found); err != nil {
				return nil, err
			}
		case "n":
			user, err := jid.New("_"+m+"_", domain, "")
			if err != nil {
				return nil, err
			}
			if _, err := st.Account(ctx, user); err == nil {
				found[m] = true
			}
		case "r":
			kept, err := st.Roster(ctx, jid.MustParse(f[1]+"@"+domain))
			if err != nil {
				return nil, err
			}
			for _, it := range kept.Items {
				for _, mark := range marked([]byte(it.Name)) {
					found[mark] = true
				}
			}
		default:
			spools[f[1]] = true
		}
	}
	for user := range spools {
		for after := int64(0); ; {
			page, err := st.Spool(ctx, jid.MustParse(user+"@"+domain), after, 0)
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				after = e.ID
				for _, mark := range marked(e.Stanza) {
					found[mark] = true
				}
			}
		}
	}
	return found, nil
}

// findState reads what rooms, nodes and accounts keep, of one kind; see tracedState.
func findState(ctx context.Context, st store.Store, kind string, user jid.JID, found map[string]bool) error {
	see := func(b []byte) {
		for _, m := range marked(b) {
			found[m] = true
		}
	}
	switch kind {
	case "a", "c":
		room, err := st.Room(ctx, jid.MustParse("traced@"+rooms))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		see(room.Config)
		for _, a := range room.Affiliations {
			see([]byte(a.User.String()))
		}
	case "b", "i":
		node := store.NodeName{JID: user, Node: bookmark}
		if kind == "i" {
			node = store.NodeName{JID: jid.MustParse(pubsub), Node: "traced"}
		}
		items, err := st.Items(ctx, node, store.ItemQuery{Limit: store.MaxPage})
		if err != nil {
			return err
		}
		for _, i := range items {
			see(i.Payload)
		}
	case "x":
		names, err := st.PrivateSizes(ctx, user)
		if err != nil {
			return err
		}
		for name := range names {
			b, err := st.Private(ctx, user, name)
			if err != nil {
				return err
			}
			see(b)
		}
	case "p":
		b, err := st.ArchivePreferences(ctx, user)
		if err != nil {
			return err
		}
		see(b)
	case "g", "k":
		if kind == "g" {
			user = jid.MustParse("said@" + rooms)
		}
		for after := int64(0); ; {
			page, _, err := st.Archived(ctx, store.ArchiveName{JID: user}, store.ArchiveQuery{After: after, Limit: store.MaxPage})
			if err != nil {
				return err
			}
			for _, m := range page {
				after = m.Seq
				see(m.Stanza)
			}
			if len(page) == 0 {
				return nil
			}
		}
	}
	return nil
}

// serveImage lets the whole server run on an image, and the receivers log in.
func serveImage(t *testing.T, dir string, due []string) error {
	srv, err := start(options{program: checked.MustPath(t), folder: dir})
	if err != nil {
		return err
	}
	defer srv.Kill()
	found := map[string]bool{}
	receivers := map[string]bool{}
	for _, m := range due {
		switch f := strings.Split(m, "."); f[0] {
		case "a", "b", "c", "g", "i", "k", "p", "x": // findState has looked
			found[m] = true
		case "n":
			if err := register(srv.plain, false, "_"+m+"_"); errors.Is(err, errTaken) {
				found[m] = true
			}
		case "r":
			s := newSession(f[1], "look", habits{})
			if _, err := s.connect(srv); err != nil {
				return err
			}
			names, err := s.roster()
			if err != nil {
				return err
			}
			for _, name := range names {
				for _, mark := range marked([]byte(name)) {
					found[mark] = true
				}
			}
			s.drop()
		default:
			receivers[f[1]] = true
		}
	}
	for name := range receivers {
		s := newSession(name, "look", habits{managed: true, ackEvery: 10})
		s.taken = func(m message, delayed bool) {
			found[fmt.Sprintf("%s.%s.%d", m.from, m.to, m.n)] = true
		}
		if _, err := s.connect(srv); err != nil {
			return err
		}
		if err := s.available(); err != nil {
			return err
		}
		if err := s.drained(); err != nil {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
	}
	for _, m := range due {
		if !found[m] {
			return fmt.Errorf("%s is missing, one of %d", m, len(due))
		}
	}
	return srv.terminate()
}
