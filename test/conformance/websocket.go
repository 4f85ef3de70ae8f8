// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// How to read this file: webSocket is a client's side of RFC 6455, as much as the scripts need; below it is what
// frames mean for XML: each is one element that stands alone, in both directions (RFC 7395 §3.3.3).

const nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"

// webSocket is a connection whose Write sends a message.
type webSocket struct {
	*tls.Conn
	in *bufio.Reader
}

// The opcodes of RFC 6455 §5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

var errRefused = errors.New("no WebSocket for XMPP")

// dialWebSocket opens a WebSocket for XMPP. The host asked for is the name that TLS verifies.
func dialWebSocket(address string, c *tls.Config) (net.Conn, error) {
	return upgrade(address, c, "xmpp")
}

// upgrade offers a subprotocol, which the server must take (RFC 7395 §3.1).
func upgrade(address string, c *tls.Config, subprotocol string) (net.Conn, error) {
	c.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return nil, err
	}
	w := &webSocket{conn, bufio.NewReader(conn)}
	if err := w.handshake(c.ServerName, subprotocol); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// handshake is RFC 6455 §4.1.
func (w *webSocket) handshake(host, subprotocol string) error {
	key := base64.StdEncoding.EncodeToString([]byte(rand.Text())[:16])
	request := "GET /xmpp-websocket HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if subprotocol != "" {
		request += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if _, err := io.WriteString(w.Conn, request+"\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	switch {
	case answer.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%w: %s", errRefused, answer.Status)
	case answer.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return errors.New("the server's Sec-WebSocket-Accept is wrong")
	case answer.Header.Get("Sec-WebSocket-Protocol") != "xmpp": // the client closes then: RFC 7395 §3.1
		return fmt.Errorf("%w: the server's subprotocol is %q", errRefused, answer.Header.Get("Sec-WebSocket-Protocol"))
	}
	return nil
}

// Write implements net.Conn: p is one message.
func (w *webSocket) Write(p []byte) (int, error) { return len(p), w.send(opText, p) }

// send sends one frame, the last of its message.
func (w *webSocket) send(op byte, p []byte) error { return w.sendFrame(0x80|op, p) }

// sendFrame sends one frame that begins with that byte, masked (RFC 6455 §5.3).
func (w *webSocket) sendFrame(first byte, p []byte) error {
	frame := []byte{first}
	switch n := len(p); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	mask := []byte(rand.Text())[:4]
	frame = append(frame, mask...)
	for i, b := range p {
		frame = append(frame, b^mask[i%4])
	}
	_, err := w.Conn.Write(frame)
	return err
}

// message reads the next message; io.EOF says that the server has closed the WebSocket in order, which this answers.
func (w *webSocket) message() (string, error) {
	var text []byte
	for started := false; ; {
		fin, op, p, err := w.frame()
		if err != nil {
			return "", err
		}
		switch {
		case op == opClose:
			_ = w.send(opClose, p[:min(2, len(p))])
			return "", io.EOF
		case op == opPing:
			_ = w.send(opPong, p)
			continue
		case op == opPong:
			continue
		case started != (op == 0) || !started && op != opText:
			return "", fmt.Errorf("a frame with opcode %d, which has no place here", op)
		}
		started = true
		if text = append(text, p...); fin {
			return string(text), nil
		}
	}
}

