// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ledger is the judge of state: of each thing it knows what was acknowledged last, and what has been asked for since.
// After a crash the one or one of the others is there. The empty value says that there is no such thing.
type ledger struct {
	mu    sync.Mutex
	is    map[string]string
	asked map[string][]string
	done  int // changes that were acknowledged
}

func newLedger() *ledger { return &ledger{is: map[string]string{}, asked: map[string][]string{}} }

// ask says that a change is about to be asked for.
func (l *ledger) ask(key, value string) {
	l.mu.Lock()
	l.asked[key] = append(l.asked[key], value)
	l.mu.Unlock()
}

// ok says that all that was asked for of a thing, each behind the one before, was acknowledged.
func (l *ledger) ok(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.asked[key]); n > 0 {
		l.is[key] = l.asked[key][n-1]
		l.done++
	}
	delete(l.asked, key)
}

// change asks for a change by do and notes its acknowledgement.
func (l *ledger) change(key, value string, do func() error) error {
	l.ask(key, value)
	err := do()
	if err == nil {
		l.ok(key)
	}
	return err
}

// judge compares with what is there: all keys that begin so. What is there is from now on what was acknowledged.
func (l *ledger) judge(prefix string, got map[string]string) (faults []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := map[string]bool{}
	for _, m := range []map[string]string{l.is, got} {
		for key := range m {
			keys[key] = true
		}
	}
	for key := range l.asked {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if got[key] != l.is[key] && !slices.Contains(l.asked[key], got[key]) {
			faults = append(faults, fmt.Sprintf("%s: %q was acknowledged, and %q asked for since; there is %q", key, l.is[key], l.asked[key], got[key]))
		}
		l.is[key] = got[key]
		delete(l.asked, key)
	}
	return faults
}

func (l *ledger) value(key string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is[key]
}

// acknowledged is how many changes were.
func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

func (l *ledger) clone() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newLedger()
	maps.Copy(c.is, l.is)
	for key, values := range l.asked {
		c.asked[key] = slices.Clone(values)
	}
	return c
}

// doubtful says whether something has been asked for of which it is not known whether it is so.
func (l *ledger) doubtful(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked[key]) > 0
}

// keys are those of a thing and of all that is its.
func (l *ledger) keys(thing string) (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.is {
		if key == thing || strings.HasPrefix(key, thing+" ") || strings.HasPrefix(key, thing+"/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestLedger shows the judge what must not be.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(l *ledger)
		got    map[string]string
		honest bool
	}{
		{"acknowledged and there", func(l *ledger) { l.ask("a x", "1"); l.ok("a x") }, map[string]string{"a x": "1"}, true},
		{"acknowledged and gone", func(l *ledger) { l.ask("a x", "1"); l.ok("a x") }, nil, false},
		{"asked for and there", func(l *ledger) { l.ask("a x", "1") }, map[string]string{"a x": "1"}, true},
		{"asked for and not there", func(l *ledger) { l.ask("a x", "1") }, nil, true},
		{"the older one", func(l *ledger) { l.ask("a x", "1"); l.ok("a x"); l.ask("a x", "2"); l.ok("a x") }, map[string]string{"a x": "1"}, false},
		{"the one under way", func(l *ledger) { l.ask("a x", "1"); l.ok("a x"); l.ask("a x", "2") }, map[string]string{"a x": "2"}, true},
		{"the one before it", func(l *ledger) { l.ask("a x", "1"); l.ok("a x"); l.ask("a x", "2") }, map[string]string{"a x": "1"}, true},
		{"taken away and there again", func(l *ledger) { l.ask("a x", "1"); l.ok("a x"); l.ask("a x", ""); l.ok("a x") }, map[string]string{"a x": "1"}, false},
		{"never asked for", func(*ledger) {}, map[string]string{"a x": "1"}, false},
		{"of another", func(*ledger) {}, map[string]string{"b x": "1"}, true},
	} {
		l := newLedger()
		c.do(l)
		if faults := l.judge("a ", c.got); c.honest != (len(faults) == 0) {
			t.Errorf("%s: faults %q", c.name, faults)
		}
		if faults := l.judge("a ", c.got); len(faults) > 0 {
			t.Errorf("%s: judged again: %q", c.name, faults)
		}
	}
}
