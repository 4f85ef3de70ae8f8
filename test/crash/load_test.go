// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// tracedLoad is what servers do while their system calls are recorded: n messages from three senders with stream
// management to receivers of all kinds, roster sets and registrations, all without TLS, so that a trace is readable.
// What is acknowledged is in the trace; nothing but errors is judged here.
func tracedLoad(t *testing.T, c chance, srv *server, n int) {
	t.Helper()
	to := []string{"offline", "offline", "away", "silent", "acks", "acks", "plain"}
	for _, name := range []string{"offline", "away", "silent", "acks", "plain", "s0", "s1", "s2", "s3"} {
		if err := register(srv.plain, false, name); err != nil {
			t.Fatal(err)
		}
	}
	var receivers []*session
	for name, h := range map[string]habits{
		"away": {managed: true}, "silent": {managed: true, silent: true}, "acks": {managed: true, ackEvery: 3}, "plain": {},
	} {
		s := newSession(name, "r", h)
		s.taken = func(message, bool) {}
		if _, err := s.connect(srv); err != nil {
			t.Fatal(err)
		}
		if err := s.available(); err != nil {
			t.Fatal(err)
		}
		if err := s.drained(); err != nil {
			t.Fatal(err)
		}
		if name == "away" {
			s.drop()
			continue
		}
		receivers = append(receivers, s)
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if err := tracedSender(c, srv, fmt.Sprintf("s%d", i), to, n/3); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if err := tracedChanges(srv, n/20); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	for _, s := range receivers {
		if err := s.ping(); err != nil {
			t.Error(err)
		}
		if e := s.trouble(); e != "" {
			t.Error(e)
		}
	}
}

func tracedSender(c chance, srv *server, name string, to []string, n int) error {
	r := c.of("traced", name)
	s := newSession(name, "r", habits{managed: true})
	if _, err := s.connect(srv); err != nil {
		return err
	}
	next := map[string]int{}
	for range n {
		m := message{name, to[r.IntN(len(to))], 0}
		m.n = next[m.to]
		next[m.to]++
		if err := s.send(m.xml(m.to+"@"+domain, r.IntN(4000)), nil); err != nil {
			return err
		}
		if r.IntN(5) == 0 {
			if err := s.demand(); err != nil {
				return err
			}
		}
		if s.unacked() > 60 {
			if err := s.await("acks", func() bool { return len(s.out) < 30 }); err != nil {
				return err
			}
		}
		pause(time.Duration(r.IntN(2000))*time.Microsecond, nil)
	}
	if err := s.allAcked(); err != nil {
		return err
	}
	return s.close()
}

func tracedChanges(srv *server, n int) error {
	s := newSession("s3", "r", habits{})
	if _, err := s.connect(srv); err != nil {
		return err
	}
	for i := range n {
		if err := s.setRoster(fmt.Sprintf("c%d@example.org", i), mark("r", "s3", i)); err != nil {
			return err
		}
		if i%10 == 0 {
			if err := register(srv.plain, false, mark("n", "new", i)); err != nil {
				return err
			}
		}
	}
	if e := s.trouble(); e != "" {
		return errors.New(e)
	}
	return s.close()
}
