// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// proxy is a reverse proxy. The operator's guide has its configuration, which the test only moves to
// other addresses and files.
type proxy struct {
	// around makes a whole file of the guide's part, where folder is the proxy's to write in.
	around  func(part, folder, address string) string
	command func(file, folder string) []string
}

var proxies = map[string]proxy{
	"nginx": {
		around: func(part, folder, address string) string {
			paths := ""
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				paths += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, folder, kind)
			}
			return "daemon off; pid " + folder + "/pid; error_log stderr; events {}\nhttp {\naccess_log off;\n" + paths +
				strings.ReplaceAll(part, "listen 443", "listen "+address) + "}\n"
		},
		command: func(file, folder string) []string {
			return []string{"nginx", "-p", folder, "-e", "stderr", "-c", file}
		},
	},
	"caddy": {
		around: func(part, _, address string) string {
			host, port, _ := net.SplitHostPort(address)
			return "{\nadmin off\nauto_https disable_redirects\n}\n" + strings.Replace(part, domain+":443 {", domain+":"+port+" {\nbind "+host, 1)
		},
		command: func(file, _ string) []string {
			return []string{"caddy", "run", "--adapter", "caddyfile", "--config", file}
		},
	},
	"haproxy": {
		around: func(part, _, address string) string {
			return strings.ReplaceAll(part, "bind :443", "bind "+address)
		},
		command: func(file, _ string) []string { return []string{"haproxy", "-db", "-f", file} },
	},
}

// guided is the part that the operator's guide has for a proxy, for this server.
func (s *server) guided(name string) string {
	s.t.Helper()
	guide, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		s.t.Fatal(err)
	}
	part := regexp.MustCompile("(?s)\n```" + name + " proxy\n(.*?)```\n").FindSubmatch(guide)
	if part == nil {
		s.t.Fatalf("the guide has nothing for %s", name)
	}
	both := filepath.Join(s.folder, "both.pem")
	var pem []byte
	for _, file := range []string{s.cert, s.key} {
		b, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	write(s.t, both, string(pem))
	return strings.NewReplacer(
		"/etc/stonechat/example.org.both.pem", both, "/etc/stonechat/example.org.pem", s.cert, "/etc/stonechat/example.org.key", s.key,
		"127.0.0.1:5280", s.http.String(), "example.org", domain,
	).Replace(string(part[1]))
}

// behind starts a proxy in front of the server until the test ends, and returns the server as it is
// seen through it.
func (s *server) behind(name string) *server {
	s.t.Helper()
	folder := s.t.TempDir()
	at := &net.TCPAddr{IP: net.ParseIP(program.Loopback()), Port: 8443}
	file := filepath.Join(folder, name+".conf")
	write(s.t, file, proxies[name].around(s.guided(name), folder, at.String()))
	command := proxies[name].command(file, folder)
	c := exec.Command(command[0], command[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	program.Bind(c)
	c.Env = append(os.Environ(), "HOME="+folder)
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	s.t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // with its workers
		<-ended
		if s.t.Failed() {
			b, _ := os.ReadFile(log.Name())
			keep(s.t, name+".log", b)
		}
	})
	late := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if conn, err := net.Dial("tcp", at.String()); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ended:
			s.t.Fatalf("%s has ended", name)
		case <-late:
			s.t.Fatalf("%s does not listen", name)
		case <-tick.C:
		}
	}
	through := *s
	through.https = at
	return &through
}

// TestProxy plays the guide's configurations: clients log in and talk through the proxy, and the server
// knows who they are, whatever they say themselves.
func TestProxy(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, xmppjs)
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%v (Debian package %s)", err, name)
			}
			s := start(t)
			through := s.behind(name)
			juliet := newXMPPJS(through, s.name("juliet"), s.authority, "wss")
			romeo := newXMPPJS(s, s.name("romeo"), s.authority, "xmpp")
			juliet.arrive()
			romeo.arrive()
			befriend(juliet, romeo)
			for _, text := range []string{"wherefore?", strings.Repeat("long ", 3000) + "."} {
				juliet.say(romeo.own, text)
				romeo.hears(juliet.own, text)
				romeo.say(juliet.own, text)
				juliet.hears(romeo.own, text)
			}
			juliet.leave()
			romeo.sees(juliet.own, "unavailable")

			liar := http.Client{Timeout: patience, Transport: &http.Transport{
				DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext,
				TLSClientConfig: &tls.Config{ServerName: domain, RootCAs: s.authority.pool()},
			}}
			for i, lie := range []http.Header{{}, {
				"X-Forwarded-For": {"203.0.113.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"lie.test"},
			}, {
				"Forwarded": {"for=203.0.113.1;proto=http;host=lie.test"},
			}} {
				r, err := http.NewRequest(http.MethodGet, "https://"+through.https.String()+"/.well-known/host-meta", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host, r.Header = fmt.Sprint(domain, ":", through.https.Port), lie
				answer, err := liar.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				if want := "wss://" + r.Host + "/xmpp-websocket"; answer.StatusCode != 200 || !strings.Contains(string(body), want) {
					t.Errorf("lie %d: %s %s", i, answer.Status, body)
				}
			}
			log, err := os.ReadFile(s.log)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(log), "route=/.well-known/host-meta status=200 peer=127.0.0.9:0\n"); n != 3 {
				t.Errorf("%d of 3 requests are known to be from 127.0.0.9", n)
			}
		})
	}
}
