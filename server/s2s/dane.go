// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/locate"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Prover is a Resolver by which certificates are checked, too: where DNSSEC has proven the way to a server and its TLSA
// records, they stand in for authorities (DANE, RFC 7673). They are never passed over: neither authorities nor
// dialback help a certificate that is none of theirs.
type Prover interface {
	locate.Prover
	LookupTLSA(ctx context.Context, port, host string) ([]dane.Record, error)
}

// manner is how a connection is made.
type manner struct {
	direct   bool // TLS begins with the first byte
	external bool // a login by certificate is tried
	dane     *dane.Verifier
}

// records are what the server at a target is checked by; nil: by authorities.
func (s *Service) records(ctx context.Context, domain jid.JID, target locate.Target) (*dane.Verifier, error) {
	p, ok := s.Resolver.(Prover)
	if !ok || !target.Proven {
		return nil, nil
	}
	records, err := p.LookupTLSA(ctx, target.Port, target.Host)
	if err != nil {
		return nil, &outageError{"dns", false, err}
	}
	if records = dane.Usable(records); len(records) == 0 {
		return nil, nil
	}
	return &dane.Verifier{Records: records, Domain: domain, Host: target.Host, Roots: s.Roots}, nil
}

// verify checks the peer's certificate for a domain. The caller holds in.
func (c *conn) verify(domain jid.JID) error {
	if x := c.call; x != nil && x.dane != nil && domain == x.key.To {
		return x.dane.Verify(c.chain)
	}
	return tlsconfig.VerifyServer(c.chain, domain, c.service.Roots, time.Now())
}
