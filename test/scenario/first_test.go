// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestFirstDevice: a new server, an account each for somebody and a thermometer, and its reading in the chat.
func TestFirstDevice(t *testing.T) {
	began := time.Now()
	s := start(t, options{})
	owner := s.person(s.account("owner"))
	s.thing(s.account("thermometer"), "--owner", "owner@home.test", "--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1s")
	owner.hears("thermometer@home.test", `temperature [12]\d(\.\d+)? °C`)
	figure(t, "from nothing to a reading in the chat", time.Since(began), 5*time.Minute)
	_, took := owner.asks("thermometer@home.test", "read", `temperature`)
	figure(t, "a question and its answer", took, 5*time.Second)
}

// TestFirstProgram: the first program of docs/devices.md, as it stands there, is a thing whose readings come.
func TestFirstProgram(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "devices.md"))
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile("(?s)```go build\n(.*?)```").FindSubmatch(text)
	if source == nil {
		t.Fatal("there is no program in docs/devices.md")
	}
	began := time.Now()
	folder, err := os.MkdirTemp(root, "first-program") // within the module, which is not published yet
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.WriteFile(filepath.Join(folder, "main.go"), source[1], 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "first")
	if out, err := exec.Command("go", "build", "-o", program, "./"+folder).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s := start(t, options{})
	owner := s.person(s.account("owner"))
	launch(t, "first", append(s.environment(s.account("thermometer")), "STONECHAT_OWNER="+owner.own.String()), exec.Command(program))
	owner.hears("thermometer@home.test", `temperature 21\.5 °C`)
	figure(t, "from a program of the manual to its reading in the chat", time.Since(began), 5*time.Minute)
}
