// SPDX-License-Identifier: Apache-2.0

// Package dnstest is DNS by script, for tests: a [Zone] says what there is, how slowly it is told and what goes wrong,
// and may change at any time. Resolver asks it within the process, so that time may be that of testing/synctest;
// Serve makes a DNS server of it, on loopback, for whoever asks over the network.
package dnstest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/stonechat-im/stonechat/internal/dns"
)

// Trouble is what goes wrong with a question.
type Trouble int

// What may go wrong.
const (
	ServFail  Trouble = iota + 1 // the server cannot answer; a validating one says so of what is forged
	Refused                      // it will not
	Silent                       // nothing comes back
	Truncated                    // over UDP only a part, as of a long answer; the whole over TCP
	FormErr                      // EDNS0 is not understood
	Wrong                        // the answer is about something else
	Lame                         // the server names others to ask
	Unproven                     // DNSSEC says nothing of it, whatever of the rest
)

// Zone is what DNS says. All methods may be called at any time, from any goroutine.
type Zone struct {
	t testing.TB

	mu      sync.Mutex
	records map[key][]wire.RR
	names   map[string]bool // there is something of them
	trouble map[key]Trouble
	slow    map[key]time.Duration
	asked   map[key]int
	proven  bool
	missing uint32
}

// key is a name, lower case with its dot, and a type.
type key struct {
	name string
	kind uint16
}

// New makes a zone of records, a line each as in a zone file: `example.org. 60 IN A 192.0.2.1`. That there is
// nothing is told for 60 s.
func New(t testing.TB, lines ...string) *Zone {
	z := &Zone{
		t: t, records: map[key][]wire.RR{}, names: map[string]bool{}, trouble: map[key]Trouble{}, slow: map[key]time.Duration{},
		asked: map[key]int{}, missing: 60,
	}
	z.Set(lines...)
	return z
}

// Set puts records in the place of all of their names and types.
func (z *Zone) Set(lines ...string) {
	z.t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	fresh := map[key]bool{}
	for _, line := range lines {
		rr, err := wire.NewRR(line)
		if err != nil || rr == nil {
			z.t.Fatalf("dnstest: %q is no record: %v", line, err)
		}
		k := key{strings.ToLower(rr.Header().Name), rr.Header().Rrtype}
		if !fresh[k] {
			fresh[k] = true
			z.records[k] = nil
		}
		z.records[k] = append(z.records[k], rr)
		z.names[k.name] = true
	}
}

// of makes a key of a name and a type by its name, like SRV.
func (z *Zone) of(name, kind string) key {
	z.t.Helper()
	n, ok := wire.StringToType[kind]
	if !ok {
		z.t.Fatalf("dnstest: there is no type %s", kind)
	}
	return key{strings.ToLower(wire.Fqdn(name)), n}
}

// Remove takes records away.
func (z *Zone) Remove(name, kind string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, z.of(name, kind))
}

// Trouble says what goes wrong with a question from now on; 0 for nothing.
func (z *Zone) Trouble(name, kind string, what Trouble) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trouble[z.of(name, kind)] = what
}

// Slow says how long a question waits for its answer from now on.
func (z *Zone) Slow(name, kind string, wait time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.slow[z.of(name, kind)] = wait
}

// Prove says whether answers are proven by DNSSEC.
func (z *Zone) Prove(proven bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.proven = proven
}

// Missing says for how many seconds it may be believed that there is nothing; 0 is not at all.
func (z *Zone) Missing(seconds uint32) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.missing = seconds
}

// Asked counts the messages that came with a question.
func (z *Zone) Asked(name, kind string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[z.of(name, kind)]
}

// Resolver returns one that asks the zone without a network, for as long as the test runs. The hosts file of the
// machine is not looked at.
func (z *Zone) Resolver() *dns.Resolver {
	r, err := dns.New(dns.Config{Servers: []string{"192.0.2.53"}, Exchange: z.Exchange, Hosts: z.t.TempDir() + "/hosts"})
	if err != nil {
		z.t.Fatal(err)
	}
	z.t.Cleanup(r.Close)
	return r
}

