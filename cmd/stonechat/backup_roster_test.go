// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TestRestoredRoster: a client that has seen what was lost with the data gets the whole roster of the backup, though the
// server has given versions since that are newer than the client's.
func TestRestoredRoster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := run(t, filepath.Join(t.TempDir(), "data"), "")
	juliet := p.client(ctx, "juliet", nil)
	set := func(c *client.Client, contact string, sub roster.Subscription) {
		t.Helper()
		q := &roster.Query{Items: []roster.Item{{JID: jid.MustParse(contact), Subscription: sub}}}
		if _, err := c.IQ(ctx, jid.JID{}, stanza.Set, q); err != nil {
			t.Fatalf("%s: %v", contact, err)
		}
	}
	ask := func(c *client.Client, ver string) (version string, contacts []string) {
		t.Helper()
		var got roster.Query
		if err := c.Ask(ctx, jid.JID{}, &roster.Query{Ver: ver, Versioned: true}, &got); err != nil {
			t.Fatalf("version %q: %v", ver, err)
		}
		for _, it := range got.Items {
			contacts = append(contacts, it.JID.String())
		}
		slices.Sort(contacts)
		return got.Ver, contacts
	}
	old := []string{"k1@x", "k2@x", "k3@x", "k4@x"} // so many that what has changed is sent alone
	for _, contact := range old {
		set(juliet, contact, roster.None)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	p.stonechat("backup", "--data", p.data, backup)
	set(juliet, "k1@x", roster.Remove)
	set(juliet, "lost@x", roster.None)
	seen, contacts := ask(juliet, "")
	if !slices.Equal(contacts, []string{"k2@x", "k3@x", "k4@x", "lost@x"}) {
		t.Fatalf("before: %s", contacts)
	}
	_ = juliet.Close()
	p.kill()

	other := filepath.Join(t.TempDir(), "other")
	p.stonechat("restore", "--data", other, backup)
	q := run(t, other, "")
	juliet = q.client(ctx, "juliet", nil)
	if _, contacts := ask(juliet, seen); !slices.Equal(contacts, old) {
		t.Errorf("put back: %s", contacts)
	}
	set(juliet, "new@x", roster.None)
	if _, contacts := ask(juliet, seen); !slices.Equal(contacts, append(old, "new@x")) {
		t.Errorf("put back, and changed since: %s", contacts)
	}
	_ = juliet.Close()
	if err := q.stop(); err != nil {
		t.Error(err)
	}
}
