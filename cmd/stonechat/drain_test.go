// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
)

// TestTerminated: a server that is told to end under traffic ends well and soon, and when it is
// back its clients go on: each message arrives once, in order.
func TestTerminated(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := run(t, filepath.Join(t.TempDir(), "data"), "")
	arrived := make(chan string, 1_000_000)
	juliet, romeo := p.client(ctx, "juliet", arrived), p.client(ctx, "romeo", nil)
	if err := juliet.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	s := send(ctx, t, romeo, "juliet@localhost")
	for range 3 {
		s.awaitAcked(ctx, t, s.acked.Load()+300)
		if err := p.stop(); err != nil {
			t.Fatalf("it ends with %v: %s", err, p.log.String())
		}
		p.start("")
	}
	s.awaitAcked(ctx, t, s.acked.Load()+300)
	close(s.stop)
	sent := <-s.sent
	for _, c := range []*client.Client{romeo, juliet} {
		if err := c.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for n := range sent {
		select {
		case body := <-arrived:
			if body != strconv.Itoa(n) {
				t.Fatalf("message %d is %s", n, body)
			}
		case <-ctx.Done():
			t.Fatalf("message %d of %d does not arrive", n, sent)
		}
	}
	if err := errors.Join(romeo.Close(), juliet.Close(), p.stop()); err != nil {
		t.Error(err)
	}
	if n := len(arrived); n > 0 {
		t.Errorf("%d messages come twice", n)
	}
}

// TestDrain: while a load balancer is given time, it is told to look elsewhere and clients are
// let in; a second signal is obeyed at once.
func TestDrain(t *testing.T) {
	p := run(t, filepath.Join(t.TempDir(), "data"), "drain: 1h\n")
	ready := func() int {
		t.Helper()
		r, err := http.Get("http://" + p.address["metrics"] + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	if code := ready(); code != http.StatusOK {
		t.Errorf("a server that runs is %d", code)
	}
	p.signal(syscall.SIGTERM)
	p.log.await(t, 0, "draining")
	if code := ready(); code != http.StatusServiceUnavailable {
		t.Errorf("a server that drains is %d", code)
	}
	c := p.client(t.Context(), "juliet", nil)
	if err := errors.Join(c.Sync(t.Context()), c.Close()); err != nil {
		t.Errorf("a client is not let in: %v", err)
	}
	p.signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := p.wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ends with %v", err)
	}
	if said := p.log.String(); strings.Contains(said, "ending") {
		t.Errorf("it does not end at once: %s", said)
	}
}
