// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// proving is a DNS with DNSSEC: what it says of certificates is the function's.
type proving struct {
	*world
	proven bool
	tlsa   func(host string) ([]dane.Record, error)
}

func (p *proving) LookupProvenSRV(ctx context.Context, service, proto, name string) ([]*net.SRV, bool, error) {
	_, list, err := p.LookupSRV(ctx, service, proto, name)
	return list, p.proven, err
}

func (p *proving) LookupTLSA(_ context.Context, _, host string) ([]dane.Record, error) {
	return p.tlsa(host)
}

// shows is the certificate with which a town answers.
func (x *town) shows() *x509.Certificate {
	x.t.Helper()
	conn, err := tls.Dial("tcp", x.direct, &tls.Config{InsecureSkipVerify: true, ServerName: x.domain}) //nolint:gosec // it is to be seen
	if err != nil {
		x.t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // seen
	return conn.ConnectionState().PeerCertificates[0]
}

// Records that are proven stand in for authorities, and nothing stands in for them.
func TestDANE(t *testing.T) {
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	forged := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	for _, c := range []struct {
		name      string
		proven    bool
		other     bool // the record is of another certificate
		none      bool
		err       error
		preferred bool
		b         setup
		want      string // a word of why not; "" is that it talks
	}{
		{name: "of no authority", proven: true, b: setup{stranger: true, preferred: true}},
		{name: "expired", proven: true, b: setup{change: old, preferred: true}},
		{name: "another's, whatever authorities say", proven: true, other: true, want: "none of those that the TLSA records name"},
		{name: "another's, whatever dialback would say", proven: true, other: true, preferred: true, want: "none of those that the TLSA records name"},
		{name: "not proven", other: true, b: setup{}},
		{name: "none", proven: true, none: true, b: setup{}},
		{name: "none, and no authority", proven: true, none: true, b: setup{stranger: true}, want: "certificate refused"},
		{name: "not to be had", proven: true, err: forged, preferred: true, want: "server misbehaving"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			// The answers of the other side come over the same stream, which has both directions.
			b := w.town("montague.example", c.b)
			shown := b.shows()
			stranger := newWorld(t).certified(t)
			names := &proving{world: w, proven: c.proven, tlsa: func(string) ([]dane.Record, error) {
				switch {
				case c.err != nil:
					return nil, c.err
				case c.none:
					return nil, nil
				case c.other:
					return []dane.Record{dane.Of(stranger)}, nil
				}
				return []dane.Record{dane.Of(shown)}, nil
			}}
			a := w.town("capulet.example", setup{proves: names, preferred: c.preferred})
			a.send("juliet@house.montague.example", "m")
			if c.want == "" {
				b.gets("from='romeo@house.capulet.example'", "id='m'")
				return
			}
			a.logs(c.want)
			if n := len(b.got); n != 0 {
				t.Errorf("%d came", n)
			}
		})
	}
}

// A connection of both directions that the other side has made is no way round what is proven.
func TestDANEOffered(t *testing.T) {
	for _, c := range []struct{ other, preferred bool }{{false, false}, {true, false}, {true, true}} {
		w := newWorld(t)
		b := w.town("montague.example", setup{preferred: true})
		record := dane.Of(b.shows())
		if c.other {
			record = dane.Of(newWorld(t).certified(t))
		}
		names := &proving{world: w, proven: true, tlsa: func(string) ([]dane.Record, error) { return []dane.Record{record}, nil }}
		a := w.town("capulet.example", setup{proves: names, preferred: c.preferred, policy: func(p *Policy) { p.GiveUp = time.Second }})
		b.send("juliet@house.capulet.example", "first")
		a.gets("id='first'")
		a.send("romeo@house.montague.example", "m")
		if c.other {
			a.gets("type='error'", "id='m'", "remote-server-timeout")
			continue
		}
		b.gets("id='m'")
	}
}

// Of several places any may be the one: the order in which they are looked at makes no difference.
func TestDANENamed(t *testing.T) {
	w := newWorld(t)
	ours, other := w.certified(t), w.certified(t)
	records := map[string][]dane.Record{"fits.": {dane.Of(ours)}, "other.": {dane.Of(other)}, "nothing.": nil}
	names := &proving{world: w, proven: true, tlsa: func(host string) ([]dane.Record, error) {
		for name, list := range records {
			if strings.HasPrefix(host, name) {
				return list, nil
			}
		}
		return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	}}
	a := w.town("capulet.example", setup{proves: names})
	for _, c := range []struct {
		hosts string
		want  string // a word of why not
	}{
		{hosts: "fits"}, {hosts: "nothing"}, {"other", "TLSA"}, {"broken", "misbehaving"},
		{hosts: "other fits"}, {hosts: "fits other"}, {hosts: "broken fits"}, {hosts: "fits broken"},
		{hosts: "other nothing"}, {hosts: "nothing other"}, {hosts: "broken nothing"}, {hosts: "nothing broken"},
		{"other broken", "TLSA"}, {"broken other", "misbehaving"}, {hosts: "other broken nothing"},
	} {
		var list []*net.SRV
		for i, host := range strings.Fields(c.hosts) {
			list = append(list, &net.SRV{Target: host + ".montague.example.", Port: 5269, Priority: uint16(i)})
		}
		w.mu.Lock()
		w.services["xmpp-server montague.example"] = list
		w.mu.Unlock()
		err := a.named(t.Context(), store.Route{From: jid.MustParse(capulet), To: jid.MustParse("montague.example")}, []*x509.Certificate{ours})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.hosts, err, c.want)
		}
	}
}

// certified makes a certificate of nobody in particular.
func (w *world) certified(t *testing.T) *x509.Certificate {
	t.Helper()
	key := newKey(t)
	return sign(t, w.cert, w.cert, &key.PublicKey, w.key)
}
