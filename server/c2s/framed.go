// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"net/netip"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Framed makes the machine of a connection on which each element is a message of its own
// (RFC 7395 §3.3). proxied says that TLS is on and ends at a proxy that is trusted; there is nothing
// to bind a login to then. dc.Remote is the client's address, not the proxy's.
func (s *Service) Framed(dc drive.Conn, proxied bool) drive.Framed {
	s.metrics.accepted.Inc()
	c := s.newConn(dc, &s.framed)
	if proxied {
		c.proxied = true
		c.machine.TLSStarted(nil)
		c.state.Store(int32(c.machine.State()))
	}
	return c
}

// MessageBytes implements drive.Framed.
func (c *conn) MessageBytes() int {
	if c.State() < stream.Authenticated {
		return c.config.BeforeLogin.ElementBytes
	}
	return c.config.AfterLogin.ElementBytes
}

// Admit counts a connection that cannot log in as it is, and may become one that can, among those
// that have not: HTTP. c.Abort is called when it has to go. leave gives up its place.
func (s *Service) Admit(c interface{ Abort() }, from netip.Addr) (leave func()) {
	p := s.enter(c, from)
	return func() { s.admission.leave(p) }
}

// enter gives c a place in admission, and has another connection go for it if it must.
func (s *Service) enter(c aborter, from netip.Addr) *place {
	p, evicted := s.admission.enter(c, prefix(from))
	if evicted != nil {
		s.metrics.evicted.Inc()
		evicted.Abort()
	}
	return p
}
