// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/stonechat-im/stonechat/server/admin"
)

// book is the file with the passwords that an import has made. It is on the disk before the first
// account is asked for, so that whatever ends the program, no account has a password that nobody knows; and
// the next import reads it, and goes on with the same passwords. What others have noted there stays.
type book struct {
	file  string
	names []string // in order
	lines map[string]*noted
}

// noted is a line of the book.
type noted struct {
	password string
	result   string // pending, or an admin.Result
}

const pending = "pending"

// bookColumns are the columns of a book.
func bookColumns() []string { return []string{"name", "password", "result"} }

// openBook reads a book, if there is one.
func openBook(file string) (*book, error) {
	b := &book{file: file, lines: map[string]*noted{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	} else if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = len(bookColumns())
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 || !slices.Equal(all[0], bookColumns()) {
		return nil, fmt.Errorf("%s is not the results of an import: name another file by --results", file)
	}
	for _, l := range all[1:] {
		b.note(l[0], noted{l[1], l[2]})
	}
	return b, nil
}

func (b *book) note(name string, n noted) {
	if b.lines[name] == nil {
		b.names = append(b.names, name)
	}
	b.lines[name] = &n
}

// outcome notes what has become of an account.
func (b *book) outcome(o admin.Outcome) {
	n := b.lines[o.JID]
	if n == nil {
		return // its password was given
	}
	switch n.result = string(o.Result); o.Result {
	case admin.There:
		n.result = string(admin.Made) // by an import that did not hear of it
	case admin.Another, admin.Refused:
		n.password = ""
	}
}

// write puts the book on stable storage.
func (b *book) write() error {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(bookColumns()) // into memory
	for _, name := range b.names {
		n := b.lines[name]
		_ = w.Write([]string{name, n.password, n.result})
	}
	w.Flush()
	folder := filepath.Dir(b.file)
	f, err := os.CreateTemp(folder, "."+filepath.Base(b.file)+"-") // for the owner alone
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), b.file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncFolder(folder)
}
