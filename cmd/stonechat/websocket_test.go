// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// webClient is as much of a WebSocket client as these tests need. It stands behind the proxy that
// they play.
type webClient struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// startWeb starts a server that believes a proxy at 127.0.0.1, and has the accounts romeo and juliet.
func startWeb(t *testing.T, lines string) *instance {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("domains: [d.test]\ndata: "+t.TempDir()+`
listen:
  client: []
  client_tls: []
  server: []
  server_tls: []
  http: ["127.0.0.1:0"]
  https: []
  metrics: ["127.0.0.1:0"]
log: {level: error}
`+lines))
	if err != nil {
		t.Fatal(err)
	}
	in, err := start(c, "auto")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"romeo", "juliet"} {
		if err := in.server.CreateAccount(t.Context(), jid.MustParse(name+"@d.test"), "secret"); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

const openFrame = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='d.test' version='1.0'/>"

// dialWeb opens a WebSocket, and a stream on it, for a client of that address.
func dialWeb(t *testing.T, in *instance, address string) *webClient {
	t.Helper()
	conn, err := net.Dial("tcp", in.address("http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &webClient{t, conn, bufio.NewReader(conn)}
	fmt.Fprintf(conn, "GET /xmpp-websocket HTTP/1.1\r\nHost: d.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: xmpp\r\n"+
		"X-Forwarded-For: %s\r\nX-Forwarded-Proto: https\r\n\r\n", address)
	r, err := http.ReadResponse(c.in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(r, err)
	}
	c.send(openFrame)
	c.want("<open ")
	if features := c.want("<stream:features "); strings.Contains(features, "-PLUS") || strings.Contains(features, "starttls") {
		t.Errorf("behind a proxy there is %s", features)
	}
	return c
}

// send sends one message, masked with zeros.
func (c *webClient) send(text string) {
	head := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	if _, err := c.Write(append(append(head, 0, 0, 0, 0), text...)); err != nil {
		c.t.Error(err)
	}
}

// receive reads one frame; a closing one is "close" and its code.
func (c *webClient) receive() (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return "", err
	}
	size := uint64(head[1])
	if n := map[uint64]int{126: 2, 127: 8}[size]; n > 0 {
		var long [8]byte
		if _, err := io.ReadFull(c.in, long[8-n:]); err != nil {
			return "", err
		}
		size = binary.BigEndian.Uint64(long[:])
	}
	p := make([]byte, size)
	if _, err := io.ReadFull(c.in, p); err != nil {
		return "", err
	}
	if head[0] == 0x88 {
		return fmt.Sprint("close ", binary.BigEndian.Uint16(p)), nil
	}
	return string(p), nil
}

// want reads a frame that begins so.
func (c *webClient) want(begin string) string {
	c.t.Helper()
	got, err := c.receive()
	if err != nil || !strings.HasPrefix(got, begin) {
		c.t.Fatalf("want %s\ngot  %s, %v", begin, got, err)
	}
	return got
}

// login tries PLAIN and returns the answer.
func (c *webClient) login(name, password string) string {
	c.t.Helper()
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)) + "</auth>")
	return c.want("<")
}

// bind goes the rest of the way.
func (c *webClient) bind(name, resource string) {
	c.t.Helper()
	if answer := c.login(name, "secret"); !strings.HasPrefix(answer, "<success ") {
		c.t.Fatal(answer)
	}
	c.send(openFrame)
	c.want("<open ")
	c.want("<stream:features ")
	c.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	c.want("<iq xmlns='jabber:client' type='result' id='b'>")
}

// metric is a line of the metrics that begins so.
func metric(t *testing.T, in *instance, begin string) string {
	t.Helper()
	r, err := http.Get("http://" + in.address("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // a test's
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), begin) {
			return lines.Text()
		}
	}
	return ""
}

// Failed logins count for the client's address, not for the proxy's.
func TestWebSocketFailures(t *testing.T) {
	in := startWeb(t, "limits: {failed_logins_per_minute: 2}\n")
	guesser := dialWeb(t, in, "192.0.2.1")
	for i, want := range []string{"not-authorized", "not-authorized", "temporary-auth-failure"} {
		name := []string{"juliet", "nobody", "romeo"}[i]
		if answer := guesser.login(name, "guess"); !strings.Contains(answer, want) {
			t.Errorf("%d: %s", i, answer)
		}
	}
	if answer := dialWeb(t, in, "192.0.2.2").login("romeo", "secret"); !strings.HasPrefix(answer, "<success ") {
		t.Errorf("another client of the proxy: %s", answer)
	}
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// Of too many connections without login the oldest of the same client's goes, not of the proxy's.
func TestWebSocketAdmission(t *testing.T) {
	in := startWeb(t, "limits: {unauthenticated_connections_per_address: 2}\n")
	other := dialWeb(t, in, "192.0.2.1")
	first := dialWeb(t, in, "192.0.2.2")
	second := dialWeb(t, in, "192.0.2.2")
	third := dialWeb(t, in, "192.0.2.2")
	if got, err := first.receive(); err == nil {
		t.Errorf("the oldest is still there, and received %s", got)
	}
	for _, c := range []*webClient{other, second, third} {
		if answer := c.login("romeo", "secret"); !strings.HasPrefix(answer, "<success ") {
			t.Error(answer)
		}
	}
	if m := metric(t, in, "stonechat_c2s_evicted_total "); !strings.HasSuffix(m, " 1") {
		t.Error(m)
	}
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// limits.queue_bytes: a client that does not read loses its connection, and costs its sender nothing.
func TestWebSocketStalled(t *testing.T) {
	in := startWeb(t, "limits: {queue_bytes: 64KiB, stanzas_per_second: none, window_bytes: none}\n")
	romeo, juliet := dialWeb(t, in, "192.0.2.1"), dialWeb(t, in, "192.0.2.2")
	_ = juliet.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	romeo.bind("romeo", "orchard")
	juliet.bind("juliet", "balcony")
	body := "<message xmlns='jabber:client' type='headline' to='juliet@d.test/balcony'><body>" + strings.Repeat("x", 8000) + "</body></message>"
	stalled := func() bool { return strings.HasSuffix(metric(t, in, "stonechat_readers_stalled_total"), " 1") }
	for n := 0; !stalled(); n++ {
		if n == 200 {
			t.Fatal(metric(t, in, "stonechat_readers_stalled_total"))
		}
		for range 20 {
			romeo.send(body)
		}
		romeo.send("<iq xmlns='jabber:client' type='get' id='p' to='d.test'><ping xmlns='urn:xmpp:ping'/></iq>")
		romeo.want("<iq xmlns='jabber:client' from='d.test'")
	}
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// A server that stops says so, closes streams, and then WebSockets.
func TestWebSocketStop(t *testing.T) {
	in := startWeb(t, "")
	romeo := dialWeb(t, in, "192.0.2.1")
	romeo.bind("romeo", "orchard")
	waiting := dialWeb(t, in, "192.0.2.2")
	stopped := make(chan error, 1)
	go func() { stopped <- in.stop() }()
	if got := romeo.want("<stream:error "); !strings.Contains(got, "system-shutdown") {
		t.Error(got)
	}
	romeo.want("<close ")
	romeo.want("close 1000")
	waiting.want("close 1000")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
