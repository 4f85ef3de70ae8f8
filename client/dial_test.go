// SPDX-License-Identifier: Apache-2.0

package client_test

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

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// dns is a false DNS.
type dns struct {
	srv   map[string][]*net.SRV // by service and name
	hosts map[string][]string
	slow  map[string]time.Duration // by network, ip4 or ip6
}

func (d dns) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	key := "_" + service + "._" + proto + "." + name
	if records := d.srv[key]; records != nil {
		return key, records, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: key, IsNotFound: true}
}

func (d dns) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	select {
	case <-time.After(d.slow[network]):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var list []netip.Addr
	for _, s := range d.hosts[host] {
		if a := netip.MustParseAddr(s); a.Is4() == (network == "ip4") {
			list = append(list, a)
		}
	}
	if list == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return list, nil
}

func srv(priority, weight, port uint16, host string) *net.SRV {
	return &net.SRV{Target: host + ".", Port: port, Priority: priority, Weight: weight}
}

// dialling records what is dialled, and when.
type dialling struct {
	mu    sync.Mutex
	began time.Time
	list  []string
	// answer is what becomes of a connection.
	answer func(ctx context.Context, address string) (net.Conn, error)
}

func (d *dialling) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.list = append(d.list, fmt.Sprintf("%d %s", time.Since(d.began).Milliseconds(), address))
	d.mu.Unlock()
	if d.answer != nil {
		return d.answer(ctx, address)
	}
	return nil, errors.New("refused")
}

