// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestRefusal shows that clients refuse the server's certificate if it is of an authority that they do
// not know, or for another domain: what they do in the other tests, they do verified.
func TestRefusal(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, c)
			s := start(t)
			name := s.name("romeo")
			t.Run("authority", func(t *testing.T) { c.person(s.in(t), name, newAuthority(t)).refused() })
			t.Run("domain", func(t *testing.T) {
				other := startWith(t, "other.test", newKey(t))
				c.person(other, name, other.authority).refused()
			})
			t.Run("neither", func(t *testing.T) { c.person(s.in(t), name, s.authority).arrive() })
		})
	}
}

// handshake is one try of OpenSSL's client, and what shall come of it.
type handshake struct {
	name string
	args []string
	want string // in the output; "" if there must be no session
}

// handshakes are those that shall have the same end on both ports.
func handshakes() []handshake {
	weak := "@SECLEVEL=0" // else OpenSSL itself does not even try
	return []handshake{
		{"TLS 1.0", []string{"-tls1", "-cipher", "ALL:" + weak}, ""},
		{"TLS 1.1", []string{"-tls1_1", "-cipher", "ALL:" + weak}, ""},
		{"TLS 1.2", []string{"-tls1_2"}, "Protocol  : TLSv1.2"},
		{"TLS 1.3", []string{"-tls1_3"}, "New, TLSv1.3"},
		{"no ALPN", nil, "No ALPN negotiated"},
		{"no forward secrecy", []string{"-tls1_2", "-cipher", "kRSA:" + weak}, ""},
		{"no authentication", []string{"-tls1_2", "-cipher", "aNULL:" + weak}, ""},
		{"no encryption", []string{"-tls1_2", "-cipher", "eNULL:" + weak}, ""},
		{"renegotiation", []string{"-tls1_2"}, "Secure Renegotiation IS supported"},
		{"compression", []string{"-tls1_2", "-comp"}, "Compression: NONE"},
	}
}

// TestTLS looks at what is offered with STARTTLS and with TLS from the first byte (RFC 7590, XEP-0368),
// with eyes that are not ours.
func TestTLS(t *testing.T) {
	t.Parallel()
	if err := programs("openssl"); err != nil {
		t.Skip(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // the kind that can do without forward secrecy, if it may
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, domain, key)
	for _, port := range []struct {
		name       string
		address    *net.TCPAddr
		args       []string
		handshakes []handshake
	}{
		// ALPN is for ports that are shared, STARTTLS has its own: there it is ignored.
		{"starttls", s.client, []string{"-starttls", "xmpp", "-xmpphost", domain}, []handshake{
			{"ALPN", []string{"-alpn", "h2,xmpp-client"}, "No ALPN negotiated"},
		}},
		{"direct", s.clientTLS, nil, []handshake{
			{"ALPN", []string{"-alpn", "xmpp-client"}, "ALPN protocol: xmpp-client"},
			{"ALPN among others", []string{"-alpn", "h2,xmpp-client"}, "ALPN protocol: xmpp-client"},
			{"ALPN of others", []string{"-alpn", "h2"}, ""},
		}},
	} {
		for _, h := range append(handshakes(), port.handshakes...) {
			t.Run(port.name+"/"+h.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				args := append([]string{"s_client", "-connect", port.address.String(), "-servername", domain, "-CAfile", s.authority.file,
					"-verify_return_error", "-verify_hostname", domain}, port.args...)
				c := exec.CommandContext(ctx, "openssl", append(args, h.args...)...)
				out, err := c.CombinedOutput() // its standard input is empty: it ends when the handshake is done
				text := string(out)
				session := strings.Contains(text, "Cipher is ") && !strings.Contains(text, "Cipher is (NONE)")
				switch {
				case h.want == "" && (session || !strings.Contains(text, "SSL alert number")):
					t.Errorf("%s is not refused:\n%s", c, text)
				case h.want != "" && (err != nil || !session || !strings.Contains(text, h.want) || !strings.Contains(text, "Verification: OK")):
					t.Errorf("%s: %v; no %q in\n%s", c, err, h.want, text)
				}
			})
		}
	}
}
