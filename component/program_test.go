// SPDX-License-Identifier: Apache-2.0

//go:build unix

package component_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: a listener with TLS, then what a program is told by its environment; TestMain is such a program, where TestMainFunction
// runs it as a process of its own.

// listenTLS is listen with a certificate for those names, which is written to the file.
func listenTLS(t *testing.T, names ...string) (l listener, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l = listen(t)
	l.Listener = tls.NewListener(l.Listener, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	return l, file
}

func roots(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return pool
}

// TLS begins with the first byte; the server must be the one of the address, or of the name that is said.
func TestTLS(t *testing.T) {
	for _, c := range []struct {
		name, server string
		names        []string
		trusted      bool
		fails        string
	}{
		{name: "of the address", names: []string{"127.0.0.1"}, trusted: true},
		{name: "of the name", server: "tunnel.d", names: []string{"tunnel.d"}, trusted: true},
		{name: "of another name", names: []string{"tunnel.d"}, trusted: true, fails: "certificate"},
		{name: "of nobody who is known", names: []string{"127.0.0.1"}, fails: "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, file := listenTLS(t, c.names...)
			config := l.config()
			config.TLS = &tls.Config{ServerName: c.server, RootCAs: x509.NewCertPool()}
			if c.trusted {
				config.TLS.RootCAs = roots(t, file)
			}
			x, err := component.New(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = x.Close() })
			if c.fails == "" {
				connected := make(chan error, 1)
				go func() { connected <- x.Connect(limited(t)) }()
				p := l.admit()
				go p.serve()
				if err := <-connected; err != nil {
					t.Fatal(err)
				}
				if st := p.conn.(*tls.Conn).ConnectionState(); st.Version < tls.VersionTLS12 {
					t.Errorf("version %x", st.Version)
				}
				return
			}
			shaken := make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					err = conn.(*tls.Conn).Handshake()
					_ = conn.Close()
				}
				shaken <- err
			}()
			if err := x.Connect(limited(t)); err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("connected: %v", err)
			}
			<-shaken
		})
	}
}

// What the environment says, and what is wrong with it.
func TestEnvironment(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	_, ca := listenTLS(t, "tunnel.d")
	for _, c := range []struct {
		name, env, secret, address string
		tls                        bool
		fails                      string
	}{
		{name: "little", env: "DOMAIN=sms.d SECRET=s", secret: "s", address: "127.0.0.1:5347"},
		{name: "an address", env: "DOMAIN=sms.d SECRET=s ADDRESS=10.0.0.1:1", secret: "s", address: "10.0.0.1:1"},
		{name: "a file", env: "DOMAIN=sms.d SECRET_FILE=" + write("secret", "from a file\r\nmore"), secret: "from a file", address: "127.0.0.1:5347"},
		{name: "both", env: "DOMAIN=sms.d SECRET=s SECRET_FILE=/nonexistent", secret: "s", address: "127.0.0.1:5347"},
		{name: "TLS", env: "DOMAIN=sms.d SECRET=s ADDRESS=tls://tunnel.d:1", secret: "s", address: "tunnel.d:1", tls: true},
		{name: "an authority", env: "DOMAIN=sms.d SECRET=s ADDRESS=tls://tunnel.d:1 CA=" + ca, secret: "s", address: "tunnel.d:1", tls: true},
		{name: "nothing", fails: "STONECHAT_DOMAIN"},
		{name: "no domain", env: "DOMAIN=a@@b SECRET=s", fails: "STONECHAT_DOMAIN"},
		{name: "no such file", env: "DOMAIN=sms.d SECRET_FILE=/nonexistent", fails: "reading the secret"},
		{name: "an empty file", env: "DOMAIN=sms.d SECRET_FILE=" + write("empty", "\nx"), fails: "first line"},
		{name: "no such authority", env: "DOMAIN=sms.d SECRET=s ADDRESS=tls://a:1 CA=/nonexistent", fails: "reading certificates"},
		{name: "no authority", env: "DOMAIN=sms.d SECRET=s ADDRESS=tls://a:1 CA=" + write("none", "x"), fails: "no certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"DOMAIN", "SECRET", "SECRET_FILE", "ADDRESS", "CA"} {
				t.Setenv("STONECHAT_"+name, "")
			}
			for _, set := range strings.Fields(c.env) {
				name, value, _ := strings.Cut(set, "=")
				t.Setenv("STONECHAT_"+name, value)
			}
			var config component.Config
			err := config.Environment()
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, want %s", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if config.Domain.String() != "sms.d" || config.Secret != c.secret || config.Address != c.address || (config.TLS != nil) != c.tls {
				t.Errorf("%s, %q, %s, TLS %v", config.Domain, config.Secret, config.Address, config.TLS != nil)
			}
			if strings.Contains(c.env, "CA=") != (config.TLS != nil && config.TLS.RootCAs != nil) {
				t.Error("the authority is not the one")
			}
		})
	}
}

// TestMain is such a program instead, where it is told to be.
func TestMain(m *testing.M) {
	if os.Getenv("STONECHAT_DOMAIN") == "" {
		os.Exit(m.Run())
	}
	component.Main(component.Config{}, func(c *component.Component) {
		c.Handle(stanza.Message, xmlstream.Name{}, func(context.Context, *stanza.Stanza) {})
	})
}

// A program whose main function is Main runs until it is told to end, and ends with status 1 where it cannot go on; it says why.
func TestMainFunction(t *testing.T) {
	run := func(l listener, secret string) (cmd *exec.Cmd, says func(word string)) {
		cmd = exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "STONECHAT_DOMAIN=sms.d", "STONECHAT_SECRET="+secret, "STONECHAT_ADDRESS="+l.Addr().String())
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		lines, said := bufio.NewScanner(out), ""
		return cmd, func(word string) {
			t.Helper()
			for lines.Scan() {
				if said += lines.Text() + "\n"; strings.Contains(lines.Text(), word) {
					return
				}
			}
			t.Errorf("it does not say %q:\n%s", word, said)
		}
	}
	l := listen(t)
	cmd, says := run(l, "secret")
	p := l.admit()
	says("connected")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	go p.serve()
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}
	cmd, says = run(l, "guessed")
	go func() { _ = l.accept().event() }()
	says("not-authorized")
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("a wrong secret: %v", err)
	}
}
