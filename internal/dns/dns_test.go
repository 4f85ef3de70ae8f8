// SPDX-License-Identifier: Apache-2.0

package dns_test

// How to read these tests: those over the network show that messages are understood, by a server on loopback; those of
// time run without one, in testing/synctest.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/dns"
	"github.com/stonechat-im/stonechat/internal/dns/dnstest"
)

// over returns a resolver that asks servers over the network.
func over(t *testing.T, servers ...string) *dns.Resolver {
	t.Helper()
	r, err := dns.New(dns.Config{Servers: servers, Hosts: filepath.Join(t.TempDir(), "hosts")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func zone(t *testing.T) *dnstest.Zone {
	var many []string
	z := dnstest.New(t,
		"_xmpp-server._tcp.example.org. 60 IN SRV 5 10 5269 xmpp.example.org.",
		"_xmpp-server._tcp.example.org. 60 IN SRV 10 0 5270 Backup.example.org.",
		"_xmpps-server._tcp.example.org. 60 IN SRV 0 0 0 .",
		"_xmpp-server._tcp.bad.example. 60 IN SRV 5 0 5269 a\\032b.example.org.",
		"_xmpp-server._tcp.xn--bcher-kva.example. 60 IN SRV 5 0 5269 xmpp.example.org.",
		"_xmpp-server._tcp.hosted.example. 60 IN CNAME _xmpp-server._tcp.example.org.",
		"xmpp.example.org. 60 IN A 192.0.2.1",
		"xmpp.example.org. 60 IN A 192.0.2.2",
		"xmpp.example.org. 60 IN AAAA 2001:db8::1",
		"backup.example.org. 60 IN A 192.0.2.3",
		"www.example.org. 60 IN CNAME other.example.org.",
		"other.example.org. 60 IN CNAME xmpp.example.org.",
		"dangling.example.org. 60 IN CNAME nothing.example.org.",
		"loop.example.org. 60 IN CNAME pool.example.org.",
		"pool.example.org. 60 IN CNAME loop.example.org.",
		"text.example.org. 60 IN TXT there",
	)
	for i := range 100 { // more than one message over UDP holds
		many = append(many, fmt.Sprintf("many.example.org. 60 IN A 192.0.2.%d", i))
	}
	z.Set(many...)
	return z
}

// TestLong: an answer over TCP, and no more of one than is bounded.
func TestLong(t *testing.T) {
	z := zone(t)
	r := over(t, z.Serve())
	list, err := r.LookupNetIP(t.Context(), "ip4", "many.example.org")
	if err != nil || len(list) != 100 || z.Asked("many.example.org", "A") != 2 {
		t.Error(len(list), err, z.Asked("many.example.org", "A"))
	}
	var more []string
	for i := range 500 {
		more = append(more, fmt.Sprintf("more.example.org. 60 IN A 198.51.%d.%d", i/100, i%100))
	}
	z.Set(more...)
	if list, err = r.LookupNetIP(t.Context(), "ip4", "more.example.org"); err != nil || len(list) != 200 {
		t.Error(len(list), err)
	}
}

func TestNames(t *testing.T) {
	z := zone(t)
	for way, r := range map[string]*dns.Resolver{"network": over(t, z.Serve()), "process": z.Resolver()} {
		for _, c := range []struct {
			network, host, want string
		}{
			{"ip", "xmpp.example.org", "2001:db8::1 192.0.2.1 192.0.2.2"},
			{"ip4", "XMPP.Example.ORG.", "192.0.2.1 192.0.2.2"},
			{"ip6", "xmpp.example.org", "2001:db8::1"},
			{"ip6", "backup.example.org", "missing"},
			{"ip", "www.example.org", "2001:db8::1 192.0.2.1 192.0.2.2"},
			{"ip", "nothing.example.org", "missing"},
			{"ip", "dangling.example.org", "missing"},
			{"ip", "text.example.org", "missing"},
			{"ip", "loop.example.org", "missing"},
			{"ip", "192.0.2.9", "192.0.2.9"},
			{"ip6", "192.0.2.9", "missing"},
			{"ip", "localhost", "::1 127.0.0.1"},
			{"ip4", "a.localhost", "127.0.0.1"},
			{"ip", "", "missing"},
			{"ip", "a..b", "missing"},
			{"ip", "a b.example.org", "missing"},
			{"ip", `a\.b.example.org`, "missing"},
			{"ip", "\xff.example.org", "missing"},
			{"ip", strings.Repeat("a", 64) + ".example.org", "missing"},
			{"ip", strings.Repeat("a.", 127) + "org", "missing"},
		} {
			list, err := r.LookupNetIP(t.Context(), c.network, c.host)
			got := strings.Trim(fmt.Sprint(list), "[]")
			if err != nil {
				got = kindOf(err)
			}
			if got != c.want {
				t.Errorf("%s: %s of %q: %s (%v), want %s", way, c.network, c.host, got, err, c.want)
			}
		}
	}
}

// kindOf says what callers decide by.
func kindOf(err error) string {
	var e *net.DNSError
	switch {
	case !errors.As(err, &e):
		return err.Error()
	case e.IsNotFound:
		return "missing"
	case e.IsTimeout:
		return "timeout"
	case e.IsTemporary:
		return "temporary"
	}
	return e.Err
}

func TestServices(t *testing.T) {
	z := zone(t)
	for way, r := range map[string]*dns.Resolver{"network": over(t, z.Serve()), "process": z.Resolver()} {
		for _, c := range []struct{ service, domain, want string }{
			{"xmpp-server", "example.org", "5 10 5269 xmpp.example.org., 10 0 5270 Backup.example.org."},
			{"xmpps-server", "example.org", "0 0 0 ."},
			{"xmpp-client", "example.org", "missing"},
			{"xmpp-server", "hosted.example", "5 10 5269 xmpp.example.org., 10 0 5270 Backup.example.org."},
			{"xmpp-server", "bücher.example", "5 0 5269 xmpp.example.org."},
			{"xmpp-server", "bad.example", "its SRV records name no host"},
		} {
			_, list, err := r.LookupSRV(t.Context(), c.service, "tcp", c.domain)
			var lines []string
			for _, s := range list {
				lines = append(lines, fmt.Sprint(s.Priority, s.Weight, s.Port, " ", s.Target))
			}
			got := strings.Join(lines, ", ")
			if err != nil {
				got = kindOf(err)
			}
			if got != c.want {
				t.Errorf("%s: %s of %s: %s (%v), want %s", way, c.service, c.domain, got, err, c.want)
			}
		}
	}
}

// What may go wrong with a server: nobody may take a failure for an answer, and the next server is asked.
func TestTrouble(t *testing.T) {
	z, good := zone(t), zone(t)
	at, other := z.Serve(), good.Serve()
	for _, c := range []struct {
		name string
		what dnstest.Trouble
		want string // of the one alone
	}{
		{"cannot", dnstest.ServFail, "temporary"},
		{"will not", dnstest.Refused, "temporary"},
		{"long", dnstest.Truncated, "192.0.2.3"},
		{"old", dnstest.FormErr, "192.0.2.3"},
		{"about something else", dnstest.Wrong, "temporary"},
		{"names others", dnstest.Lame, "temporary"},
	} {
		z.Trouble("backup.example.org", "A", c.what)
		for _, both := range []bool{false, true} {
			servers, want := []string{at}, c.want
			if both {
				servers, want = []string{at, other}, "192.0.2.3"
			}
			list, err := over(t, servers...).LookupNetIP(t.Context(), "ip4", "backup.example.org")
			got := strings.Trim(fmt.Sprint(list), "[]")
			if err != nil {
				got = kindOf(err)
			}
			if got != want {
				t.Errorf("%s, both %v: %s (%v)", c.name, both, got, err)
			}
		}
	}
	// A server that is not there.
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if list, err := over(t, l.LocalAddr().String(), other).LookupNetIP(t.Context(), "ip4", "backup.example.org"); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	for _, bad := range []string{"", "example.org:53", "127.0.0.1:0", "127.0.0.1:99999"} {
		if _, err := dns.New(dns.Config{Servers: []string{bad}}); err == nil {
			t.Errorf("%q is taken for a server", bad)
		}
	}
}

// An answer is kept as long as it says, that there is nothing too, a failure for a moment.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := dnstest.New(t, "a.test. 60 IN A 192.0.2.1", "alias.test. 10 IN CNAME a.test.", "once.test. 0 IN A 192.0.2.1")
		r := z.Resolver()
		look := func(name string) string {
			list, err := r.LookupNetIP(t.Context(), "ip4", name)
			if err != nil {
				return kindOf(err)
			}
			return fmt.Sprint(list)
		}
		step := func(name, want string, asked int) {
			t.Helper()
			if got, n := look(name), z.Asked(name, "A"); got != want || n != asked {
				t.Errorf("%s: %s, asked %d times; want %s, %d", name, got, n, want, asked)
			}
		}
		step("a.test", "[192.0.2.1]", 1)
		step("alias.test", "[192.0.2.1]", 1)
		step("gone.test", "missing", 1)
		step("once.test", "[192.0.2.1]", 1)
		step("once.test", "[192.0.2.1]", 2)
		z.Trouble("bad.test", "A", dnstest.ServFail)
		step("bad.test", "temporary", 2) // both times: one server
		step("bad.test", "temporary", 2)
		z.Set("a.test. 60 IN A 192.0.2.2", "gone.test. 60 IN A 192.0.2.2", "bad.test. 60 IN A 192.0.2.2")
		z.Trouble("bad.test", "A", 0)
		time.Sleep(6 * time.Second)
		step("bad.test", "[192.0.2.2]", 3)
		step("alias.test", "[192.0.2.1]", 1)
		time.Sleep(5 * time.Second) // the alias is over, not what it stands for
		step("alias.test", "[192.0.2.2]", 2)
		step("a.test", "[192.0.2.1]", 1)
		step("gone.test", "missing", 1)
		time.Sleep(50 * time.Second)
		step("a.test", "[192.0.2.2]", 2)
		step("gone.test", "[192.0.2.2]", 2)
		z.Missing(0) // a zone that does not say for how long
		step("never.test", "missing", 1)
		step("never.test", "missing", 2)
		z.Missing(1 << 30)
		step("never.test", "missing", 3)
		time.Sleep(16 * time.Minute)
		step("never.test", "missing", 4)
		z.Set("long.test. 4294967295 IN A 192.0.2.1") // RFC 2181 §8: as if it were 0
		step("long.test", "[192.0.2.1]", 1)
		step("long.test", "[192.0.2.1]", 2)
		r.Close()
	})
}

