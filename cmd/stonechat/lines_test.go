// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is what a process writes, for a test to wait for a word in it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed with the next write; nil: nobody waits
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait waits until what was written since from is as it should be, and returns it; ok is false
// where it is not in time.
func (l *lines) wait(from int, is func(string) bool) (text string, ok bool) {
	limit := time.After(time.Minute)
	for {
		l.mu.Lock()
		text := l.text.String()[from:]
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		if is(text) {
			return text, true
		}
		select {
		case <-more:
		case <-limit:
			return text, false
		}
	}
}

// await returns what was written since from, once word is in it.
func (l *lines) await(t *testing.T, from int, word string) string {
	t.Helper()
	text, ok := l.wait(from, func(s string) bool { return strings.Contains(s, word) })
	if !ok {
		t.Fatalf("%q was not said: %s", word, text)
	}
	return text
}
