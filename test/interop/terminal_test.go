// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// terminal is a screen with a keyboard, and a program on it.
type terminal struct {
	t      *testing.T
	name   string
	socket string
}

// newTerminal runs a program on a terminal of its own until the test ends. It has a home of its own.
func newTerminal(t *testing.T, name, home string, environment []string, command ...string) *terminal {
	t.Helper()
	// A path in t.TempDir may be longer than the name of a socket can be.
	folder, err := os.MkdirTemp("", "terminal")
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, name: name, socket: filepath.Join(folder, "tmux")}
	c := exec.Command("tmux", "-D", "-u", "-f", "/dev/null", "-S", term.socket) // in the foreground
	program.Bind(c)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "TZ=UTC", "TERM=screen-256color",
		"XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home}, environment...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			screen, _ := term.tmux("capture-pane", "-p", "-S", "-200")
			keep(t, name+".txt", []byte(screen+stderr.String()))
		}
		_, _ = term.tmux("kill-server")
		_ = c.Wait()
		_ = os.RemoveAll(folder)
	})
	term.until("terminal", func(string) bool {
		_, err := os.Stat(term.socket)
		return err == nil
	})
	if out, err := term.tmux(append([]string{"set-option", "-g", "remain-on-exit", "on", ";",
		"new-session", "-d", "-x", "150", "-y", "60", "--"}, command...)...); err != nil {
		t.Fatalf("tmux: %v %s", err, out)
	}
	return term
}

func (term *terminal) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// enter types a line.
func (term *terminal) enter(text string) {
	term.t.Helper()
	if strings.HasSuffix(text, ";") {
		text = strings.TrimSuffix(text, ";") + `\;` // a ; at the end would end tmux's command
	}
	if out, err := term.tmux("send-keys", "-l", "--", text); err != nil {
		term.t.Fatalf("tmux: %v %s", err, out)
	}
	if out, err := term.tmux("send-keys", "Enter"); err != nil {
		term.t.Fatalf("tmux: %v %s", err, out)
	}
}

// screen is what can be read.
func (term *terminal) screen() string {
	out, _ := term.tmux("capture-pane", "-p")
	return out
}

// until looks at the screen until something holds.
func (term *terminal) until(what string, holds func(screen string) bool) {
	term.t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(30 * time.Millisecond)
	defer look.Stop()
	for !holds(term.screen()) {
		select {
		case <-look.C:
		case <-deadline:
			term.t.Fatalf("%s: not on the screen: %s", term.name, what)
		}
	}
}
