// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Backup.Run makes a folder that appears whole or not at all; what it holds
// is listed in its manifest, by which restore.go judges it before it believes it.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store/sqlite"
)

// Backup copies what a server keeps, while it runs or not.
type Backup struct {
	operator
	Folder string `arg:"" help:"The backup: a folder that is not there yet."`
	JSON   bool   `name:"json" help:"Print what the backup holds as JSON."`
}

// The parts of a backup.
const (
	manifestName = "backup.json"
	backupData   = "data"           // what was in the data folder
	backupConfig = "stonechat.yaml" // the configuration, where one was given
	backupFormat = 1
)

// manifest says what a backup holds.
type manifest struct {
	Format  int          `json:"format"`
	Program string       `json:"program"` // that made it
	Time    time.Time    `json:"time"`    // when it was begun: all that was acknowledged before is in it
	Files   []backupFile `json:"files"`
}

type backupFile struct {
	Name   string `json:"name"` // below the folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Help says what a person asks next.
func (Backup) Help() string {
	return `The folder appears when the backup is whole. It holds the secrets of the server:
keep it as you keep them. Run this as the user that the server runs as.

  stonechat backup -c stonechat.yaml /var/backups/stonechat/$(date +%F)

"stonechat restore" puts it back.`
}

// Run implements the command.
func (b Backup) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	data, err := b.folder()
	if err != nil {
		return err
	}
	m, err := b.make(ctx, data)
	if err != nil {
		return b.advise(data, err)
	}
	if b.JSON {
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	all := int64(0)
	for _, f := range m.Files {
		all += f.Bytes
	}
	fmt.Printf("%s: %d files, %s, as of %s\n", b.Folder, len(m.Files), bytesText(all), m.Time.Local().Format(time.DateTime))
	return nil
}

func (b Backup) make(ctx context.Context, data string) (m manifest, err error) {
	if _, err := os.Lstat(b.Folder); err == nil {
		return m, fmt.Errorf("%s is there already: name a folder that is not", b.Folder)
	}
	if err := outside(data, b.Folder); err != nil {
		return m, err
	}
	parent := filepath.Dir(filepath.Clean(b.Folder))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return m, err
	}
	part, err := os.MkdirTemp(parent, filepath.Base(b.Folder)+".part-")
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	m = manifest{Format: backupFormat, Program: "stonechat " + buildVersion(), Time: time.Now().UTC()}
	if err := os.Mkdir(filepath.Join(part, backupData), 0o700); err != nil {
		return m, err
	}
	database := filepath.Join(part, backupData, sqlite.FileName)
	p := newProgress("copying")
	err = sqlite.Backup(ctx, data, database, p.tell)
	p.end()
	if err != nil {
		return m, err
	}
	if err := sqlite.Verify(database); err != nil {
		return m, fmt.Errorf("the copy is damaged, so the data is too: %w", err)
	}
	if err := m.add(part, backupData+"/"+sqlite.FileName); err != nil {
		return m, err
	}
	if err := m.copyFolder(ctx, data, part); err != nil {
		return m, err
	}
	if b.Config != "" {
		if err := m.copyConfig(b.Config, part); err != nil {
			return m, err
		}
	}
	if err := m.write(part); err != nil {
		return m, err
	}
	if err := os.Rename(part, b.Folder); err != nil {
		return m, err
	}
	return m, syncFolder(parent)
}

// outside refuses a backup within what it is of.
func outside(data, folder string) error {
	from, err1 := filepath.Abs(data)
	to, err2 := filepath.Abs(folder)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if rel, err := filepath.Rel(from, to); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%s is in the data folder itself: name a folder elsewhere, best on another disk", folder)
	}
	return nil
}

// transient reports whether a file of the data folder is of use only while the server runs, or is
// the store, which is copied in a way of its own.
func transient(name string) bool {
	return name == sqlite.FileName || sqlite.Transient(name) ||
		strings.HasPrefix(name, "admin.") || strings.HasPrefix(name, "admin-") || name == restorePart
}

// copyFolder copies the other files of the data folder: certificates made here, and what parts of
// the server keep beside the store. Nothing outside of the folder is read, whatever links say.
func (m *manifest) copyFolder(ctx context.Context, data, part string) error {
	root, err := os.OpenRoot(data)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only read
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		to := filepath.Join(part, backupData, filepath.FromSlash(name))
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case name == ".":
			return nil
		case transient(name) && e.IsDir():
			return fs.SkipDir
		case transient(name):
			return nil
		case e.IsDir():
			return os.Mkdir(to, 0o700)
		case !e.Type().IsRegular():
			fmt.Fprintf(os.Stderr, "left out, because it is not a plain file: %s\n", filepath.Join(data, name))
			return nil
		}
		from, err := root.Open(name)
		if err != nil {
			return err
		}
		return m.copy(from, part, backupData+"/"+name)
	})
}

func (m *manifest) copyConfig(name, part string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	return m.copy(from, part, backupConfig)
}

// copy copies an open file, which it closes, and lists it.
func (m *manifest) copy(from fs.File, part, name string) error {
	n, sum, err := copyFile(from, filepath.Join(part, filepath.FromSlash(name)))
	if err == nil {
		m.Files = append(m.Files, backupFile{name, n, sum})
	}
	return err
}

// add lists a file that is there.
func (m *manifest) add(part, name string) error {
	f, err := os.Open(filepath.Join(part, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil {
		m.Files = append(m.Files, backupFile{name, n, hex.EncodeToString(h.Sum(nil))})
	}
	return err
}

// write ends a backup: the manifest, and all names on stable storage.
func (m *manifest) write(part string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(part, manifestName), append(text, '\n')); err != nil {
		return err
	}
	return syncFolders(part)
}

// advise says what to do about a backup that was not made.
func (b Backup) advise(data string, err error) error {
	switch {
	case errors.Is(err, sqlite.ErrNoData):
		return fmt.Errorf("there is no store in %s: say where it is with -c or --data (%w)", data, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this as the user that the server runs as, and name a folder that it may write", err)
	}
	return err
}
