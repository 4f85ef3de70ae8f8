// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: negotiate takes the events of the stream's machine. After login it goes
// on with the old session (resume) or makes a new one (bound, enable). What the server says in
// between is read by nextElement.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// resumption is what is needed to go on with a session. XEP-0198 §5
type resumption struct {
	id       string // "": there is nothing to go on with
	location string // where the server wants us back; "" is anywhere
	full     jid.JID
}

// login negotiates a new connection until it has a session, the old one or a new one.
func (c *Client) login(ctx context.Context, conn net.Conn, direct bool) (*session, error) {
	bare := c.config.Account.Bare()
	l := newSession(c, conn, &stream.ClientConfig{
		Account: bare,
		SASL: sasl.ClientConfig{
			Username: bare.Local(), Password: c.config.Password,
			External: c.config.certificate() != nil, ExternalAuthzid: c.config.authzid(),
			Pinned: c.pinned, AllowPlain: c.config.AllowPlain, Cache: &c.keys,
		},
		WithoutTLS: c.config.WithoutTLS,
		HoldLogin:  c.newcomer != nil,
	})
	if direct {
		if err := l.secure(ctx, true); err != nil {
			return nil, err
		}
	} else {
		l.machine.Start()
	}
	if err := l.negotiate(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// secure starts TLS.
func (l *session) secure(ctx context.Context, direct bool) error {
	over, bindings, err := l.c.handshake(ctx, l.Net, direct)
	if err != nil {
		return err
	}
	l.Net = over
	l.machine.TLSStarted(bindings)
	return nil
}

// negotiate takes the events up to a session.
func (l *session) negotiate(ctx context.Context) error {
	c := l.c
	for {
		e, err := l.Next()
		if err != nil {
			return fmt.Errorf("logging in: %w", timeout(err))
		}
		switch e.Kind {
		case stream.StartTLS:
			if err := l.secure(ctx, false); err != nil {
				return err
			}
		case stream.Login:
			l.mechanism = l.machine.Mechanism()
			if l.mechanism == sasl.External {
				continue // a certificate ends; the password's mechanism, if there is one, stays pinned
			}
			// The next login is not to be talked into less. XEP-0474 §6
			if tell := c.config.Pinned; tell != nil && l.mechanism != c.pinned {
				tell(l.mechanism)
			}
			c.pinned = l.mechanism
		case stream.Features:
			if c.newcomer != nil {
				return l.register(e.Element)
			}
			r := xmlstream.NewReader(e.Element.Raw, stream.NS)
			for n := range r.Children() {
				l.managed = l.managed || n == (xmlstream.Name{Space: sm.NS, Local: "sm"})
			}
			if !l.managed || c.resume.id == "" {
				l.machine.Bind(c.config.Account.Resource())
				continue
			}
			resumed, err := l.resume()
			if resumed || err != nil {
				return err
			}
			l.machine.Bind(c.config.Account.Resource())
		case stream.Ready:
			return l.bound(e.JID)
		case stream.Element:
			// Nothing that we asked for.
		case stream.End:
			return fmt.Errorf("logging in: %w", link.Ended(e.Err))
		}
	}
}

// resume asks for the old session. XEP-0198 §5
func (l *session) resume() (resumed bool, err error) {
	c := l.c
	if err := l.Send((&sm.Resume{PrevID: c.resume.id, H: c.in.count()}).AppendXML(nil)); err != nil {
		return false, err
	}
	for {
		e, err := l.nextElement()
		if err != nil {
			if refused := (*stream.Error)(nil); errors.As(err, &refused) && refused.Received && link.IsFault(refused.Condition) {
				c.resume = resumption{} // it would say so for ever
			}
			return false, fmt.Errorf("resuming the session: %w", err)
		}
		r := xmlstream.NewReader(e.Raw, stanza.NSClient)
		switch r.Name() {
		case xmlstream.Name{Space: sm.NS, Local: "resumed"}:
			var answer sm.Resumed
			if err := answer.DecodeXML(r); err != nil {
				return false, fmt.Errorf("resuming the session: %w", err)
			}
			if answer.PrevID != c.resume.id {
				return false, errors.New("resuming the session: the server resumed another")
			}
			l.machine.Resume(c.resume.full)
			if err := c.link.Out.Resume(l.Kick, answer.H); err != nil {
				c.resume = resumption{}
				return false, fmt.Errorf("resuming the session: %w", err)
			}
			c.named(c.resume.full)
			c.log.Info("session resumed", "jid", c.resume.full.String(), "mechanism", l.mechanism)
			return true, nil
		case xmlstream.Name{Space: sm.NS, Local: "failed"}:
			var answer sm.Failed
			if err := answer.DecodeXML(r); err == nil && answer.HasH {
				c.link.Out.Heard(answer.H)
			}
			c.resume = resumption{}
			return false, nil
		}
	}
}

// bound makes a new session of a stream with a resource.
func (l *session) bound(full jid.JID) error {
	c := l.c
	if full.Bare() != c.config.Account.Bare() {
		return fmt.Errorf("logging in: the server has bound %s, which is another account", full)
	}
	c.resume = resumption{}
	var early []*stanza.Stanza
	if l.managed {
		var err error
		if early, err = l.enable(full); err != nil {
			return err
		}
	}
	c.in.renew()
	c.link.Out.Renew(l.Kick, l.managed)
	c.named(full)
	c.log.Info("session bound", "jid", full.String(), "mechanism", l.mechanism, "managed", l.managed)
	c.link.Requests.Renew()
	c.in.push(arrival{run: c.link.Handlers.Ready})
	for _, s := range early {
		c.glance(s)
		c.in.push(arrival{stanza: s})
	}
	return nil
}

// enable asks for stream management. What arrives before the answer is not counted. XEP-0198 §3
func (l *session) enable(full jid.JID) (early []*stanza.Stanza, err error) {
	c := l.c
	if err := l.Send((&sm.Enable{Resume: true}).AppendXML(nil)); err != nil {
		return nil, err
	}
	room := c.config.InboxBytes
	for {
		e, err := l.nextElement()
		if err != nil {
			return nil, fmt.Errorf("enabling stream management: %w", err)
		}
		r := xmlstream.NewReader(e.Raw, stanza.NSClient)
		switch r.Name() {
		case xmlstream.Name{Space: sm.NS, Local: "enabled"}:
			var answer sm.Enabled
			if err := answer.DecodeXML(r); err != nil {
				return nil, fmt.Errorf("enabling stream management: %w", err)
			}
			if answer.Resume {
				c.resume = resumption{answer.ID, answer.Location, full}
			}
			return early, nil
		case xmlstream.Name{Space: sm.NS, Local: "failed"}:
			l.managed = false
			return early, nil
		}
		if s, err := l.stanza(e); err == nil && len(early) < earlyStanzas && room >= s.Size() {
			early = append(early, s)
			room -= s.Size()
		}
	}
}

// earlyStanzas bounds what a server may send between a bound resource and its answer to <enable/>.
const earlyStanzas = 100

// nextElement is next where only an element will do.
func (l *session) nextElement() (*xmlstream.Element, error) {
	for {
		e, err := l.Next()
		if err != nil {
			return nil, timeout(err)
		}
		switch e.Kind {
		case stream.Element:
			return e.Element, nil
		case stream.End:
			return nil, link.Ended(e.Err)
		}
	}
}

// timeout names the error of a deadline.
func timeout(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSilent
	}
	return err
}
