// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: Config, which the caller fills in; then its defaults, and what is wrong
// with one.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// Resolver asks DNS. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says whom to log in as, where, and how patiently. Only Account, and Password or
// Certificate, are needed.
type Config struct {
	// Account is the bare address to log in as, or a full one: then its resource is asked for.
	// Without one the server chooses.
	Account  jid.JID
	Password string
	// Certificate logs in, instead of a password, where the server believes its authority (SASL
	// EXTERNAL, XEP-0178). nil: the first of TLS.Certificates, if there is one.
	Certificate *tls.Certificate

	// Address is the server's host:port, instead of what DNS says of the account's domain. The
	// certificate must name the domain all the same.
	Address string
	// DirectTLS says that at Address TLS begins with the first byte (XEP-0368), no STARTTLS.
	DirectTLS bool
	// Resolver asks DNS. nil is the system's.
	Resolver Resolver
	// Dial connects. nil is TCP. With Address it is given just that, so that it may ask a proxy.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// RootCAs are the authorities, or the self-signed certificates, to trust instead of the
	// system's.
	RootCAs *x509.CertPool
	// TLS is the model of every connection's configuration: for client certificates, or for
	// whoever wants to decide by himself whom to trust. ServerName and RootCAs are filled in
	// where they are empty.
	TLS *tls.Config
	// WithoutTLS logs in also where the server offers no STARTTLS. For test beds only.
	WithoutTLS bool

	// Mechanism is the weakest SASL mechanism that will do, "SCRAM-SHA-256-PLUS" say. "" is any
	// SCRAM, for the first login: what one used, all later ones must reach.
	Mechanism string
	// Pinned is told what a login has used, if it is other than what Mechanism or the login before
	// says. A program that keeps it, and gives it as Mechanism when it starts again, cannot be
	// talked into less then either. It must not block. nil is nobody.
	Pinned func(mechanism string)
	// AllowPlain sends the password as it is, over TLS, where the server has no SCRAM.
	AllowPlain bool

	// Identity is what service discovery says of the client. Zero: a bot, by no name.
	Identity disco.Identity
	// Features are what service discovery lists beside what the client does by itself.
	Features []string
	// Caps is a URI that names the program. With it presence says by a hash what service discovery would (XEP-0115), so
	// that servers know it without asking.
	Caps string

	QueueStanzas int           // sent and not acknowledged, at most; 0 is 1,000
	QueueBytes   int           // and this many bytes; 0 is 4 MiB
	MaxStanza    int           // bytes of a stanza to send; 0 is 262,144, which servers allow
	InboxStanzas int           // arrived and not handled; then no more is read; 0 is 1,000
	InboxBytes   int           // and this many bytes; 0 is 4 MiB
	Keepalive    time.Duration // of silence, before the server is asked whether it lives; 0 is 60 s
	AnswerTime   time.Duration // for that answer, before the connection is given up; 0 is 30 s
	LoginTime    time.Duration // from a connection to a session; 0 is 30 s
	RequestTime  time.Duration // for the answer to an IQ whose context has no deadline; 0 is 60 s
	CloseTime    time.Duration // for Close; 0 is 5 s
	StampAfter   time.Duration // after which a message that waited here bears <delay/>; 0 is 10 s

	// BackoffMin and BackoffMax bound the time before another try: any time up to BackoffMin at
	// first, up to twice as much after each further failure, up to BackoffMax. 0 is 1 s and 60 s.
	BackoffMin, BackoffMax time.Duration

	// Log is told of connections made and lost. nil is silence.
	Log *slog.Logger
}

// Errors that programs may look for, beside *stanza.Error, and *stream.SASLError and
// *stream.Error of package stream.
var (
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client: it is closed")
	// ErrFull: too much is sent and not acknowledged. Wait with Sync, send less, or raise
	// Config.QueueStanzas and QueueBytes.
	ErrFull = errors.New("client: the queue of stanzas that the server has not acknowledged is full")
	// ErrLost: the server took a request of type set, and the answer was lost with the session.
	// Whether it was obeyed must be asked.
	ErrLost = errors.New("client: the answer was lost with the session")
	// ErrSilent: the server did not answer in time.
	ErrSilent = errors.New("client: the server is silent")
	// ErrRejected: the server ends the stream whenever it is sent the stanza, which is given up.
	ErrRejected = errors.New("client: the server ends the stream because of the stanza")
	// ErrLater is what an IQHandler returns that answers later.
	ErrLater = errors.New("client: the request is answered later")
	// ErrSize: the stanza is larger than Config.MaxStanza.
	ErrSize = errors.New("client: the stanza is too large")
)

