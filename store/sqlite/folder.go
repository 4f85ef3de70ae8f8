// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/stonechat-im/stonechat/store"
)

// folder is the data folder, held by a lock against other servers until it is closed. A process that dies lets go of
// the lock; a lock file that stays behind does no harm.
type folder struct {
	dir  string
	lock *os.File
}

func openFolder(dir string) (*folder, error) {
	if dir == "" {
		return nil, errors.New("sqlite: no data folder was named")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("sqlite: data folder: %w", err)
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("sqlite: making the data folder: %w", err)
	}
	f := &folder{dir: dir}
	f.lock, err = lockFile(f.path(lockName))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("sqlite: %s: %w%s: stop it, or give this server a data folder of its own",
			dir, store.ErrLocked, holder(f.path(lockName)))
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: locking the data folder: %w", err)
	}
	if err := f.lock.Truncate(0); err == nil {
		f.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for the message above; nothing depends on it
	}
	return f, nil
}

// holder is " (process 123)" when the lock file names one.
func holder(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 || len(b) > 20 {
		return ""
	}
	return " (process " + strings.TrimSpace(string(b)) + ")"
}

// makeFolder is os.MkdirAll for the owner alone whose folders outlast a power loss.
func makeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("there is a file of this name")}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// create makes an empty file when there is none, and takes a present one from all but its owner. SQLite gives the
// files beside it the same permissions. fresh says that the file is empty.
func (f *folder) create(name string) (fresh bool, err error) {
	file, err := os.OpenFile(f.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, fmt.Errorf("sqlite: opening the data: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("sqlite: opening the data: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		if err := file.Chmod(0o600); err != nil {
			return false, fmt.Errorf("sqlite: taking the data from other users: %w", err)
		}
	}
	return info.Size() == 0, nil
}

// sync puts the names of the files in the folder on stable storage.
func (f *folder) sync() error {
	if err := syncFolder(f.dir); err != nil {
		return fmt.Errorf("sqlite: syncing the data folder: %w", err)
	}
	return nil
}

func (f *folder) close() error {
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("sqlite: unlocking the data folder: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; NTFS journals their changes
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // a file system that cannot, such as some network shares
	}
	return err
}
