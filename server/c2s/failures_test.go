// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"fmt"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func name(i int) jid.JID { return jid.MustParse(fmt.Sprintf("user%d@example.org", i)) }

// One address may fail so often in a minute, whomever it tries, and again when time has passed.
func TestFailuresOfAddress(t *testing.T) {
	f := failures{perMinute: 60}
	at, now := from("10.0.0.1"), time.Unix(0, 0)
	for i := range 60 {
		if !f.begin(at, name(i), now) {
			t.Fatalf("login %d is refused", i)
		}
		f.end(at, name(i), now, true)
	}
	if f.begin(at, name(1000), now) {
		t.Error("one more is let through")
	}
	if !f.begin(from("10.0.0.2"), name(1000), now) {
		t.Error("another address is refused")
	}
	if now = now.Add(time.Second + time.Millisecond); !f.begin(at, name(1001), now) {
		t.Error("none is let through a second later")
	}
	f.end(at, name(1001), now, true)
	if f.begin(at, name(1002), now) {
		t.Error("two are let through a second later")
	}
}

// Logins under way are no failures of their address: a thousand things log in at once.
func TestFailuresStorm(t *testing.T) {
	f := failures{perMinute: 60}
	at, now := from("10.0.0.1"), time.Unix(0, 0)
	for i := range 1000 {
		if !f.begin(at, name(i), now) {
			t.Fatalf("login %d is refused", i)
		}
	}
	for i := range 1000 {
		f.end(at, name(i), now, false)
	}
	if len(f.count) != 0 {
		t.Errorf("%d counts are left", len(f.count))
	}
	// Guesses at once are let through too, but they must be paid for.
	for i := range 1000 {
		f.begin(at, name(i), now)
	}
	for i := range 1000 {
		f.end(at, name(i), now, true)
	}
	if f.begin(at, name(0), now.Add(15*time.Minute)) {
		t.Error("a thousand failures are forgotten after 15 minutes")
	}
	if !f.begin(at, name(0), now.Add(16*time.Minute)) {
		t.Error("a thousand failures are not forgotten after 16 minutes")
	}
}

// Nobody guesses at one account from everywhere at once.
func TestFailuresOfAccount(t *testing.T) {
	f := failures{perMinute: 60}
	now := time.Unix(0, 0)
	through := 0
	for i := range 200 {
		if f.begin(from("10.0.%d.1", i), name(0), now) {
			through++
		}
	}
	if through != 60 {
		t.Errorf("%d are let through, want 60", through)
	}
}

// The table is bounded.
func TestFailuresTable(t *testing.T) {
	f := failures{perMinute: 60}
	now := time.Unix(0, 0)
	at := from("10.0.0.1")
	f.begin(at, name(-1), now)
	for i := range maxTracked + 100 {
		other := from("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		f.tally(other, now).level = 1
	}
	if len(f.count) > maxTracked {
		t.Errorf("%d counts", len(f.count))
	}
	if f.count[name(-1)] == nil {
		t.Error("a login under way is forgotten")
	}
}

// 0 is no limit.
func TestFailuresNone(t *testing.T) {
	var f failures
	for range 1000 {
		if !f.begin(from("10.0.0.1"), name(0), time.Time{}) {
			t.Fatal("refused")
		}
		f.end(from("10.0.0.1"), name(0), time.Time{}, true)
	}
}

// The limit may change while logins are under way: none is forgotten, none is counted twice.
func TestFailuresLimitChanges(t *testing.T) {
	var f failures
	now, account, address := time.Now(), jid.MustParse("juliet@example.org"), from("10.0.0.1")
	if !f.begin(address, account, now) {
		t.Fatal("without a limit one is refused")
	}
	f.limit(2)
	f.end(address, account, now, true)
	if !f.begin(address, account, now) || f.begin(address, account, now) {
		t.Error("one failure and one under way are not two")
	}
	f.limit(0)
	f.end(address, account, now, false)
	if !f.begin(address, account, now) {
		t.Error("without a limit one is refused")
	}
	f.end(address, account, now, true)
	f.limit(2)
	if !f.begin(address, account, now) || f.begin(address, account, now) {
		t.Error("what failed without a limit counts")
	}
}
