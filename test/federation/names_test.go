// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/test/space"
)

// names is a DNS server for made-up domains: dnsmasq on a loopback address of its own.
type names struct {
	t       *testing.T
	host    string
	port    int
	folder  string
	records map[string][]string // by domain: lines of dnsmasq's configuration
	hosts   map[string]string   // name to address; read again when it changes
	direct  bool                // servers are found by ports of direct TLS alone (XEP-0368)
	within  *space.Space        // nil is the test's own
	process *process
}

const namesPort = 5353

func newNames(t *testing.T, host string) *names {
	return &names{t: t, host: host, port: namesPort, folder: t.TempDir(), records: map[string][]string{}, hosts: map[string]string{}}
}

// server says where a domain's servers are: at a host of its name.
func (n *names) server(domain, address string) {
	n.hosts["xmpp."+domain] = address
	for _, name := range []string{domain, "conference." + domain, "pubsub." + domain} {
		n.records[domain] = append(n.records[domain], fmt.Sprintf("srv-host=_xmpps-server._tcp.%s,xmpp.%s,%d,2,1", name, domain, serverTLSPort))
		if !n.direct {
			n.records[domain] = append(n.records[domain], fmt.Sprintf("srv-host=_xmpp-server._tcp.%s,xmpp.%s,%d,1,1", name, domain, serverPort))
		}
	}
}

// start runs it until the test ends.
func (n *names) start() {
	n.t.Helper()
	conf := fmt.Sprintf("keep-in-foreground\nno-resolv\nno-hosts\nno-daemon\nlisten-address=%s\nport=%d\nbind-interfaces\nlocal=/example/\n"+
		"addn-hosts=%s\npid-file=\nlocal-ttl=1\nlog-queries\nlog-facility=-\nuser=\n", n.host, n.port, n.hostsFile())
	for _, lines := range n.records {
		conf += strings.Join(lines, "\n") + "\n"
	}
	file := filepath.Join(n.folder, "dnsmasq.conf")
	write(n.t, file, []byte(conf))
	n.writeHosts()
	n.process = run(n.t, "dnsmasq", n.folder, n.within.Enter(exec.Command("dnsmasq", "--conf-file="+file, "--user="+userName())), func() error {
		conn, err := n.within.Dial(context.Background(), n.address())
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

func userName() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return ""
}

func (n *names) hostsFile() string { return filepath.Join(n.folder, "hosts") }

func (n *names) address() string { return fmt.Sprintf("%s:%d", n.host, n.port) }

func (n *names) writeHosts() {
	text := "127.0.0.1 localhost\n"
	for name, address := range n.hosts {
		text += address + " " + name + "\n"
	}
	write(n.t, n.hostsFile(), []byte(text))
}

// move gives a domain's server another address.
func (n *names) move(domain, address string) {
	n.t.Helper()
	n.hosts["xmpp."+domain] = address
	n.writeHosts()
	if err := n.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		n.t.Fatal(err)
	}
}

// process is a program that the bed runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// run starts a program and waits until it is ready; it ends with the test.
func run(t *testing.T, name, folder string, cmd *exec.Cmd, ready func() error) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, log: filepath.Join(folder, name+".out"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, out, out
	program.Bind(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	t.Cleanup(p.kill)
	deadline := time.After(startTime)
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		err := ready()
		if err == nil {
			return p
		}
		select {
		case <-tick.C:
		case <-p.ended:
			t.Fatalf("%s has ended: %s", name, p.words())
		case <-deadline:
			t.Fatalf("%s is not ready: %v\n%s", name, err, p.words())
		}
	}
}

// kill ends it at once, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// words is the end of what it printed.
func (p *process) words() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-3000):])
}
