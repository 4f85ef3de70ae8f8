// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces of what is looked for in features.
const (
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBidi = "urn:xmpp:features:bidi" // XEP-0288 §2.1
)

// offered is a stream as far as what the other side offers on it.
type offered struct {
	conn   io.ReadWriter
	by     peers
	domain string
	from   string // of a server; empty: it does not say
	shown  bool   // our certificate was
	clear  bool   // something was offered before TLS that lets one in

	in         *xmlstream.Parser
	tls        bool
	required   bool // TLS is
	mechanisms []string
	dialback   bool
	errors     bool // of dialback
	bidi, sm   bool
}

// open begins a stream, anew after TLS, and reads what is offered.
func (s *offered) open() error {
	from := ""
	if s.from != "" {
		from = " from='" + s.from + "'"
	}
	declared := ""
	if s.by == servers {
		declared = " xmlns:db='" + dialback.NS + "'"
	}
	s.in = xmlstream.NewParser(xmlstream.Stream, s.by.namespace(), xmlstream.Limits{ElementBytes: 64 << 10, Depth: 20, Attributes: 50, Children: 1000})
	_, err := fmt.Fprintf(s.conn, "<?xml version='1.0'?><stream:stream to='%s'%s version='1.0' xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams'%s>",
		s.domain, from, s.by.namespace(), declared)
	if err != nil {
		return err
	}
	e, err := s.next()
	if err != nil {
		return err
	}
	if string(e.Local) == "error" {
		return fmt.Errorf("the server answers with a stream error: %s", e.Raw)
	}
	return s.read(e.Raw)
}

// read notes what is offered.
func (s *offered) read(features []byte) error {
	s.tls, s.required, s.mechanisms, s.dialback, s.bidi, s.sm = false, false, nil, false, false, false
	r := xmlstream.NewReader(features, s.by.namespace())
	for n := range r.Children() {
		switch {
		case n.Space == nsTLS && n.Local == "starttls":
			s.tls = true
			for m := range r.Children() {
				s.required = s.required || m.Local == "required"
			}
		case n.Space == nsSASL && n.Local == "mechanisms":
			for m := range r.Children() {
				if m.Local == "mechanism" {
					s.mechanisms = append(s.mechanisms, r.Text())
				}
			}
		case n.Space == dialback.NSFeature:
			s.dialback = true
			for m := range r.Children() {
				s.errors = s.errors || m.Local == "errors"
			}
		case n.Space == nsBidi:
			s.bidi = true
		case n.Space == sm.NS:
			s.sm = true
		}
	}
	return r.Err()
}

// next reads up to the next element of the stream.
func (s *offered) next() (*xmlstream.Element, error) {
	buf := make([]byte, 4096)
	for {
		switch e, err := s.in.Next(); {
		case err != nil:
			return nil, fmt.Errorf("what answers is not XMPP: %w", err)
		case e == xmlstream.EventElement:
			return s.in.Element(), nil
		case e == xmlstream.EventClose:
			return nil, errors.New("the server ends the stream")
		case e == xmlstream.EventNone:
			n, err := s.conn.Read(buf)
			if n == 0 && err != nil {
				return nil, fmt.Errorf("no XMPP answers: %w", err)
			}
			s.in.Feed(buf[:n])
		}
	}
}

// offers notes what is offered over TLS.
func (c *checkup) offers(where string, at destination, s *offered) {
	if err := s.open(); err != nil {
		c.note(wrong, where, "see the server's log", "%s, over TLS: %v", at, err)
		return
	}
	defer io.WriteString(s.conn, "</stream:stream>") //nolint:errcheck // all is known by then
	if s.by == servers {
		c.offersServers(where, at, s)
		return
	}
	strong := slices.ContainsFunc(s.mechanisms, func(m string) bool { return strings.HasPrefix(m, "SCRAM-") })
	switch {
	case len(s.mechanisms) == 0:
		c.note(wrong, where, "see the server's log", "%s offers no way to log in", at)
	case !strong:
		c.note(warning, where, "let clients log in with SCRAM: with PLAIN the server sees every password", "%s offers %s", at, strings.Join(s.mechanisms, ", "))
	default:
		c.note(well, where, "", "%s offers %s", at, strings.Join(s.mechanisms, ", "))
	}
}

// external logs in as a server does. RFC 6120 §6.4, XEP-0178 §3
func (s *offered) external() error {
	_, err := fmt.Fprintf(s.conn, "<auth xmlns='%s' mechanism='EXTERNAL'>%s</auth>", nsSASL, base64.StdEncoding.EncodeToString([]byte(s.from)))
	if err != nil {
		return err
	}
	e, err := s.next()
	if err != nil {
		return fmt.Errorf("does not let in %s with its certificate: %w", s.from, err)
	}
	if string(e.Local) != "success" || string(e.Space) != nsSASL {
		return fmt.Errorf("does not believe the certificate of %s: %s", s.from, e.Raw)
	}
	return nil
}

// offersServers notes what servers can do on a stream, and what that says of certificates (XEP-0178 §3).
func (c *checkup) offersServers(where string, at destination, s *offered) {
	external := slices.Contains(s.mechanisms, "EXTERNAL")
	var list []string
	if external {
		list = append(list, "EXTERNAL")
	}
	for _, f := range []struct {
		offered bool
		name    string
	}{{s.dialback && s.errors, "dialback with errors"}, {s.dialback && !s.errors, "dialback"}, {s.bidi, "streams for both directions"}, {s.sm, "stream management"}} {
		if f.offered {
			list = append(list, f.name)
		}
	}
	if len(list) == 0 {
		list = []string{"nothing"}
	}
	what := at.String() + " offers " + strings.Join(list, ", ")
	const advice = "see that the certificate has its chain, an authority that all know, and the name "
	switch {
	case s.from != "" && s.shown && external:
		// Some offer EXTERNAL to everybody: what it is worth shows when it is tried.
		if err := s.external(); err != nil {
			c.note(worse(!s.dialback), where, advice+s.from, "%s, but %v", what, err)
			return
		}
		c.note(well, where, "", "%s: it believes the certificate of %s", what, s.from)
	case s.from != "" && s.shown && s.dialback:
		c.note(warning, where, advice+s.from, "%s, but not EXTERNAL to %s: it does not believe its certificate, and dialback must do", what, s.from)
	case s.from != "" && s.shown:
		c.note(wrong, where, advice+s.from, "%s: it does not believe the certificate of %s, and takes nothing else", what, s.from)
	case s.from != "" && !s.dialback:
		c.note(wrong, where, "tls: {certificate: …, key: …}, of an authority that other servers trust", "%s, and asks for no certificate that %s could show", what, s.from)
	case !s.dialback && !external:
		c.note(well, where, "", "%s to a server without a certificate", what)
	default:
		c.note(well, where, "", "%s", what)
	}
}
