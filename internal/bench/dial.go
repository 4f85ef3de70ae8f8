// SPDX-License-Identifier: Apache-2.0

package bench

// How a connection becomes a session. login connects (connect), then sets up
// what its kind of server wants: setUpXMPP with authenticate for the part up to
// the end of SASL, setUpMQTT, setUpRaw. The questions and answers on the way
// are in wire.go.

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
)

// Session says what a session sets up after it has logged in.
type Session struct {
	SM       bool          // stream management (XEP-0198), resumable
	Roster   bool          // fetch the roster
	Presence bool          // send initial presence
	Notify   string        // nodes, separated by spaces, whose news are asked for with presence (XEP-0163), announced as capabilities
	QoS      byte          // of an MQTT subscription and its messages, 0 or 1
	Timeout  time.Duration // of connecting and logging in; 0 is 30 s
}

const (
	loginTimeout = 30 * time.Second
	perSource    = 16384 // sessions per source address, well below the ephemeral ports of one
)

// dialer makes sessions of one target. Safe for concurrent use.
type dialer struct {
	target  Target
	tag     string // resource, and part of client identifiers and topics: two runs on one server stay apart
	session Session
	hello   []byte // initial presence
	info    []byte // what it announces, as a query's answer; nil: nothing
	ring    *keyring
	tls     *tls.Config
	prepare func(w *wire) error // what else a session does before a loop takes it; nil: nothing
}

func newDialer(t Target, s Session) *dialer {
	if s.Timeout == 0 {
		s.Timeout = loginTimeout
	}
	if t.Accounts.Pattern == "" {
		t.Accounts.Pattern = "bench%d"
	}
	// A benchmark's certificates are mostly self-signed, and checking them
	// would only cost the generator. No session cache: each login is a full
	// handshake. One write is one record, from the first one on.
	conf := &tls.Config{ServerName: t.Domain, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
	if t.Kind == XMPP && t.Security == DirectTLS {
		conf.NextProtos = []string{"xmpp-client"}
	}
	d := &dialer{target: t, tag: strings.ToLower(rand.Text()[:3]), session: s, ring: new(keyring), tls: conf}
	d.hello, d.info = announce(s.Notify)
	return d
}

// announce makes the presence of a client that asks for nodes, and what it says that it can do.
func announce(notify string) (hello, info []byte) {
	nodes := strings.Fields(notify)
	if len(nodes) == 0 {
		return []byte("<presence/>"), nil
	}
	what := &disco.Info{Identities: []disco.Identity{{Category: "client", Type: "bot"}}}
	for _, node := range nodes {
		what.Features = append(what.Features, node+"+notify")
	}
	c := &caps.Caps{Hash: caps.SHA1, Node: "https://stonechat.im/bench"}
	var err error
	if c.Ver, err = caps.Ver(c.Hash, what); err != nil {
		panic(err) // the names of nodes are the program's own
	}
	what.Node = c.InfoNode()
	return append(c.AppendXML([]byte("<presence>")), "</presence>"...), what.AppendXML(nil)
}

// login makes session number index, ready for a loop.
func (d *dialer) login(ctx context.Context, index int) (*session, error) {
	w, err := d.connect(ctx, index)
	if err == nil {
		if err = d.setUp(w); err == nil && d.prepare != nil {
			err = d.prepare(w)
		}
		if err == nil {
			w.s.left = bytes.Clone(w.buf)
			return w.s, nil
		}
		_ = w.s.sock.Close() // the login's error says more
	}
	return nil, fmt.Errorf("bench: %s: session %d: %w", d.target, index, err)
}

// connect opens the connection, TLS from the first byte included.
func (d *dialer) connect(ctx context.Context, index int) (*wire, error) {
	// No keepalive: Go's would have tens of thousands of sessions send a probe
	// every 15 s, and loopback drops what comes in bursts.
	nd := net.Dialer{Timeout: d.session.Timeout, LocalAddr: source(d.target.Addr, index), KeepAlive: -1, Control: sharePort}
	conn, err := nd.DialContext(ctx, "tcp", d.target.Addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(d.session.Timeout)); err != nil {
		return nil, err
	}
	s := &session{sock: &sock{conn: conn, fd: -1}, kind: d.target.Kind, index: index, info: d.info}
	w := &wire{s: s}
	if d.target.Security == DirectTLS {
		if err := w.secure(d.tls); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return w, nil
}

// source spreads sessions over loopback addresses, which run out of ports
// otherwise; elsewhere the system chooses.
func source(addr string, index int) net.Addr {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host).To4(); err != nil || ip == nil || ip[0] != 127 || index < perSource {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+index/perSource))}
}

func (d *dialer) setUp(w *wire) error {
	switch d.target.Kind {
	case XMPP:
		return d.setUpXMPP(w)
	case MQTT:
		return d.setUpMQTT(w)
	}
	return d.setUpRaw(w)
}

