// SPDX-License-Identifier: Apache-2.0

//go:build peers

package stream_test

// The tests of this file need other projects' servers: the stage peers of
// test/run brings those, and runs
//
//	go test -tags=peers -run TestPeers ./xmpp/stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// peer is another project's server, started for the test with an empty store.
type peer struct {
	program string
	start   func(t *testing.T, p *peer, cert string) *exec.Cmd

	dir, addr string
	roots     *x509.CertPool
}

const peerDomain = "peer.test"

// TestPeers logs in to servers of other projects: it registers an account before
// login, binds, resumes, and is refused.
func TestPeers(t *testing.T) {
	for _, p := range []*peer{
		{program: "prosody", start: startProsody},
		{program: "ejabberdctl", start: startEjabberd},
	} {
		t.Run(p.program, func(t *testing.T) {
			if _, err := exec.LookPath(p.program); err != nil {
				t.Skipf("the server is not installed: %v", err)
			}
			p.run(t)
			t.Run("register", p.testRegister)
			t.Run("resume", p.testResume)
			t.Run("wrong password", p.testWrongPassword)
			t.Run("unknown host", p.testUnknownHost)
		})
	}
}

// run starts the server and waits until it listens.
func (p *peer) run(t *testing.T) {
	p.dir = t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = free.Addr().String()
	free.Close()
	cert, leaf := certificate(t, peerDomain)
	p.roots = x509.NewCertPool()
	p.roots.AddCert(leaf)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	path := filepath.Join(p.dir, "both.pem")
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.start(t, p, path)
	out, err := os.Create(filepath.Join(p.dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", p.addr); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(out.Name())
			t.Fatalf("%s does not listen on %s: %s", p.program, p.addr, log)
		}
	}
}

