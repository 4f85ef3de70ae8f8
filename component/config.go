// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Config says which domain the component is, where its server is, and how patient it is. Only
// Domain, and Secret and Address or Host, are needed.
type Config struct {
	Domain jid.JID
	Secret string // that the server knows too. XEP-0114 §3

	// Address is host:port of the server's listener for components.
	Address string
	// Host is the server of this process, instead of Address and Secret.
	Host Host

	// TLS encrypts the connection from its first byte, with a tunnel's end or a server that does so:
	// XEP-0114 itself has no TLS. The server's name is that of Address unless it says another.
	TLS *tls.Config
	// Plaintext allows a connection without TLS to another machine, which anybody on the way may read
	// and write. Without it only addresses of the loopback interface are connected to.
	Plaintext bool
	// Dial connects. nil is TCP. What it returns is believed to be safe unless its remote address is
	// one of TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Identity is what service discovery says of the domain. Zero: a component of no kind, by no name.
	Identity disco.Identity
	// Features are what service discovery lists beside what there are handlers for.
	Features []string
	// Version of the program, called Identity.Name, is told to those who ask (XEP-0092). "" is not.
	Version string
	// Describe may change what service discovery says of an address of the domain, or of a node of it. An
	// error is the answer instead; without Describe there are no nodes.
	Describe func(ctx context.Context, to jid.JID, node string, info *disco.Info) error
	// Items are what belongs to an address of the domain, or to a node of it. nil: nothing.
	Items func(ctx context.Context, to jid.JID, node string) ([]disco.Item, error)

	// AtMostOnce does not send again what was on its way when the connection broke, but reports it:
	// to SendTaken's callback, or as the error of IQ.
	AtMostOnce bool

	QueueStanzas  int           // sent and not known to be taken, at most; 0 is 10,000
	QueueBytes    int           // and this many bytes; 0 is 16 MiB
	MaxStanza     int           // bytes of a stanza to send; 0 is 262,144, which servers allow
	FenceStanzas  int           // so many are sent without a ping behind them, and twice as many before its return; 0 is 256
	FenceAfter    time.Duration // and for so long; 0 is 100 ms
	InboxStanzas  int           // arrived and not handled; then no more is read; 0 is 10,000
	InboxBytes    int           // and this many bytes; 0 is 16 MiB
	SenderStanzas int           // arrived from one sender and not handled; more is refused; 0 is 500
	Handlers      int           // that run at one time; 0 is 64
	Requests      int           // of ours that wait for an answer, at most; 0 is 10,000
	Keepalive     time.Duration // of silence, before the server is asked whether it lives; 0 is 60 s
	AnswerTime    time.Duration // for that answer, before the connection is given up; 0 is 30 s
	LoginTime     time.Duration // from dialing to the end of the handshake; 0 is 30 s
	RequestTime   time.Duration // for the answer to an IQ whose context has no deadline; 0 is 60 s
	CloseTime     time.Duration // for Close; 0 is 5 s
	StampAfter    time.Duration // after which a message that waited here bears <delay/>; 0 is 10 s

	// BackoffMin and BackoffMax bound the time before another try: any time up to BackoffMin at
	// first, up to twice as much after each further failure, up to BackoffMax. 0 is 1 s and 60 s.
	BackoffMin, BackoffMax time.Duration

	// Log is told of connections made and lost, and of handlers that fail. nil is silence.
	Log *slog.Logger
}

// Errors that programs may look for, beside *stanza.Error, and *stream.Error of package stream.
var (
	// ErrClosed: the component was closed.
	ErrClosed = errors.New("component: it is closed")
	// ErrFull: too much is sent and not taken by the server. Wait with Flush, send less, or raise
	// Config.QueueStanzas and QueueBytes.
	ErrFull = errors.New("component: the queue of stanzas that the server has not taken is full")
	// ErrUnsure: the connection broke, and the server may have taken the stanza or not
	// (Config.AtMostOnce).
	ErrUnsure = errors.New("component: whether the server has taken the stanza is not known")
	// ErrLost: the server took a request of type set, and the answer may have been lost with the
	// connection. Whether it was obeyed must be asked.
	ErrLost = errors.New("component: the answer was lost with the connection")
	// ErrSilent: the server did not answer in time.
	ErrSilent = errors.New("component: the server is silent")
	// ErrRejected: the server ends the stream whenever it is sent the stanza, which is given up.
	ErrRejected = errors.New("component: the server ends the stream because of the stanza")
	// ErrSize: the stanza is larger than Config.MaxStanza.
	ErrSize = errors.New("component: the stanza is too large")
	// ErrAddress: the stanza's sender is not of the component's domain, or it has no receiver.
	ErrAddress = errors.New("component: the stanza's addresses are not right")
	// ErrPlaintext: the server is on another machine, and there is no TLS (Config.Plaintext).
	ErrPlaintext = errors.New("component: a connection to another machine needs TLS")
)

// complete fills in the defaults and checks the rest.
func (c *Config) complete() error {
	switch {
	case c.Domain.IsZero() || c.Domain != c.Domain.Host():
		return fmt.Errorf("component: %q is not a domain", c.Domain)
	case (c.Host == nil) == (c.Address == ""):
		return fmt.Errorf("component: %s needs an Address or a Host", c.Domain)
	case c.Host == nil && c.Secret == "":
		return fmt.Errorf("component: there is no secret for %s", c.Domain)
	case c.BackoffMin < 0 || c.BackoffMax < 0:
		return errors.New("component: the backoff is negative")
	}
	if c.Host == nil {
		host, _, err := net.SplitHostPort(c.Address)
		if err != nil {
			return fmt.Errorf("component: the address %q is not host:port, such as 127.0.0.1:5347", c.Address)
		}
		if c.TLS != nil {
			c.TLS = c.TLS.Clone()
			if c.TLS.ServerName == "" {
				c.TLS.ServerName = host
			}
			if c.TLS.MinVersion == 0 {
				c.TLS.MinVersion = tls.VersionTLS12
			}
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Identity.Category == "" {
		c.Identity = disco.Identity{Category: "component", Type: "generic", Name: c.Identity.Name}
	}
	link.Default(&c.QueueStanzas, 10_000)
	link.Default(&c.QueueBytes, 16<<20)
	link.Default(&c.MaxStanza, 262_144)
	link.Default(&c.FenceStanzas, 256)
	link.Default(&c.FenceAfter, 100*time.Millisecond)
	link.Default(&c.InboxStanzas, 10_000)
	link.Default(&c.InboxBytes, 16<<20)
	link.Default(&c.SenderStanzas, 500)
	link.Default(&c.Handlers, 64)
	link.Default(&c.Requests, 10_000)
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

// link is what is handed on.
func (c *Config) link() link.Config {
	return link.Config{
		Name: "component", JID: c.Domain,
		QueueStanzas: c.QueueStanzas, QueueBytes: c.QueueBytes, MaxStanza: c.MaxStanza, ReadBytes: 16 << 10,
		FenceStanzas: c.FenceStanzas, FenceAfter: c.FenceAfter, StampAfter: c.StampAfter, AtMostOnce: c.AtMostOnce,
		Keepalive: c.Keepalive, AnswerTime: c.AnswerTime, RequestTime: c.RequestTime, CloseTime: c.CloseTime,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, Requests: c.Requests,
		Closed: ErrClosed, Full: ErrFull, Lost: ErrLost, Silent: ErrSilent, Rejected: ErrRejected, Size: ErrSize, Unsure: ErrUnsure,
		Log: c.Log,
	}
}
