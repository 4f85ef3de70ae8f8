// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// node is a folder with the programs in JavaScript from clients/ and, beside them, the packages that
// clients/package.json names. Those are installed once for each version of that file, in the user's
// cache, and no script of theirs is run.
var node = sync.OnceValues(func() (folder string, err error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w (Debian packages nodejs and npm)", err)
		}
	}
	manifest, err := os.ReadFile("clients/package.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	modules := filepath.Join(cache, "stonechat-interop", fmt.Sprintf("node-%x", sha256.Sum256(manifest))[:21])
	if err := install(modules, manifest); err != nil {
		return "", err
	}
	folder = filepath.Join(tools.folder, "node")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	programs, err := filepath.Glob("clients/*.mjs")
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		text, err := os.ReadFile(p)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(p)), text, 0o600); err != nil {
			return "", err
		}
	}
	return folder, os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(folder, "node_modules"))
})

// install brings the packages into a folder that is there as a whole or not at all.
func install(folder string, manifest []byte) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(folder), "unfinished-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := os.WriteFile(filepath.Join(unfinished, "package.json"), manifest, 0o600); err != nil {
		return err
	}
	if err := output(unfinished, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"); err != nil {
		return err
	}
	if err := os.Rename(unfinished, folder); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
