// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// File is one file of the tree that people write or read.
type File struct {
	Path string // relative to the root, with slashes
	Data []byte
}

// skipped are folders that hold nothing written here, relative to the root.
var skipped = map[string]bool{".git": true, ".cache": true, "bin": true, "data": true, "demo-data": true}

// Files reads the text files of the tree, without what git ignores. Pictures are there by their names.
func Files(root string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if skipped[rel] || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" || ignored(rel) {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		switch {
		case bytes.IndexByte(data, 0) < 0:
			files = append(files, File{rel, data})
		case path.Ext(rel) == ".png":
			files = append(files, File{rel, nil}) // documents may show it
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lint: %w", err)
	}
	return files, nil
}

// ignored repeats the file patterns of .gitignore.
func ignored(name string) bool {
	return strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof") || name == "bench.txt"
}

// isTestdata reports whether a file is input of a test or a fuzzer's corpus:
// such files may hold anything.
func (f File) isTestdata() bool {
	return strings.HasPrefix(f.Path, "testdata/") || strings.Contains(f.Path, "/testdata/")
}

func (f File) isGo() bool { return strings.HasSuffix(f.Path, ".go") }

func (f File) isTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// isGenerated follows the convention of `go help generate`.
func (f File) isGenerated() bool {
	for line := range bytes.Lines(f.Data) {
		if bytes.HasPrefix(line, []byte("package ")) {
			return false
		}
		if bytes.HasPrefix(line, []byte("// Code generated ")) && bytes.HasSuffix(bytes.TrimSpace(line), []byte(" DO NOT EDIT.")) {
			return true
		}
	}
	return false
}

func (f File) lines() int { return bytes.Count(f.Data, []byte("\n")) }
