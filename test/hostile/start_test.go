// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/stonechat-im/stonechat/store/sqlite" // its driver, to change files with
)

// TestStart: with a store that is damaged or newer, and with a configuration that is wrong, the program does not start. It says
// which file it is, what to do or where to look, and changes nothing.
func TestStart(t *testing.T) {
	folder := t.TempDir()
	good := filepath.Join(folder, "good.db")
	func() {
		s := start(t, "")
		s.register(t, "romeo")
		p := s.session(t, "romeo")
		p.close()
		s.stop(t)
		b, err := os.ReadFile(filepath.Join(s.folder, "data", "stonechat.db"))
		if err == nil {
			err = os.WriteFile(good, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}()
	const damaged = "put back a backup"
	for _, c := range []struct {
		name  string
		wrong func(t *testing.T, file string)
		says  []string
	}{
		{"noise", func(t *testing.T, file string) { write(t, file, bytes.Repeat([]byte("noise "), 3000)) }, []string{damaged}},
		{"cut in the middle", func(t *testing.T, file string) { write(t, file, read(t, file)[:3*4096+5]) }, []string{damaged}},
		{"a page of something else", func(t *testing.T, file string) {
			b := read(t, file)
			copy(b[4096:], bytes.Repeat([]byte{0xa5}, 4096))
			write(t, file, b)
		}, []string{damaged}},
		{"all zeros", func(t *testing.T, file string) { write(t, file, make([]byte, 16384)) }, []string{damaged}},
		{"a newer version", func(t *testing.T, file string) {
			db, err := sql.Open("sqlite", file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(`UPDATE topic SET version = 99 WHERE name = 'spool'`); err != nil {
				t.Fatal(err)
			}
		}, []string{"spool has version 99", "run the version that wrote it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "data", "stonechat.db")
			if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, file, read(t, good))
			c.wrong(t, file)
			before := read(t, file)
			refuses(t, command(t, folder, ""), append(c.says, file)...)
			if !bytes.Equal(before, read(t, file)) {
				t.Error("the file was changed")
			}
		})
	}
	for _, c := range []struct{ name, lines, says string }{
		{"a key nobody knows", "limits:\n  stanza_byte: 1000\n", "stonechat.yaml:12: limits.stanza_byte"},
		{"a number that is none", "limits:\n  stanza_bytes: many\n", "stonechat.yaml:12: limits.stanza_bytes"},
		{"a limit that lets nothing pass", "limits:\n  sessions: 0\n", "stonechat.yaml:12: limits.sessions"},
		{"a module nobody knows", "modules:\n  bogus: {}\n", "stonechat.yaml:12: modules.bogus"},
		{"a module's key nobody knows", "modules:\n  sm: {resume: 1m, bogus: 1}\n", "stonechat.yaml:12: modules.sm.bogus"},
		{"a key twice", "log: {level: info}\nlog: {level: info}\n", "stonechat.yaml:12:"},
		{"no YAML", "\t{\n", "stonechat.yaml:11:"},
	} {
		t.Run(c.name, func(t *testing.T) { refuses(t, command(t, t.TempDir(), c.lines), c.says) })
	}
}

// refuses runs the program, which must end by itself and say that.
func refuses(t *testing.T, c *exec.Cmd, says ...string) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	err := c.Wait()
	if !late.Stop() {
		t.Error("it runs")
	}
	if _, ended := err.(*exec.ExitError); !ended { //nolint:errorlint // never wrapped
		t.Errorf("it ended with %v", err)
	}
	for _, part := range says {
		if !strings.Contains(out.String(), part) {
			t.Errorf("it does not say %q:\n%s", part, out.String())
		}
	}
	if strings.Contains(out.String(), "goroutine ") || strings.Contains(out.String(), "ready "+domain) {
		t.Errorf("it says\n%s", out.String())
	}
	t.Logf("%s", bytes.TrimSpace(out.Bytes()))
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
