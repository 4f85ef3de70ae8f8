// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// A client of a script. It reads only when the script wants something from it, so a run is the same every time;
// what it reads while it looks for something else waits in its inbox. Whatever goes wrong ends the script (run.fail).
type client struct {
	declaration
	r         *run
	transport Transport
	conn      net.Conn
	dec       *xml.Decoder
	readErr   error
	inbox     []*node
	features  *node             // the last that were offered
	jid       string            // full, once bound
	last      *node             // the last stanza that the script let it send
	rooms     map[string]string // that it is in, and its nickname there

	asked int // how often somebody wanted to know its capabilities

	smID    string // of the session that can be resumed
	sm      bool   // stream management is on
	silent  bool   // does not answer <r/>
	in, out uint32 // stanzas received and sent since then
	acked   uint32
}

// Two things can arrive that are not elements: they are nodes of these names.
const (
	streamEnd     = "(the end tag of the stream)"
	connectionEnd = "(the end of the connection)"
)

func (c *client) dial() {
	t, server := c.transport, c.r.server
	conn, err := t.dial(server.address(c.second, t.Name), c.tlsConfig())
	c.check(err)
	c.conn, c.inbox, c.features, c.sm = conn, nil, nil, false
	c.restart()
}

func (c *client) tlsConfig() *tls.Config {
	s := c.r.server
	return &tls.Config{ServerName: c.domain(), RootCAs: s.Roots, InsecureSkipVerify: s.Roots == nil}
}

// domain is what the client asks the server for.
func (c *client) domain() string {
	if c.second {
		return c.r.server.Second
	}
	return c.r.server.Domain
}

// tls is the connection's TLS; nil without.
func (c *client) tls() *tls.Conn {
	switch conn := c.conn.(type) {
	case *tls.Conn:
		return conn
	case *webSocket:
		return conn.Conn
	}
	return nil
}

// restart expects a new stream on the connection: after TLS and after SASL.
func (c *client) restart() { c.dec = xml.NewDecoder(c) }

func (c *client) startTLS() {
	conn := tls.Client(c.conn, c.tlsConfig())
	c.conn.SetDeadline(time.Now().Add(c.r.server.Timeout))
	c.check(conn.Handshake())
	c.conn = conn
	c.restart()
}

// Read feeds the decoder.
func (c *client) Read(p []byte) (n int, err error) {
	c.conn.SetReadDeadline(time.Now().Add(c.r.server.Timeout))
	n, c.readErr = c.conn.Read(p)
	return n, c.readErr
}

// write sends text as it is. That it could not be sent shows when the client reads.
func (c *client) write(text string) {
	if c.conn == nil {
		c.r.fail("%s is not connected", c.name)
	}
	c.r.note(c, "→", text)
	if c.transport.Framed {
		text = declared(text)
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.r.server.Timeout))
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.r.note(c, "→", "(not written: "+err.Error()+")")
	}
}

// send sends elements and counts them for stream management (XEP-0198 §4).
func (c *client) send(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	nodes, err := parseNodes(text)
	c.check(err)
	for _, n := range nodes {
		if n.is(nsSM, "enable") {
			c.out = 0
		} else if n.isStanza() {
			c.out++
		}
	}
	if !c.transport.Framed {
		c.write(text)
		return
	}
	elements, err := frames(text)
	c.check(err)
	for _, e := range elements {
		c.write(e)
	}
}

// next is what the script sees next: an element, the stream's end or the connection's end.
func (c *client) next() *node {
	if len(c.inbox) > 0 {
		n := c.inbox[0]
		c.inbox = c.inbox[1:]
		return n
	}
	for {
		if n := c.receive(); !c.acknowledgement(n) && !c.disclosure(n) {
			return n
		}
	}
}

// acknowledgement deals with <r/> and <a/> out of the script's sight (XEP-0198 §4).
func (c *client) acknowledgement(n *node) bool {
	if !c.sm || !n.is(nsSM, "r") && !n.is(nsSM, "a") {
		return false
	}
	if n.is(nsSM, "a") {
		before := c.acked
		if c.acked = n.number("h"); c.acked > c.out || c.acked < before {
			c.r.fail("%s sent %d stanzas, of which %d were acked, and received %s", c.name, c.out, before, n)
		}
	} else if !c.silent {
		c.ack()
	}
	return true
}

