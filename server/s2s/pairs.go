// SPDX-License-Identifier: Apache-2.0

package s2s

import (
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
	err = tlsconfig.VerifyServer(c.chain, domain, c.service.Roots, time.Now())
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
	s.Log.Info("server verified", "direction", "in", "by", how, "peer", pair.To.String(), "to", pair.From.String(), "at", c.Remote().String())
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
		if r := c.service.routes.make(pair); r != nil {
			r.offer(&c.out)
		}
	}
}
