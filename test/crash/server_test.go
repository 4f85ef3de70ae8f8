// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	seedFlag   = flag.Uint64("crash.seed", 0, "the seed of chance; 0 takes a new one")
	roundsFlag = flag.Int("crash.rounds", 0, "rounds of TestKill and TestMetamorphic; 0 takes what suits every day")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, folder := range built.folders {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// built are the programs under test, by the flags of their build.
var built struct {
	mu      sync.Mutex
	paths   map[string]string
	folders []string
}

// program builds stonechat with those flags, once.
func program(t *testing.T, flags ...string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	key := strings.Join(flags, " ")
	if p := built.paths[key]; p != "" {
		return p
	}
	folder, err := os.MkdirTemp("", "stonechat-crash")
	if err != nil {
		t.Fatal(err)
	}
	built.folders = append(built.folders, folder)
	path := filepath.Join(folder, "stonechat")
	c := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "../../cmd/stonechat")...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if built.paths == nil {
		built.paths = map[string]string{}
	}
	built.paths[key] = path
	return path
}

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
	cmd   *exec.Cmd
	plain string // address of the listener without TLS
	tls   string
	ended chan struct{} // closed when the process has ended
	err   error         // how it ended
}

// start runs the server until it is ready.
func start(o options) (*server, error) {
	s := &server{options: o, ended: make(chan struct{})}
	conf := filepath.Join(o.folder, "stonechat.yaml")
	if err := os.WriteFile(conf, []byte(s.configuration()), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{}, o.under...)
	args = append(append(args, o.program, "serve", "-c", conf), o.args...)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), o.env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(s.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch f := strings.Fields(lines.Text()); {
			case len(f) == 3 && f[0] == "listening" && f[1] == "client":
				s.plain = f[2]
			case len(f) == 3 && f[0] == "listening" && f[1] == "client_tls":
				s.tls = f[2]
			case len(f) > 0 && f[0] == "ready":
				ready <- true
			}
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	select {
	case <-ready:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("the server did not start: %w\n%s", s.err, s.log())
	case <-time.After(2 * patience):
		s.kill()
		return nil, fmt.Errorf("the server is not ready\n%s", s.log())
	}
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

func (s *server) data() string    { return filepath.Join(s.folder, "data") }
func (s *server) logName() string { return filepath.Join(s.folder, "server.log") }

// log is the end of what the server wrote to its standard error.
func (s *server) log() string {
	b, _ := os.ReadFile(s.logName())
	if len(b) > 4000 {
		b = append([]byte("…"), b[len(b)-4000:]...)
	}
	return string(b)
}

// address is that of the listener with TLS, or of the one without.
func (s *server) address(secure bool) string {
	if secure {
		return s.tls
	}
	return s.plain
}

// pid is the server's own process, also when it runs under another command.
func (s *server) pid() int {
	pid := s.cmd.Process.Pid
	if len(s.under) == 0 {
		return pid
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pid
	}
	var child int
	if _, err := fmt.Sscan(string(b), &child); err != nil {
		return pid
	}
	return child
}

// kill is kill -9.
func (s *server) kill() {
	_ = syscall.Kill(s.pid(), syscall.SIGKILL)
	<-s.ended
}

// terminate is an operator's stop. The error says that it was not in order.
func (s *server) terminate() error {
	_ = syscall.Kill(s.pid(), syscall.SIGTERM)
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("the server stopped: %w\n%s", s.err, s.log())
		}
		return nil
	case <-time.After(patience):
		_ = syscall.Kill(s.pid(), syscall.SIGQUIT) // it writes what its goroutines do
		<-s.ended
		return fmt.Errorf("the server did not stop\n%s", s.log())
	}
}

// mustStart starts a server and sees that it is gone at the test's end.
func mustStart(t *testing.T, o options) *server {
	t.Helper()
	s, err := start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

// checkLog reports what a server's log tells of trouble that no client sees.
func checkLog(t *testing.T, folder string, bad ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "server.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for line := range bytes.Lines(b) {
		for _, word := range append(bad, "panic", "DATA RACE", "not readable", "goroutine ") {
			if bytes.Contains(line, []byte(word)) {
				t.Errorf("the server's log: %s", line)
				return
			}
		}
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