// Prover is Resolver, for who checks certificates by DNS.
func (z *Zone) Prover() dns.Prover { return dns.Prover{Resolver: z.Resolver()} }

// Exchange is for dns.Config.
func (z *Zone) Exchange(ctx context.Context, asked *wire.Msg) (*wire.Msg, error) {
	msg, wait, what := z.answer(asked)
	if wait > 0 {
		late := time.NewTimer(wait)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if what == Silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return msg, nil
}

// Serve starts a DNS server on loopback, over UDP and TCP, for as long as the test runs, and returns its address.
func (z *Zone) Serve() string {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		z.t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		z.t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	var work sync.WaitGroup
	z.t.Cleanup(work.Wait)
	for network, server := range map[string]*wire.Server{"udp": {PacketConn: udp}, "tcp": {Listener: tcp}} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		server.Handler = wire.HandlerFunc(func(w wire.ResponseWriter, asked *wire.Msg) {
			z.serve(life, w, asked, network == "udp")
		})
		work.Go(func() { _ = server.ActivateAndServe() })
		<-up
		z.t.Cleanup(func() { _ = server.Shutdown() })
	}
	z.t.Cleanup(end) // before the servers wait for who is served
	return tcp.Addr().String()
}

// serve answers one message.
func (z *Zone) serve(life context.Context, w wire.ResponseWriter, asked *wire.Msg, udp bool) {
	msg, wait, what := z.answer(asked)
	if wait > 0 {
		late := time.NewTimer(wait)
		defer late.Stop()
		select {
		case <-late.C:
		case <-life.Done():
			return
		}
	}
	switch {
	case what == Silent:
		return
	case what == Truncated && udp:
		msg.Truncated, msg.Answer = true, nil
	case udp:
		size := wire.MinMsgSize
		if o := asked.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		msg.Truncate(size)
	}
	_ = w.WriteMsg(msg)
}

// answer makes the answer to a message, and says how long it takes and what goes wrong.
func (z *Zone) answer(asked *wire.Msg) (*wire.Msg, time.Duration, Trouble) {
	z.mu.Lock()
	defer z.mu.Unlock()
	msg := new(wire.Msg)
	msg.SetReply(asked)
	msg.RecursionAvailable = true
	k := key{strings.ToLower(asked.Question[0].Name), asked.Question[0].Qtype}
	z.asked[k]++
	what, wait := z.trouble[k], z.slow[k]
	switch what {
	case ServFail:
		return msg.SetRcode(asked, wire.RcodeServerFailure), wait, what
	case Refused:
		return msg.SetRcode(asked, wire.RcodeRefused), wait, what
	case FormErr:
		if asked.IsEdns0() != nil {
			return msg.SetRcode(asked, wire.RcodeFormatError), wait, what
		}
	case Wrong:
		msg.Question[0].Name = "elsewhere.test."
		return msg, wait, what
	case Lame:
		msg.RecursionAvailable = false
		return msg, wait, what
	}
	msg.AuthenticatedData = z.proven && asked.AuthenticatedData && what != Unproven
	name, found := k.name, false
	for range 12 {
		if list := z.records[key{name, k.kind}]; len(list) > 0 {
			msg.Answer, found = append(msg.Answer, list...), true
			break
		}
		alias, _ := z.first(key{name, wire.TypeCNAME}).(*wire.CNAME)
		if alias == nil {
			break
		}
		msg.Answer = append(msg.Answer, alias)
		name = strings.ToLower(alias.Target)
	}
	if !found {
		if !z.names[name] {
			msg.Rcode = wire.RcodeNameError
		}
		if z.missing > 0 {
			msg.Ns = []wire.RR{&wire.SOA{
				Hdr: wire.RR_Header{Name: ".", Rrtype: wire.TypeSOA, Class: wire.ClassINET, Ttl: z.missing},
				Ns:  ".", Mbox: ".", Minttl: z.missing,
			}}
		}
	}
	return msg, wait, what
}

func (z *Zone) first(k key) wire.RR {
	if list := z.records[k]; len(list) > 0 {
		return list[0]
	}
	return nil
}
