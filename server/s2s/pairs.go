// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// proves reports whether the peer's certificate proves that it is the server of domain. The caller holds in.
func (c *conn) proves(domain jid.JID) error {
	if c.service.Server.Hosts(domain.Domain()) {
		return errOurs
	}
	err, known := c.proofs[domain]
	if known {
		return err
	}
	if len(c.proofs) >= maxProofs {
		return errProofs
	}
	until, err := tlsconfig.VerifyServer(c.chain, domain, c.service.Roots, time.Now())
	if err == nil {
		c.until = until
	}
	if c.proofs == nil {
		c.proofs = make(map[jid.JID]error)
	}
	c.proofs[domain] = err
	return err
}

// maxProofs bounds the names for which one certificate is looked at: that costs as much as a login.
const maxProofs = 1000

var (
	errOurs   = errors.New("s2s: the domain is served here")
	errProofs = errors.New("s2s: the certificate was asked for too many names")
)

// certified is asked by the machine whether EXTERNAL may be offered.
func certified(m *stream.ReceivingServer, from jid.JID) bool {
	c := m.Owner.(*conn)
	return c.permitted(from) && c.proves(from) == nil
}

// fingerprint is that of the peer's certificate, for the log.
func (c *conn) fingerprint() string {
	if len(c.chain) == 0 {
		return "none"
	}
	return fingerprint(c.chain[0])
}

// admit lets the peer send for a pair, and us the other way where the stream has both directions. It reports
// false where it has too many. The caller holds in.
func (c *conn) admit(pair store.Route, how string) bool {
	s := c.service
	if most := s.limits.Load().Pairs; !c.takes[pair] && most > 0 && len(c.takes) >= most {
		s.metrics.pairsFull.Inc()
		return false
	}
	c.takes[pair] = true
	c.machine.Trust()
	s.door.known(c)
	c.setDeadline()
	if c.paced.IsZero() {
		c.paced = pair.To
		c.inlet.Share(s.peers.enter(pair.To))
	}
	s.metrics.verified.WithLabelValues("in", how).Inc()
	s.Log.Info("server verified", "direction", "in", "by", how, "peer", pair.To.String(), "to", pair.From.String(),
		"at", c.Remote().String(), "fingerprint", c.fingerprint())
	if r := s.routes.get(pair); r != nil {
		r.doubt(&c.out)
	}
	c.openBidi()
	return true
}

// openBidi makes an accepted stream a way out for the inverse of each verified pair, once our header allows it.
func (c *conn) openBidi() {
	if c.accepted == nil || !c.bidi || !c.headed || c.over || len(c.sends) == len(c.takes) {
		return
	}
	for pair := range c.takes {
		if c.sends[pair] {
			continue
		}
		c.sends[pair] = true
		switch r, s, chain := c.service.routes.offered(pair), c.service, c.chain; {
		case r == nil:
		case s.DANE == nil:
			r.offer(&c.out)
		default:
			s.spawn(func() { c.vouch(r, chain) })
		}
	}
}

// vouch offers a connection that the other server has made to r, unless DNSSEC proves that its certificate is another's: nothing
// leaves by it that would not leave by one of ours. RFC 7673 §4.2
func (c *conn) vouch(r *route, chain []*x509.Certificate) {
	s := c.service
	ctx, cancel := context.WithTimeout(s.running, questionTime)
	defer cancel()
	if err := s.named(ctx, r.key, chain); err != nil {
		c.in.Lock()
		c.incident("certificate", r.key.To.String(), "err", err)
		c.in.Unlock()
		return
	}
	r.offer(&c.out)
}

// named looks for a certificate among those of the places where a domain's server may be. Where nothing is proven of one of them, any
// will do: a connection of ours might lead there.
func (s *Service) named(ctx context.Context, pair store.Route, chain []*x509.Certificate) error {
	targets, first := s.targets(ctx, pair.To.Domain(), pair.To.ASCIIDomain())
	if outageOf(first).Permanent {
		return nil // it is nowhere
	}
	for _, target := range targets {
		v, err := s.verifier(ctx, pair, target)
		if v != nil {
			err = v.Verify(chain)
		}
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
