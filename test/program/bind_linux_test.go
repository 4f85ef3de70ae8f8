// SPDX-License-Identifier: Apache-2.0

package program_test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// role is the variable that makes this test's program another one: one that starts a bound program and panics, or is killed.
const role = "STONECHAT_TEST_ROLE"

func TestMain(m *testing.M) {
	how := os.Getenv(role)
	if how == "" {
		os.Exit(m.Run())
	}
	c := exec.Command("sleep", "600")
	c.Stdout = os.Stdout
	program.Bind(c)
	if err := c.Start(); err != nil {
		panic(err)
	}
	if _, err := os.Stdout.WriteString("started\n"); err != nil || how == "panic" {
		panic(how)
	}
	_ = c.Wait()
}

// TestBind: what a program has bound ends with it, when it panics and when it is killed. Both have the pipe's other end, so that it is
// at its end when they are.
func TestBind(t *testing.T) {
	for _, how := range []string{"panic", "killed"} {
		t.Run(how, func(t *testing.T) {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), role+"="+how)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close() //nolint:errcheck // it was read
			c.Stdout = w
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			line := make([]byte, len("started\n"))
			if _, err := io.ReadFull(r, line); err != nil || !strings.HasPrefix(string(line), "started") {
				t.Fatalf("%q, %v", line, err)
			}
			if how == "killed" {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Wait() // it ends with an error
			if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(r); err != nil {
				t.Errorf("what it started is there still: %q, %v", rest, err)
			}
		})
	}
}
