// SPDX-License-Identifier: Apache-2.0

package main

// The test bed: servers that are started, made fresh again and stopped. A
// software says how one of them is configured and run (software.go); a bed
// holds those that are there. Each lives in a folder of its own under the
// bed's, where its accounts stay from one start to the next.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

const (
	// The domains of all servers are as long as bench.example: they are in each message, and so in the bytes on the wire.
	// Prosody's resolver believes in nothing below test.
	nearDomain = "n%d.at.example"
	farDomain  = "f%d.at.example"
	password   = "bench-secret"
	startTime  = time.Minute // a server has to answer after its start
	stopTime   = 20 * time.Second
)

// server is one software in the bed, running or not.
type server struct {
	software
	dir       string
	domain    string
	ports     map[string]int // by the software's own names
	archive   bool           // it keeps what accounts send and receive
	federated bool           // it talks to other servers
	resolver  string         // the DNS server that knows them
	hosts     string         // a file with their addresses
	twin      *server        // another of the same kind, with a domain of its own
	cmd       *exec.Cmd
	ended     chan error
}

type bed struct {
	dir     string
	servers []*server
	missing []string // what is not measured, with the reason
	port    int      // the next that may be free
	ca      *authority
	world   *world // what servers that talk to each other need; nil: nothing is measured of that
}

// newBed prepares those of the named servers that this machine has.
func newBed(ctx context.Context, dir string, names []string, chosen []row) (*bed, error) {
	b := &bed{dir: dir}
	var err error
	if b.ca, err = newAuthority(); err != nil {
		return nil, err
	}
	twins := slices.ContainsFunc(chosen, func(r row) bool { return r.twins })
	for _, name := range names {
		i := slices.IndexFunc(known(), func(s software) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no server is called %q", name)
		}
		s := &server{software: known()[i], dir: filepath.Join(dir, name), domain: fmt.Sprintf(nearDomain, i), ports: make(map[string]int)}
		err := b.prepare(ctx, s)
		if err == nil && twins && s.federates() {
			s.twin = &server{software: s.software, dir: s.dir + "-far", domain: fmt.Sprintf(farDomain, i), ports: make(map[string]int)}
			err = b.prepare(ctx, s.twin)
		}
		if err != nil {
			b.missing = append(b.missing, fmt.Sprintf("%s: %v", name, err))
			fmt.Printf("%s is left out: %v\n", name, err)
			continue
		}
		b.servers = append(b.servers, s)
	}
	if slices.ContainsFunc(chosen, func(r row) bool { return r.federated }) {
		if b.world, err = b.newWorld(ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bed) prepare(ctx context.Context, s *server) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := b.ca.issue(s.dir, s.domain, "*."+s.domain); err != nil {
		return err
	}
	for _, name := range s.listens {
		port, err := b.freePort()
		if err != nil {
			return err
		}
		s.ports[name] = port
	}
	return s.install(ctx, s)
}

// freePort is a port that was free a moment ago, another one at each call. It
// lies below the ephemeral ports, from which the clients' are taken.
func (b *bed) freePort() (int, error) {
	if b.port == 0 {
		b.port = 20000 + os.Getpid()%5000
	}
	for b.port++; b.port < 32000; b.port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return b.port, l.Close()
	}
	return 0, errors.New("no free port")
}

// start runs the server and waits until it answers on all its ports.
func (s *server) start(ctx context.Context) error {
	if err := s.configure(s); err != nil {
		return err
	}
	command, env := s.command(s)
	// The shell raises the limit on open files and becomes the server.
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", `ulimit -n "$(ulimit -Hn)"; exec "$@"`, "sh"}, command...)...)
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), env...)
	log, err := os.OpenFile(filepath.Join(s.dir, "out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	err = s.cmd.Start()
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("starting %s: %w", s.name, err)
	}
	s.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan error) { ended <- c.Wait() }(s.cmd, s.ended)
	return s.await(ctx)
}

func (s *server) await(ctx context.Context) error {
	deadline := time.Now().Add(startTime)
	for name, port := range s.ports {
		if name == federating && !s.federated {
			continue
		}
		for {
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
			if err == nil {
				if err := conn.Close(); err != nil {
					return err
				}
				break
			}
			select {
			case err := <-s.ended:
				s.cmd = nil
				return fmt.Errorf("%s ended: %v; its last words: %s", s.name, err, s.lastWords())
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not listen on port %d after %s: %s", s.name, port, startTime, s.lastWords())
			}
		}
	}
	return nil
}

