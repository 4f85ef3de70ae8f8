// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// between is somebody between a client and the server: he carries what both say, and changes what the server says.
type between struct {
	server  string           // address
	cert    *tls.Certificate // one that the client trusts, where he ends its TLS; nil: he does not
	rewrite func(string) string

	heard bytes.Buffer // what the client said, as far as he could read it
}

// carry serves one connection, to its end.
func (b *between) carry(t *testing.T, from net.Conn) {
	to, err := net.Dial("tcp", b.server)
	if err != nil {
		t.Error(err)
		_ = from.Close()
		return
	}
	if b.cert != nil {
		from = tls.Server(from, &tls.Config{Certificates: []tls.Certificate{*b.cert}, NextProtos: []string{"xmpp-client"}})
		to = tls.Client(to, &tls.Config{InsecureSkipVerify: true, ServerName: domain})
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		buf := make([]byte, 64<<10)
		for {
			n, err := to.Read(buf)
			if n > 0 {
				_, _ = io.WriteString(from, b.rewrite(string(buf[:n])))
			}
			if err != nil {
				_ = from.Close()
				return
			}
		}
	}()
	_, _ = io.Copy(to, io.TeeReader(from, &b.heard))
	_ = to.Close()
	<-back
	_ = from.Close()
}

// TestBetween: whatever somebody between a client and the server does, the client does not log in; where he ends its TLS with
// a certificate that it trusts, the login itself finds him out.
func TestBetween(t *testing.T) {
	s := start(t, "limits:\n  registrations_per_hour: none\n")
	s.register(t, "mallory")
	by := s.bystanders(t)
	cert := testserver.Certificate(time.Now().Add(time.Hour), domain)
	cut := func(first, last string) func(string) string {
		return func(said string) string {
			before, rest, ok := strings.Cut(said, first)
			if _, after, found := strings.Cut(rest, last); ok && found {
				return before + after
			}
			return said
		}
	}
	replace := func(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }
	all := func(fs ...func(string) string) func(string) string {
		return func(said string) string {
			for _, f := range fs {
				said = f(said)
			}
			return said
		}
	}
	const (
		bindings, mechanisms = "<sasl-channel-binding", "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
		noHandshake, aborted = "c2s_gone{handshake} 1", "c2s_logins{aborted} 1" // by a client that has found him out
	)
	noBindings := cut(bindings, "</sasl-channel-binding>")
	noPlus := replace("-PLUS</mechanism>", "-GONE</mechanism>")
	for _, c := range []struct {
		name    string
		tls     bool // he ends the client's TLS
		rewrite func(string) string
		error   string // of the client, a part of it; "" is none
		counts  string // of the server
	}{
		{"nothing", false, replace(), "", ""}, // so that the others fail for what he does
		{"a stanza behind <proceed/>", false, behindProceed("<message from='nurse@localhost'><body>x</body></message>"), "data followed <proceed/>", noHandshake},
		{"a header behind <proceed/>", false, behindProceed("<?xml version='1.0'?>" + header), "data followed <proceed/>", noHandshake},
		{"white space behind <proceed/>", false, behindProceed("\n"), "data followed <proceed/>", noHandshake},
		{"STARTTLS taken away", false, all(cut("<starttls", "</starttls>"), replace("<stream:features>",
			"<stream:features>"+mechanisms+"<mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms>")), "offers no STARTTLS", ""},
		{"STARTTLS refused", false, replace("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"), "STARTTLS failed", noHandshake},
		{"success in the clear", false, replace("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"), "unsupported-stanza-type", noHandshake},
		{"a certificate of his own", false, nil, "certificate", ""},

		{"everything as it is, but for TLS", true, replace(), "not-authorized", "c2s_logins{not-authorized} 1"},         // channel bindings do not match
		{"channel binding taken away", true, all(noBindings, noPlus), "not-authorized", "c2s_logins{not-authorized} 1"}, // y: RFC 5802 §6
		{"mechanisms with binding taken away, its types left", true, noPlus, "without a mechanism for them", ""},
		{"types of binding that nobody knows", true, replace("tls-exporter", "tls-bogus", "tls-server-end-point", "tls-phony"),
			"offered something else", aborted}, // XEP-0474
		{"the strongest mechanisms taken away, and types of binding", true,
			all(replace("<mechanism>SCRAM-SHA-512", "<mechanism>X"), replace("tls-exporter", "tls-bogus", "tls-server-end-point", "tls-phony")),
			"offered something else", aborted},
		{"all taken away but PLAIN", true, all(noBindings, replace("<mechanism>SCRAM", "<mechanism>X")), "no usable mechanism", ""},
		{"no mechanism at all", true, all(noBindings, cut(mechanisms, "</mechanisms>")), "offers no login", ""},
		{"fewer rounds of hashing", true, challenge(func(said string) string {
			before, after, _ := strings.Cut(said, ",i=")
			_, after, _ = strings.Cut(after, ",")
			return before + ",i=1," + after
		}), "iteration count 1", aborted},
		{"a nonce of his own", true, challenge(func(string) string { return "r=mine,s=QSXCR+Q6sek8bf92,i=4096" }), "nonce", aborted},
		{"success without a proof", true, replace("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "</challenge>", "</success>"),
			"server is not authenticated", ""},
	} {
		a := attack{c.name, func(t *testing.T, s *server) { deceive(t, s, c.tls, c.rewrite, cert, c.error) }, c.counts}
		a.run(t, s, by)
	}
}

func behindProceed(more string) func(string) string {
	const proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	return strings.NewReplacer(proceed, proceed+more).Replace
}

// deceive lets a client log in through somebody between. The password and what proves it are never told in the clear.
func deceive(t *testing.T, s *server, ends bool, rewrite func(string) string, cert *tls.Certificate, want string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := &between{server: s.plain, rewrite: rewrite}
	config := client.Config{
		Account: jid.MustParse("mallory@" + domain), Password: password, Address: l.Addr().String(),
		TLS: &tls.Config{InsecureSkipVerify: true}, // the server made its certificate itself
	}
	switch {
	case ends:
		b.server, b.cert, config.DirectTLS = s.tls, cert, true
		config.TLS, config.RootCAs = nil, testserver.Pool(cert)
	case rewrite == nil: // he has a certificate, and the client does not trust it
		b.server, b.cert, config.DirectTLS = s.tls, cert, true
		b.rewrite, config.TLS = func(said string) string { return said }, nil
	}
	carried := make(chan struct{})
	go func() {
		defer close(carried)
		if from, err := l.Accept(); err == nil {
			b.carry(t, from)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, config)
	switch {
	case err == nil:
		if err := c.Close(); err != nil || want != "" {
			t.Errorf("the client has logged in (%v)", err)
		}
	case want == "":
		t.Error(err)
	case !strings.Contains(err.Error(), want) || ctx.Err() != nil:
		t.Errorf("the client says %q, not %q", err, want)
	default:
		t.Logf("the client: %v", err)
	}
	_ = l.Close()
	<-carried
	if heard := b.heard.String(); !ends && strings.Contains(heard, "<auth") {
		t.Errorf("the client said in the clear %s", heard)
	}
}

// challenge rewrites what a challenge says.
func challenge(f func(string) string) func(string) string {
	const first, last = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "</challenge>"
	return func(said string) string {
		before, rest, ok := strings.Cut(said, first)
		text, after, found := strings.Cut(rest, last)
		if !ok || !found {
			return said
		}
		b, _ := base64.StdEncoding.DecodeString(text)
		return before + first + base64.StdEncoding.EncodeToString([]byte(f(string(b)))) + last + after
	}
}
