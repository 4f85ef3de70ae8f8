// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: a world is the programs of one scenario; server, process and figure are what a scenario
// is written with.

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/test/space"
)

// patience is for anything that should come at once.
const patience = time.Minute

const password = "wet-paint-12"

var stonechat program.Binary

func TestMain(m *testing.M) {
	if f := programs()[os.Getenv(programName)]; f != nil {
		f()
		return
	}
	os.Exit(program.Run(m, 0, &stonechat))
}

// programName is the variable by which this test is one of the programs instead, which makers of things have written.
const programName = "SCENARIO_PROGRAM"

func programs() map[string]func() {
	return map[string]func(){"robots": robots, "battery": battery, "alone": alone, "bus": bus, "unlucky": unlucky}
}

// figure prints what was measured beside what is accepted, at most, and fails the test where it is more.
func figure(t *testing.T, what string, got, most time.Duration) {
	t.Helper()
	fmt.Printf("%s: %s: %s (at most %s)\n", t.Name(), what, got.Round(100*time.Microsecond), most)
	if got > most {
		t.Errorf("%s took %s, more than %s", what, got, most)
	}
}

// count prints a number beside the one that is accepted.
func count(t *testing.T, what string, got, want int) {
	t.Helper()
	fmt.Printf("%s: %s: %d (%d)\n", t.Name(), what, got, want)
	if got != want {
		t.Errorf("%s: %d, not %d", what, got, want)
	}
}

// server is a running stonechat.
type server struct {
	t       *testing.T
	domain  string
	folder  string
	address string // of clients
	s2s     string // of other servers
	process *process
	within  *space.Space
	signer  *authority
	options options
}

// options change a server's configuration.
type options struct {
	domain string       // "" is home.test
	others string       // further domains, with a comma before each
	more   string       // further lines of its configuration
	at     string       // its address; "" is one that nobody else has
	within *space.Space // where it runs; nil: here
	signed *authority   // by whom its certificate is; nil: by itself

	program     string   // "" is the one that people have
	environment []string // of the program
	troubled    bool     // its log may tell of errors
}

// start starts a server that is stopped with the test.
func start(t *testing.T, o options) *server {
	t.Helper()
	if o.domain == "" {
		o.domain = "home.test"
	}
	at := cmp.Or(o.at, program.Loopback())
	s := &server{options: o, within: o.within, t: t, domain: o.domain, folder: t.TempDir(), address: net.JoinHostPort(at, "5222"), s2s: net.JoinHostPort(at, "5269")}
	more := o.more
	if s.signer = o.signed; s.signer != nil {
		more += s.signer.certify(s)
	}
	s.write("stonechat.yaml", fmt.Sprintf(`domains: [%s%s]
data: %s
listen:
  client: [%q]
  client_tls: []
  server: [%q]
  server_tls: []
  component: []
  http: []
  https: []
  metrics: []
%s`, s.domain, o.others, filepath.Join(s.folder, "data"), s.address, s.s2s, more))
	s.run()
	t.Cleanup(func() {
		s.stop()
		s.readLog()
	})
	return s
}

