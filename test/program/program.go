// SPDX-License-Identifier: Apache-2.0

// Package program builds stonechat and runs it as people do, for the black-box tests.
//
// A Binary is the program, built when it is first asked for; a Process is a server of it that runs.
package program

import (
	"crypto/rand"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Folder is the variable of the environment that names a folder where binaries are kept for tests that come later; go build finds
// there what is up to date. Without it a binary goes with the test program that has built it.
const Folder = "STONECHAT_PROGRAMS"

// Binary is stonechat, built once. The zero Binary is ready, and built as people build it.
type Binary struct {
	Flags []string // of go build

	once sync.Once
	path string
	own  string // a folder to remove
	err  error
}

// Path is where it is.
func (b *Binary) Path() (string, error) {
	b.once.Do(func() {
		folder := os.Getenv(Folder)
		if folder == "" {
			if folder, b.err = os.MkdirTemp("", "stonechat"); b.err != nil {
				return
			}
			b.own = folder
		}
		b.path = filepath.Join(folder, "stonechat"+strings.Join(b.Flags, ""))
		args := append([]string{"build", "-o", b.path}, b.Flags...)
		if out, err := exec.Command("go", append(args, "github.com/stonechat-im/stonechat/cmd/stonechat")...).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

// MustPath is Path for a test.
func (b *Binary) MustPath(t testing.TB) string {
	t.Helper()
	path, err := b.Path()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs the tests of a program and removes what was built for it alone. Where parallel is not 0 so many tests run at once, unless a
// flag says another number: tests of servers wait more than they compute.
func Run(m *testing.M, parallel int, binaries ...*Binary) int {
	flag.Parse()
	if parallel != 0 {
		chosen := false
		flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
		if !chosen {
			_ = flag.Set("test.parallel", strconv.Itoa(parallel)) // it is a number
		}
	}
	defer func() {
		for _, b := range binaries {
			if b.own != "" {
				_ = os.RemoveAll(b.own)
			}
		}
	}()
	return m.Run()
}

// Loopback is an address of this machine that nobody else uses, or 127.0.0.1 where the system has no other.
func Loopback() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // it never fails
	host := fmt.Sprintf("127.%d.%d.%d", b[0]|1, b[1], b[2]|1)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	_ = l.Close()
	return host
}