func (p *peer) config(t *testing.T, name, content string) string {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func startProsody(t *testing.T, p *peer, cert string) *exec.Cmd {
	_, port, _ := net.SplitHostPort(p.addr)
	path := p.config(t, "prosody.cfg.lua", fmt.Sprintf(`
daemonize = false
run_as_root = true
pidfile = "%[1]s/pid"
data_path = "%[1]s"
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "register", "smacks" }
modules_disabled = { "s2s" }
allow_registration = true
authentication = "internal_hashed"
storage = "internal"
log = { debug = "%[1]s/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[2]s }
s2s_ports = { }
ssl = { key = "%[3]s", certificate = "%[3]s" }
VirtualHost "%[4]s"
`, p.dir, port, cert, peerDomain))
	return exec.Command("prosody", "--config", path, "-F")
}

func startEjabberd(t *testing.T, p *peer, cert string) *exec.Cmd {
	_, port, _ := net.SplitHostPort(p.addr)
	path := p.config(t, "ejabberd.yml", fmt.Sprintf(`
hosts: [%[1]s]
loglevel: warning
certfiles: ["%[2]s"]
auth_password_format: scram
registration_timeout: infinity
listen:
  - {port: %[3]s, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true, access: all}
modules:
  mod_disco: {}
  mod_ping: {}
  mod_register: {ip_access: all}
  mod_roster: {}
  mod_stream_mgmt: {}
`, peerDomain, cert, port))
	args := []string{"-noinput"}
	libraries, err := filepath.Glob("/usr/lib/*/ejabberd*/ebin")
	if err != nil || len(libraries) == 0 {
		t.Skipf("ejabberd's code is not where Debian puts it: %v", err)
	}
	args = append(append(args, "-pa"), libraries...)
	args = append(args, "-mnesia", "dir", `"`+p.dir+`/db"`, "-ejabberd", "config", `"`+path+`"`,
		"-ejabberd", "log_path", `"`+p.dir+`/e.log"`,
		"-sname", fmt.Sprintf("stream%d@localhost", os.Getpid()), "-s", "ejabberd")
	cmd := exec.Command("erl", args...)
	cmd.Env = append(os.Environ(), "HOME="+p.dir)
	return cmd
}

// session is a client of the peer, and the driver under it.
type session struct {
	*driver
	client *stream.Client
	heard  []string // elements since login
}

// dial connects; act answers events, as in driver.
func (p *peer) dial(t *testing.T, config *stream.ClientConfig, act func(s *session, e stream.Event) bool) *session {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &session{client: stream.NewClient(config, time.Now())}
	s.driver = &driver{m: s.client, conn: conn, log: t.Logf, upgrade: tlsClient(s.client, peerDomain, p.roots)}
	s.act = func(e stream.Event) bool {
		if e.Kind == stream.Element {
			s.heard = append(s.heard, string(e.Element.Raw))
		}
		return act(s, e)
	}
	s.client.Start()
	return s
}

// write sends bytes behind what the machine has to say.
func (s *session) write(t *testing.T, text string) {
	if err := s.flush(); err != nil {
		t.Error(err)
	}
	if _, err := s.conn.Write([]byte(text)); err != nil {
		t.Error(err)
	}
}

func peerConfig(user string) *stream.ClientConfig {
	return &stream.ClientConfig{Account: jid.MustParse(user + "@" + peerDomain), SASL: sasl.ClientConfig{Password: "correct horse"}}
}

func isNamed(e stream.Event, space, local string) bool {
	return e.Kind == stream.Element && string(e.Element.Local) == local && (space == "" || string(e.Element.Space) == space)
}

// register makes an account before login (XEP-0077), logs in and binds.
func (p *peer) register(t *testing.T, user string, act func(s *session, e stream.Event) bool) *session {
	config := peerConfig(user)
	config.HoldLogin = true
	return p.dial(t, config, func(s *session, e stream.Event) bool {
		switch {
		case e.Kind == stream.Features && s.client.State() == stream.Secured:
			s.write(t, "<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>"+user+
				"</username><password>correct horse</password></query></iq>")
		case isNamed(e, "", "iq") && s.client.State() == stream.Secured:
			if strings.Contains(string(e.Element.Raw), "error") {
				t.Fatalf("no registration: %s", e.Element.Raw)
			}
			s.client.Login()
		case e.Kind == stream.Login:
			t.Logf("logged in by %s", s.client.Mechanism())
			if !strings.HasPrefix(s.client.Mechanism(), "SCRAM-") {
				t.Errorf("logged in by %s", s.client.Mechanism())
			}
		case e.Kind == stream.Features:
			s.client.Bind("orchard")
		default:
			return act(s, e)
		}
		return false
	})
}

func (p *peer) testRegister(t *testing.T) {
	s := p.register(t, "romeo", func(s *session, e stream.Event) bool {
		switch {
		case e.Kind == stream.Ready:
			s.write(t, "<message to='"+e.JID.String()+"' type='chat'><body>hark</body></message>")
		case isNamed(e, "", "message"):
			s.client.Close(nil, time.Now())
		}
		return false
	})
	if err := s.drive(); err != nil {
		t.Fatal(err)
	}
	if s.client.JID().String() != "romeo@"+peerDomain+"/orchard" || !strings.Contains(strings.Join(s.heard, ""), "hark") {
		t.Fatalf("bound %s, heard %q", s.client.JID(), s.heard)
	}
}

func (p *peer) testResume(t *testing.T) {
	const sm = "urn:xmpp:sm:3"
	var id string
	var full jid.JID
	first := p.register(t, "juliet", func(s *session, e stream.Event) bool {
		switch {
		case e.Kind == stream.Ready:
			full = e.JID
			s.write(t, "<enable xmlns='"+sm+"' resume='true'/>")
		case isNamed(e, sm, "enabled"):
			id = xmlstream.NewReader(e.Element.Raw, "").Attr("id")
			return true
		}
		return false
	})
	if err := first.drive(); err != nil {
		t.Fatal(err)
	}
	// The connection is lost.
	raw := first.conn
	if over, ok := raw.(*tls.Conn); ok {
		raw = over.NetConn()
	}
	raw.Close()

	second := p.dial(t, peerConfig("juliet"), func(s *session, e stream.Event) bool {
		switch {
		case e.Kind == stream.Features:
			s.write(t, "<resume xmlns='"+sm+"' previd='"+id+"' h='0'/>")
		case isNamed(e, sm, "resumed"):
			s.client.Resume(full)
			s.write(t, "<iq type='get' id='p' to='"+peerDomain+"'><ping xmlns='urn:xmpp:ping'/></iq>")
		case isNamed(e, "", "iq"):
			s.client.Close(nil, time.Now())
		}
		return false
	})
	if err := second.drive(); err != nil {
		t.Fatal(err)
	}
	if second.client.JID() != full || !strings.Contains(strings.Join(second.heard, ""), "type='result'") &&
		!strings.Contains(strings.Join(second.heard, ""), `type="result"`) {
		t.Fatalf("resumed as %s, heard %q", second.client.JID(), second.heard)
	}
}

func (p *peer) testWrongPassword(t *testing.T) {
	config := peerConfig("romeo")
	config.SASL.Password = "wrong"
	err := p.dial(t, config, func(*session, stream.Event) bool { return false }).drive()
	if e := (*stream.SASLError)(nil); !errors.As(err, &e) || e.Condition != sasl.NotAuthorized {
		t.Fatalf("it ended with %v", err)
	}
}

func (p *peer) testUnknownHost(t *testing.T) {
	config := peerConfig("romeo")
	config.Account = jid.MustParse("romeo@nowhere.test")
	err := p.dial(t, config, func(*session, stream.Event) bool { return false }).drive()
	if e := (*stream.Error)(nil); !errors.As(err, &e) || e.Condition != stream.HostUnknown || !e.Received {
		t.Fatalf("it ended with %v", err)
	}
}
