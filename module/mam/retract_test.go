// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
)

// TestFloodOfRetractions: who takes back more than may wait, of ids that nobody knows, costs himself, whatever resources and names he
// does it by.
func TestFloodOfRetractions(t *testing.T) {
	const take = "<message to='%s' type='chat' id='r%d'><retract id='%d' xmlns='urn:xmpp:message-retract:1'/></message>"
	c := usual()
	c.Retractions = 20
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c mallory")
		x, mallory := b.online("a/1"), b.online("mallory/1")
		x.Send(chat("b@d", "1"))
		release := b.Disk.Stall()
		for n := range 100 {
			mallory.Send(fmt.Sprintf(take, []string{"c@d", "b@d", "a@d"}[n%3], n, n+1000))
		}
		x.Send(fmt.Sprintf(take, "b@d", 1, 1))
		for n := range 100 {
			mallory.Send(fmt.Sprintf(take, []string{"c@d", "b@d", "a@d"}[n%3], n, n+1000))
		}
		release()
		synctest.Wait()
		for _, p := range []*peer{x, b.online("b/1")} {
			p.Got()
			p.Send(query("1", fields("with", map[bool]string{true: "b@d", false: "a@d"}[p == x])))
			if got := strings.Join(p.Got(), ""); strings.Count(got, "<retracted ") != 1 {
				t.Errorf("%s: %s", p.Session.JID, got)
			}
		}
	})
}

// TestBurials: senders take turns, an archive that is asked comes first, who asks waits for no more than there is, and of what is too much
// the newest of whoever has most is given up.
func TestBurials(t *testing.T) {
	x := &burials{wake: make(chan struct{}, 1)}
	job := func(archive, id string) retraction {
		return retraction{archive: store.ArchiveName{JID: account(archive)}, with: account("w"), id: id}
	}
	begin := func(by, archive, id string, most int) bool { return x.begin(job(archive, id), account(by), most) }
	next := func() string {
		g := x.next()
		if g == nil {
			return ""
		}
		ids := g.archive.JID.Local()
		for _, j := range g.jobs {
			ids += " " + j.id
		}
		return ids
	}
	want := func(list ...string) {
		t.Helper()
		for _, w := range append(list, "") {
			got := next()
			if got != "" {
				x.end()
			}
			if got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		}
		if x.n != 0 || len(x.senders) != 0 || len(x.turns) != 0 {
			t.Errorf("%d wait, of %d senders, in %d turns", x.n, len(x.senders), len(x.turns))
		}
	}
	for i := range 3 {
		begin("m", fmt.Sprint("v", i), "1", 100)
		begin("m", "v0", fmt.Sprint("more", i), 100)
	}
	begin("r", "v9", "1", 100)
	want("v0 1 more0 more1 more2", "v9 1", "v1 1", "v2 1")

	// What an archive waits for that is asked comes first, and what is begun later is not waited for.
	for i := range 5 {
		begin("m", fmt.Sprint("v", i), "1", 100)
	}
	begin("r", "v3", "1", 100)
	ended := make(chan error)
	if got := next(); got != "v0 1" {
		t.Fatal(got)
	}
	list := x.hurry(store.ArchiveName{JID: account("v3")})
	if again := x.hurry(store.ArchiveName{JID: account("v3")}); len(list) != 2 || !slices.Equal(again, list) {
		t.Errorf("%d, then %d", len(list), len(again))
	}
	begin("m", "v3", "later", 100)
	go func() { ended <- x.wait(t.Context(), store.ArchiveName{JID: account("v0")}) }()
	x.end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	want("v3 1", "v3 1", "v1 1", "v2 1", "v4 1", "v3 later")
	for _, g := range list {
		<-g.done
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	begin("m", "v0", "1", 100)
	if err := x.wait(over, store.ArchiveName{JID: account("v0")}); err == nil {
		t.Error("it was waited for nobody")
	}
	want("v0 1")

	// Four may wait.
	for i, missed := range []bool{false, false, false, false, true, true} {
		if got := begin("m", fmt.Sprint("v", i), "1", 4); got != missed {
			t.Errorf("%d: missed %t", i, got)
		}
	}
	for i := range 3 { // the third would be more than the other has then
		if missed := begin("r", "v9", fmt.Sprint(i), 4); !missed {
			t.Error("nothing was given up")
		}
	}
	begin("s", "v8", "1", 4)
	want("v0 1", "v9 0 1", "v8 1")
	begin("m", "v0", "1", 2)
	begin("r", "v0", "1", 2)
	if !begin("s", "v0", "1", 2) {
		t.Error("nothing was given up")
	}
	want("v0 1", "v0 1")
}
