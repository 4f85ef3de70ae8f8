// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	domain   = "localhost"
	password = "pencil"

	nsStream   = "http://etherx.jabber.org/streams"
	nsClient   = "jabber:client"
	nsSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSM       = "urn:xmpp:sm:3"
	nsRegister = "jabber:iq:register"
	nsRoster   = "jabber:iq:roster"
	nsDelay    = "urn:xmpp:delay"
	nsPing     = "urn:xmpp:ping"
	nsMAM      = "urn:xmpp:mam:2"
	nsRSM      = "http://jabber.org/protocol/rsm"
	nsForward  = "urn:xmpp:forward:0"
	nsMUC      = "http://jabber.org/protocol/muc"
	nsPubSub   = "http://jabber.org/protocol/pubsub"
	nsPrivate  = "jabber:iq:private"
	nsForm     = "jabber:x:data"
)

// patience is how long anything may take that should take milliseconds, on a machine that does much else.
const patience = 30 * time.Second

// link is one connection with a stream on it. Reading is one goroutine's, writing whoever's holds the session.
type link struct {
	conn net.Conn // TLS or not
	tcp  *net.TCPConn
	in   *xml.Decoder
	to   string // the domain
}

// dial connects and opens the first stream, whose features it returns.
func dial(address, domain string, secure bool) (*link, *element, error) {
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, nil, err
	}
	l := &link{conn: nc, tcp: nc.(*net.TCPConn), to: domain}
	if secure {
		l.conn = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: domain}) // it made its certificate itself
	}
	_ = nc.SetDeadline(time.Now().Add(patience)) // until logged in
	features, err := l.open()
	if err != nil {
		l.reset()
		return nil, nil, err
	}
	return l, features, nil
}

// open begins a stream.
func (l *link) open() (features *element, err error) {
	l.in = xml.NewDecoder(l.conn)
	if err := l.write("<stream:stream xmlns='" + nsClient + "' xmlns:stream='" + nsStream + "' to='" + l.to + "' version='1.0'>"); err != nil {
		return nil, err
	}
	if _, err := readHeader(l.in); err != nil {
		return nil, err
	}
	features, err = readElement(l.in)
	if err == nil && !features.is(nsStream, "features") {
		err = fmt.Errorf("%s instead of features", features)
	}
	return features, err
}

func (l *link) write(s string) error {
	_, err := l.conn.Write([]byte(s))
	return err
}

// ask writes s and returns the next element.
func (l *link) ask(s string) (*element, error) {
	if err := l.write(s); err != nil {
		return nil, err
	}
	return readElement(l.in)
}

// logIn logs in with SCRAM-SHA-256 and opens the stream behind it.
func (l *link) logIn(user string) error {
	s := &scram{user: user, password: password}
	e, err := l.ask("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-256'>" + base64.StdEncoding.EncodeToString([]byte(s.first())) + "</auth>")
	if err != nil {
		return err
	}
	challenge, err := base64.StdEncoding.DecodeString(e.text)
	if err != nil || !e.is(nsSASL, "challenge") {
		return fmt.Errorf("log in as %s: %s", user, e)
	}
	final, err := s.final(string(challenge))
	if err != nil {
		return err
	}
	e, err = l.ask("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	if err != nil {
		return err
	}
	if !e.is(nsSASL, "success") {
		return fmt.Errorf("log in as %s: %s", user, e)
	}
	_, err = l.open()
	return err
}

// bind binds a resource and returns the address.
func (l *link) bind(resource string) (string, error) {
	e, err := l.ask("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'><resource>" + escape(resource) + "</resource></bind></iq>")
	if err != nil {
		return "", err
	}
	if b := e.child(nsBind, "bind"); b != nil && b.child(nsBind, "jid") != nil && e.attr("type") == "result" {
		return b.child(nsBind, "jid").text, nil
	}
	return "", fmt.Errorf("bind: %s", e)
}

// errTaken says that there is such an account already.
var errTaken = errors.New("the account exists")

// register makes an account (XEP-0077) on a connection of its own.
func register(address string, secure bool, user string) error {
	return registerAt(address, domain, secure, user)
}

func registerAt(address, domain string, secure bool, user string) error {
	l, _, err := dial(address, domain, secure)
	if err != nil {
		return err
	}
	defer l.reset()
	e, err := l.ask("<iq type='set' id='register'><query xmlns='" + nsRegister + "'><username>" + user + "</username><password>" +
		password + "</password></query></iq>")
	switch {
	case err != nil:
		return err
	case e.attr("type") == "result":
		return nil
	}
	if e := e.child(nsClient, "error"); e != nil && e.child("urn:ietf:params:xml:ns:xmpp-stanzas", "conflict") != nil {
		return errTaken
	}
	return fmt.Errorf("register %s: %s", user, e)
}

// reset drops the connection as a broken network does: nothing more is read or written on either side.
func (l *link) reset() {
	_ = l.tcp.SetLinger(0)
	_ = l.tcp.Close()
}
