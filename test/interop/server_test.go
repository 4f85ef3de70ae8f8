// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

const (
	domain   = "interop.test" // resolved by nobody: clients are told where to connect
	password = "pâss wörd & <more>"
	patience = time.Minute // for anything that should come at once; browsers begin slowly
)

// tools are where what tests need is made, once for all, by the first that needs it.
var tools struct{ folder string }

var stonechat program.Binary

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	tools.folder = folder
	return program.Run(m, 0, &stonechat)
}

// output runs a command in a folder; its error has what the command wrote.
func output(folder, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%.2000s", c, err, out)
	}
	return nil
}

// server is a running stonechat of one test.
type server struct {
	t         *testing.T
	authority *authority // that its certificate is of
	client    *net.TCPAddr
	clientTLS *net.TCPAddr
	component *net.TCPAddr
	http      *net.TCPAddr
	https     *net.TCPAddr
	folder    string // what is below
	cert, key string // names of files
	log       string // name of the file
}

// start runs a server until the test ends. It has a certificate of a new authority.
func start(t *testing.T) *server {
	t.Helper()
	return startWith(t, domain, newKey(t))
}

// startWith is start with a certificate for a domain that may be another, and a key.
func startWith(t *testing.T, certified string, key crypto.Signer) *server {
	t.Helper()
	folder := t.TempDir()
	s := &server{t: t, authority: newAuthority(t), log: filepath.Join(folder, "server.log")}
	s.folder = folder
	s.cert, s.key = s.authority.issue(t, folder, certified, key)
	conf := filepath.Join(folder, "stonechat.yaml")
	write(t, conf, fmt.Sprintf(`domains: [%s]
data: %s
tls: {certificate: %s, key: %s}
listen:
  client: ["%[5]s:0"]
  client_tls: ["%[5]s:0"]
  server: []
  server_tls: []
  component: ["%[5]s:0"]
  http: ["%[5]s:0"]
  https: ["%[5]s:0"]
  metrics: []
components:
  %[6]s: {secret: %[7]q}
  irc.%[1]s: {secret: gateway}
  echo.%[1]s:
    secret: gateway
    privilege: {roster: both, message: outgoing, iq: {"http://jabber.org/protocol/pubsub": both}}
registration: open
limits:
  registrations_per_hour: none
log: {level: debug}
`, domain, filepath.Join(folder, "data"), s.cert, s.key, program.Loopback(), gateway, secret))

	c := exec.Command(stonechat.MustPath(t), "serve", "-c", conf)
	p, err := program.Start(c, s.log, patience)
	if err != nil {
		t.Fatal(err)
	}
	at := func(key string) *net.TCPAddr {
		a, err := net.ResolveTCPAddr("tcp", p.Address[key])
		if err != nil {
			t.Error(err)
		}
		return a
	}
	s.client, s.clientTLS, s.component, s.http, s.https = at("client"), at("client_tls"), at("component"), at("http"), at("https")
	t.Cleanup(func() {
		if err := p.Terminate(patience); err != nil {
			t.Error(err)
		}
		s.readLog()
	})
	return s
}

// in is the server as a part of its test sees it.
func (s *server) in(t *testing.T) *server {
	part := *s
	part.t = t
	return &part
}

// readLog reports trouble that no client saw, and keeps the log of a test that failed.
func (s *server) readLog() {
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Error(err)
	}
	if line := program.Trouble(b, "level=ERROR"); line != "" {
		s.t.Errorf("the server's log: %s", line)
	}
	if s.t.Failed() {
		keep(s.t, "server.log", b)
	}
}

// keep shows a text in the log of a test that failed, and saves it where -artifacts says.
func keep(t *testing.T, name string, text []byte) {
	t.Logf("%s:\n%s", name, text)
	write(t, filepath.Join(t.ArtifactDir(), name), string(text))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// name makes an account (XEP-0077) over direct TLS, and returns its name.
func (s *server) name(name string) string {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.clientTLS.String(), &tls.Config{ServerName: domain, RootCAs: s.authority.pool()})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var secret strings.Builder
	_ = xml.EscapeText(&secret, []byte(password))
	fmt.Fprintf(conn, `<stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`+
		`<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>%s</username><password>%s</password></query></iq>`,
		domain, name, secret.String())
	d := xml.NewDecoder(conn)
	for {
		token, err := d.Token()
		if err != nil {
			s.t.Fatalf("register %s: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "iq" {
			continue
		}
		for _, a := range e.Attr {
			if a.Name.Local == "type" && a.Value == "result" {
				return name
			}
		}
		s.t.Fatalf("register %s: refused: %v", name, e.Attr)
	}
}
