// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "' version='1.0'>"

// peer is one connection that does as it is told. Its methods fail the test where the server does not do as expected.
// It is used from one goroutine.
type peer struct {
	t        *testing.T
	conn     net.Conn // TLS or not
	tcp      *net.TCPConn
	in       *xmlstream.Parser
	fresh    bool // the parser has been given nothing yet
	buf      []byte
	features string // of the last stream
	full     string // bound
}

// element is a first-level element.
type element struct {
	name xmlstream.Name
	raw  string
}

func (e element) is(space, local string) bool {
	return e.name == xmlstream.Name{Space: space, Local: local}
}

// condition is the name of the first child in that namespace.
func (e element) condition(space string) string {
	r := xmlstream.NewReader(e.raw, stanza.NSClient)
	for n := range r.Children() {
		if n.Space == space {
			return n.Local
		}
	}
	return ""
}

func (e element) text() []byte {
	b, _ := base64.StdEncoding.DecodeString(xmlstream.NewReader(e.raw, stanza.NSClient).Text())
	return b
}

// dial connects, from an address of this machine or, with "", any.
func dial(t *testing.T, address, from string) *peer {
	t.Helper()
	p, err := connect(t, address, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.reset)
	return p
}

func connect(t *testing.T, address, from string) (*peer, error) {
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &peer{t: t, conn: conn, tcp: conn.(*net.TCPConn)}
	p.restart()
	return p, nil
}

// wait bounds how long reading may take from now on.
func (p *peer) wait(d time.Duration) { _ = p.tcp.SetReadDeadline(time.Now().Add(d)) }

// restart makes what is read next a new stream; what has been read and not looked at belongs to it.
func (p *peer) restart() {
	if p.in != nil {
		p.in.Reset()
		p.fresh = p.in.Buffered() == 0
		return
	}
	p.in = xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{
		ElementBytes: 1 << 22, Depth: 1000, Attributes: 1000, Children: 1 << 20,
	})
	p.fresh = true
}

// reset drops the connection without a word.
func (p *peer) reset() {
	_ = p.tcp.SetLinger(0)
	_ = p.tcp.Close()
}

// send writes; that the server has gone is for reading to tell.
func (p *peer) send(s string) { _, _ = io.WriteString(p.conn, s) }

// sasl sends an element of SASL.
func (p *peer) sasl(local, attrs string, data []byte) {
	text := base64.StdEncoding.EncodeToString(data)
	if data != nil && len(data) == 0 {
		text = "="
	}
	p.send("<" + local + " xmlns='" + stream.NSSASL + "'" + attrs + ">" + text + "</" + local + ">")
}

// next is the next thing the server says: its header, an element, or with ended set the end of its stream. An
// error is the connection's.
func (p *peer) next() (e element, ended bool, err error) {
	if p.buf == nil {
		p.buf = make([]byte, 64<<10)
	}
	p.wait(patience)
	for {
		if !p.fresh {
			event, err := p.in.Next()
			switch {
			case err != nil:
				return e, false, fmt.Errorf("the server's XML: %w", err)
			case event == xmlstream.EventOpen:
				return element{name: xmlstream.Name{Space: stream.NS, Local: "stream"}}, false, nil
			case event == xmlstream.EventClose:
				return e, true, nil
			case event == xmlstream.EventElement:
				x := p.in.Element()
				return element{xmlstream.Name{Space: string(x.Space), Local: string(x.Local)}, string(x.Raw)}, false, nil
			}
		}
		n, err := p.conn.Read(p.buf)
		if n == 0 {
			return e, false, err
		}
		p.in.Feed(p.buf[:n])
		p.fresh = false
	}
}

// read is the next element.
func (p *peer) read() element {
	p.t.Helper()
	e, ended, err := p.next()
	if ended || err != nil {
		p.t.Fatalf("the stream has ended: %v", err)
	}
	return e
}

// expect reads an element of that name.
func (p *peer) expect(space, local string) element {
	p.t.Helper()
	e := p.read()
	if !e.is(space, local) {
		p.t.Fatalf("expected <%s/>, read %s", local, e.raw)
	}
	return e
}

// open begins a stream and reads the features.
func (p *peer) open() {
	p.t.Helper()
	p.restart()
	p.send(header)
	p.expect(stream.NS, "stream")
	p.features = p.expect(stream.NS, "features").raw
}

func (p *peer) startTLS() {
	p.t.Helper()
	p.send("<starttls xmlns='" + stream.NSTLS + "'/>")
	p.expect(stream.NSTLS, "proceed")
	p.handshake()
}

func (p *peer) handshake() {
	p.t.Helper()
	p.wait(patience)
	c := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, ServerName: domain}) // it made its certificate itself
	if err := c.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.conn = c
}

// secure connects with TLS from the first byte and opens a stream.
func (s *server) secure(t *testing.T, from string) *peer {
	t.Helper()
	p := dial(t, s.tls, from)
	p.handshake()
	p.open()
	return p
}

// offer is what the server offers to log in with: mechanisms, and types of channel binding.
func (p *peer) offer() (mechanisms, bindings []string) {
	r := xmlstream.NewReader(p.features, stream.NS)
	for n := range r.Children() {
		switch n.Local {
		case "mechanisms":
			for range r.Children() {
				mechanisms = append(mechanisms, r.Text())
			}
		case "sasl-channel-binding":
			for range r.Children() {
				bindings = append(bindings, r.Attr("type"))
			}
		}
	}
	return mechanisms, bindings
}