func (c *client) ack() { c.send("<a xmlns='%s' h='%d'/>", nsSM, c.in) }

// receive reads from the connection.
func (c *client) receive() *node {
	if c.conn == nil {
		c.r.fail("%s is not connected", c.name)
	}
	if w, ok := c.conn.(*webSocket); ok {
		return c.receiveFrame(w)
	}
	for {
		token, err := c.dec.Token()
		var n *node
		switch t := token.(type) {
		case xml.StartElement:
			n = &node{XMLName: t.Name, Attrs: t.Attr}
			if !n.is(nsStreams, "stream") {
				n = &node{}
				err = c.dec.DecodeElement(n, &t)
			}
		case xml.EndElement:
			n = &node{XMLName: xml.Name{Local: streamEnd}}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.r.fail("%s received nothing for %v", c.name, c.r.server.Timeout)
		case err != nil && c.readErr != nil:
			n = &node{XMLName: xml.Name{Local: connectionEnd}}
		case err != nil:
			c.r.fail("%s received bad XML: %v", c.name, err)
		}
		if n != nil {
			c.observe(n)
			return n
		}
	}
}

// receiveFrame is receive where each element is a frame.
func (c *client) receiveFrame(w *webSocket) *node {
	w.SetReadDeadline(time.Now().Add(c.r.server.Timeout))
	frame, err := w.message()
	n := &node{XMLName: xml.Name{Local: connectionEnd}}
	switch network := net.Error(nil); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.r.fail("%s received nothing for %v", c.name, c.r.server.Timeout)
	case err == nil:
		n, err = standalone(frame)
		c.check(err)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &network):
		c.r.fail("%s received %v", c.name, err)
	}
	c.observe(n)
	return n
}

// observe keeps what the client must know of all that comes in.
func (c *client) observe(n *node) {
	c.r.note(c, "←", n.String())
	switch {
	case n.is(nsStreams, "features"):
		c.features = n
	case n.is(nsSM, "enabled"):
		c.smID, c.sm, c.in, c.acked = n.get("id"), true, 0, 0
	case n.is(nsSM, "resumed"):
		c.sm, c.acked = true, n.number("h")
	case n.isStanza():
		c.in++
		c.observeRoom(n)
	}
}

// expect reads an element of that name.
func (c *client) expect(space, local string) *node {
	n := c.next()
	if !n.is(space, local) {
		c.r.fail("%s expected <%s xmlns='%s'>, and received %s", c.name, local, space, n)
	}
	return n
}

// waitFor reads until an element fits and returns those before it.
func (c *client) waitFor(fits func(*node) bool) (n *node, others []*node) {
	for n = c.next(); !fits(n); n = c.next() {
		if n.is("", connectionEnd) {
			c.r.fail("%s lost its connection", c.name)
		}
		others = append(others, n)
	}
	return n, others
}

// find is waitFor, but leaves the others to the script.
func (c *client) find(fits func(*node) bool) *node {
	n, others := c.waitFor(fits)
	c.inbox = slices.Concat(others, c.inbox)
	return n
}

// request sends an IQ and returns its answer.
func (c *client) request(kind, format string, args ...any) *node {
	id := c.r.unique("iq")
	c.send("<iq type='%s' id='%s'>%s</iq>", kind, id, fmt.Sprintf(format, args...))
	return c.find(func(n *node) bool { return n.is(nsClient, "iq") && n.get("id") == id })
}

// drop resets the connection and leaves the stream open.
func (c *client) drop() {
	conn := c.conn
	if t := c.tls(); t != nil {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	if conn != nil {
		conn.Close()
		c.r.note(c, "→", "(connection reset)")
	}
	c.conn = nil
}

// disconnect closes the stream and waits for the server to close its side (RFC 6120 §4.4).
func (c *client) disconnect() {
	c.write(c.transport.close)
	c.waitFor(func(n *node) bool { return n.is("", streamEnd) })
	c.conn.Close()
	c.conn = nil
}

func (c *client) check(err error) {
	if err != nil {
		c.r.fail("%s: %v", c.name, err)
	}
}
