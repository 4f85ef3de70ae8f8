// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Restore.Run reads all of a backup before it writes anything (manifest.check),
// brings a copy beside the place (in restorePart), renews what clients remember by version, and moves it there, the store
// last: until that is done a server finds no store, and a restore that was interrupted can be begun again.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
)

// Restore puts a backup back.
type Restore struct {
	operator
	Folder string `arg:"" help:"The backup."`
}

// restorePart is the folder in a data folder that holds what is not restored yet.
const restorePart = "restore.part"

// maxManifest bounds the file that lists a backup.
const maxManifest = 64 << 20

// Help says what a person asks next.
func (Restore) Help() string {
	return `The server must be stopped, and its data folder must be empty or not there. The
backup is checked first, and stays as it is. Run this as the user that the server
runs as. The configuration in the backup is not put back: it is yours to place.

  stonechat restore -c stonechat.yaml /var/backups/stonechat/2026-01-31`
}

// Run implements the command.
func (r Restore) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	data, err := r.folder()
	if err != nil {
		return err
	}
	m, err := r.restore(ctx, data)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run this as the user that the server runs as", err)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s has the data of %s\n", data, m.Time.Local().Format(time.DateTime))
	if slices.ContainsFunc(m.Files, func(f backupFile) bool { return f.Name == backupConfig }) {
		fmt.Println("The configuration of then is", filepath.Join(r.Folder, backupConfig))
	}
	return nil
}

func (r Restore) restore(ctx context.Context, data string) (m manifest, err error) {
	if m, err = readManifest(r.Folder); err != nil {
		return m, err
	}
	if err := vacant(data); err != nil {
		return m, err
	}
	if err := m.check(ctx, r.Folder); err != nil {
		return m, err
	}
	release, err := sqlite.Lock(data)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := vacant(data); err != nil { // now that it can not change
		return m, err
	}
	part := filepath.Join(data, restorePart)
	if err := errors.Join(os.RemoveAll(part), os.Mkdir(part, 0o700)); err != nil {
		return m, err
	}
	for _, f := range m.Files {
		name, ok := strings.CutPrefix(f.Name, backupData+"/")
		if !ok {
			continue
		}
		if err := f.restore(ctx, r.Folder, filepath.Join(part, filepath.FromSlash(name))); err != nil {
			return m, err
		}
	}
	if err := sqlite.Restored(filepath.Join(part, sqlite.FileName), time.Now()); err != nil {
		return m, err
	}
	return m, settle(part, data)
}

// settle moves what is in part into its place, the store last.
func settle(part, data string) error {
	if err := syncFolders(part); err != nil {
		return err
	}
	entries, err := os.ReadDir(part)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == sqlite.FileName {
			continue
		}
		if err := os.Rename(filepath.Join(part, e.Name()), filepath.Join(data, e.Name())); err != nil {
			return err
		}
	}
	if err := syncFolder(data); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(part, sqlite.FileName), filepath.Join(data, sqlite.FileName)); err != nil {
		return err
	}
	return errors.Join(os.Remove(part), syncFolder(data))
}

// vacant refuses a data folder in which there is anything of a server.
func vacant(data string) error {
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != restorePart && (name == sqlite.FileName || !sqlite.Transient(name)) {
			return fmt.Errorf("the data folder %s is not empty, %s is in it: move it away, or name another with --data", data, name)
		}
	}
	return nil
}

// readManifest reads what a backup says of itself.
func readManifest(folder string) (m manifest, err error) {
	f, err := os.Open(filepath.Join(folder, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is not a backup, or not a whole one: %w", folder, err)
	}
	if err != nil {
		return m, err
	}
	defer f.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil {
		return m, fmt.Errorf("%s of the backup cannot be read: %w", manifestName, err)
	}
	if m.Format != backupFormat {
		return m, fmt.Errorf("the backup has format %d, this program knows %d: run the version that made it, %s, or a later one",
			m.Format, backupFormat, m.Program)
	}
	store := false
	for _, f := range m.Files {
		if !fs.ValidPath(f.Name) || !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return m, fmt.Errorf("%s of the backup names a file outside of it: %q", manifestName, f.Name)
		}
		name, ours := strings.CutPrefix(f.Name, backupData+"/")
		if ours && name != sqlite.FileName && transient(strings.SplitN(name, "/", 2)[0]) {
			return m, fmt.Errorf("%s of the backup names a file that is in none: %q", manifestName, f.Name)
		}
		store = store || f.Name == backupData+"/"+sqlite.FileName
	}
	if !store {
		return m, fmt.Errorf("the backup %s is without its store", folder)
	}
	return m, nil
}

// check reads all files of a backup.
func (m manifest) check(ctx context.Context, folder string) error {
	seen := manifest{}
	for i, f := range m.Files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := seen.add(folder, f.Name); err != nil {
			return fmt.Errorf("the backup is not whole: %w", err)
		}
		if seen.Files[i] != f {
			return fmt.Errorf("%s in the backup is not as it was when it was made: use another backup", f.Name)
		}
	}
	err := sqlite.Verify(filepath.Join(folder, backupData, sqlite.FileName))
	if errors.Is(err, store.ErrNewer) {
		return fmt.Errorf("the backup is of a newer version, %s: run that one or a later one: %w", m.Program, err)
	}
	return err
}

// restore copies one file, and looks at it once more on the way.
func (f backupFile) restore(ctx context.Context, folder, to string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	from, err := os.Open(filepath.Join(folder, filepath.FromSlash(f.Name)))
	if err != nil {
		return err
	}
	_, sum, err := copyFile(from, to)
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("%s in the backup changed while it was read", f.Name)
	}
	return err
}
