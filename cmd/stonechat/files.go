// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/term"
)

// copyFile copies an open file, which it closes, to a new one for the owner alone, which is on
// stable storage when it returns.
func copyFile(from fs.File, to string) (n int64, sum string, err error) {
	defer from.Close() //nolint:errcheck // only read
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(f, h), from)
	err = errors.Join(err, f.Sync(), f.Close())
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// writeFile is os.WriteFile of a new file for the owner alone, on stable storage.
func writeFile(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolders puts the names in a folder and in all below it on stable storage.
func syncFolders(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = syncFolder(path)
		}
		return err
	})
}

func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; NTFS journals their changes
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // a file system that cannot
	}
	return err
}

// bytesText is a size for people.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// progress tells a person at a terminal how far long work has come; of short work it says nothing.
type progress struct {
	what  string
	begun time.Time
	told  time.Time
	shown bool
	quiet bool
}

func newProgress(what string) *progress {
	return &progress{what: what, begun: time.Now(), quiet: !term.IsTerminal(int(os.Stderr.Fd()))}
}

// tell tells of bytes, count of other things.
func (p *progress) tell(done, all int64) {
	if all > 0 && p.due() {
		fmt.Fprintf(os.Stderr, "\r%s: %d %% of %s ", p.what, done*100/all, bytesText(all))
	}
}

func (p *progress) count(done, all int) {
	if p.due() {
		fmt.Fprintf(os.Stderr, "\r%s: %d of %d ", p.what, done, all)
	}
}

func (p *progress) due() bool {
	now := time.Now()
	if p.quiet || now.Sub(p.begun) < time.Second || now.Sub(p.told) < time.Second/5 {
		return false
	}
	p.told, p.shown = now, true
	return true
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}