func (s *server) write(name, text string) string {
	s.t.Helper()
	name = filepath.Join(s.folder, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// run starts the process and waits until it is ready.
func (s *server) run() {
	s.t.Helper()
	environment := s.options.environment
	if s.signer != nil {
		environment = append(environment, "SSL_CERT_FILE="+s.signer.file, "SSL_CERT_DIR=/nonexistent")
	}
	at := s.options.program
	if at == "" {
		at = stonechat.MustPath(s.t)
	}
	s.process = launch(s.t, "server-"+s.domain, environment, s.within.Enter(exec.Command(at, "serve", "-c", filepath.Join(s.folder, "stonechat.yaml"))))
	s.process.expect("^ready")
}

// kill ends it as a power cut does, and run starts it again.
func (s *server) kill() { s.process.end(syscall.SIGKILL) }

func (s *server) stop() { s.process.end(syscall.SIGTERM) }

// readLog reports trouble that nobody saw.
func (s *server) readLog() {
	for _, word := range []string{"panic", "level=ERROR", "goroutine "} {
		if s.options.troubled && word == "level=ERROR" {
			continue
		}
		if strings.Contains(s.process.stderr.String(), word) {
			s.t.Errorf("the log of %s has %q", s.domain, word)
		}
	}
}

// command runs an operator's command to its end, and returns what it printed.
func (s *server) command(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// try is command where it may fail.
func (s *server) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Minute) // an import on a loaded machine
	defer cancel()
	c := exec.CommandContext(ctx, stonechat.MustPath(s.t), append(args, "-c", filepath.Join(s.folder, "stonechat.yaml"))...)
	c.Env = append(os.Environ(), "STONECHAT_PASSWORD="+password)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("stonechat %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), err
}

// account makes an account, and returns its address.
func (s *server) account(name string) string {
	s.t.Helper()
	own := name + "@" + s.domain
	s.command("user", "add", own)
	return own
}

// authority is the file with the certificate to trust.
func (s *server) authority() string {
	s.t.Helper()
	if s.signer != nil {
		return s.signer.file
	}
	names, err := filepath.Glob(filepath.Join(s.folder, "data", "*", "self-signed.crt"))
	more, _ := filepath.Glob(filepath.Join(s.folder, "data", "self-signed.crt"))
	if names = append(names, more...); err != nil || len(names) != 1 {
		s.t.Fatalf("the server's certificate: %v %v", names, err)
	}
	return names[0]
}

// environment is what commands that log in need.
func (s *server) environment(own string) []string {
	return []string{"STONECHAT_JID=" + own, "STONECHAT_PASSWORD=" + password, "STONECHAT_ADDRESS=" + s.address, "STONECHAT_CA=" + s.authority()}
}

// thing runs a thing of the command line that has an account.
func (s *server) thing(own string, args ...string) *process {
	s.t.Helper()
	return execute(s.t, own, s.environment(own), append([]string{"thing", "run"}, args...)...)
}

// process is a running program that is told lines and tells some.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	in     io.Writer
	stderr lockedBuffer
	ended  chan struct{}

	patience time.Duration // of expect

	mu      sync.Mutex
	lines   []string
	read    int           // of lines, by expect
	changed chan struct{} // closed, and made again, for each line
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// execute starts stonechat with those arguments; it is ended with the test.
func execute(t *testing.T, name string, environment []string, args ...string) *process {
	t.Helper()
	return launch(t, name, environment, exec.Command(stonechat.MustPath(t), args...))
}

// runProgram starts one of the programs; it is ended with the test.
func runProgram(t *testing.T, name string, environment ...string) *process {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, name, append(environment, programName+"="+name), exec.Command(own))
}

func launch(t *testing.T, name string, environment []string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, patience: patience, ended: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	program.Bind(p.cmd)
	p.cmd.Stderr = &p.stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for in := bufio.NewScanner(out); in.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, in.Text())
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s:\n%s\n%s", name, strings.Join(p.lines, "\n"), p.stderr.String())
		}
	})
	return p
}

// end ends it, and what it has started, once.
func (p *process) end(signal syscall.Signal) {
	select {
	case <-p.ended:
		return // its number may be somebody else's by now
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, signal)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.name)
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// expect waits for a line, behind those it has returned before, and returns its submatches.
func (p *process) expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(p.patience)
	for {
		p.mu.Lock()
		for p.read < len(p.lines) {
			p.read++
			if m := re.FindStringSubmatch(p.lines[p.read-1]); m != nil {
				p.mu.Unlock()
				return m
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-p.ended:
			p.t.Fatalf("%s has ended without %q:\n%s", p.name, pattern, p.stderr.String())
		case <-deadline:
			p.t.Fatalf("%s does not say %q", p.name, pattern)
		}
	}
}
