// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exampleServers are the servers beside which examples run, by the folder of their document.
type exampleServers map[string][]string

const exampleConfig = `domains: [example.org]
data: ./example-data
listen: {client: ["127.0.0.1:0"], client_tls: ["127.0.0.1:0"], server: [], server_tls: [], http: [], https: [], metrics: []}
log: {level: error}
`

// env starts the server of a document, which runs until the test ends, and returns what its
// examples find in their environment.
func (s exampleServers) env(t *testing.T, stonechat, box string) []string {
	t.Helper()
	if s[box] != nil {
		return s[box]
	}
	write(t, filepath.Join(box, "stonechat.yaml"), []byte(exampleConfig))
	c := exec.CommandContext(t.Context(), stonechat, "serve", "-c", "stonechat.yaml")
	c.Dir, c.Stderr = box, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() }) // t.Context is over by then
	env := []string{"STONECHAT_PASSWORD=…", "STONECHAT_CA=" + filepath.Join(box, "example-data", "tls", "self-signed.crt")}
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "ready"); {
		if address, ok := strings.CutPrefix(lines.Text(), "listening client "); ok {
			env = append(env, "STONECHAT_ADDRESS="+address)
		}
	}
	for _, name := range []string{"juliet", "romeo", "thermometer"} {
		add := exec.CommandContext(t.Context(), stonechat, "user", "add", "-c", "stonechat.yaml", name+"@example.org")
		add.Dir, add.Env = box, append(os.Environ(), env...)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s[box] = env
	return env
}
