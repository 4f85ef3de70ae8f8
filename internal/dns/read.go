// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// read finds the answer to q in a message. open: it ends with an alias that the message says nothing more of.
func read(msg *wire.Msg, q question) (a *answer, open bool) {
	a = &answer{ttl: maxKept}
	records := msg.Answer[:min(len(msg.Answer), maxAnswer)]
	name := q.name
	for range maxAliases {
		next := ""
		for _, rr := range records {
			h := rr.Header()
			owner, ok := canonical(h.Name)
			if !ok || owner != name || h.Class != wire.ClassINET {
				continue
			}
			switch rr := rr.(type) {
			case *wire.CNAME:
				if target, ok := canonical(rr.Target); ok {
					next = target
					a.lasts(h.Ttl)
				}
			default:
				if h.Rrtype == q.kind {
					a.records = append(a.records, rr)
					a.lasts(h.Ttl)
				}
			}
		}
		if len(a.records) > 0 || next == "" {
			break
		}
		name, a.alias = next, next
	}
	if len(a.records) > 0 {
		return a, false
	}
	lasts, ends := missing(msg)
	if a.alias != "" && !ends && msg.Rcode == wire.RcodeSuccess {
		return a, true
	}
	a.err = notFound(q.name)
	a.ttl = min(a.ttl, lasts)
	return a, false
}

// lasts notes how long a record is good. RFC 2181 §8
func (a *answer) lasts(ttl uint32) {
	if ttl > 1<<31-1 {
		ttl = 0
	}
	a.ttl = min(a.ttl, time.Duration(ttl)*time.Second)
}

// missing says for how long a message may be believed that there is nothing: not at all without the zone's word
// on it (ends). RFC 2308 §5
func missing(msg *wire.Msg) (lasts time.Duration, ends bool) {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*wire.SOA); ok {
			seconds := min(soa.Hdr.Ttl, soa.Minttl)
			return min(time.Duration(seconds)*time.Second, maxMissing), true
		}
	}
	return 0, false
}

// answers reports whether a message is about the question that was asked.
func answers(msg, asked *wire.Msg) bool {
	if !msg.Response || msg.Id != asked.Id || msg.Opcode != wire.OpcodeQuery || len(msg.Question) != 1 {
		return false
	}
	a, b := msg.Question[0], asked.Question[0]
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// isLame reports whether a server has passed the question on to others, which is not what it was asked for.
func isLame(msg *wire.Msg) bool {
	if msg.Rcode != wire.RcodeSuccess || len(msg.Answer) > 0 || msg.Authoritative || msg.RecursionAvailable {
		return false
	}
	_, ends := missing(msg)
	return !ends
}
