// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"database/sql"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestImportKilled kills the server in the midst of an import, then the importing program: what was told
// as made is there, and importing once more makes the rest; every account has the password that the results say.
func TestImportKilled(t *testing.T) {
	n := rounds(2000)
	folder := t.TempDir()
	list, results := filepath.Join(folder, "list.csv"), filepath.Join(folder, "list.results.csv")
	var text strings.Builder
	text.WriteString("name;password\r\n")
	for i := range n {
		fmt.Fprintf(&text, "thing-%d;\r\n", i)
	}
	if err := os.WriteFile(list, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	noted := func() map[string][]string {
		t.Helper()
		f, err := os.Open(results)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // only read
		all, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string][]string{}
		for _, l := range all[1:] {
			m[l[0]] = l[1:]
		}
		return m
	}
	p := run(t, filepath.Join(folder, "data"), "")
	accounts := func() map[string]bool {
		m := map[string]bool{}
		for f := range strings.FieldsSeq(p.stonechat("user", "list", "--data", p.data)) {
			if strings.Contains(f, "@") {
				m[f] = true
			}
		}
		return m
	}
	begin := func() *exec.Cmd {
		t.Helper()
		c := exec.Command("stonechat", "user", "import", "--data", p.data, list)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	under := func(way int) { // waits until so many are there, and sees it soon: to ask the server would take longer than the import
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(p.data, sqlite.FileName))+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // only read
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for limit := time.After(2 * time.Minute); ; {
			var there int
			err := db.QueryRow("SELECT count(*) FROM account").Scan(&there)
			if err == nil && there >= way {
				return
			}
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("%d accounts are there, of %d: %v", there, way, err)
			}
		}
	}

	c := begin()
	under(n / 10)
	p.kill()
	if err := c.Wait(); err == nil {
		t.Fatal("an import that lost its server ended well")
	}
	first, told := noted(), 0
	p.start("")
	there := accounts()
	for name, l := range first {
		switch {
		case l[1] == "made" && !there[name]:
			t.Errorf("%s was told as made, and is not there", name)
		case l[1] == "made":
			told++
		}
	}
	t.Logf("the server was killed when %d accounts were told of", told)

	c = begin()
	under(min(len(there)+n/10, n))
	_ = c.Process.Kill()
	_ = c.Wait()

	begun := time.Now()
	out := p.stonechat("user", "import", "--data", p.data, list)
	t.Logf("the third import, in %s: %s", time.Since(begun), out)
	if !strings.Contains(out, "(0 with another password") {
		t.Errorf("passwords were lost: %s", out)
	}
	last, there := noted(), accounts()
	if len(last) != n {
		t.Errorf("%d results, want %d", len(last), n)
	}
	for name, l := range last {
		if !there[name] || l[1] != "made" || l[0] != first[name][0] {
			t.Errorf("%s: there %v, %q, at first %q", name, there[name], l, first[name])
		}
	}
	for _, i := range []int{0, n / 2, n - 1} {
		name := fmt.Sprintf("thing-%d@localhost", i)
		p.logsIn(name, last[name][0])
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// logsIn logs in once.
func (p *process) logsIn(name, password string) {
	p.t.Helper()
	config := client.Config{Account: jid.MustParse(name), Password: password, Address: p.address["client"]}
	if err := config.Trust(filepath.Join(p.data, "tls", "self-signed.crt")); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, config)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	if err := c.Close(); err != nil {
		p.t.Error(err)
	}
}

// TestImportSpeed prints the figure that docs/onboarding.md promises, 5,000 accounts in under a minute on two processors, and
// judges what it takes of them, which does not depend on what else runs.
func TestImportSpeed(t *testing.T) {
	many := 5000
	if testing.Short() {
		many = 200
	}
	folder := t.TempDir()
	list := filepath.Join(folder, "list.csv")
	if err := os.WriteFile(list, []byte("name\n"+strings.Join(strings.Fields(numbered(many)), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, filepath.Join(folder, "data"), "")
	begun := time.Now()
	out := p.stonechat("user", "import", "--data", p.data, list)
	took := time.Since(begun)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	used := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	t.Logf("%d accounts in %s (%.0f a second), %s of processors: %s", many, took.Round(time.Millisecond), float64(many)/took.Seconds(), used, out)
	if used > 2*time.Minute {
		t.Errorf("%d accounts took %s of processors", many, used)
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "meter-%05d ", i)
	}
	return b.String()
}
