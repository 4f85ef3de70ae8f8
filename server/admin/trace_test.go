// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server/admin"
)

// A trace runs until its caller hangs up, longer than a request may take to come in, and ends with
// the server.
func TestTrace(t *testing.T) {
	data, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	_, stop := run(t, data)
	if code, answer := do(t, data, "POST /accounts", `{"jid":"juliet@example.org","password":"a"}`); code != 201 {
		t.Fatal(answer)
	}
	for _, bad := range []string{"", "?jid=", "?jid=example.org", "?jid=juliet@elsewhere.example"} {
		if code, answer := do(t, data, "GET /trace"+bad, ""); code != 400 {
			t.Errorf("%q: %d %s", bad, code, answer)
		}
	}
	watch := func(ctx context.Context) *bufio.Scanner {
		t.Helper()
		c, err := admin.Dial(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/trace?jid=juliet@example.org", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		return bufio.NewScanner(resp.Body)
	}
	over := make([]context.CancelFunc, trace.MaxTracers)
	for i := range over {
		var ctx context.Context
		ctx, over[i] = context.WithCancel(t.Context())
		defer over[i]()
		watch(ctx)
	}
	if code, answer := do(t, data, "GET /trace?jid=juliet@example.org", ""); code != http.StatusServiceUnavailable {
		t.Errorf("one more than there may be: %d %s", code, answer)
	}
	for _, end := range over {
		end()
	}
	// Their ends are noticed: there is room again.
	var lines *bufio.Scanner
	for tick := time.NewTicker(10 * time.Millisecond); lines == nil; <-tick.C {
		c, err := admin.Dial(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/trace?jid=juliet@example.org", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if resp.StatusCode == http.StatusOK {
			lines = bufio.NewScanner(resp.Body)
		}
	}
	stop()
	for lines.Scan() {
		var line admin.TraceLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
		}
	}
}
