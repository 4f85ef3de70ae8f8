// SPDX-License-Identifier: Apache-2.0

package main

// What servers that talk to each other need: names, served by dnsmasq on a port
// of its own, and very many domains, all of them of one sink. How each software
// is told of it is here as well.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

const (
	federating  = "server"    // the port for other servers, in the list of each software
	attaching   = "component" // that for components
	host        = "host.example"
	sinkDomains = 1100
)

// sinkDomain is the name of one of the sink's domains.
func sinkDomain(n int) string { return fmt.Sprintf("d%d.sink.example", n%sinkDomains) }

// world is what is around the servers.
type world struct {
	sink     *bench.Sink
	resolver string // the address of the DNS server; empty: nobody needs one
	hosts    string // a file with the address of host
	cmd      *exec.Cmd
}

func (b *bed) newWorld(ctx context.Context) (*world, error) {
	dir := filepath.Join(b.dir, "world")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := b.ca.issue(dir, "*.sink.example"); err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	port, err := b.freePort()
	if err != nil {
		return nil, err
	}
	w := &world{hosts: filepath.Join(dir, "hosts")}
	if w.sink, err = bench.NewSink(fmt.Sprintf("127.0.0.1:%d", port), cert); err != nil {
		return nil, err
	}
	if len(b.servers) > 0 {
		err = w.serveNames(ctx, b, dir, port)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// serveNames runs the DNS server.
func (w *world) serveNames(ctx context.Context, b *bed, dir string, sink int) error {
	port, err := b.freePort()
	if err != nil {
		return err
	}
	w.resolver = fmt.Sprintf("127.0.0.1:%d", port)
	var conf strings.Builder
	fmt.Fprintf(&conf, "keep-in-foreground\nno-resolv\nno-hosts\nno-daemon\nlisten-address=127.0.0.1\nport=%d\nbind-interfaces\nlocal=/example/\naddn-hosts=%s\npid-file=\nlocal-ttl=60\n",
		port, w.hosts)
	for n := range sinkDomains {
		fmt.Fprintf(&conf, "srv-host=_xmpp-server._tcp.%s,%s,%d,1,1\n", sinkDomain(n), host, sink)
	}
	for _, s := range b.servers {
		for _, one := range []*server{s, s.twin} {
			if one != nil && one.federates() {
				fmt.Fprintf(&conf, "srv-host=_xmpp-server._tcp.%s,%s,%d,1,1\n", one.domain, host, one.ports[federating])
			}
		}
	}
	file := filepath.Join(dir, "dnsmasq.conf")
	if err := errors.Join(os.WriteFile(w.hosts, []byte("127.0.0.1 localhost\n127.0.0.1 "+host+"\n"), 0o644), os.WriteFile(file, []byte(conf.String()), 0o644)); err != nil {
		return err
	}
	args := []string{"--conf-file=" + file}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	log, err := os.Create(filepath.Join(dir, "dnsmasq.log"))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	w.cmd = exec.CommandContext(ctx, "dnsmasq", args...)
	w.cmd.Stdout, w.cmd.Stderr = log, log
	if err := w.cmd.Start(); err != nil {
		w.cmd = nil
		return fmt.Errorf("needs Debian's dnsmasq-base: %w", err)
	}
	for end := time.Now().Add(startTime); ; <-time.After(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", w.resolver)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("dnsmasq does not listen: %w", err)
		}
	}
}

func (w *world) close() error {
	if w == nil {
		return nil
	}
	err := w.sink.Close()
	if w.cmd != nil {
		_ = w.cmd.Process.Kill() // it may have ended
		_ = w.cmd.Wait()         // it has been killed
	}
	return err
}

func prosodyFederation(s *server) string {
	dnsHost, dnsPort, _ := strings.Cut(s.resolver, ":")
	return fmt.Sprintf(`s2s_ports = { %d }
s2s_direct_tls_ports = { }
s2s_require_encryption = true
s2s_secure_auth = true
unbound = { resolvconf = false, hoststxt = false, forward = { "%s@%s" }, options = { ["do-not-query-localhost:"] = "no" } }
`, s.ports[federating], dnsHost, dnsPort)
}

// ejabberdFederation is what its configuration has more, at the top and among what it listens on.
func ejabberdFederation(s *server) (top, listen string, err error) {
	dnsHost, dnsPort, _ := strings.Cut(s.resolver, ":")
	// The name server comes last: that there is no resolv.conf takes away those named before.
	err = s.write("inetrc", "{lookup, [dns]}.\n{resolv_conf, \"\"}.\n{hosts_file, \"\"}.\n{cache_size, 0}.\n{nameserver, {%s}, %s}.\n", strings.ReplaceAll(dnsHost, ".", ","), dnsPort)
	top = fmt.Sprintf("ca_file: %q\ns2s_use_starttls: required\ns2s_max_retry_delay: 1\ns2s_cafile: %[1]q\n", filepath.Join(s.dir, rootsFile))
	listen = fmt.Sprintf("  - {port: %d, ip: \"127.0.0.1\", module: ejabberd_s2s_in, shaper: none, max_stanza_size: 262144}\n", s.ports[federating])
	return top, listen, err
}

// ejabberdWithNames finds SRV records by Erlang's resolver, and addresses by that of the system, which reads a hosts file
// of ours in a mount namespace of its own.
func ejabberdWithNames(s *server, command []string) []string {
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm"
	}
	own := []string{"unshare", flags, "sh", "-c", `mount --bind "$1" /etc/hosts && shift && exec "$@"`, "sh", s.hosts}
	return append(append(own, command...), "-kernel", "inetrc", `"`+s.dir+`/inetrc"`)
}
