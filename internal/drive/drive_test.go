// SPDX-License-Identifier: Apache-2.0

package drive_test

// How to read these tests: ONE suite that both drivers pass. This file has what the tests share:
// bed is a driver under test, plain or with TLS; machine a Machine made of functions; peer the other
// end of a connection. The tests are in the files of their subjects.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// bed is a driver under test.
type bed struct {
	*testing.T
	driver drive.Driver
	tls    bool
	log    *logs
	once   sync.Once

	deadAfter time.Duration // of its listeners
}

// logs are what a driver logs.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// drivers are those of this system.
func drivers() map[string]func(*slog.Logger) (drive.Driver, error) {
	m := map[string]func(*slog.Logger) (drive.Driver, error){
		"goroutine": func(l *slog.Logger) (drive.Driver, error) { return drive.NewGoroutines(l), nil },
	}
	if runtime.GOOS == "linux" {
		m["epoll"] = drive.New
	}
	return m
}

// onEach runs test on each driver, with and without TLS. Behind it no goroutine may be left.
func onEach(t *testing.T, p drive.Patience, test func(*bed)) {
	for name, open := range drivers() {
		for _, tls := range []bool{false, true} {
			full := name + "/plain"
			if tls {
				full = name + "/tls"
			}
			t.Run(full, func(t *testing.T) {
				l := new(logs)
				others := goleak.IgnoreCurrent()
				d, err := open(slog.New(slog.NewTextHandler(l, nil)))
				if err != nil {
					t.Fatal(err)
				}
				d.(interface{ SetPatience(drive.Patience) }).SetPatience(p)
				b := &bed{T: t, driver: d, tls: tls, log: l}
				t.Cleanup(func() { // after all that the test cleans up
					b.close()
					goleak.VerifyNone(t, others)
				})
				test(b)
			})
		}
	}
}

// close drops all connections.
func (b *bed) close() {
	b.once.Do(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		done := make(chan struct{})
		go func() { b.driver.Close(now); close(done) }()
		b.wait(done, "the driver to close")
	})
}

// wait waits for c to be closed or to bring something.
func (b *bed) wait(c <-chan struct{}, what string) {
	b.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		b.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// await waits for what c brings.
func await[T any](b *bed, c <-chan T, what string) (v T) {
	b.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		b.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
	return v
}

// machine is a Machine of functions, those of a test. nil ones do nothing.
type machine struct {
	drive.Conn
	input   func(m *machine, data []byte)
	batch   *drive.Batch // of the input
	secured func(*machine)
	expired func(*machine)
	gone    chan error
}

func (m *machine) Input(b *drive.Batch, data []byte) {
	m.batch = b
	if m.input != nil {
		m.input(m, data)
	}
}

func (m *machine) Secured(tls.ConnectionState) {
	if m.secured != nil {
		m.secured(m)
	}
}

func (m *machine) Expired(*drive.Batch) {
	if m.expired != nil {
		m.expired(m)
	}
}

func (m *machine) Gone(err error) { m.gone <- err }

func echo(m *machine, data []byte) {
	m.Queue(data)
	m.Flush()
}

// start is what Serve takes; made gets each machine.
func start(model machine, made func(*machine)) func(drive.Conn) drive.Machine {
	return func(c drive.Conn) drive.Machine {
		m := model
		m.Conn, m.gone = c, make(chan error, 1)
		if made != nil {
			made(&m)
		}
		return &m
	}
}

// listen serves what is accepted, as model, until the test ends.
func (b *bed) listen(model machine, made func(*machine)) (address string) {
	b.Helper()
	var direct *tls.Config
	if b.tls {
		direct = serverTLS()
	}
	return b.listenWith(direct, start(model, made))
}

func (b *bed) listenWith(direct *tls.Config, start func(drive.Conn) drive.Machine) (address string) {
	b.Helper()
	l, err := drive.Listen("127.0.0.1:0", b.deadAfter)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			b.driver.Serve(nc, direct, start)
		}
	}()
	b.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// pair is a machine and its peer, with the handshake behind them.
func (b *bed) pair(model machine) (*machine, peer) {
	b.Helper()
	ready := make(chan *machine, 1)
	told := model.secured // STARTTLS tells of itself
	model.secured = func(m *machine) {
		if told != nil {
			told(m)
		}
		ready <- m
	}
	p := b.dial(b.listen(model, func(m *machine) {
		if !b.tls {
			ready <- m
		}
	}))
	return await(b, ready, "the machine"), p
}

// peer is the other end, with or without TLS.
type peer struct {
	net.Conn
	b   *bed
	tcp *net.TCPConn
}

func (b *bed) dialTCP(address string) *net.TCPConn {
	b.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	tcp := nc.(*net.TCPConn)
	_ = tcp.SetReadBuffer(256 << 10) // so that sockets are full soon
	return tcp
}

func (b *bed) dial(address string) peer {
	b.Helper()
	tcp := b.dialTCP(address)
	p := peer{Conn: tcp, b: b, tcp: tcp}
	if b.tls {
		p = p.secure()
	}
	return p
}

// secure makes a handshake.
func (p peer) secure() peer {
	p.b.Helper()
	t := tls.Client(p.Conn, clientTLS())
	if err := t.Handshake(); err != nil {
		p.b.Fatal("handshake: ", err)
	}
	p.Conn = t
	return p
}

func (p peer) write(s string) {
	p.b.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.b.Fatal("write: ", err)
	}
}

// expect wants s next.
func (p peer) expect(s string) {
	p.b.Helper()
	got := make([]byte, len(s))
	if n, err := io.ReadFull(p.Conn, got); err != nil || string(got) != s {
		p.b.Fatalf("got %.200q, %v; want %.200q", got[:n], err, s)
	}
}

// expectEnd wants an orderly end next.
func (p peer) expectEnd() {
	p.b.Helper()
	if n, err := p.Conn.Read(make([]byte, 1)); err != io.EOF {
		p.b.Fatalf("got %d bytes, %v; want the end", n, err)
	}
}

// certificate is one for all tests.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	model := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, model, model, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func serverTLS() *tls.Config {
	c := certificate()
	return &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if l, ok := h.Conn.(drive.Leafer); ok {
			l.SetServed(&c)
		}
		return &c, nil
	}}
}

func clientTLS() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}
