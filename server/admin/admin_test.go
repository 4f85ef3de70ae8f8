// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// run runs a server with an admin door on a data folder and returns its store and what ends it.
func run(t *testing.T, data string, modules ...server.Module) (store.Store, func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(sqlite.Options{Folder: data, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Domains: []string{"example.org", "example.net"}, Store: st, Log: log, Metrics: metrics.New(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := admin.Listen(s, st, data, modules...)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return st, func() {
		ctx := context.Background()
		if err := errors.Join(a.Close(ctx), s.Stop(ctx), st.Close()); err != nil {
			t.Error(err)
		}
	}
}

// do makes a request and returns the answer's code and body.
func do(t *testing.T, data, request, body string) (int, string) {
	t.Helper()
	c, err := admin.Dial(data)
	if err != nil {
		t.Fatal(err)
	}
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func TestAccounts(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("a long name ", 15))
	short, err := os.MkdirTemp("", "admin") // a test's own is too long on some systems
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short) //nolint:errcheck // a temporary folder
	for _, data := range []string{short, long} {
		st, stop := run(t, data)
		for _, c := range []struct {
			request, body string
			code          int
			answer        string
		}{
			{"GET /accounts", "", 200, "[]"},
			{"POST /accounts", `{"jid":"Juliet@example.org","password":"a"}`, 201, `{"jid":"juliet@example.org"}`},
			{"POST /accounts", `{"jid":"juliet@example.org","password":"a"}`, 409, `{"error":"juliet@example.org exists already"}`},
			{"POST /accounts", `{"jid":"o_brien/x@example.net","password":"a"}`, 400, ""},
			{"POST /accounts", `{"jid":"romeo@example.net","password":"b"}`, 201, ""},
			{"POST /accounts", `{"jid":"romeo@elsewhere.example","password":"b"}`, 400, ""},
			{"POST /accounts", `{"jid":"example.org","password":"b"}`, 400, ""},
			{"POST /accounts", `{"jid":"romeo@example.org/x","password":"b"}`, 400, ""},
			{"POST /accounts", `{"jid":"@","password":"b"}`, 400, ""},
			{"POST /accounts", `{"jid":"nurse@example.org","password":""}`, 400, ""},
			{"POST /accounts", `{"jid":"nurse@example.org","secret":""}`, 400, ""},
			{"POST /accounts", `{"jid":"` + strings.Repeat("x", 100_000) + `"}`, 400, ""},
			{"POST /accounts", `?`, 400, ""},
			{"PUT /accounts/juliet@example.org", `{"password":"c"}`, 200, ""},
			{"PUT /accounts/nobody@example.org", `{"password":"c"}`, 404, `{"error":"there is no account nobody@example.org"}`},
			{"PUT /accounts/juliet@example.org", `{}`, 400, ""},
			{"DELETE /accounts/nobody@example.org", "", 404, ""},
			{"DELETE /accounts/romeo%40example.net", "", 200, ""},
			{"GET /accounts?domain=example.net", "", 200, "[]"},
			{"GET /accounts?after=juliet", "", 200, "[]"},
			{"DELETE /accounts", "", 405, ""},
			{"GET /", "", 404, ""},
		} {
			code, answer := do(t, data, c.request, c.body)
			if code != c.code || c.answer != "" && answer != c.answer {
				t.Errorf("%s %s: %d %s, want %d %s", c.request, c.body, code, answer, c.code, c.answer)
			}
		}
		_, list := do(t, data, "GET /accounts", "")
		var as []admin.Account
		if err := json.Unmarshal([]byte(list), &as); err != nil || len(as) != 1 || as[0].JID != "juliet@example.org" || as[0].Created.IsZero() {
			t.Errorf("%s: %v", list, err)
		}
		if strings.Contains(list, "assword") {
			t.Error("the list tells of passwords")
		}
		if _, err := st.Account(t.Context(), jid.MustParse("juliet@example.org")); err != nil {
			t.Error(err)
		}
		stop()
		if _, err := admin.Dial(data); err == nil {
			t.Error("a stopped server leaves its door")
		}
	}
}

// Only the owner of the data folder gets in.
func TestDoor(t *testing.T) {
	if runtime.GOOS != "windows" {
		data, err := os.MkdirTemp("", "admin")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
		// What a killed server has left is replaced.
		if err := os.WriteFile(admin.Socket(data), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		_, stop := run(t, data)
		info, err := os.Stat(admin.Socket(data))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		left, _ := filepath.Glob(filepath.Join(data, "admin-*"))
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		stop()
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("a long name ", 15))
	_, stop := run(t, long)
	defer stop()
	b, err := os.ReadFile(filepath.Join(long, "admin.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Address, Token string }
	if err := json.Unmarshal(b, &p); err != nil || p.Token == "" {
		t.Fatalf("%s: %v", b, err)
	}
	for _, token := range []string{"", "Bearer ", "Bearer x", p.Token} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Address+"/accounts", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q opens: %s", token, resp.Status)
		}
	}
	if code, _ := do(t, long, "GET /accounts", ""); code != 200 {
		t.Errorf("the token does not open: %d", code)
	}
}
