// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// sender sends numbered messages to somebody until stop, and counts those that are acknowledged.
type sender struct {
	acked atomic.Int64
	stop  chan struct{}
	sent  chan int // how many, when it has stopped
}

func send(ctx context.Context, t *testing.T, c *client.Client, to string) *sender {
	s := &sender{stop: make(chan struct{}), sent: make(chan int, 1)}
	count := func(err error) {
		if err == nil {
			s.acked.Add(1)
		}
	}
	go func() {
		for n := 0; ; n++ {
			select {
			case <-s.stop:
				s.sent <- n
				return
			default:
			}
			m := stanza.Text(stanza.Chat, jid.MustParse(to), strconv.Itoa(n))
			err := c.SendAcked(ctx, m, count)
			for errors.Is(err, client.ErrFull) { // it is bounded on purpose, so that much is acknowledged
				if err = c.Sync(ctx); err == nil {
					err = c.SendAcked(ctx, m, count)
				}
			}
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, client.ErrClosed) {
					t.Error(err)
				}
				s.sent <- n
				return
			}
		}
	}()
	return s
}

// awaitAcked waits until so many messages are acknowledged.
func (s *sender) awaitAcked(ctx context.Context, t *testing.T, n int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.acked.Load() < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d of %d messages are acknowledged", s.acked.Load(), n)
		}
	}
}

// TestBackup: all that was acknowledged before a backup began is there when it is put back, on another machine as
// it were, though the server was written to all the time and then killed.
func TestBackup(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := run(t, filepath.Join(t.TempDir(), "data"), "")
	juliet := p.client(ctx, "juliet", nil)
	if err := juliet.Close(); err != nil { // she is away: what she is sent is spooled
		t.Fatal(err)
	}
	romeo := p.client(ctx, "romeo", nil)
	s := send(ctx, t, romeo, "juliet@localhost")
	s.awaitAcked(ctx, t, 300)

	before := s.acked.Load()
	backup := filepath.Join(t.TempDir(), "new", "backup")
	said := p.stonechat("backup", "-c", p.config, "--json", backup)
	s.awaitAcked(ctx, t, s.acked.Load()+50) // the server goes on
	p.kill()
	close(s.stop)
	_ = romeo.Close() // nobody is there to hear it
	sent := <-s.sent

	var m manifest
	if err := json.Unmarshal([]byte(said), &m); err != nil || len(m.Files) < 4 {
		t.Fatalf("%v: %s", err, said)
	}
	names := ""
	for _, f := range m.Files {
		names += f.Name + " "
	}
	for _, want := range []string{"data/stonechat.db ", "data/tls/self-signed.crt ", "data/tls/self-signed.key ", "stonechat.yaml "} {
		if !strings.Contains(names, want) {
			t.Errorf("the backup is without %s: %s", want, names)
		}
	}
	for _, no := range []string{"admin.sock", "lock", "-wal", "-shm"} {
		if strings.Contains(names, no) {
			t.Errorf("the backup has %s: %s", no, names)
		}
	}

	other := filepath.Join(t.TempDir(), "other")
	p.stonechat("restore", "--data", other, backup)
	if left, _ := filepath.Glob(filepath.Join(other, "*.part")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	q := run(t, other, "")
	arrived := make(chan string, sent+1)
	juliet = q.client(ctx, "juliet", arrived)
	if err := juliet.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	// A message to herself comes after all that waited.
	if err := juliet.Send(ctx, stanza.Text(stanza.Chat, jid.MustParse("juliet@localhost"), "end")); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for body := ""; body != "end"; {
		select {
		case body = <-arrived:
		case <-ctx.Done():
			t.Fatalf("after %d messages nothing arrives", n)
		}
		if body != "end" && body != strconv.FormatInt(n, 10) {
			t.Fatalf("message %d is %s", n, body)
		}
		n++
	}
	if n-1 < before {
		t.Errorf("%d messages arrive, %d were acknowledged before the backup", n-1, before)
	}
	t.Logf("%d acknowledged before, %d in the backup, %d sent", before, n-1, sent)
	if err := errors.Join(juliet.Close(), q.stop()); err != nil {
		t.Error(err)
	}
}

// TestBackupRefused: nothing is overwritten, and nothing is believed that has been touched.
func TestBackupRefused(t *testing.T) {
	p := run(t, filepath.Join(t.TempDir(), "data"), "")
	backup := filepath.Join(t.TempDir(), "backup")
	p.stonechat("backup", "--data", p.data, backup)
	link := filepath.Join(p.data, "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"over another", []string{"backup", "--data", p.data, backup}, "is there already"},
		{"into itself", []string{"backup", "--data", p.data, filepath.Join(p.data, "backup")}, "in the data folder itself"},
		{"of nothing", []string{"backup", "--data", t.TempDir(), filepath.Join(t.TempDir(), "x")}, "say where it is with -c or --data"},
		{"into a running server", []string{"restore", "--data", p.data, backup}, "is not empty"},
		{"of no backup", []string{"restore", "--data", filepath.Join(t.TempDir(), "x"), p.data}, "is not a backup"},
	} {
		out, err := command(c.args...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v, %s; want %q", c.name, err, out, c.want)
		}
	}
	out := p.stonechat("backup", "--data", p.data, backup+"2")
	if _, err := os.Lstat(filepath.Join(backup+"2", "data", "link")); err == nil || !strings.Contains(out, "left out") {
		t.Errorf("a link is followed out of the folder: %v %s", err, out)
	}
	for _, c := range []struct {
		name  string
		spoil func(folder string) error
		want  string
	}{
		{"a file changed", func(f string) error {
			return os.WriteFile(filepath.Join(f, "data/tls/self-signed.key"), []byte("x"), 0o600)
		}, "not as it was"},
		{"a file gone", func(f string) error { return os.Remove(filepath.Join(f, "data/tls/self-signed.key")) }, "not whole"},
		{"no manifest", func(f string) error { return os.Remove(filepath.Join(f, manifestName)) }, "not a whole one"},
		{"no words", func(f string) error { return os.WriteFile(filepath.Join(f, manifestName), []byte("?"), 0o600) }, "cannot be read"},
		{"a newer form", func(f string) error {
			return os.WriteFile(filepath.Join(f, manifestName), []byte(`{"format":2,"program":"stonechat v9"}`), 0o600)
		}, "stonechat v9, or a later one"},
		{"a name outside", func(f string) error {
			return os.WriteFile(filepath.Join(f, manifestName), []byte(`{"format":1,"files":[{"name":"data/../../x"}]}`), 0o600)
		}, "outside of it"},
		{"a running server's file", func(f string) error {
			return os.WriteFile(filepath.Join(f, manifestName), []byte(`{"format":1,"files":[{"name":"data/lock"}]}`), 0o600)
		}, "in none"},
		{"no store", func(f string) error {
			return os.WriteFile(filepath.Join(f, manifestName), []byte(`{"format":1}`), 0o600)
		}, "without its store"},
	} {
		spoilt, data := filepath.Join(t.TempDir(), "spoilt"), filepath.Join(t.TempDir(), "data")
		if err := errors.Join(os.CopyFS(spoilt, os.DirFS(backup)), c.spoil(spoilt)); err != nil {
			t.Fatal(err)
		}
		out, err := command("restore", "--data", data, spoilt)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v, %s; want %q", c.name, err, out, c.want)
		}
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%s: something was restored", c.name)
		}
	}
	// What an interrupted one has left is no obstacle.
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, restorePart, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.stonechat("restore", "--data", data, backup)
}