// lastWords is the end of what the server printed.
func (s *server) lastWords() string {
	data, err := os.ReadFile(filepath.Join(s.dir, "out.log"))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-500):])
}

// stop ends the server, by force when it takes too long.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil }()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	select {
	case <-s.ended: // how it ended does not matter
		return nil
	case <-time.After(stopTime):
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	<-s.ended
	return nil
}

// fresh starts every server anew that takes part in a row, as that wants it. One that does not start is
// left out.
func (b *bed) fresh(ctx context.Context, r row) error {
	if err := b.stop(); err != nil {
		return err
	}
	var running []*server
	for _, s := range b.servers {
		if !r.isFor(s) {
			running = append(running, s)
			continue
		}
		if err := b.startFor(ctx, s, r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b.missing = append(b.missing, err.Error())
			fmt.Println(err)
			if err := s.stopBoth(); err != nil {
				return err
			}
			continue
		}
		running = append(running, s)
	}
	b.servers = running
	return nil
}

// startFor starts a server, and its twin where the row is about two.
func (b *bed) startFor(ctx context.Context, s *server, r row) error {
	for _, one := range []*server{s, s.twin} {
		if one == nil || one == s.twin && !r.twins {
			continue
		}
		one.archive, one.federated = r.archive, r.federated && s.federates()
		if one.federated {
			one.resolver, one.hosts = b.world.resolver, b.world.hosts
		}
		if err := one.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// federates reports whether the software can talk to other servers.
func (s *server) federates() bool { return slices.Contains(s.listens, federating) }

func (s *server) stopBoth() error {
	err := s.stop()
	if s.twin != nil {
		err = errors.Join(err, s.twin.stop())
	}
	return err
}

func (b *bed) stop() error {
	var errs []error
	for _, s := range b.servers {
		errs = append(errs, s.stopBoth())
	}
	return errors.Join(errs...)
}

// close ends all.
func (b *bed) close() error { return errors.Join(b.stop(), b.world.close()) }

// restart is bench.Run.Restart: a fresh process in the place of a target.
func (b *bed) restart(ctx context.Context, t *bench.Target) error {
	for _, s := range b.servers {
		for _, own := range s.targets(s) {
			if own.Addr != t.Addr {
				continue
			}
			if err := s.stop(); err != nil {
				return err
			}
			if err := s.start(ctx); err != nil {
				return err
			}
			t.PID = s.cmd.Process.Pid
			return nil
		}
	}
	return fmt.Errorf("no server for %s", t)
}

// register makes the accounts bench0 … on every XMPP server: as many as the
// greatest of the rows wants there.
func (b *bed) register(ctx context.Context, chosen []row, o options) error {
	if err := b.fresh(ctx, row{twins: true, takes: func(bench.Target) bool { return true }}); err != nil {
		return err
	}
	for _, s := range b.servers {
		t := s.targets(s)[0]
		if t.Kind != bench.XMPP {
			continue
		}
		count, far := 0, 0
		for _, r := range chosen {
			if !r.isFor(s) {
				continue
			}
			n := r.accounts(o, r.shareOf(t, o))
			count = max(count, n)
			if r.twins {
				far = max(far, n)
			}
		}
		began := time.Now()
		if err := bench.Register(ctx, t, 0, count); err != nil {
			return err
		}
		if s.twin != nil {
			if err := bench.Register(ctx, s.twin.targets(s.twin)[0], 0, far); err != nil {
				return err
			}
		}
		fmt.Printf("%s: %d accounts in %.0f s\n", s.name, count+far, time.Since(began).Seconds())
	}
	return nil
}

// targets are the running servers as a row wants them, the raw relay last where it can take part.
func (b *bed) targets(r row, o options) []bench.Target {
	var out []bench.Target
	for _, s := range b.servers {
		for _, t := range s.targets(s) {
			if r.takes(t) {
				t.PID, t.Share = s.cmd.Process.Pid, r.shareOf(t, o)
				if r.twins {
					far := s.twin.targets(s.twin)[0]
					far.PID = s.twin.cmd.Process.Pid
					t.Far = &far
				}
				out = append(out, t)
			}
		}
	}
	if r.lacks == "" {
		out = append(out, bench.Target{Name: "raw", Kind: bench.Raw, Security: bench.Plain})
	}
	return out
}
