// SPDX-License-Identifier: Apache-2.0

// Package conformance judges an XMPP server from outside, for whoever changes the server: readable scripts
// (scripts/*.txt, their language is in README.md) tell what clients send and what they must receive; the runner
// plays them over real sockets. It is an independent witness: its client is written on crypto/tls and
// encoding/xml and shares no code with the server that it judges.
//
//	go test ./test/conformance                                     all scripts against our own server
//	go test ./test/conformance -target=prosody                     against Prosody, to test the scripts
//	go test ./test/conformance -run=Scripts/stonechat/tcp/roster   one script, or a few, by name
//	go test ./test/conformance -v -script=/tmp/new.txt             one script from anywhere, with its dialogue
//	go test ./test/conformance -count=1 -target=running -domain=example.org -tcp=192.0.2.1:5222 -tls=192.0.2.1:5223 -ws=192.0.2.1:5443
//
// A running server must allow registration (or see -adduser); the accounts stay. Its certificate is not verified.
// allowed.txt lists what a target may fail, and why; an allowed failure that passes is an error.
//
// How to read it: script.go turns a file into steps, steps.go says what each sentence does, client.go is the XMPP
// client, websocket.go what is different where each element is a frame, login.go how it
// comes in, ask.go its requests, rooms.go how it gets into a room, pubsub.go how it gets a node, archive.go how it reads an
// archive, caps.go how it tells what it can, match.go compares a stanza with its pattern. The tests start the servers.
package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"
)

// A Server is under test.
type Server struct {
	Domain        string
	Second        string                                         // another domain of the server; empty: it has none
	Rooms         string                                         // its service of rooms; empty: conference.DOMAIN
	Nodes         string                                         // its publish-subscribe service; empty: pubsub.DOMAIN
	Address       map[string]string                              // transport's name to host:port
	SecondAddress map[string]string                              // where the second domain is, if it is another server's; nil: at Address
	Roots         *x509.CertPool                                 // nil: certificates are not verified
	AddUser       func(localpart, domain, password string) error // nil: accounts register themselves (XEP-0077)
	Timeout       time.Duration                                  // how long an expected stanza may take
}

// address is where clients of a domain connect.
func (s *Server) address(second bool, transport string) string {
	if second && s.SecondAddress != nil {
		return s.SecondAddress[transport]
	}
	return s.Address[transport]
}

func (s *Server) rooms() string {
	if s.Rooms != "" {
		return s.Rooms
	}
	return "conference." + s.Domain
}

func (s *Server) nodes() string {
	if s.Nodes != "" {
		return s.Nodes
	}
	return "pubsub." + s.Domain
}

// A Transport is a way for streams to reach a server. A further one brings its own dial and, where it frames every
// element by itself, its own opening and closing element.
type Transport struct {
	Name        string
	StartTLS    bool // the stream starts plain and is upgraded
	Framed      bool // each element is a message of its own (RFC 7395)
	dial        func(address string, c *tls.Config) (net.Conn, error)
	open, close string // with the domain for %s
}

// Transports returns all that scripts are played over.
func Transports() []Transport {
	const open = `<?xml version='1.0'?><stream:stream to='%s' version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`
	tcp := func(address string, _ *tls.Config) (net.Conn, error) { return net.Dial("tcp", address) }
	direct := func(address string, c *tls.Config) (net.Conn, error) { return tls.Dial("tcp", address, c) }
	return []Transport{
		{"tcp", true, false, tcp, open, "</stream:stream>"},
		{"tls", false, false, direct, open, "</stream:stream>"},
		{"ws", false, true, dialWebSocket, "<open xmlns='" + nsFraming + "' to='%s' version='1.0' xml:lang='en'/>", "<close xmlns='" + nsFraming + "'/>"},
	}
}