func (d *dialer) setUpXMPP(w *wire) error {
	if err := d.authenticate(w); err != nil {
		return err
	}
	features, err := w.open(d.target.Domain)
	if err != nil {
		return err
	}
	if !bytes.Contains(features, []byte("<bind")) {
		return fmt.Errorf("no resource binding offered in %.300s", features)
	}
	jid, err := w.ask("bind", "set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+d.tag+"</resource></bind>")
	if err != nil {
		return err
	}
	if w.s.address = string(inner(jid, "jid")); w.s.address == "" {
		return fmt.Errorf("binding gave no address: %.300s", jid)
	}
	if d.session.SM {
		if err := w.s.write([]byte("<enable xmlns='" + nsSM + "' resume='true'/>")); err != nil {
			return err
		}
		if _, err := w.expect("enabled"); err != nil {
			return err
		}
		w.s.sm = true
	}
	w.s.received = 0
	if d.session.Roster {
		if _, err := w.ask("roster", "get", "<query xmlns='jabber:iq:roster'/>"); err != nil {
			return err
		}
	}
	if d.session.Presence {
		w.s.countSent(1)
		return w.s.write(d.hello)
	}
	return nil
}

// authenticate goes from the first stream header to the end of SASL.
func (d *dialer) authenticate(w *wire) error {
	features, err := w.open(d.target.Domain)
	if err != nil {
		return err
	}
	if d.target.Security == StartTLS {
		if features, err = w.startTLS(d.tls, d.target.Domain, features); err != nil {
			return err
		}
	}
	mechanism, err := choose(features, d.target.Accounts.Mechanism)
	if err != nil {
		return err
	}
	user, password := d.target.Accounts.name(w.s.index), d.target.Accounts.Password
	if mechanism == "PLAIN" {
		if err := w.auth(mechanism, []byte("\x00"+user+"\x00"+password)); err != nil {
			return err
		}
		_, err := w.expect("success")
		return err
	}
	exchange := newScram(mechanism, user, password, d.ring)
	if err := w.auth(mechanism, exchange.first()); err != nil {
		return err
	}
	challenge, err := w.expect("challenge")
	if err != nil {
		return err
	}
	plain, err := decode(challenge)
	if err != nil {
		return err
	}
	final, err := exchange.final(plain)
	if err != nil {
		return err
	}
	if err := w.s.write([]byte("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString(final) + "</response>")); err != nil {
		return err
	}
	success, err := w.expect("success")
	if err != nil {
		return err
	}
	if plain, err = decode(success); err != nil {
		return err
	}
	return exchange.verify(plain)
}

// choose takes the mechanism asked for, or the first that is offered of those preferred.
func choose(features []byte, wanted string) (string, error) {
	offers := func(m string) bool {
		return bytes.Contains(features, []byte("<mechanism>"+m+"</mechanism>"))
	}
	if wanted != "" {
		if !offers(wanted) {
			return "", fmt.Errorf("%s is not offered in %.300s", wanted, features)
		}
		return wanted, nil
	}
	if i := slices.IndexFunc(preferred, offers); i >= 0 {
		return preferred[i], nil
	}
	return "", fmt.Errorf("no SCRAM mechanism offered in %.300s", features)
}

// decode is the base64 data inside a SASL element.
func decode(unit []byte) ([]byte, error) {
	data := content(unit)
	if string(data) == "=" {
		return nil, nil
	}
	out, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return nil, fmt.Errorf("in %.100q: %w", unit, err)
	}
	return out, nil
}

// content is what stands between the first and the last tag of a unit.
func content(unit []byte) []byte {
	from, to := tagEnd(unit, 0), bytes.LastIndex(unit, []byte("</"))
	if from == 0 || to < from {
		return nil
	}
	return unit[from:to]
}

func (d *dialer) setUpMQTT(w *wire) error {
	w.s.qos = d.session.QoS
	w.s.address = fmt.Sprintf("%s/%d", d.tag, w.s.index)
	hello := appendConnect(nil, fmt.Sprintf("bench-%s-%d", d.tag, w.s.index))
	if err := w.s.write(hello); err != nil {
		return err
	}
	ack, err := w.next()
	if err != nil {
		return err
	}
	if len(ack) != 4 || ack[0] != mqttConnAck || ack[3] != 0 {
		return fmt.Errorf("connection refused: % x", ack)
	}
	if err := w.s.write(appendSubscribe(nil, 1, w.s.address, d.session.QoS)); err != nil {
		return err
	}
	ack, err = w.next()
	if err == nil {
		err = w.s.packet(ack, time.Time{}, nil)
	}
	return err
}

// setUpRaw tells the relay the number of the pair and waits for its echo:
// from then on bytes flow to the other session of that pair.
func (d *dialer) setUpRaw(w *wire) error {
	w.s.address = fmt.Sprintf("%s@raw.invalid/%s", d.target.Accounts.name(w.s.index), d.tag)
	hello := appendHello(nil, w.s.index/2)
	if err := w.s.write(hello); err != nil {
		return err
	}
	for len(w.buf) < len(hello) {
		if err := w.more(); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(w.buf, hello) {
		return fmt.Errorf("greeted with %.40q", w.buf)
	}
	w.buf = w.buf[len(hello):]
	return nil
}
