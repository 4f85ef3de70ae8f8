// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

const (
	lookAgain  = 5 * time.Second  // how often the system's files are looked at, where there are questions
	maxFile    = 1 << 20          // of them, in bytes
	maxServers = 3                // as resolv.conf(5) has it
	systemTTL  = 30 * time.Second // for what the system's own resolver says, which tells no time
)

// system is what the machine says: which servers to ask, and what its hosts file has.
type system struct {
	resolvConf, hosts string

	mu            sync.Mutex
	looked        time.Time
	confAt, hosAt stamp
	list          []string
	names         map[string][]netip.Addr
}

// stamp tells whether a file has changed.
type stamp struct {
	at   time.Time
	size int64
}

func fileOr(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

func hostsFile() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc", "hosts")
	}
	return "/etc/hosts"
}

// look reads what has changed. With s.mu.
func (s *system) look() {
	if now := time.Now(); s.looked.IsZero() || now.Sub(s.looked) >= lookAgain {
		s.looked = now
		if data, changed := again(s.resolvConf, &s.confAt); changed {
			s.list = parseServers(data)
		}
		if data, changed := again(s.hosts, &s.hosAt); changed {
			s.names = parseHosts(data)
		}
	}
}

// again reads a file if it is another than before; one that is not there is empty.
func again(name string, before *stamp) (data []byte, changed bool) {
	info, err := os.Stat(name)
	if err != nil {
		changed = *before != stamp{}
		*before = stamp{}
		return nil, changed
	}
	now := stamp{info.ModTime(), info.Size()}
	if now == *before {
		return nil, false
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close() //nolint:errcheck // only read
	if data, err = io.ReadAll(io.LimitReader(f, maxFile)); err != nil {
		return nil, false
	}
	*before = now
	return data, true
}

// parseServers reads resolv.conf(5). Its search list is not for us: a domain at another server is a whole name, and
// must not become another one beneath ours.
func parseServers(data []byte) (list []string) {
	conf, err := wire.ClientConfigFromReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	for _, s := range conf.Servers[:min(len(conf.Servers), maxServers)] {
		list = append(list, net.JoinHostPort(s, conf.Port))
	}
	return list
}

// parseHosts reads hosts(5).
func parseHosts(data []byte) map[string][]netip.Addr {
	names := map[string][]netip.Addr{}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, f := range fields[1:] {
			if name, ok := canonical(f); ok {
				names[name] = append(names[name], a)
			}
		}
	}
	return names
}

// servers are those to ask; none where the system does not tell.
func (s *system) servers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.list
}

// local is what the machine itself knows of a host. RFC 6761 §6.3
func (s *system) local(host string) []netip.Addr {
	name, ok := canonical(host)
	if !ok {
		return nil
	}
	s.mu.Lock()
	s.look()
	list := s.names[name]
	s.mu.Unlock()
	if len(list) == 0 && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return list
}

// answer asks the system's own resolver, where there is no list of servers. It is never trusted.
func (s *system) answer(ctx context.Context, q question) (*wire.Msg, bool, error) {
	msg := new(wire.Msg)
	header := wire.RR_Header{Name: wire.Fqdn(q.name), Rrtype: q.kind, Class: wire.ClassINET, Ttl: uint32(systemTTL / time.Second)}
	var err error
	switch q.kind {
	case wire.TypeSRV:
		var records []*net.SRV
		_, records, err = net.DefaultResolver.LookupSRV(ctx, "", "", q.name+".")
		for _, r := range records {
			msg.Answer = append(msg.Answer, &wire.SRV{Hdr: header, Priority: r.Priority, Weight: r.Weight, Port: r.Port, Target: r.Target})
		}
	case wire.TypeA, wire.TypeAAAA:
		network := map[uint16]string{wire.TypeA: "ip4", wire.TypeAAAA: "ip6"}[q.kind]
		var list []netip.Addr
		list, err = net.DefaultResolver.LookupNetIP(ctx, network, q.name+".")
		for _, a := range list {
			if q.kind == wire.TypeA {
				msg.Answer = append(msg.Answer, &wire.A{Hdr: header, A: net.IP(a.Unmap().AsSlice())})
			} else {
				msg.Answer = append(msg.Answer, &wire.AAAA{Hdr: header, AAAA: net.IP(a.AsSlice())})
			}
		}
	}
	if len(msg.Answer) > 0 || err == nil || isNotFound(err) {
		return msg, false, nil
	}
	return nil, false, failure(err, q, nil)
}