// frame reads one frame, which a server must not mask.
func (w *webSocket) frame() (fin bool, op byte, p []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(w.in, head[:]); err != nil {
		return
	}
	if head[0]&0x70 != 0 || head[1]&0x80 != 0 {
		return false, 0, nil, fmt.Errorf("a frame that begins with %x: reserved bits, or masked", head)
	}
	size := uint64(head[1])
	if bytes := map[uint64]int{126: 2, 127: 8}[size]; bytes > 0 {
		var long [8]byte
		if _, err = io.ReadFull(w.in, long[8-bytes:]); err != nil {
			return
		}
		size = binary.BigEndian.Uint64(long[:])
	}
	if size > 1<<24 {
		return false, 0, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	p = make([]byte, size)
	_, err = io.ReadFull(w.in, p)
	return head[0]&0x80 != 0, head[0] & 0x0f, p, err
}

// socket is the client's WebSocket, for what only that has.
func (c *client) socket() *webSocket {
	w, ok := c.conn.(*webSocket)
	if !ok {
		c.r.fail("%s has no WebSocket", c.name)
	}
	return w
}

// sendsFrame sends one message, whatever it is.
func (c *client) sendsFrame(binary string, blocks []string) {
	op := byte(opText)
	if binary != "" {
		op = opBinary
	}
	text := c.r.expand(blocks[0])
	c.r.note(c, "→", text)
	c.check(c.socket().send(op, []byte(text)))
}

// sendsFragments sends one message in frames of a few bytes (RFC 6455 §5.4), between which a ping may come.
func (c *client) sendsFragments(_ string, blocks []string) {
	text, w := c.r.expand(blocks[0]), c.socket()
	c.r.note(c, "→", text)
	for first := byte(opText); text != ""; first = 0 {
		n := min(7, len(text))
		if n == len(text) {
			first |= 0x80
		}
		c.check(w.sendFrame(first, []byte(text[:n])))
		c.check(w.send(opPing, nil))
		text = text[n:]
	}
}

// pings wants a pong with the same bytes (RFC 6455 §5.5.3), before anything else comes.
func (c *client) pings() {
	w, payload := c.socket(), rand.Text()
	c.check(w.send(opPing, []byte(payload)))
	w.SetReadDeadline(time.Now().Add(c.r.server.Timeout))
	fin, op, p, err := w.frame()
	c.check(err)
	if !fin || op != opPong || string(p) != payload {
		c.r.fail("want a pong with %s\ngot  opcode %d with %q", payload, op, p)
	}
}

// refusedSubprotocol wants no WebSocket for that subprotocol, nor for none.
func (c *client) refusedSubprotocol(subprotocol string, _ []string) {
	conn, err := upgrade(c.r.server.Address[c.transport.Name], c.tlsConfig(), subprotocol)
	if err == nil {
		conn.Close()
		c.r.fail("the server has opened the WebSocket")
	}
	if !errors.Is(err, errRefused) {
		c.r.fail("%v", err)
	}
}

// standalone reads the one element that a frame must be. What ends the stream is a node as over TCP.
func standalone(frame string) (*node, error) {
	if !strings.HasPrefix(frame, "<") {
		return nil, fmt.Errorf("a frame that does not begin with an element: %q", frame)
	}
	d := xml.NewDecoder(strings.NewReader(frame))
	n := new(node)
	if err := d.Decode(n); err != nil {
		return nil, fmt.Errorf("a frame that is not an element: %w: %q", err, frame)
	}
	if rest := frame[d.InputOffset():]; strings.TrimSpace(rest) != "" {
		return nil, fmt.Errorf("a frame with more than one element: %q", frame)
	}
	if !strings.Contains(n.XMLName.Space, ":") { // a prefix that is not declared stands for itself here
		return nil, fmt.Errorf("a frame whose element declares no namespace: %q", frame)
	}
	if n.is(nsFraming, "close") {
		n.XMLName = xml.Name{Local: streamEnd}
	}
	return n, nil
}

var stanzaTag = regexp.MustCompile(`^<(?:message|presence|iq)[\s/>]`)

// declared is an element of a script as it stands alone: a stanza that declares no default namespace has jabber:client.
func declared(element string) string {
	if start, _, _ := strings.Cut(element, ">"); !stanzaTag.MatchString(element) || strings.Contains(start, "xmlns=") {
		return element
	}
	i := strings.IndexAny(element, " \t\n/>")
	return element[:i] + " xmlns='" + nsClient + "'" + element[i:]
}

// frames cuts text into its elements, each to stand alone.
func frames(text string) (elements []string, err error) {
	d := xml.NewDecoder(strings.NewReader(text))
	depth, start := 0, 0
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			return elements, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the XML of the script: %w", err)
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			if depth--; depth == 0 {
				elements = append(elements, declared(strings.TrimSpace(text[start:d.InputOffset()])))
				start = int(d.InputOffset())
			}
		}
	}
}
