// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/qr"
	"github.com/stonechat-im/stonechat/xmpp/registry"
)

// ownHost is an address of this machine where nobody else has ports, on systems where there are many: a port that was free stays so.
func ownHost() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return hostOf(os.Getpid())
}

// hostOf has no two processes have one address: they have 22 bits.
func hostOf(pid int) string {
	return fmt.Sprintf("127.%d.%d.%d", 64|pid>>16&63, pid>>8&255, pid&255)
}

func TestOwnHost(t *testing.T) {
	seen := make(map[string]int)
	for _, pid := range []int{2, 3, 254, 255, 256, 2 + 1<<8, 2 + 1<<16, 3 + 1<<16, 1<<22 - 1, 1<<22 - 2, 1<<21 + 2} {
		host := hostOf(pid)
		if other, taken := seen[host]; taken || net.ParseIP(host) == nil {
			t.Errorf("%d and %d have %s", other, pid, host)
		}
		seen[host] = pid
	}
}

// Where its ports are taken the demo takes others, both of them.
func TestDemoPorts(t *testing.T) {
	host := ownHost()
	taken, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only to be taken
	port := taken.Addr().(*net.TCPAddr).Port
	for _, first := range []int{port, port - 1} {
		c := config.Default()
		c.Data, c.Log.Level = t.TempDir(), "error"
		c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil, nil
		in, err := Demo{Host: host, Port: first}.start(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"client", "client_tls"} {
			if a := in.address(key); a == "" || a == taken.Addr().String() || strings.HasSuffix(a, ":0") {
				t.Errorf("from %d on: %s at %q", first, key, a)
			}
		}
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	}
}

// Its pages are what a terminal of 80x24 shows, with the line that says what to type, and what a code says is what stands above it.
func TestDemoPages(t *testing.T) {
	h, err := Demo{Data: t.TempDir(), Host: "127.0.0.1", Domain: "localhost", Every: time.Minute}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	h.Data = "demo-data" // as people have it
	for n := range h.pages() {
		page := h.page(n, qr.DarkTerminal)
		if lines := strings.Count(page, "\n"); lines > 23 {
			t.Errorf("page %d has %d lines", n, lines)
		}
		for line := range strings.Lines(page) {
			if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 {
				t.Errorf("page %d has a line of %d: %s", n, width, line)
			}
		}
	}
	for i, x := range h.things {
		lines := strings.Split(h.page(i+1, qr.DarkTerminal), "\n")
		code, err := registry.ParseURI(x.code().Chat)
		if err != nil {
			t.Fatal(err)
		}
		typed, err := registry.ParseURI(strings.TrimPrefix(lines[1], "claim "))
		if err != nil || typed.Tags.Value(registry.KEY) != code.Tags.Value(registry.KEY) || code.Registry != h.service() {
			t.Errorf("%s: %q beside %v: %v", x.name, lines[1], code, err)
		}
	}
	if page := usedUp(3, "motion", "you@localhost", h.service().String()); !strings.Contains(page, "3. motion belongs to you@localhost") || !strings.Contains(page, `"disown motion" to things.localhost`) {
		t.Errorf("of a thing that is somebody's: %s", page)
	}
	for called, want := range map[string]string{"bin/stonechat": "bin/stonechat", "stonechat": "stonechat", "/a/folder/that/is/far/away/bin/stonechat": "stonechat"} {
		if got := self(called); got != want {
			t.Errorf("%s is called %s", called, got)
		}
	}
	for text, want := range map[string]int{"": 4, "2": 2, " Door ": 5, "h": 0, "w": 6, "6": 4, "0": 4, "-1": 4, "what?": 4} {
		if got := h.wanted(text, 4); got != want {
			t.Errorf("%q is page %d, not %d", text, got, want)
		}
	}
}