// complete fills in the defaults and checks the rest.
func (c *Config) complete() error {
	switch {
	case c.Account.IsZero() || c.Account.IsDomain():
		return fmt.Errorf("client: %q is not the address of an account: it is name@domain", c.Account)
	case c.Password == "" && c.certificate() == nil:
		return fmt.Errorf("client: there is neither a password nor a certificate for %s", c.Account)
	case c.DirectTLS && c.Address == "":
		return errors.New("client: DirectTLS needs an Address: from DNS it is known by itself")
	case c.BackoffMin < 0 || c.BackoffMax < 0:
		return errors.New("client: the backoff is negative")
	}
	if c.Address != "" {
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return fmt.Errorf("client: the address %q is not host:port, such as xmpp.example.org:5222", c.Address)
		}
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Identity.Category == "" {
		c.Identity = disco.Identity{Category: "client", Type: "bot", Name: c.Identity.Name}
	}
	link.Default(&c.QueueStanzas, 1000)
	link.Default(&c.QueueBytes, 4<<20)
	link.Default(&c.MaxStanza, 262_144)
	link.Default(&c.InboxStanzas, 1000)
	link.Default(&c.InboxBytes, 4<<20)
	link.Default(&c.Keepalive, time.Minute)
	link.Default(&c.AnswerTime, 30*time.Second)
	link.Default(&c.LoginTime, 30*time.Second)
	link.Default(&c.RequestTime, time.Minute)
	link.Default(&c.CloseTime, 5*time.Second)
	link.Default(&c.StampAfter, 10*time.Second)
	link.Default(&c.BackoffMin, time.Second)
	link.Default(&c.BackoffMax, max(time.Minute, c.BackoffMin))
	return nil
}

// certificate is what the client shows of itself, nil for nothing.
func (c *Config) certificate() *tls.Certificate {
	if c.Certificate == nil && c.TLS != nil && len(c.TLS.Certificates) > 0 {
		return &c.TLS.Certificates[0]
	}
	return c.Certificate
}

// authzid is what the client must say to log in by its certificate: its address, if the
// certificate has several. XEP-0178 §2
func (c *Config) authzid() string {
	cert := c.certificate()
	if cert == nil || len(cert.Certificate) == 0 {
		return ""
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return ""
		}
	}
	if names, err := sasl.XMPPAddresses(leaf); err != nil || len(names) < 2 {
		return ""
	}
	return c.Account.Bare().String()
}

// link is what is handed on.
func (c *Config) link() link.Config {
	return link.Config{
		Name: "client", JID: c.Account, Stamped: true,
		QueueStanzas: c.QueueStanzas, QueueBytes: c.QueueBytes, MaxStanza: c.MaxStanza, ReadBytes: 4096,
		StampAfter: c.StampAfter, HandlersFail: true,
		Keepalive: c.Keepalive, AnswerTime: c.AnswerTime, RequestTime: c.RequestTime, CloseTime: c.CloseTime,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax,
		Closed: ErrClosed, Full: ErrFull, Lost: ErrLost, Silent: ErrSilent, Rejected: ErrRejected, Size: ErrSize, Later: ErrLater,
		Log: c.Log,
	}
}

// tls is the configuration of every connection. RFC 7590 §3.4, RFC 6120 §13.7.2: the name to
// verify is the account's domain, never one that DNS gave.
func (c *Config) tls() *tls.Config {
	t := &tls.Config{}
	if c.TLS != nil {
		t = c.TLS.Clone()
	}
	if t.ServerName == "" {
		t.ServerName = c.Account.ASCIIDomain()
	}
	if t.RootCAs == nil {
		t.RootCAs = c.RootCAs
	}
	if c.Certificate != nil {
		t.Certificates = []tls.Certificate{*c.Certificate}
	}
	if t.MinVersion == 0 {
		t.MinVersion = tls.VersionTLS12
	}
	if t.ClientSessionCache == nil {
		t.ClientSessionCache = tls.NewLRUClientSessionCache(4) // a device comes back more cheaply
	}
	return t
}
