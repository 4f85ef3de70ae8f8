// SPDX-License-Identifier: Apache-2.0

package locate_test

// How to read these tests: DNS is a script (dnstest); dialling is a function of the test.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/dns/dnstest"
	"github.com/stonechat-im/stonechat/internal/locate"
)

func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const server, direct = "_xmpp-server._tcp.", "_xmpps-server._tcp."
		z := dnstest.New(t,
			server+"both.test. 60 IN SRV 10 0 5269 a.both.test.", direct+"both.test. 60 IN SRV 5 0 443 b.both.test.",
			server+"one.test. 60 IN SRV 5 0 5299 a.one.test.", direct+"one.test. 60 IN SRV 0 0 0 .",
			server+"none.test. 60 IN SRV 0 0 0 .",
			direct+"onlynot.test. 60 IN SRV 0 0 0 .", "onlynot.test. 60 IN A 192.0.2.1", // XEP-0368 §3: no fallback
			direct+"direct.test. 60 IN SRV 0 0 5270 a.direct.test.", "direct.test. 60 IN A 192.0.2.1",
			"plain.test. 60 IN A 192.0.2.1",
			server+"half.test. 60 IN SRV 0 0 5269 a.half.test.",
			"_xmpp-client._tcp.plain.test. 60 IN SRV 0 0 5222 a.plain.test.",
		)
		z.Trouble(direct+"half.test", "SRV", dnstest.ServFail)
		z.Trouble(server+"bad.test", "SRV", dnstest.ServFail)
		z.Trouble(direct+"bad.test", "SRV", dnstest.Silent)
		for _, c := range []struct {
			domain, want, proving string // proving: where it differs
			permanent             bool
		}{
			{"both.test", "b.both.test:443 direct, a.both.test:5269", "", false},
			{"one.test", "a.one.test:5299", "", false},
			{"none.test", "no XMPP service", "", true},
			{"onlynot.test", "no XMPP service", "", true},
			{"direct.test", "a.direct.test:5270 direct", "", false},
			{"plain.test", "plain.test:5269", "", false},
			{"nowhere.test", "nowhere.test:5269", "", false}, // its address tells
			{"192.0.2.7", "192.0.2.7:5269", "", false},
			{"half.test", "a.half.test:5269", "looking up its service", false},
			{"bad.test", "bad.test:5269", "looking up its service", false},
		} {
			for _, proven := range []bool{false, true} {
				z.Prove(proven)
				var r locate.Resolver = z.Resolver()
				if proven {
					r = z.Prover()
				}
				want := c.want
				if proven && c.proving != "" {
					want = c.proving
				}
				list, err := locate.Targets(t.Context(), r, locate.Server, c.domain)
				var texts []string
				for _, target := range list {
					text := target.String()
					if target.Direct {
						text += " direct"
					}
					if target.Proven != proven && c.domain != "192.0.2.7" {
						t.Errorf("%s is proven: %v", target, target.Proven)
					}
					texts = append(texts, text)
				}
				if got := strings.Join(texts, ", "); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s, proven %v: %s, %v; want %s", c.domain, proven, got, err, want)
				}
				if locate.Permanent(err) != c.permanent {
					t.Errorf("%s: %v is permanent: %v", c.domain, err, !c.permanent)
				}
			}
		}
	})
}

// TestPermanent: what is told apart for those who wait for an answer.
func TestPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := dnstest.New(t, "here.test. 60 IN A 192.0.2.1", "six.test. 60 IN AAAA 2001:db8::1")
		z.Trouble("bad.test", "A", dnstest.ServFail)
		z.Trouble("bad.test", "AAAA", dnstest.ServFail)
		z.Trouble("half.test", "A", dnstest.Silent)
		r := z.Resolver()
		refuses := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		for host, permanent := range map[string]bool{
			"here.test": false, "six.test": false, "nowhere.test": true, "bad.test": false, "half.test": false, "192.0.2.1": false,
		} {
			_, _, err := locate.Connect(t.Context(), r, refuses, locate.Target{Host: host, Port: "5269"}, nil)
			if err == nil || locate.Permanent(err) != permanent {
				t.Errorf("%s: %v is permanent: %v", host, err, !permanent)
			}
		}
		nothing := &net.DNSError{IsNotFound: true}
		for _, c := range []struct {
			err  error
			want bool
		}{
			{nil, false}, {nothing, true}, {fmt.Errorf("a: %w", locate.ErrNoService), true}, {errors.New("x"), false},
			{locate.Errors{nothing, fmt.Errorf("b: %w", nothing)}, true}, {locate.Errors{nothing, errors.New("x")}, false},
			{fmt.Errorf("c: %w", locate.Errors{nothing, locate.Errors{errors.New("x")}}), false}, {locate.Errors{}, false},
		} {
			if got := locate.Permanent(c.err); got != c.want {
				t.Errorf("%v: %v", c.err, got)
			}
		}
	})
}

// dialler notes who is dialled when, and lets some connections succeed.
type dialler struct {
	mu    sync.Mutex
	begun time.Time
	order []string
	works map[string]time.Duration // how long it takes; others never answer
	fails map[string]bool          // at once
	open  int                      // connections given and not closed
}

type closing struct {
	net.Conn
	d *dialler
}

func (c closing) Close() error {
	c.d.mu.Lock()
	c.d.open--
	c.d.mu.Unlock()
	return c.Conn.Close()
}

