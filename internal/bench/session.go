// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: input cuts what arrives into units, unit answers what a server may ask of any client
// and hands the rest on.

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// How a session ended.
var (
	errClosed = errors.New("bench: the server closed the connection")
	errLeft   = errors.New("bench: the session has left")
)

const (
	maxUnit  = 1 << 20 // the longest stanza or packet taken from a server
	keepLeft = 4 << 10 // a longer buffer for incomplete input is not kept

	nsSM      = "urn:xmpp:sm:3"
	smRequest = "<r xmlns='" + nsSM + "'/>"
)

// session is one logged-in connection. It answers what a server may ask of any
// client (acks, IQs, PUBACKs) and hands message bodies on. It belongs to one
// goroutine at a time: the one that logs it in, then its loop.
type session struct {
	sock    *sock
	tls     *tls.Conn // nil: not encrypted
	kind    Kind
	index   int    // number of its account
	address string // full JID or topic
	pair    *pair  // relay only
	info    []byte // what it can do, nil: it does not say
	member  *member
	// watch, when set, takes each stanza that arrives in the place of message; what is asked is answered before.
	watch func(unit []byte, now time.Time)

	left    []byte // incomplete input
	answers []byte // written at the end of the loop's turn
	owes    bool   // is on the loop's list for that
	err     error  // why it ended

	sm       bool
	received uint32 // stanzas since <enabled/>
	sent     uint32 // stanzas or QoS 1 packets that want an ack
	acked    uint32 // of these
	qos      byte
}

// write sends bytes as one TLS record or one TCP segment as far as they fit.
func (s *session) write(data []byte) error {
	var err error
	if s.tls != nil {
		_, err = s.tls.Write(data)
	} else {
		_, err = s.sock.Write(data)
	}
	return err
}

func (s *session) read(p []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Read(p)
	}
	return s.sock.Read(p)
}

func (s *session) cut(b []byte) (int, error) {
	if s.kind == MQTT {
		return cutMQTT(b)
	}
	return cutXML(b), nil
}

// input takes what arrived, cuts it into units and handles them. data is only
// used until it returns.
func (s *session) input(data []byte, now time.Time, message func(*session, []byte, time.Time)) error {
	if len(s.left) > 0 {
		s.left = append(s.left, data...)
		data = s.left
	}
	for s.err == nil {
		n, err := s.cut(data)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := s.unit(data[:n], now, message); err != nil {
			return err
		}
		data = data[n:]
	}
	switch {
	case len(data) > maxUnit:
		return fmt.Errorf("bench: a unit of more than %d bytes", maxUnit)
	case len(data) == 0 && cap(s.left) > keepLeft:
		s.left = nil
	default:
		s.left = append(s.left[:0], data...) // may overlap, moves towards the front
	}
	return nil
}

// unit handles one unit of input.
func (s *session) unit(u []byte, now time.Time, message func(*session, []byte, time.Time)) error {
	if s.kind == MQTT {
		return s.packet(u, now, message)
	}
	if u[0] != '<' {
		return nil // keepalive
	}
	switch string(localName(u)) {
	case "message":
		s.received++
		if s.watch != nil {
			s.watch(u, now)
		} else if body := inner(u, "body"); body != nil {
			message(s, body, now)
		}
	case "presence":
		s.received++
		if s.watch != nil {
			s.watch(u, now)
		}
	case "iq":
		s.received++
		s.answerIQ(u)
		if s.watch != nil {
			s.watch(u, now)
		}
	case "r":
		s.answers = append(s.answers, "<a xmlns='"+nsSM+"' h='"...)
		s.answers = strconv.AppendUint(s.answers, uint64(s.received), 10)
		s.answers = append(s.answers, "'/>"...)
	case "a":
		h, err := strconv.ParseUint(string(attr(u, "h")), 10, 32)
		if ahead := uint32(h) - s.acked; err != nil || ahead > s.sent-s.acked {
			return fmt.Errorf("bench: ack of %q with %d sent", u, s.sent)
		}
		s.acked = uint32(h)
	case "error":
		return fmt.Errorf("bench: the server ended the stream: %.200s", u)
	case "failed":
		return fmt.Errorf("bench: stream management failed: %.200s", u)
	}
	if bytes.HasPrefix(u, []byte("</")) {
		return errClosed
	}
	return nil
}

// answerIQ answers what a server asks: pings and roster pushes want an answer,
// not a particular one; what the client can do is told where it was announced.
func (s *session) answerIQ(u []byte) {
	switch string(attr(u, "type")) {
	case "get", "set":
	default:
		return
	}
	s.answers = append(s.answers, "<iq type='result' id='"...)
	s.answers = append(s.answers, attr(u, "id")...)
	if from := attr(u, "from"); from != nil {
		s.answers = append(s.answers, "' to='"...)
		s.answers = append(s.answers, from...)
	}
	if s.info != nil && bytes.Contains(u, []byte("/disco#info")) {
		s.answers = append(s.answers, "'>"...)
		s.answers = append(s.answers, s.info...)
		s.answers = append(s.answers, "</iq>"...)
	} else {
		s.answers = append(s.answers, "'/>"...)
	}
	s.countSent(1)
}

func (s *session) countSent(n uint32) {
	if s.sm || s.qos > 0 {
		s.sent += n
	}
}

// leave says good-bye; the server may have left already, which does not matter.
func (s *session) leave() {
	_ = s.write(s.farewell())
	if s.tls != nil {
		_ = s.tls.CloseWrite()
	}
}

// farewell is what a client says before it closes.
func (s *session) farewell() []byte {
	switch s.kind {
	case XMPP:
		return []byte("</stream:stream>")
	case MQTT:
		return []byte{mqttDisconnect, 0}
	}
	return nil
}
