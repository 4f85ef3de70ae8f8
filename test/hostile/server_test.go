// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should take milliseconds.
const patience = 20 * time.Second

const (
	domain   = "localhost"
	password = "pencil"
)

// program builds stonechat once, such that it overwrites buffers which must not be kept.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "stonechat-hostile")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "stonechat")
	out, err := exec.Command("go", "build", "-tags=invariants", "-o", path, "../../cmd/stonechat").CombinedOutput()
	if err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := program(); path != "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is the running program.
type server struct {
	folder             string
	cmd                *exec.Cmd
	plain, tls, metric string // addresses of its listeners
	component          string
	server, serverTLS  string
	ended              chan struct{}
	err                error // how it ended
}

// command is the program on a folder, whose configuration is the usual one and those lines.
func command(t *testing.T, folder, lines string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(folder, "stonechat.yaml")
	text := "domains: [" + domain + "]\ndata: " + filepath.Join(folder, "data") + `
registration: open
listen:
  client: ["127.0.0.1:0"]
  client_tls: ["127.0.0.1:0"]
  server: ["127.0.0.1:0"]
  server_tls: ["127.0.0.1:0"]
  metrics: ["127.0.0.1:0"]
  component: ["127.0.0.1:0"]
` + lines
	roots := filepath.Join(folder, "roots.pem")
	write(t, conf, []byte(text))
	write(t, roots, authorities())
	c := exec.Command(path, "serve", "-c", conf)
	c.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+folder)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// start runs the program until the test ends, and then looks at its log.
func start(t *testing.T, lines string) *server {
	t.Helper()
	s := &server{folder: t.TempDir(), ended: make(chan struct{})}
	s.cmd = command(t, s.folder, lines)
	log, err := os.Create(s.logName())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	ready := make(chan struct{})
	go s.follow(out, ready)
	select {
	case <-ready:
	case <-s.ended:
		t.Fatalf("the server did not start: %v\n%s", s.err, s.log())
	case <-time.After(patience):
		t.Fatalf("the server is not ready\n%s", s.log())
	}
	return s
}

// follow reads what the program says of itself, until it ends.
func (s *server) follow(out io.Reader, ready chan struct{}) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch f := strings.Fields(lines.Text()); {
		case len(f) == 3 && f[0] == "listening" && f[1] == "client":
			s.plain = f[2]
		case len(f) == 3 && f[0] == "listening" && f[1] == "client_tls":
			s.tls = f[2]
		case len(f) == 3 && f[0] == "listening" && f[1] == "component":
			s.component = f[2]
		case len(f) == 3 && f[0] == "listening" && f[1] == "server":
			s.server = f[2]
		case len(f) == 3 && f[0] == "listening" && f[1] == "server_tls":
			s.serverTLS = f[2]
		case len(f) == 3 && f[0] == "listening" && f[1] == "metrics":
			s.metric = f[2]
		case len(f) > 0 && f[0] == "ready":
			close(ready)
		}
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

func (s *server) logName() string { return filepath.Join(s.folder, "server.log") }

func (s *server) log() []byte {
	b, _ := os.ReadFile(s.logName())
	return b
}

// stop asks the program to end, and sees that it does, in order.
func (s *server) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		if s.err != nil {
			t.Errorf("the server ended with %v", s.err)
		}
	case <-time.After(2 * patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
		t.Error("the server did not stop")
	}
	for line := range bytes.Lines(s.log()) {
		for _, word := range []string{"panic", "goroutine ", "level=ERROR", "DATA RACE"} {
			if bytes.Contains(line, []byte(word)) {
				t.Errorf("the server's log: %s", line)
				return
			}
		}
	}
}

// samples are metrics by their names with labels, as they are written: `a_total{b="c"}`.
type samples map[string]float64

func (s *server) metrics(t *testing.T) samples {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + s.metric + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	all := samples{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			all[name] = v
		}
	}
	return all
}

// short are the names of metrics without what all have in common.
func short(name string) string {
	name = strings.TrimPrefix(name, "stonechat_")
	return strings.NewReplacer("_total", "", `"`, "", "condition=", "", "result=", "", "reason=", "", "kind=", "").Replace(name)
}

// trouble reports whether a metric, by its short name, counts what only a hostile or broken peer causes.
func trouble(name string) bool {
	family, label, _ := strings.Cut(name, "{")
	switch family {
	case "c2s_stream_errors", "c2s_evicted", "c2s_dropped", "c2s_logins_limited", "c2s_binds_refused", "stanzas_refused",
		"readers_stalled", "windows_overflowed", "sessions_throttled", "spool_failures", "spool_expired",
		"component_stream_errors", "component_evicted", "component_stalled",
		"s2s_stream_errors", "s2s_evicted", "s2s_refused", "s2s_blocked", "s2s_pairs_full", "s2s_questions_full", "s2s_unsolicited",
		"s2s_incidents", "s2s_dialback_failed", "s2s_dial_failed":
		return true
	case "c2s_logins":
		return label != "success}"
	case "c2s_gone":
		return label == "handshake}" || label == "stalled}" || label == "panic}" || label == "timeout}"
	}
	return false
}

// rise is by how much the metrics that count trouble, and those named in also, have risen; by short names.
func (s *server) rise(t *testing.T, since samples, also map[string]rise) map[string]int {
	t.Helper()
	got := map[string]int{}
	for name, v := range s.metrics(t) {
		n := short(name)
		_, named := also[n]
		if d := int(v - since[name]); d != 0 && (named || trouble(n)) {
			got[n] = d
		}
	}
	return got
}
