// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// driver moves the bytes of one machine: the smallest there can be, for tests.
type driver struct {
	m    machine
	conn net.Conn
	// upgrade does the TLS handshake and calls TLSStarted.
	upgrade func(net.Conn) (net.Conn, error)
	// act answers an event; true ends the drive.
	act func(stream.Event) bool
	log func(format string, args ...any)
}

// drive turns until act says so, or the stream ends, whose error it returns.
func (d *driver) drive() error {
	buf := make([]byte, 4096)
	for {
		var starting bool
		for e := d.m.Next(); e.Kind != stream.None; e = d.m.Next() {
			d.log("%T: %s", d.m, describe(e))
			done := d.act(e)
			switch {
			case e.Kind == stream.StartTLS:
				starting = true
			case e.Kind == stream.End:
				return errors.Join(d.flush(), e.Err)
			case done:
				return d.flush()
			}
		}
		if err := d.flush(); err != nil {
			return err
		}
		if starting {
			conn, err := d.upgrade(d.conn)
			if err != nil {
				return err
			}
			d.conn = conn
			continue
		}
		n, err := d.conn.Read(buf)
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		d.m.Feed(buf[:n])
	}
}

func (d *driver) flush() error {
	if out := d.m.Out(); out != nil {
		_, err := d.conn.Write(out)
		return err
	}
	return nil
}

// certificate makes a self-signed one for a domain.
func certificate(t *testing.T, domain string) (tls.Certificate, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf
}

// tlsClient upgrades a client's connection.
func tlsClient(c *stream.Client, domain string, roots *x509.CertPool) func(net.Conn) (net.Conn, error) {
	return func(conn net.Conn) (net.Conn, error) {
		over := tls.Client(conn, &tls.Config{ServerName: domain, RootCAs: roots, NextProtos: []string{"xmpp-client"}})
		if err := over.Handshake(); err != nil {
			return nil, err
		}
		state := over.ConnectionState()
		bindings, err := sasl.BindingOf(state, state.PeerCertificates[0])
		if err != nil {
			return nil, err
		}
		c.TLSStarted(bindings)
		return over, nil
	}
}

// Both sides over TCP and TLS, by STARTTLS and by direct TLS.
func TestSocket(t *testing.T) {
	cert, leaf := certificate(t, "example.org")
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct %v", direct), func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			served := make(chan error, 1)
			go func() { served <- serveOne(t, listener, cert, leaf, direct) }()

			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			config := clientConfig(&script{})
			config.Rand, config.SASL.Rand = nil, nil
			client := stream.NewClient(config, time.Now())
			d := &driver{m: client, conn: conn, upgrade: tlsClient(client, "example.org", roots), log: t.Logf}
			if direct {
				if d.conn, err = d.upgrade(conn); err != nil {
					t.Fatal(err)
				}
			}
			client.Start()
			var mechanism, echo string
			d.act = func(e stream.Event) bool {
				switch e.Kind {
				case stream.Login:
					mechanism = client.Mechanism()
				case stream.Features:
					client.Bind("orchard")
				case stream.Ready:
					if _, err := d.conn.Write([]byte("<message><body>hark</body></message>")); err != nil {
						t.Error(err)
					}
				case stream.Element:
					echo = string(e.Element.Raw)
					client.Close(nil, time.Now())
				}
				return false
			}
			if err := d.drive(); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err != nil {
				t.Fatal(err)
			}
			if mechanism != "SCRAM-SHA-512-PLUS" || echo != "<message><body>hark</body></message>" {
				t.Fatalf("logged in by %q, heard %q", mechanism, echo)
			}
		})
	}
}

// serveOne is a server for one connection, which repeats what it is told.
func serveOne(t *testing.T, listener net.Listener, cert tls.Certificate, leaf *x509.Certificate, direct bool) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	config := serverConfig(&script{})
	config.Rand, config.SASL.Rand = nil, nil
	server := stream.NewServer(config, time.Now())
	d := &driver{m: server, conn: conn, log: t.Logf}
	d.upgrade = func(conn net.Conn) (net.Conn, error) {
		over := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"xmpp-client"}})
		if err := over.Handshake(); err != nil {
			return nil, err
		}
		bindings, err := sasl.BindingOf(over.ConnectionState(), leaf)
		if err != nil {
			return nil, err
		}
		server.TLSStarted(bindings)
		return over, nil
	}
	if direct {
		if d.conn, err = d.upgrade(conn); err != nil {
			return err
		}
	}
	d.act = func(e stream.Event) bool {
		switch e.Kind {
		case stream.Lookup:
			server.Resolve(keysOf(e.JID.String()), nil)
		case stream.Bind:
			server.Bind(e.JID)
		case stream.Element:
			if _, err := d.conn.Write(e.Element.Raw); err != nil {
				t.Error(err)
			}
		}
		return false
	}
	err = d.drive()
	if err == nil && server.JID().String() != "romeo@example.org/orchard" {
		err = errors.New("bound " + server.JID().String())
	}
	return err
}
