// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/stonechat-im/stonechat/test/conformance"
	"github.com/stonechat-im/stonechat/test/program"
)

const domain, second = "conformance.test", "second.test"

// A target is a kind of server that the test can start; each variant of its configuration is a server of its own.
type target struct {
	config  string                                      // template of its configuration, in targets/
	command func(t *testing.T, config string) *exec.Cmd // in the foreground
}

var targets = map[string]target{
	"prosody": {"prosody.cfg.lua", func(t *testing.T, config string) *exec.Cmd {
		path, err := exec.LookPath("prosody")
		if err != nil {
			t.Skip("SKIPPED: prosody is not installed (Debian package prosody, its service is not needed)")
		}
		return exec.Command(path, "--config", config, "-F")
	}},
	"stonechat": {"stonechat.yaml", func(t *testing.T, config string) *exec.Cmd {
		lookAtSources(t)
		return exec.Command(stonechat.MustPath(t), "serve", "-c", config)
	}},
}

// start runs a server in a folder of its own, on an address of its own, until the test whole ends, of which t may be
// a part.
func (tg target) start(t, whole *testing.T, variant string) *conformance.Server {
	dir := whole.TempDir()
	roots := certificate(t, dir)
	host := program.Loopback()
	free := freePorts(t, host, 3)
	tcp, tls, ws := free[0], free[1], free[2]
	config := filepath.Join(dir, tg.config)
	f, err := os.Create(config)
	if err != nil {
		t.Fatal(err)
	}
	targetsDir, err := filepath.Abs("targets")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"Dir": dir, "Host": host, "TCP": tcp, "TLS": tls, "WS": ws, "Domain": domain, "Second": second, "Variant": variant, "Targets": targetsDir}
	if err := template.Must(template.ParseFiles(filepath.Join("targets", tg.config))).Execute(f, values); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "output.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := tg.command(t, config)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	program.Bind(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	whole.Cleanup(func() { cmd.Process.Kill(); <-ended })

	server := &conformance.Server{Domain: domain, Second: second, Roots: roots, Timeout: *timeout,
		Address: map[string]string{"tcp": net.JoinHostPort(host, tcp), "tls": net.JoinHostPort(host, tls), "ws": net.JoinHostPort(host, ws)}}
	for _, address := range server.Address {
		if err := awaitListener(address, ended); err != nil {
			out, _ := os.ReadFile(output.Name())
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return server
}

// lookAtSources opens the folders of the module, which makes them inputs of this test: go test does not take a result
// from its cache when the server has changed since.
func lookAtSources(t *testing.T) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitListener(address string, ended <-chan struct{}) error {
	deadline := time.After(2 * time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("the server has ended")
		case <-deadline:
			return fmt.Errorf("the server does not listen: %w", err)
		case <-tick.C:
		}
	}
}

// freePorts are some that nobody has, each another one.
func freePorts(t *testing.T, host string, n int) (ports []string) {
	for range n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// certificate writes cert.pem and key.pem for the domains into dir.
func certificate(t *testing.T, dir string) *x509.CertPool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: domain},
		DNSNames: []string{domain, second}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pemCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{
		"cert.pem": pemCert,
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pemCert)
	return roots
}

// servers starts a server for each variant that a script asks for, once.
type servers struct {
	whole  *testing.T // they end with it
	target target
	mu     sync.Mutex
	byName map[string]*conformance.Server
}

func (s *servers) get(t *testing.T, variant string) *conformance.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[variant] == nil {
		s.byName[variant] = s.target.start(t, s.whole, variant)
	}
	return s.byName[variant]
}