func (d *dialler) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	d.order = append(d.order, fmt.Sprintf("%s %s", address, time.Since(d.begun)))
	wait, works := d.works[address]
	fails := d.fails[address]
	d.mu.Unlock()
	if fails {
		return nil, errors.New("refused")
	}
	if !works {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C: // even if it is too late
	case <-ctx.Done():
		<-timer.C
	}
	a, b := net.Pipe()
	_ = b.Close()
	d.mu.Lock()
	d.open++
	d.mu.Unlock()
	return closing{a, d}, nil
}

// TestEyeballs: RFC 8305. Both families in turns, the next beside one that takes its time, none of them left open.
func TestEyeballs(t *testing.T) {
	z := func(t *testing.T) *dnstest.Zone {
		return dnstest.New(t, "a.test. 60 IN A 192.0.2.1", "a.test. 60 IN A 192.0.2.2", "a.test. 60 IN AAAA 2001:db8::1", "a.test. 60 IN AAAA 2001:db8::2")
	}
	const six1, six2, four1, four2 = "[2001:db8::1]:5269", "[2001:db8::2]:5269", "192.0.2.1:5269", "192.0.2.2:5269"
	for _, c := range []struct {
		name  string
		zone  func(*dnstest.Zone)
		works map[string]time.Duration
		fails map[string]bool
		tried []netip.Addr
		want  []string
		wins  string
	}{
		{"the first", nil, map[string]time.Duration{six1: 10 * time.Millisecond}, nil, nil, []string{six1 + " 0s"}, "2001:db8::1"},
		{"one that is deaf", nil, map[string]time.Duration{four1: 10 * time.Millisecond}, nil, nil, []string{six1 + " 0s", four1 + " 250ms"}, "192.0.2.1"},
		{"all but the last refuse", nil, map[string]time.Duration{four2: 0}, map[string]bool{six1: true, six2: true, four1: true}, nil,
			[]string{six1 + " 0s", four1 + " 0s", six2 + " 0s", four2 + " 0s"}, "192.0.2.2"},
		{"two at once", nil, map[string]time.Duration{six1: 400 * time.Millisecond, four1: 200 * time.Millisecond}, nil, nil, []string{six1 + " 0s", four1 + " 250ms"}, "2001:db8::1"},
		{"IPv6 is late in DNS", func(z *dnstest.Zone) { z.Slow("a.test", "AAAA", time.Second) }, map[string]time.Duration{four1: 0}, nil, nil, []string{four1 + " 50ms"}, "192.0.2.1"},
		{"not what was tried", nil, map[string]time.Duration{four1: 0, six1: 0, six2: 0}, nil,
			[]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, []string{six2 + " 0s"}, "2001:db8::2"},
		{"nobody", nil, nil, map[string]bool{six1: true, six2: true, four1: true, four2: true}, nil,
			[]string{six1 + " 0s", four1 + " 0s", six2 + " 0s", four2 + " 0s"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				zone := z(t)
				if c.zone != nil {
					c.zone(zone)
				}
				d := &dialler{begun: time.Now(), works: c.works, fails: c.fails}
				conn, at, err := locate.Connect(t.Context(), zone.Resolver(), d.dial, locate.Target{Host: "a.test", Port: "5269"}, c.tried)
				if (err != nil) != (c.wins == "") || err == nil && at.String() != c.wins {
					t.Errorf("%s wins, %v", at, err)
				}
				if !slices.Equal(d.order, c.want) {
					t.Errorf("dialled %q, want %q", d.order, c.want)
				}
				if err == nil {
					_ = conn.Close()
				}
				if d.open != 0 {
					t.Errorf("%d connections are left open", d.open)
				}
			})
		})
	}
}

// A change of DNS under way: the next look at it, when the old records are over, goes elsewhere.
func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := dnstest.New(t, "_xmpp-server._tcp.moves.test. 60 IN SRV 0 0 5269 old.moves.test.", "old.moves.test. 60 IN A 192.0.2.1")
		r := z.Resolver()
		host := func() string {
			list, err := locate.Targets(t.Context(), r, locate.Server, "moves.test")
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			return list[0].Host
		}
		if h := host(); h != "old.moves.test" {
			t.Error(h)
		}
		z.Set("_xmpp-server._tcp.moves.test. 60 IN SRV 0 0 5269 new.moves.test.")
		if h := host(); h != "old.moves.test" {
			t.Error(h)
		}
		time.Sleep(61 * time.Second)
		if h := host(); h != "new.moves.test" {
			t.Error(h)
		}
	})
}

// Weights of nothing, the same twice, one that wins always: RFC 2782's rules at their edges.
func TestWeightsAtTheEdge(t *testing.T) {
	for _, c := range []struct {
		records []*net.SRV
		pick    int // what chance says each time, from the top
		want    string
	}{
		{[]*net.SRV{srv(0, 0, 1, "a"), srv(0, 0, 1, "b")}, 0, "[a:1 b:1]"},
		{[]*net.SRV{srv(0, 65535, 1, "a"), srv(0, 65535, 1, "b"), srv(0, 65535, 1, "c")}, 0, "[c:1 b:1 a:1]"},
		{[]*net.SRV{srv(0, 65535, 1, "a"), srv(0, 65535, 1, "b")}, 65536, "[a:1 b:1]"},
		{[]*net.SRV{srv(1, 0, 1, "a"), srv(0, 0, 1, "")}, 0, "[a:1]"},
		{[]*net.SRV{srv(65535, 1, 65535, "a"), srv(0, 1, 1, "b")}, 0, "[b:1 a:65535]"},
		{[]*net.SRV{srv(0, 0, 1, "")}, 0, "[]"},
	} {
		below := func(n int) int { return max(n-1-c.pick, 0) }
		if got := fmt.Sprint(locate.InOrder(nil, c.records, below)); got != c.want {
			t.Errorf("%v: %s, want %s", c.records, got, c.want)
		}
	}
}