// exchange is an honest client's side of a login. What it derives of the password is kept, as by a device.
func (p *peer) exchange(user string, bindings []sasl.ChannelBinding) *sasl.Client {
	p.t.Helper()
	mechanisms, types := p.offer()
	c, err := sasl.NewClient(sasl.ClientConfig{
		Mechanisms: mechanisms, OfferedBindings: types, Username: user, Password: password, Bindings: bindings, Cache: &keys,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

var keys sasl.KeyCache

// begin sends <auth/> and reads the challenge.
func (p *peer) begin(c *sasl.Client) (challenge []byte) {
	p.t.Helper()
	p.sasl("auth", " mechanism='"+c.Mechanism()+"'", c.Start())
	return p.expect(stream.NSSASL, "challenge").text()
}

// final is the answer to a challenge.
func (p *peer) final(c *sasl.Client, challenge []byte) []byte {
	p.t.Helper()
	b, err := c.Step(challenge)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// authenticate logs in, and opens the stream behind it.
func (p *peer) authenticate(user string) {
	p.t.Helper()
	c := p.exchange(user, nil)
	p.sasl("response", "", p.final(c, p.begin(c)))
	if err := c.Finish(p.expect(stream.NSSASL, "success").text()); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

// bind asks for a resource, and keeps the address.
func (p *peer) bind(resource string) {
	p.t.Helper()
	p.send("<iq type='set' id='bind'><bind xmlns='" + stream.NSBind + "'><resource>" + resource + "</resource></bind></iq>")
	e := p.expect(stanza.NSClient, "iq")
	r := xmlstream.NewReader(e.raw, stanza.NSClient)
	for range r.Children() {
		for range r.Children() {
			p.full = r.Text()
		}
	}
	if p.full == "" {
		p.t.Fatalf("no resource: %s", e.raw)
	}
}

// session logs in and binds.
func (s *server) session(t *testing.T, user string) *peer {
	t.Helper()
	p := s.secure(t, "")
	p.authenticate(user)
	p.bind("")
	return p
}

// register makes an account (XEP-0077).
func (s *server) register(t *testing.T, user string) {
	t.Helper()
	p := s.secure(t, "")
	p.send("<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>" + user + "</username><password>" + password + "</password></query></iq>")
	if e := p.expect(stanza.NSClient, "iq"); !strings.Contains(e.raw, "result") {
		t.Fatalf("no account: %s", e.raw)
	}
	p.close()
}

// close closes the stream in order.
func (p *peer) close() {
	p.t.Helper()
	p.send("</stream:stream>")
	p.over()
}

// alive proves by a ping that the stream is usable. Presence and acks that arrive before the answer are passed over, and no
// message.
func (p *peer) alive() {
	p.t.Helper()
	p.send("<iq type='get' id='alive' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	e := p.read()
	for e.is(stanza.NSClient, "presence") || e.name.Space == sm.NS {
		e = p.read()
	}
	if !e.is(stanza.NSClient, "iq") || !strings.Contains(e.raw, "id='alive'") || !strings.Contains(e.raw, "type='result'") {
		p.t.Fatalf("a ping is answered by %.300s", e.raw)
	}
}

// ends reads up to the stream error, which must be of that condition, the end of the stream, and that of the connection.
func (p *peer) ends(condition string) element {
	p.t.Helper()
	for {
		e, ended, err := p.next()
		switch {
		case ended || err != nil:
			p.t.Fatalf("no stream error %s: the stream has ended (%v)", condition, err)
		case e.is(stream.NS, "error"):
			if got := e.condition(stream.NSErrors); got != condition {
				p.t.Errorf("the stream ends with %s, not %s: %s", got, condition, e.raw)
			}
			if _, ended, err := p.next(); !ended {
				p.t.Errorf("the server's stream does not end behind the error: %v", err)
			}
			p.over()
			return e
		}
	}
}

// over reads what comes up to the end of the connection, which must be an orderly one.
func (p *peer) over() {
	p.t.Helper()
	for {
		_, _, err := p.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.t.Errorf("the connection does not end in order: %v", err)
			return
		}
	}
}

// dropped reads up to the end of the connection, orderly or not.
func (p *peer) dropped() {
	p.t.Helper()
	for {
		_, _, err := p.next()
		if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
			p.t.Fatal("the connection lives")
		}
		if err != nil {
			return
		}
	}
}

// fails reads a failure of SASL.
func (p *peer) fails(condition string) {
	p.t.Helper()
	e := p.expect(stream.NSSASL, "failure")
	if got := e.condition(stream.NSSASL); got != condition {
		p.t.Errorf("the login fails with %s, not %s", got, condition)
	}
}

// refuses reads a stanza error.
func (p *peer) refuses(kind, condition string) {
	p.t.Helper()
	e := p.expect(stanza.NSClient, kind)
	r := xmlstream.NewReader(e.raw, stanza.NSClient)
	got := ""
	for n := range r.Children() {
		if n.Local == "error" {
			for n := range r.Children() {
				got = n.Local
				break
			}
		}
	}
	if got != condition {
		p.t.Errorf("refused with %q, not %s: %s", got, condition, e.raw)
	}
}
