// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
)

// victimFolder makes this test program a server that writes until it is killed.
const (
	victimFolder = "STONECHAT_TEST_VICTIM"
	victimFirst  = "STONECHAT_TEST_VICTIM_FIRST"
)

// TestKill kills a writing process again and again, each time on the data of the last, and finds all it has
// acknowledged.
func TestKill(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder)
	acked := map[int64]bool{}
	for round := range 4 {
		for _, id := range killAfter(t, folder, 300*(round+1), int64(round+1)*1_000_000) {
			acked[id] = true
		}
		s := mustOpen(t, folder)
		have := map[int64]bool{}
		for _, id := range kept(t, s) {
			have[id] = true
		}
		for id := range acked {
			if !have[id] {
				t.Errorf("round %d: account %d was acknowledged and is lost", round, id)
			}
		}
		t.Logf("round %d: %d acknowledged in all, %d kept", round, len(acked), len(have))
		mustClose(t, s)
	}
}

// killAfter starts a victim that counts from first, kills it when it has acknowledged n accounts, and returns all it has
// acknowledged.
func killAfter(t *testing.T, folder string, n int, first int64) (acked []int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimFolder+"="+folder, victimFirst+"="+fmt.Sprint(first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); { // to the end: what was said before the kill counts
		id, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the victim says %q", lines.Text())
		}
		if acked = append(acked, id); len(acked) == n {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if len(acked) < n {
		t.Fatalf("the victim ended by itself after %d accounts", len(acked))
	}
	return acked
}

// victim writes accounts from eight goroutines, and their numbers to its standard output as they are acknowledged.
func victim(folder string) {
	s, err := sqlite.Open(sqlite.Options{Folder: folder})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	first, _ := strconv.ParseInt(os.Getenv(victimFirst), 10, 64)
	var next atomic.Int64
	next.Store(first)
	for range 8 {
		go func() {
			for {
				id := next.Add(1)
				p := s.Commit(add(id, int(id%3000)+1), store.SetDisabled{User: address(id), Disabled: true})
				done := make(chan struct{})
				p.OnDone(func(err error) {
					if err == nil {
						fmt.Println(id) // one write, not buffered
					}
					close(done)
				})
				<-done
			}
		}()
	}
	select {}
}

// TestTornLog: what a loss of power leaves behind the last commit in the log is passed over.
func TestTornLog(t *testing.T) {
	folder := t.TempDir()
	s := mustOpen(t, folder)
	commit(t, s, add(1, 100))
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file, acked := read("stonechat.db"), read("stonechat.db-wal")
	commit(t, s, add(2, 20_000))
	whole := read("stonechat.db-wal")
	mustClose(t, s)

	noise := make([]byte, len(whole)-len(acked))
	for i := range noise {
		noise[i] = byte(i * 7)
	}
	half := len(acked) + len(noise)/2
	logs := map[string][]byte{
		"cut":                whole[:half],
		"zeros":              append(append([]byte{}, whole[:half]...), make([]byte, len(whole)-half)...),
		"noise":              append(append([]byte{}, acked...), noise...),
		"last byte is wrong": append(append([]byte{}, whole[:len(whole)-1]...), whole[len(whole)-1]^1),
	}
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for name, b := range map[string][]byte{"stonechat.db": file, "stonechat.db-wal": log} {
				if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := mustOpen(t, folder)
			if ids := kept(t, s); !slices.Equal(ids, []int64{1}) {
				t.Errorf("accounts %d, want the one that was acknowledged", ids)
			}
			commit(t, s, add(3, 100))
			mustClose(t, s)
		})
	}
}
