// SPDX-License-Identifier: Apache-2.0

package locate

// How to read this file: Connect asks for both families of addresses at once and has race dial
// them as they come in: the first connection wins.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	lookupTime  = 20 * time.Second // for DNS to answer
	connectTime = 10 * time.Second // for one address to answer
	// resolutionDelay is how long IPv4 waits for the answer about IPv6. RFC 8305 §3
	resolutionDelay = 50 * time.Millisecond
	// stagger is how long an address may take before the next is tried beside it. RFC 8305 §5
	stagger = 250 * time.Millisecond
)

// ErrNoAddress: there is none, or none that was not tried.
var ErrNoAddress = errors.New("it has no address")

// DialFunc is net.Dialer's DialContext.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Connect connects to one target, at whichever of its addresses answers first, but for those that
// are tried, and returns the one that has. dial is a net.Dialer's where it is nil.
func Connect(ctx context.Context, resolver Resolver, dial DialFunc, t Target, tried []netip.Addr) (net.Conn, netip.Addr, error) {
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectTime}).DialContext
	}
	r := race{dial: dial, port: t.Port, tried: tried, dialled: make(chan dialled), found: make(chan found, 2)}
	ctx, cancel := context.WithCancel(ctx)
	defer r.clean()
	defer cancel()
	if a, err := netip.ParseAddr(t.Host); err == nil {
		r.asked = 1
		r.found <- found{addresses: []netip.Addr{a}, six: true}
	} else {
		r.asked = 2
		for _, network := range []string{"ip6", "ip4"} {
			go func() { r.found <- lookup(ctx, resolver, network, t.Host) }()
		}
	}
	return r.run(ctx)
}

// lookup asks DNS for the addresses of one family.
func lookup(ctx context.Context, resolver Resolver, network, host string) found {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addresses, err := resolver.LookupNetIP(ctx, network, host)
	if err != nil && len(addresses) == 0 {
		err = fmt.Errorf("looking up its address: %w", err)
	}
	return found{addresses, network == "ip6", err}
}

// race is one try to reach a target.
type race struct {
	dial  DialFunc
	port  string
	tried []netip.Addr

	asked   int        // lookups whose answer is awaited
	found   chan found // their answers
	running int        // dials whose outcome is awaited
	dialled chan dialled

	six, four []netip.Addr // to be dialled
	lastSix   bool         // the last one dialled was IPv6
}

// found is the answer of a lookup.
type found struct {
	addresses []netip.Addr
	six       bool // this answer was about IPv6
	err       error
}

// dialled is the outcome of a dial.
type dialled struct {
	conn net.Conn
	at   netip.Addr
	err  error
}

// run dials one address after another, each as soon as the one before has failed or has taken its
// time, and returns the first connection. RFC 8305 §5
func (r *race) run(ctx context.Context) (net.Conn, netip.Addr, error) {
	var unknown, failed Errors
	begun, due := false, false // due: the next dial waits for an address alone
	next := time.NewTimer(time.Hour)
	defer next.Stop()
	for r.running > 0 || r.asked > 0 || len(r.six)+len(r.four) > 0 {
		select {
		case f := <-r.found:
			r.asked--
			if f.err != nil && len(f.addresses) == 0 {
				unknown = append(unknown, f.err)
			}
			r.add(f.addresses)
			switch {
			case due, !begun && (f.six || r.asked == 0):
				next.Reset(0)
			case !begun:
				next.Reset(resolutionDelay)
			}
		case <-next.C:
			a, ok := r.pop()
			if due = !ok; due {
				continue
			}
			begun = true
			r.running++
			go func() {
				conn, err := r.dial(ctx, "tcp", net.JoinHostPort(a.String(), r.port))
				r.dialled <- dialled{conn, a, err}
			}()
			next.Reset(stagger)
		case d := <-r.dialled:
			r.running--
			if d.err == nil {
				return d.conn, d.at, nil
			}
			failed = append(failed, d.err)
			next.Reset(0)
		}
	}
	switch {
	case len(failed) > 0:
		return nil, netip.Addr{}, failed
	case len(unknown) > 0 && len(r.tried) == 0:
		// The other says the same, or that there is nothing, which then nobody knows.
		i := slices.IndexFunc(unknown, func(err error) bool { return !isNotFound(err) })
		return nil, netip.Addr{}, unknown[max(i, 0)]
	}
	return nil, netip.Addr{}, ErrNoAddress
}

// add notes addresses to dial.
func (r *race) add(addresses []netip.Addr) {
	for _, a := range addresses {
		a = a.Unmap()
		switch {
		case slices.Contains(r.tried, a):
		case a.Is4():
			r.four = append(r.four, a)
		default:
			r.six = append(r.six, a)
		}
	}
}

// pop takes the next address: of both families in turns, IPv6 first. RFC 8305 §4
func (r *race) pop() (a netip.Addr, ok bool) {
	list := &r.six
	if len(r.six) == 0 || r.lastSix && len(r.four) > 0 {
		list = &r.four
	}
	if len(*list) == 0 {
		return a, false
	}
	a, *list = (*list)[0], (*list)[1:]
	r.lastSix = list == &r.six
	return a, true
}

// clean waits, once the context is over, for what still runs.
func (r *race) clean() {
	for ; r.asked > 0; r.asked-- {
		<-r.found
	}
	for ; r.running > 0; r.running-- {
		if d := <-r.dialled; d.conn != nil {
			_ = d.conn.Close()
		}
	}
}

// Errors are several, on one line.
type Errors []error

func (s Errors) Error() string {
	texts := make([]string, len(s))
	for i, err := range s {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (s Errors) Unwrap() []error { return s }