// Many who ask for one name at once are one question; who goes away ends nothing for the others.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := dnstest.New(t, "a.test. 60 IN A 192.0.2.1")
		z.Slow("a.test", "A", 2*time.Second)
		r := z.Resolver()
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var work sync.WaitGroup
		for i := range 100 {
			work.Go(func() {
				ctx, want := t.Context(), ""
				if i == 0 {
					ctx, want = hurried, "timeout"
				}
				got := ""
				if _, err := r.LookupNetIP(ctx, "ip4", "a.test"); err != nil {
					got = kindOf(err)
				}
				if got != want {
					t.Errorf("%d: %q, want %q", i, got, want)
				}
			})
		}
		work.Wait()
		if n := z.Asked("a.test", "A"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// Nobody waits for ever, and a resolver that is closed ends who waits.
		z.Trouble("silent.test", "A", dnstest.Silent)
		begun := time.Now()
		if _, err := r.LookupNetIP(t.Context(), "ip4", "silent.test"); err == nil || kindOf(err) != "timeout" {
			t.Error(err)
		}
		if d := time.Since(begun); d > 20*time.Second {
			t.Error("it took", d)
		}
		z.Trouble("other.test", "A", dnstest.Silent)
		work.Go(func() {
			if _, err := r.LookupNetIP(t.Context(), "ip4", "other.test"); err == nil {
				t.Error("an answer from nowhere")
			}
		})
		synctest.Wait()
		r.Close()
		work.Wait()
		if _, err := r.LookupNetIP(t.Context(), "ip4", "late.test"); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if s := r.Stats(); s.Failed == 0 || s.Asked == 0 || s.Names == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBounds: what is kept, and what is asked at once.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := dnstest.New(t)
		r, err := dns.New(dns.Config{Servers: []string{"192.0.2.53"}, Exchange: z.Exchange, Names: 10, Asked: 2, Hosts: t.TempDir() + "/hosts"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var work sync.WaitGroup
		begun := time.Now()
		for i := range 20 {
			name := fmt.Sprintf("n%d.test", i)
			z.Set(name + ". 600 IN A 192.0.2.1")
			z.Slow(name, "A", time.Second)
			work.Go(func() {
				if _, err := r.LookupNetIP(t.Context(), "ip4", name); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if d := time.Since(begun); d != 10*time.Second {
			t.Errorf("20 questions of a second each, 2 at once, took %s", d)
		}
		if s := r.Stats(); s.Names != 10 || s.Asked != 20 || s.Displaced != 10 {
			t.Errorf("%+v", s)
		}
	})
}

// What the machine says: hosts count before DNS, its servers are looked at again, its search list is not for us.
func TestSystem(t *testing.T) {
	z := zone(t)
	host, _, err := net.SplitHostPort(z.Serve())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	conf, hosts := filepath.Join(folder, "resolv.conf"), filepath.Join(folder, "hosts")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(hosts, "# ours\n192.0.2.77 XMPP.example.org xmpp # near\n2001:db8::77\txmpp.example.org\nnonsense line\n192.0.2.1\n")
	write(conf, "nameserver "+host+"\nsearch example.org\n")
	r, err := dns.New(dns.Config{ResolvConf: conf, Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{
		"xmpp.example.org": "[192.0.2.77 2001:db8::77]", "xmpp": "[192.0.2.77]",
	} {
		if list, err := r.LookupNetIP(t.Context(), "ip", name); err != nil || fmt.Sprint(list) != want {
			t.Errorf("%s: %v, %v; want %s", name, list, err, want)
		}
	}
	if _, err := r.LookupNetIP(t.Context(), "ip6", "xmpp"); err == nil || kindOf(err) != "missing" {
		t.Error(err)
	}
	// The system's servers are at port 53 always, so that the way there is shown by the list.
	if list := dns.Servers([]byte("nameserver 127.0.0.1\nnameserver 2001:db8::1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")); fmt.Sprint(list) != "[127.0.0.1:53 [2001:db8::1]:53 192.0.2.1:53]" {
		t.Error(list)
	}
	if list := dns.Servers(nil); len(list) != 0 {
		t.Error(list)
	}
}

// Who is believed about DNSSEC, and what it is worth.
func TestProven(t *testing.T) {
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	z := dnstest.New(t,
		"_xmpp-server._tcp.example.org. 60 IN SRV 0 0 5269 xmpp.example.org.",
		"xmpp.example.org. 60 IN A 192.0.2.1",
		"_5269._tcp.xmpp.example.org. 60 IN TLSA 3 1 1 "+digest,
		"six.example.org. 60 IN AAAA 2001:db8::1",
		"_5269._tcp.six.example.org. 60 IN TLSA 2 0 1 "+digest,
		"alias.example.org. 60 IN CNAME xmpp.example.org.",
		"plain.example.org. 60 IN A 192.0.2.1",
		"bogus.example.org. 60 IN A 192.0.2.1",
		"half.example.org. 60 IN A 192.0.2.1",
		"_5269._tcp.half.example.org. 60 IN TLSA 3 1 1 "+digest,
	)
	z.Trouble("_5269._tcp.bogus.example.org", "TLSA", dnstest.ServFail)
	z.Trouble("gone.example.org", "A", dnstest.ServFail)
	z.Trouble("_5269._tcp.half.example.org", "TLSA", dnstest.Unproven)
	for _, c := range []struct {
		host   string
		proven bool
		want   string
	}{
		{"xmpp.example.org", true, "[3 1 1 " + strings.ToUpper(digest) + "]"},
		{"six.example.org", true, "[2 0 1 " + strings.ToUpper(digest) + "]"},
		{"alias.example.org", true, "[3 1 1 " + strings.ToUpper(digest) + "]"},
		{"xmpp.example.org", false, "[]"},
		{"plain.example.org", true, "[]"},
		{"missing.example.org", true, "[]"},
		{"half.example.org", true, "[]"},
		{"bogus.example.org", true, "temporary"},
		{"bogus.example.org", false, "[]"}, // nobody signs that zone: nothing that could be forged is looked for
		{"gone.example.org", true, "temporary"},
	} {
		z.Prove(c.proven)
		r := dns.Prover{Resolver: over(t, z.Serve())}
		list, err := r.LookupTLSA(t.Context(), "5269", c.host)
		got := fmt.Sprint(list)
		if err != nil {
			got = kindOf(err)
		}
		if got != c.want {
			t.Errorf("%s, proven %v: %s (%v)", c.host, c.proven, got, err)
		}
		for _, name := range []string{"example.org", "nowhere.example.org"} {
			if _, proven, _ := r.LookupProvenSRV(t.Context(), "xmpp-server", "tcp", name); proven != c.proven {
				t.Errorf("SRV of %s is proven: %v", name, proven)
			}
		}
	}
	z.Prove(true)
	if alias, err := z.Resolver().LookupAlias(t.Context(), "alias.example.org"); alias != "xmpp.example.org" || err != nil {
		t.Error(alias, err)
	}
	if alias, err := z.Resolver().LookupAlias(t.Context(), "xmpp.example.org"); alias != "" || err != nil {
		t.Error(alias, err)
	}
	// The system's servers are believed on this machine alone.
	for server, want := range map[string]bool{"127.0.0.1:53": true, "[::1]:53": true, "192.0.2.1:53": false, "[2001:db8::1]:53": false} {
		system, err := dns.New(dns.Config{Exchange: z.Exchange, Hosts: filepath.Join(t.TempDir(), "hosts")})
		if err != nil {
			t.Fatal(err)
		}
		system.SetSystem(server)
		if _, proven, err := (dns.Prover{Resolver: system}).LookupProvenSRV(t.Context(), "xmpp-server", "tcp", "example.org"); proven != want || err != nil {
			t.Errorf("%s: %v, %v", server, proven, err)
		}
		system.Close()
	}
}
