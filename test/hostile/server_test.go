// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// patience is how long anything may take that should take milliseconds.
const patience = 20 * time.Second

const (
	domain   = "localhost"
	password = "pencil"
)

// stonechat overwrites buffers which must not be kept.
var stonechat = program.Binary{Flags: []string{"-tags=invariants"}}

func TestMain(m *testing.M) { os.Exit(program.Run(m, 0, &stonechat)) }

// server is the running program.
type server struct {
	*program.Process
	folder             string
	plain, tls, metric string // addresses of its listeners
	component          string
	server, serverTLS  string
}

// command is the program on a folder, whose configuration is the usual one and those lines.
func command(t *testing.T, folder, lines string) *exec.Cmd {
	t.Helper()
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
	c := exec.Command(stonechat.MustPath(t), "serve", "-c", conf)
	c.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+folder)
	return c
}

// start runs the program until the test ends, and then looks at its log.
func start(t *testing.T, lines string) *server {
	t.Helper()
	folder := t.TempDir()
	p, err := program.Start(command(t, folder, lines), filepath.Join(folder, "server.log"), patience)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Process: p, folder: folder, plain: p.Address["client"], tls: p.Address["client_tls"], metric: p.Address["metrics"],
		component: p.Address["component"], server: p.Address["server"], serverTLS: p.Address["server_tls"]}
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *server) log() []byte {
	b, _ := os.ReadFile(filepath.Join(s.folder, "server.log"))
	return b
}

// stop asks the program to end, and sees that it does, in order.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.Terminate(2 * patience); err != nil {
		t.Error(err)
	}
	if line := program.Trouble(s.log(), "level=ERROR"); line != "" {
		t.Errorf("the server's log: %s", line)
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