// Where a client connects to, by what DNS says.
func TestWhere(t *testing.T) {
	const direct, starttls = "_xmpps-client._tcp.", "_xmpp-client._tcp."
	slow := func(ctx context.Context, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	for _, c := range []struct {
		name    string
		account string
		address string
		dns     dns
		answer  func(context.Context, string) (net.Conn, error)
		want    []string // milliseconds and address
		err     string
	}{
		{name: "no records: the domain itself", account: "a@example.org",
			dns:  dns{hosts: map[string][]string{"example.org": {"192.0.2.1"}}},
			want: []string{"0 192.0.2.1:5222"}, err: "refused"},
		{name: "nothing at all", account: "a@example.org", err: "example.org:5222: looking up its address"},
		{name: "an address for a domain", account: "a@192.0.2.7", want: []string{"0 192.0.2.7:5222"}, err: "refused"},
		{name: "an IPv6 address for a domain", account: "a@[2001:db8::7]", want: []string{"0 [2001:db8::7]:5222"}, err: "refused"},
		{name: "a domain of letters of the world", account: "a@bücher.example",
			dns: dns{srv: map[string][]*net.SRV{starttls + "xn--bcher-kva.example": {srv(1, 1, 5222, "a")}},
				hosts: map[string][]string{"a": {"192.0.2.1"}}},
			want: []string{"0 192.0.2.1:5222"}, err: "refused"},
		{name: "both kinds, by priority", account: "a@example.org",
			dns: dns{srv: map[string][]*net.SRV{
				direct + "example.org":   {srv(2, 0, 5223, "b"), srv(4, 0, 443, "d")},
				starttls + "example.org": {srv(3, 0, 5222, "c"), srv(1, 0, 5222, "a")}},
				hosts: map[string][]string{"a": {"192.0.2.1"}, "b": {"192.0.2.2"}, "d": {"192.0.2.4"}}},
			want: []string{"0 192.0.2.1:5222", "0 192.0.2.2:5223", "0 192.0.2.4:443"},
			err:  "a:5222: refused; b:5223: refused; c:5222: looking up its address"},
		{name: "one kind only is offered", account: "a@example.org",
			dns: dns{srv: map[string][]*net.SRV{
				direct + "example.org": {srv(1, 0, 0, "")}, starttls + "example.org": {srv(1, 0, 5222, "a")}},
				hosts: map[string][]string{"a": {"192.0.2.1"}}},
			want: []string{"0 192.0.2.1:5222"}, err: "refused"},
		{name: "no service", account: "a@example.org",
			dns: dns{srv: map[string][]*net.SRV{starttls + "example.org": {srv(1, 0, 0, "")}}},
			err: "no XMPP service"},
		{name: "refusals go on at once, both families in turns", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3"}}},
			want: []string{"0 [2001:db8::1]:5222", "0 192.0.2.1:5222", "0 [2001:db8::2]:5222", "0 192.0.2.2:5222",
				"0 [2001:db8::3]:5222"}, err: "refused"},
		{name: "slow ones are overtaken", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "2001:db8::1", "2001:db8::2"}}},
			answer: func(ctx context.Context, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "192") {
					<-time.After(10 * time.Millisecond)
					ours, theirs := net.Pipe()
					_ = ours.Close()
					return theirs, nil
				}
				return slow(ctx, address)
			},
			want: []string{"0 [2001:db8::1]:5222", "250 192.0.2.1:5222", "260 [2001:db8::1]:5222", "510 [2001:db8::2]:5222"},
			err:  "closed pipe"},
		{name: "IPv4 waits a moment for IPv6", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "2001:db8::1"}},
				slow: map[string]time.Duration{"ip6": 40 * time.Millisecond}},
			want: []string{"40 [2001:db8::1]:5222", "40 192.0.2.1:5222"}, err: "refused"},
		{name: "and no longer", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "2001:db8::1"}},
				slow: map[string]time.Duration{"ip6": 5 * time.Second}},
			want: []string{"50 192.0.2.1:5222", "5000 [2001:db8::1]:5222"}, err: "refused"},
		{name: "IPv6 does not wait for IPv4", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "2001:db8::1"}},
				slow: map[string]time.Duration{"ip4": time.Hour}},
			want: []string{"0 [2001:db8::1]:5222"}, err: "refused"},
		{name: "one family only", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1"}},
				slow: map[string]time.Duration{"ip6": time.Hour}},
			want: []string{"50 192.0.2.1:5222"}, err: "refused"},
		{name: "an address that only seems to live is passed over", account: "a@example.org",
			dns: dns{hosts: map[string][]string{"example.org": {"192.0.2.1", "2001:db8::1", "2001:db8::2"}}},
			answer: func(_ context.Context, address string) (net.Conn, error) {
				if address == "[2001:db8::1]:5222" {
					ours, theirs := net.Pipe()
					_ = ours.Close()
					return theirs, nil
				}
				return nil, errors.New("refused")
			},
			want: []string{"0 [2001:db8::1]:5222", "0 [2001:db8::2]:5222", "0 192.0.2.1:5222"}, err: "closed pipe; refused; refused"},
		{name: "the address given, as it is", account: "a@example.org", address: "proxied.example.org:99",
			want: []string{"0 proxied.example.org:99"}, err: "refused"},
		{name: "time is up", account: "a@example.org", address: "x:1", answer: slow, want: []string{"0 x:1"}, err: "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &dialling{began: time.Now(), answer: c.answer}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := client.Dial(ctx, client.Config{
					Account: jid.MustParse(c.account), Password: "x", Address: c.address, Resolver: c.dns, Dial: d.dial,
				})
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %s", err, c.err)
				}
				if !slices.Equal(d.list, c.want) {
					t.Errorf("dialled %q\nwant    %q", d.list, c.want)
				}
			})
		})
	}
}

// RFC 6120 §4.9.3.19, and XEP-0198 §5 for the address to come back to.
func TestElsewhere(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		d := &dialling{began: time.Now(), answer: func(ctx context.Context, _ string) (net.Conn, error) { return l.Dial(ctx.Done()) }}
		l.config.Dial = d.dial
		l.config.Address = "one:1"
		l.make()
		if err := l.Client.Start(); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"two:2", "three", "[2001:db8::1]", "five:5"} { // one too many
			p := l.Accept()
			p.Machine.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='example.org'>"))
			p.Machine.Close(&stream.Error{Condition: stream.SeeOtherHost, Host: host}, time.Now())
			_ = p.End()
		}
		p := l.Accept()
		p.Bind()
		p.Expect("<enable .*")
		p.Say("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' location='six'/>")
		synctest.Wait()
		p.Drop()
		p = l.Accept()
		p.Resume("s1", 0, 0)
		var hosts []string
		for _, s := range d.list {
			_, host, _ := strings.Cut(s, " ")
			hosts = append(hosts, host)
		}
		if want := []string{"one:1", "two:2", "three:5222", "[2001:db8::1]:5222", "one:1", "six:5222"}; !slices.Equal(hosts, want) {
			t.Errorf("dialled %q, want %q", hosts, want)
		}
		go func() { _ = p.End() }()
	})
}
