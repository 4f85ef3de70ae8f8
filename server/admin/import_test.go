// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func shortFolder(t *testing.T) string {
	t.Helper()
	data, err := os.MkdirTemp("", "admin") // a test's own is too long on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	return data
}

// outcomes are those of an import, by line.
func outcomes(t *testing.T, text string) map[int]admin.Outcome {
	t.Helper()
	got := map[int]admin.Outcome{}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var o admin.Outcome
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		got[o.Line] = o
	}
}

func TestImport(t *testing.T) {
	data := shortFolder(t)
	st, stop := run(t, data)
	defer stop()
	if code, answer := do(t, data, "POST /accounts", `{"jid":"juliet@example.org","password":"a"}`); code != 201 {
		t.Fatal(answer)
	}
	lines := []struct {
		text string
		want admin.Result
		why  string
	}{
		1: {`{"line":1,"jid":"Lamp@example.org","password":"x"}`, admin.Made, ""},
		2: {`{"line":2,"jid":"juliet@example.org","password":"a"}`, admin.There, ""},
		3: {`{"line":3,"jid":"juliet@example.org","password":"b"}`, admin.Another, ""},
		4: {`{"line":4,"jid":"lamp@elsewhere.example","password":"x"}`, admin.Refused, "domain"},
		5: {`{"line":5,"jid":"pump@example.net","password":""}`, admin.Refused, "password"},
		6: {`{"line":6,"jid":"pump@example.net","password":"a\u0000b"}`, admin.Refused, "password"},
		7: {`{"line":7,"jid":"pump@example.net","password":"x","secret":1}`, admin.Refused, "JSON"},
		8: {`{"line":8,"jid":"door@example.net","password":"x","random":true}`, admin.Made, ""},
	}
	var body strings.Builder
	for _, l := range lines[1:] {
		body.WriteString(l.text + "\n")
	}
	judge := func(answer string) {
		t.Helper()
		got := outcomes(t, answer)
		for i, l := range lines[1:] {
			if o := got[i+1]; o.Result != l.want || !strings.Contains(o.Why, l.why) || o.Result != admin.Refused && o.Why != "" {
				t.Errorf("%s: %+v", l.text, o)
			}
		}
		if len(got) != len(lines)-1 {
			t.Errorf("%d outcomes: %s", len(got), answer)
		}
	}
	_, answer := do(t, data, "POST /accounts/import?dry=1", body.String()+`{"line":9,"jid":"new@example.org","random":true}`+"\n")
	if !strings.Contains(answer, `{"line":9,"jid":"new@example.org","result":"made"}`) {
		t.Errorf("a dry run without a password: %s", answer)
	}
	lines = append(lines, struct {
		text string
		want admin.Result
		why  string
	}{`{"line":9}`, admin.Made, ""})
	judge(answer)
	lines = lines[:len(lines)-1]
	if n, err := st.CountAccounts(t.Context(), ""); err != nil || n != 1 {
		t.Errorf("a dry run has made accounts: %d, %v", n, err)
	}
	_, answer = do(t, data, "POST /accounts/import", body.String())
	judge(answer)
	for _, name := range []string{"lamp@example.org", "door@example.net"} {
		if a, err := st.Account(t.Context(), jid.MustParse(name)); err != nil || len(a.Keys) != 3 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if _, err := st.Account(t.Context(), jid.MustParse("pump@example.net")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused account is there: %v", err)
	}
	_, answer = do(t, data, "POST /accounts/import", body.String())
	lines[1].want, lines[8].want = admin.There, admin.There
	judge(answer)
	_, answer = do(t, data, "POST /accounts/import", lines[1].text+"\n"+strings.Repeat(" ", 100_000)+"\n"+lines[8].text)
	if got := outcomes(t, answer); got[1].Result != admin.There || got[0].Result != admin.Refused || len(got) != 2 {
		t.Errorf("behind a line that is too long: %+v", got)
	}
}

// Outcomes come while entries still go, and the end of the server ends an import in order.
func TestImportEnds(t *testing.T) {
	data := shortFolder(t)
	_, stop := run(t, data)
	c, err := admin.Dial(data)
	if err != nil {
		t.Fatal(err)
	}
	body, to := io.Pipe()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://localhost/accounts/import", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := json.NewDecoder(resp.Body)
	var got []string
	for _, name := range []string{"a", "b", "c"} {
		if _, err := io.WriteString(to, `{"line":1,"jid":"`+name+`@example.org","password":"x","random":true}`+"\n"); err != nil {
			t.Fatal(err)
		}
		var o admin.Outcome
		if err := lines.Decode(&o); err != nil || o.Result != admin.Made {
			t.Fatalf("%+v, %v", o, err)
		}
		got = append(got, o.JID)
	}
	if !slices.Equal(got, []string{"a@example.org", "b@example.org", "c@example.org"}) {
		t.Errorf("got %q", got)
	}
	stop()
	if err := lines.Decode(new(admin.Outcome)); err == nil {
		t.Error("an outcome of nothing")
	}
}
