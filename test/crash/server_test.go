// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

var (
	seedFlag   = flag.Uint64("crash.seed", 0, "the seed of chance; 0 takes a new one")
	roundsFlag = flag.Int("crash.rounds", 0, "rounds of TestKill and TestMetamorphic; 0 takes what suits every day")
)

// checked overwrites buffers which must not be kept; raced finds races, too.
var (
	checked = program.Binary{Flags: []string{"-tags=invariants"}}
	raced   = program.Binary{Flags: []string{"-tags=invariants", "-race"}}
)

func TestMain(m *testing.M) { os.Exit(program.Run(m, 0, &checked, &raced)) }

// chance is the source of chance of a test. Each of what runs beside each other takes its own from it, by name, so that
// a plan does not depend on who comes first.
type chance struct{ seed uint64 }

// newChance prints the seed, and how to run the test with it again if it fails.
func newChance(t *testing.T) chance {
	t.Helper()
	c := chance{*seedFlag}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	t.Logf("seed %d", c.seed)
	t.Cleanup(func() {
		if t.Failed() {
			more := ""
			if *roundsFlag > 0 {
				more = fmt.Sprintf(" -crash.rounds=%d", *roundsFlag)
			}
			t.Logf("again: go test ./test/crash -count=1 -run '^%s$' -crash.seed=%d%s", t.Name(), c.seed, more)
		}
	})
	return c
}

func (c chance) of(names ...any) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(fmt.Sprint(names...)) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(c.seed, h))
}

// options say how a server is run.
type options struct {
	program string
	folder  string // of the data, the configuration and the log
	args    []string
	env     []string
	under   []string // a command that runs it, such as strace
	limits  string   // further lines under "limits:"
	modules string   // lines under "modules:"
	host    string   // the domain, if another
	listen  string   // the address for other servers, if any
	more    string   // further lines
}

// server is the program, running or not.
type server struct {
	options
	*program.Process
	plain string // address of the listener without TLS
	tls   string
}

// start runs the server until it is ready.
func start(o options) (*server, error) {
	s := &server{options: o}
	conf := filepath.Join(o.folder, "stonechat.yaml")
	if err := os.WriteFile(conf, []byte(s.configuration()), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{}, o.under...)
	args = append(append(args, o.program, "serve", "-c", conf), o.args...)
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), o.env...)
	var err error
	if s.Process, err = program.Start(c, filepath.Join(o.folder, "server.log"), 2*patience); err != nil {
		return nil, err
	}
	s.plain, s.tls = s.Address["client"], s.Address["client_tls"]
	return s, nil
}

func (s *server) configuration() string {
	modules := s.modules
	if modules == "" {
		modules = "  sm: {}\n"
	}
	return `domains: [` + s.domain() + `]
data: ` + s.data() + `
registration: open
allow_plaintext: true
listen:
  client: ["127.0.0.1:0"]
  client_tls: ["127.0.0.1:0"]
  server: [` + s.listen + `]
  server_tls: []
  http: []
  https: []
  metrics: []
limits:
  registrations_per_hour: none
  failed_logins_per_minute: none
  stanzas_per_second: none
` + s.limits + "modules:\n" + modules + s.more
}

func (s *server) domain() string {
	if s.host == "" {
		return domain
	}
	return s.host
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }

// address is that of the listener with TLS, or of the one without.
func (s *server) address(secure bool) string {
	if secure {
		return s.tls
	}
	return s.plain
}

// terminate is an operator's stop. The error says that it was not in order.
func (s *server) terminate() error { return s.Terminate(patience) }

// mustStart starts a server and sees that it is gone at the test's end.
func mustStart(t *testing.T, o options) *server {
	t.Helper()
	s, err := start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// checkLog reports what a server's log tells of trouble that no client sees.
func checkLog(t *testing.T, folder string, bad ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "server.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if line := program.Trouble(b, append(bad, "not readable")...); line != "" {
		t.Errorf("the server's log: %s", line)
	}
}

// pause lets the load run for a while; nothing that is proven depends on how long.
func pause(d time.Duration, until <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-until:
	}
}
