// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/conformance"
	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/test/space"
)

// How to read this file: a bed has names, two authorities and the servers of one test. What a server is told is a
// setting; how each software is told it is in prosody_test.go, ejabberd_test.go and stonechat_test.go.

const (
	clientPort    = 5222
	clientTLSPort = 5223
	serverPort    = 5269
	serverTLSPort = 5270
	startTime     = 2 * time.Minute // ejabberd takes long where others work, too
)

var patience = flag.Duration("federation.patience", 20*time.Second, "how long an expected stanza may take")

// setting is what matters of a server's configuration here.
type setting struct {
	certificate kindOf
	lenient     bool // dialback is enough where a peer's certificate is not good
}

// software is a kind of server.
type software struct {
	name      string
	program   string // that must be there
	configure func(t *testing.T, s *server)
	command   func(t *testing.T, s *server) *exec.Cmd
	reasons   map[kindOf][]string // words in its log when it refuses such a certificate
}

// server is one of a bed's.
type server struct {
	software
	setting
	bed     *bed
	domain  string
	hostMu  sync.Mutex
	host    string // its own address
	folder  string
	within  *space.Space // nil is the test's own
	process *process
}

type bed struct {
	t       *testing.T
	names   *names
	known   *authority // that all servers trust
	unknown *authority
	servers []*server
}

func newBed(t *testing.T) *bed {
	t.Helper()
	return &bed{t: t, names: newNames(t, program.Loopback()), known: newAuthority(t, "Known"), unknown: newAuthority(t, "Unknown")}
}

// add prepares a server for a domain; start runs all.
func (b *bed) add(kind software, domain string, s setting) *server {
	b.t.Helper()
	if _, err := exec.LookPath(kind.program); err != nil {
		b.t.Skipf("SKIPPED: %s is not installed: %v", kind.name, err)
	}
	if s.certificate == "" {
		s.certificate = forBoth
	}
	srv := &server{software: kind, setting: s, bed: b, domain: domain, host: program.Loopback(), folder: b.t.TempDir()}
	issuer := b.known
	if s.certificate == untrusted {
		issuer = b.unknown
	}
	issuer.issue(b.t, srv.folder, s.certificate, []string{domain, "conference." + domain, "pubsub." + domain})
	write(b.t, filepath.Join(srv.folder, "roots.pem"), b.known.pem)
	b.names.server(domain, srv.host)
	b.servers = append(b.servers, srv)
	return srv
}

// start runs the names and all servers.
func (b *bed) start() {
	b.t.Helper()
	b.names.start()
	for _, s := range b.servers {
		s.configure(b.t, s)
		s.start()
	}
	b.t.Cleanup(func() {
		if b.t.Failed() {
			for _, s := range b.servers {
				s.showLogs()
			}
		}
	})
}

func (s *server) start() {
	s.bed.t.Helper()
	s.process = run(s.bed.t, s.name, s.folder, s.within.Enter(s.command(s.bed.t, s)), func() error {
		for _, port := range []int{clientPort, clientTLSPort, serverPort, serverTLSPort} {
			conn, err := s.within.Dial(context.Background(), s.at(port))
			if err != nil {
				return err
			}
			if err := conn.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

// stop ends it by a signal that it cannot catch.
func (s *server) stop() { s.process.kill() }

func (s *server) at(port int) string {
	s.hostMu.Lock()
	defer s.hostMu.Unlock()
	return net.JoinHostPort(s.host, strconv.Itoa(port))
}

// log is all that it has written.
func (s *server) log() string {
	files, _ := filepath.Glob(filepath.Join(s.folder, "*.log")) // the pattern is well formed
	text := ""
	for _, file := range append(files, s.process.log) {
		data, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.bed.t.Error(err)
		}
		text += string(data)
	}
	return text
}

// showLogs keeps what was written where -artifacts says, and shows the ends.
func (s *server) showLogs() {
	text := s.log()
	write(s.bed.t, filepath.Join(s.bed.t.ArtifactDir(), s.name+"-"+s.domain+".log"), []byte(text))
	s.bed.t.Logf("%s, the end of its log:\n%s", s.domain, text[max(0, len(text)-6000):])
}

// pair is two servers as scripts see them: clients of the second domain connect to the other.
func pair(a, b *server) *conformance.Server {
	roots := x509.NewCertPool()
	for _, ca := range []*authority{a.bed.known, a.bed.unknown} {
		roots.AddCert(ca.cert)
	}
	server := &conformance.Server{Domain: a.domain, Second: b.domain, Timeout: *patience,
		Address:       map[string]string{"tcp": a.at(clientPort)},
		SecondAddress: map[string]string{"tcp": b.at(clientPort)}}
	if a.certificate.good() && b.certificate.good() && a.certificate != forXMPP && b.certificate != forXMPP {
		server.Roots = roots
	}
	return server
}

var stonechatBinary program.Binary

func TestMain(m *testing.M) { os.Exit(program.Run(m, 16, &stonechatBinary)) }
