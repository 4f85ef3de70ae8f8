// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// How to read this file: disk follows what a trace does to one folder; image makes that folder as a loss of power at
// some place in the trace could leave it.
//
// The model is the strictest that a file system may follow: what a sync that had begun after it covers, and that has
// returned, is there; everything else may be there or not, in any selection, the latest write to a file in part. That
// holds for the contents of files (fsync or fdatasync of the file) and for their names (fsync of the folder). A file
// whose name is not synced may be gone, synced or not.

// disk is the history of a folder.
type disk struct {
	root  string
	files []*diskFile
	names []nameOp          // in order
	at    map[string]int    // path to file, as it is now
	syncs map[string][]span // of folders
}

type span struct{ start, end int }

// diskFile is one file, whatever its name.
type diskFile struct {
	ops   []fileOp
	syncs []span
}

// fileOp is a write, or a truncation where data is nil.
type fileOp struct {
	span
	at   int64
	data []byte
}

// nameOp gives a name to a file, or takes it away where file is -1. A renaming is both, in one step.
type nameOp struct {
	span
	path, from string
	file       int
}

// readDisk follows the calls of a trace in a folder that did not exist before.
func readDisk(calls []*call, root string) (*disk, error) {
	d := &disk{root: root, at: map[string]int{}, syncs: map[string][]span{}}
	for _, c := range calls {
		if c.failed {
			continue
		}
		if err := d.take(c); err != nil {
			return nil, fmt.Errorf("line %d: %s(%.100s): %w", c.start+1, c.name, strings.Join(c.args, ", "), err)
		}
	}
	return d, nil
}

// path is a path inside of the folder, or not.
func (d *disk) path(p string) (string, bool) {
	if p != d.root && !strings.HasPrefix(p, d.root+"/") || strings.Contains(p, "(deleted)") {
		return "", false
	}
	return strings.TrimPrefix(strings.TrimPrefix(p, d.root), "/"), true
}

// shared is SQLite's index of its log, which is in memory that processes share and made anew after a crash.
func shared(path string) bool { return strings.HasSuffix(path, "-shm") }

func (d *disk) take(c *call) error {
	at := span{c.start, c.end}
	switch c.name {
	case "open", "openat":
		name := 0
		if c.name == "openat" {
			name = 1 // behind the folder
		}
		flags := c.args[name+1]
		p, ok := d.path(string(c.bytes(name)))
		if !ok || !strings.Contains(flags, "O_CREAT") && !strings.Contains(flags, "O_TRUNC") {
			return nil
		}
		n, known := d.at[p]
		if !known {
			n = len(d.files)
			d.files = append(d.files, &diskFile{})
			d.at[p] = n
			d.names = append(d.names, nameOp{span: at, path: p, file: n})
		}
		if strings.Contains(flags, "O_TRUNC") {
			d.files[n].ops = append(d.files[n].ops, fileOp{span: at})
		}
		return nil
	case "rename", "renameat", "renameat2", "unlink", "unlinkat":
		return d.rename(c, at)
	case "mmap":
		if p, ok := d.path(c.file(4)); ok && !shared(p) && strings.Contains(c.args[3], "MAP_SHARED") && strings.Contains(c.args[2], "PROT_WRITE") {
			return errors.New("a file is written through memory: the trace does not show it")
		}
		return nil
	case "read", "mkdir", "mkdirat", "rmdir":
		return nil
	}
	p, ok := d.path(c.file(0))
	if !ok {
		return nil
	}
	n, known := d.at[p]
	if !known {
		if c.name == "fsync" || c.name == "fdatasync" {
			d.syncs[p] = append(d.syncs[p], at)
			return nil
		}
		return errors.New("a file whose making was not seen")
	}
	f := d.files[n]
	switch c.name {
	case "fsync", "fdatasync":
		f.syncs = append(f.syncs, at)
	case "pwrite64":
		f.ops = append(f.ops, fileOp{at, c.number(3), c.bytes(1)[:c.ret]})
	case "write":
		f.ops = append(f.ops, fileOp{at, f.size(), c.bytes(1)[:c.ret]}) // ours write files from their beginning to their end
	case "ftruncate":
		f.ops = append(f.ops, fileOp{span: at, at: c.number(1)})
	default:
		return errors.New("not understood")
	}
	return nil
}

func (d *disk) rename(c *call, at span) error {
	var paths []string
	for i := range c.args {
		if strings.HasPrefix(c.args[i], `"`) {
			paths = append(paths, string(c.bytes(i)))
		}
	}
	from, ok := d.path(paths[0])
	if !ok {
		return nil
	}
	n, known := d.at[from]
	delete(d.at, from)
	if len(paths) == 1 {
		if known {
			d.names = append(d.names, nameOp{span: at, path: from, file: -1})
		}
		return nil
	}
	to, ok := d.path(paths[1])
	switch {
	case !known:
		return nil // a socket: no file
	case !ok:
		return fmt.Errorf("%s is moved out", from)
	}
	d.at[to] = n
	d.names = append(d.names, nameOp{span: at, path: to, from: from, file: n})
	return nil
}

// size is the file's with all that was written.
func (f *diskFile) size() (n int64) {
	for _, op := range f.ops {
		if op.data == nil {
			n = op.at
		} else {
			n = max(n, op.at+int64(len(op.data)))
		}
	}
	return n
}

// fate says what becomes of what was not synced.
type fate struct {
	name string
	r    *rand.Rand
	keep float64 // the chance of each to be there
	torn bool    // the latest write to a file may be there in part
}

func (f fate) keeps() bool { return f.r.Float64() < f.keep }

// durable says whether one of the syncs covers what was done at s, at that place in the trace.
func durable(s span, syncs []span, place int) bool {
	for _, y := range syncs {
		if y.start > s.end && y.end < place {
			return true
		}
	}
	return false
}

// image writes the folder to dir as it could be if the power had gone before the line place.
func (d *disk) image(dir string, place int, f fate) error {
	names := map[string]int{}
	for _, op := range d.names {
		if op.start >= place {
			break
		}
		if !durable(op.span, d.syncs[parent(op.path)], place) && !f.keeps() {
			continue
		}
		if op.from != "" && names[op.from] == op.file {
			delete(names, op.from)
		}
		if op.file < 0 {
			delete(names, op.path)
		} else {
			names[op.path] = op.file
		}
	}
	for path, n := range names {
		content := d.files[n].content(place, f)
		if shared(path) {
			content = make([]byte, 32<<10)
			for i := range content {
				content[i] = byte(f.r.Uint32())
			}
		}
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}

// content is the file's.
func (f *diskFile) content(place int, fate fate) (b []byte) {
	var there []fileOp
	floating := -1 // the latest that was kept by chance
	for _, op := range f.ops {
		if op.start >= place {
			break
		}
		if durable(op.span, f.syncs, place) {
			there = append(there, op)
		} else if fate.keeps() {
			floating = len(there)
			there = append(there, op)
		}
	}
	for i, op := range there {
		data := op.data
		if i == floating && fate.torn && len(data) > 0 {
			data = data[:fate.r.IntN(len(data))]
		}
		if op.data == nil {
			b = resize(b, op.at)
			continue
		}
		if end := op.at + int64(len(data)); end > int64(len(b)) {
			b = resize(b, end)
		}
		copy(b[op.at:], data)
	}
	return b
}

func resize(b []byte, n int64) []byte {
	if int64(len(b)) >= n {
		return b[:n:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}
