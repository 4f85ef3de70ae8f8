// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

// How to read this file: process is a server as people run one, in a process of its own, for tests of signals and of
// sudden ends. Its stop ends it well, kill does not.

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	config  string
	data    string
	address map[string]string // of listeners, by key
	before  map[string]string // of the process before this one
	out     io.Reader
	log     lines
	over    bool
}

// at is where the server is told to listen: anywhere, or where it was before.
func (p *process) at(key string) string {
	if a := p.before[key]; a != "" {
		return a
	}
	return net.JoinHostPort(ownHost(), "0")
}

// run starts a server on a data folder, with those further lines of configuration.
func run(t *testing.T, data, more string) *process {
	t.Helper()
	p := &process{t: t, data: data, address: map[string]string{}, config: filepath.Join(t.TempDir(), "stonechat.yaml")}
	p.start(more)
	return p
}

// start starts the server, for the first time or again at the addresses it had.
func (p *process) start(more string) {
	t := p.t
	t.Helper()
	p.before = maps.Clone(p.address)
	p.configure(more)
	p.over = false
	p.cmd = exec.Command("stonechat", "serve", "-c", p.config)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.out = out
	t.Cleanup(p.kill)
	for s := bufio.NewScanner(out); s.Scan(); {
		switch f := strings.Fields(s.Text()); f[0] {
		case "listening":
			p.address[f[1]] = f[2]
		case "ready":
			return
		}
	}
	t.Fatalf("the server did not start: %v %s", p.cmd.Wait(), p.log.String())
}

// configure writes the configuration.
func (p *process) configure(more string) {
	p.t.Helper()
	text := fmt.Sprintf("domains: [localhost]\nlisten: {client: [%q], client_tls: [%q], server: [], server_tls: [], http: [], https: [], metrics: [%q]}\ndata: %s\n%s",
		p.at("client"), p.at("client_tls"), p.at("metrics"), p.data, more)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	if !p.over {
		p.over = true
		_ = p.cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, p.out)
		_ = p.cmd.Wait()
	}
}

// stop ends the server as the system does, and reports how that went.
func (p *process) stop() error {
	p.signal(syscall.SIGTERM)
	return p.wait()
}

func (p *process) wait() error {
	p.over = true
	_, _ = io.Copy(io.Discard, p.out)
	return p.cmd.Wait()
}

// stonechat runs a command beside the server, and returns what it says.
func (p *process) stonechat(args ...string) string {
	p.t.Helper()
	out, err := command(args...)
	if err != nil {
		p.t.Fatalf("stonechat %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func command(args ...string) (string, error) {
	c := exec.Command("stonechat", args...)
	c.Env = append(os.Environ(), "STONECHAT_PASSWORD=secret")
	out, err := c.CombinedOutput()
	return string(out), err
}

// client makes a client of an account, which exists or is made. arrived, if it is not nil, gets
// the bodies of messages, and the client then is available.
func (p *process) client(ctx context.Context, name string, arrived chan<- string) *client.Client {
	p.t.Helper()
	account := jid.MustParse(name + "@localhost")
	if out, err := command("user", "add", "--data", p.data, account.String()); err != nil && !strings.Contains(out, "exists already") {
		p.t.Fatal(err, out)
	}
	c := client.Config{
		Account: account, Password: "secret", Address: p.address["client"],
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond, QueueStanzas: 100,
	}
	if err := c.Trust(filepath.Join(p.data, "tls", "self-signed.crt")); err != nil {
		p.t.Fatal(err)
	}
	cl, err := client.New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	if arrived != nil {
		cl.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { arrived <- stanza.BodyOf(s) })
		if err := cl.Announce(ctx, client.Availability{}); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := cl.Start(); err != nil {
		p.t.Fatal(err)
	}
	return cl
}
