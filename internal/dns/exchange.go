// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	wire "github.com/miekg/dns"
)

const (
	attempts = 2               // times that each server is asked
	waitTime = 4 * time.Second // for one server to answer once
	// udpBytes is what an answer over UDP may have so that it is not cut into parts on its way; longer ones
	// come over TCP. www.dnsflagday.net/2020
	udpBytes = 1232
)

// exchange asks one server after another and returns the first answer that is one: the records, or that there are
// none. trusted: what its server says of DNSSEC may be believed.
func (r *Resolver) exchange(ctx context.Context, q question) (msg *wire.Msg, trusted bool, err error) {
	servers, ours := r.config.Servers, true
	if len(servers) == 0 {
		if servers, ours = r.system.servers(), false; len(servers) == 0 {
			return r.system.answer(ctx, q)
		}
	}
	first := int(r.first.Load())
	for i := range attempts * len(servers) {
		at := (first + i) % len(servers)
		if msg, err = r.from(ctx, servers[at], q); err == nil {
			r.first.Store(int64(at))
			return msg, ours || isLoopback(servers[at]), nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, false, failure(err, q, servers)
}

// failure is what is said where no server has answered.
func failure(err error, q question, servers []string) error {
	e := &net.DNSError{Err: err.Error(), Name: q.name, IsTemporary: true, UnwrapErr: err}
	if len(servers) == 1 {
		e.Server = servers[0]
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		e.IsTimeout, e.Err = true, "no answer in time"
	}
	return e
}

func isLoopback(server string) bool {
	at, err := netip.ParseAddrPort(server)
	return err == nil && at.Addr().IsLoopback()
}

// errRefused is a server that cannot or will not answer.
type errRefused struct{ rcode int }

func (e errRefused) Error() string {
	if e.rcode == wire.RcodeSuccess {
		return "the server knows nothing and names others"
	}
	return "the server answers " + wire.RcodeToString[e.rcode]
}

// from asks one server, over UDP, and over TCP where the answer is longer.
func (r *Resolver) from(ctx context.Context, server string, q question) (*wire.Msg, error) {
	asked := new(wire.Msg)
	asked.SetQuestion(wire.Fqdn(q.name), q.kind)
	asked.AuthenticatedData = true // tell us what is proven: RFC 6840 §5.7
	asked.SetEdns0(udpBytes, false)
	msg, err := r.by(ctx, "udp", server, asked)
	if err == nil && msg.Rcode == wire.RcodeFormatError {
		// COMPAT(old DNS servers, 2026): EDNS0 is more than some understand. RFC 6891 §6.2.2
		asked.Extra = nil
		msg, err = r.by(ctx, "udp", server, asked)
	}
	if err == nil && msg.Truncated {
		msg, err = r.by(ctx, "tcp", server, asked)
	}
	switch {
	case err != nil:
		return nil, err
	case msg.Truncated:
		return nil, errors.New("the answer is not whole")
	case msg.Rcode != wire.RcodeSuccess && msg.Rcode != wire.RcodeNameError, isLame(msg):
		return nil, errRefused{msg.Rcode}
	}
	return msg, nil
}

// by brings a question to a server. Each goes from a port of its own, by a number of its own.
func (r *Resolver) by(ctx context.Context, network, server string, asked *wire.Msg) (msg *wire.Msg, err error) {
	r.asked.Add(1)
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	if r.config.Exchange != nil {
		msg, err = r.config.Exchange(ctx, asked)
	} else {
		client := &wire.Client{Net: network, UDPSize: udpBytes, Timeout: waitTime}
		msg, _, err = client.ExchangeContext(ctx, asked, server)
	}
	if err != nil {
		return nil, err
	}
	if !answers(msg, asked) {
		return nil, fmt.Errorf("what answers is not about %s", asked.Question[0].Name)
	}
	return msg, nil
}
