// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const serverOpen = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'"

var capulet, montague = jid.MustParse("capulet.example"), jid.MustParse("montague.example")

func serversConfig(certified bool) *stream.PeerConfig {
	return &stream.PeerConfig{
		Serves:    func(domain string) bool { return domain == "montague.example" },
		Certified: func(_ *stream.ReceivingServer, from jid.JID) bool { return certified && from == capulet },
		Features: func(s *stream.ReceivingServer, dst []byte) []byte {
			return append(dst, "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"...)
		},
		AfterLogin: xmlstream.Limits{ElementBytes: 20_000, Depth: 20, Attributes: 20, Children: 20},
		Rand:       zeros{},
	}
}

// converse lets two machines talk, in pieces of size, until nothing is on its way. act is called for each
// event, with the machine that told it.
func converse(a, b machine, size int, act func(machine, stream.Event)) {
	queue := map[machine]string{a: string(b.Out()), b: string(a.Out())}
	for len(queue[a])+len(queue[b]) > 0 {
		for to, from := range map[machine]machine{a: b, b: a} {
			n := min(size, len(queue[to]))
			piece := queue[to][:n]
			queue[to] = queue[to][n:]
			if n == 0 {
				continue
			}
			_, said, _ := events(to, piece, func(e stream.Event) { act(to, e) })
			queue[from] += said
		}
	}
}

// Two servers come to know each other by EXTERNAL, or are left to dialback, over STARTTLS and direct TLS.
func TestServers(t *testing.T) {
	for _, c := range []struct {
		name              string
		direct, certified bool
		wants             bool
		events            string
	}{
		{name: "external", certified: true, wants: true, events: "starttls starttls login login features"},
		{name: "direct", direct: true, certified: true, wants: true, events: "login login features"},
		{name: "not certified", wants: true, events: "starttls starttls features"},
		{name: "not wanted", certified: true, events: "starttls starttls features"},
	} {
		for size := 1; size < 700; size = size*3 + 1 {
			config := serversConfig(c.certified)
			r := stream.NewReceivingServer(config, start)
			i := stream.NewInitiatingServer(config, capulet, montague, c.wants, start)
			if c.direct {
				r.TLSStarted()
				i.TLSStarted()
			} else {
				i.Start()
			}
			var told []string
			hurried := false
			converse(i, r, size, func(m machine, e stream.Event) {
				switch e.Kind {
				case stream.StartTLS:
					told = append(told, "starttls")
					if m == machine(i) {
						// Both have sent what goes in the clear: TLS is on.
						r.TLSStarted()
						i.TLSStarted()
					}
				case stream.Login:
					told = append(told, "login")
					if m == machine(r) {
						r.Trust()
					}
				case stream.Features:
					told = append(told, "features")
					i.Trust()
				case stream.End:
					hurried = true
				}
			})
			slices.Sort(told)
			want := strings.Fields(c.events)
			slices.Sort(want)
			if !slices.Equal(told, want) || hurried {
				t.Fatalf("%s in pieces of %d: %v", c.name, size, told)
			}
			if r.ID() == "" || r.ID() != i.ID() || r.From() != capulet || r.To() != montague || !r.Secure() || !i.Secure() {
				t.Errorf("%s: id %q and %q, from %s to %s", c.name, r.ID(), i.ID(), r.From(), r.To())
			}
			if logged := c.certified && c.wants; r.External() != logged || i.External() != logged {
				t.Errorf("%s: logged in %v and %v", c.name, r.External(), i.External())
			}
		}
	}
}

// What a peer does wrong, and what it is told; before TLS nothing but TLS.
func TestReceivingRefusals(t *testing.T) {
	open := serverOpen + " from='capulet.example' to='montague.example' version='1.0'>"
	const auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>"
	for _, c := range []struct {
		name, sent, says string
		tls              bool
	}{
		{name: "a client", sent: openTag + " to='montague.example' version='1.0'>", says: "invalid-namespace"},
		{name: "unknown domain", sent: serverOpen + " from='capulet.example' to='verona.example' version='1.0'>", says: "host-unknown"},
		{name: "no address", sent: serverOpen + " from='capulet.example' version='1.0'>", says: "improper-addressing"},
		{name: "an account", sent: serverOpen + " from='capulet.example' to='a@montague.example' version='1.0'>", says: "improper-addressing"},
		{name: "from an account", sent: serverOpen + " from='a@capulet.example' to='montague.example' version='1.0'>", says: "improper-addressing"},
		{name: "no version", sent: serverOpen + " from='capulet.example' to='montague.example'>", says: "unsupported-version"},
		{name: "dialback in the clear", sent: open + "<db:result from='capulet.example' to='montague.example'>k</db:result>", says: "policy-violation"},
		{name: "a stanza in the clear", sent: open + "<message/>", says: "policy-violation"},
		{name: "a login in the clear", sent: open + auth + "=</auth>", says: "policy-violation"},
		{name: "data behind starttls", sent: open + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><a/>", says: "policy-violation"},
		{name: "TLS twice", sent: open + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", says: "<failure", tls: true},
		{name: "another's name", sent: serverOpen + " from='verona.example' to='montague.example' version='1.0'>" + auth + "=</auth>", says: "invalid-mechanism", tls: true},
		{name: "another authzid", sent: open + auth + "dmVyb25hLmV4YW1wbGU=</auth>", says: "invalid-authzid", tls: true},
		{name: "no base64", sent: open + auth + "!</auth>", says: "incorrect-encoding", tls: true},
		{name: "another mechanism", sent: open + strings.Replace(auth, "EXTERNAL", "PLAIN", 1) + "=</auth>", says: "invalid-mechanism", tls: true},
		{name: "many logins", sent: open + strings.Repeat(auth+"!</auth>", 3), says: "policy-violation", tls: true},
		{name: "no header", sent: "<message/>", says: "bad-format", tls: true},
		{name: "too large", sent: open + "<db:result from='a' to='b'>" + strings.Repeat("k", 10_000), says: "policy-violation", tls: true},
		{name: "another name after the login", sent: open + auth + "=</auth>" + serverOpen + " from='verona.example' to='montague.example' version='1.0'>", says: "invalid-from", tls: true},
		{name: "EXTERNAL", sent: open + auth + "Y2FwdWxldC5leGFtcGxl</auth>", says: "<success", tls: true},
		{name: "EXTERNAL without a name", sent: open + auth + "=</auth>", says: "<success", tls: true},
	} {
		s := stream.NewReceivingServer(serversConfig(true), start)
		if c.tls {
			s.TLSStarted()
		}
		_, said, _ := events(s, c.sent, func(e stream.Event) {
			switch e.Kind {
			case stream.Login:
				s.Trust()
			case stream.Element:
				t.Errorf("%s: %s was let through", c.name, e.Element.Raw)
			}
		})
		if !strings.Contains(said, c.says) || !strings.HasPrefix(said, "<?xml version='1.0'?><stream:stream xmlns='jabber:server'") {
			t.Errorf("%s is told\n%s\nwant %s", c.name, said, c.says)
		}
	}
}

// What a server that we have called does wrong.
func TestInitiatingRefusals(t *testing.T) {
	open := serverOpen + " from='montague.example' to='capulet.example' id='x' version='1.0'>"
	const external = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>"
	var refused *stream.SASLError
	var broken *stream.Error
	for _, c := range []struct {
		name, sent string
		tls        bool
		want       any
	}{
		{name: "no TLS", sent: open + "<stream:features/>", want: stream.ErrNoTLS},
		{name: "no TLS after all", sent: open + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", want: stream.ErrTLS},
		{name: "injected", sent: open + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><a/>", want: stream.ErrInjected},
		{name: "no id", sent: serverOpen + " from='montague.example' version='1.0'>", tls: true, want: &broken},
		{name: "a client's", sent: openTag + " id='x' version='1.0'>", tls: true, want: &broken},
		{name: "stanza for features", sent: open + "<message/>", tls: true, want: &broken},
		{name: "refused", sent: open + external + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>", tls: true, want: &refused},
		{name: "challenge", sent: open + external + "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", tls: true, want: &broken},
		{name: "its error", sent: open + "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", tls: true, want: &broken},
	} {
		s := stream.NewInitiatingServer(serversConfig(false), capulet, montague, true, start)
		if c.tls {
			s.TLSStarted()
		} else {
			s.Start()
		}
		kinds, _, err := events(s, c.sent, func(stream.Event) {})
		ok := false
		switch want := c.want.(type) {
		case error:
			ok = errors.Is(err, want)
		default:
			ok = errors.As(err, want)
		}
		if !ok || slices.Contains(kinds, stream.Features) {
			t.Errorf("%s: %v, %v", c.name, kinds, err)
		}
	}
}

// Nobody waits for ever, and both close.
func TestServersEnd(t *testing.T) {
	r := stream.NewReceivingServer(serversConfig(false), start)
	r.Expire(r.Deadline())
	if _, said, err := events(r, "", func(stream.Event) {}); !strings.Contains(said, "connection-timeout") || err == nil {
		t.Errorf("told %s, %v", said, err)
	}
	i := stream.NewInitiatingServer(serversConfig(false), capulet, montague, false, start)
	i.Start()
	i.Expire(i.Deadline())
	if _, _, err := events(i, "", func(stream.Event) {}); !errors.Is(err, stream.ErrTimeout) {
		t.Errorf("told %v", err)
	}
	r, i = stream.NewReceivingServer(serversConfig(false), start), stream.NewInitiatingServer(serversConfig(false), capulet, montague, false, start)
	r.TLSStarted()
	i.TLSStarted()
	ends := 0
	converse(i, r, 100, func(m machine, e stream.Event) {
		switch e.Kind {
		case stream.Features:
			i.Trust()
			i.Close(nil, start)
		case stream.End:
			ends++
		}
	})
	if ends != 2 {
		t.Errorf("%d ends", ends)
	}
}

// FuzzReceivingServer: whatever another server sends, and whenever we close, this side ends in a legal state and says nothing
// but well-formed XML.
func FuzzReceivingServer(f *testing.F) {
	open := serverOpen + " from='capulet.example' to='montague.example' version='1.0'>"
	const auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
	addServerSeeds(f, []string{
		open + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\x00t" + open + auth + open + "<message/></stream:stream>",
		"\x00t" + open + auth + "\x00p" + open + "\x00x",
		"\x00t" + open + "<db:result from='capulet.example' to='montague.example'>k</db:result>\x00p<message/>\x00c<message/></stream:stream>",
		"\x00c" + open, "\x00e" + open, open + "\x00c<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		setup, size, rest, ok := fuzzInput(data, serverSetups)
		if !ok {
			return
		}
		config := serversConfig(true)
		config.WithoutTLS = setup[0] == "without-tls"
		s := stream.NewReceivingServer(config, start)
		runFuzz(t, s, &script{with: []string{"without-tls"}}, size, rest, func(act byte) {
			switch act {
			case 't':
				s.TLSStarted()
			case 'p':
				s.Trust()
			}
		})
	})
}

// FuzzInitiatingServer: the same for whatever a server sends that we have called.
func FuzzInitiatingServer(f *testing.F) {
	open := serverOpen + " from='montague.example' to='capulet.example' id='x' version='1.0'>"
	const tls = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	const external = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>" +
		"<bidi xmlns='urn:xmpp:features:bidi'/></stream:features><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	const dialback = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>"
	addServerSeeds(f, []string{
		open + tls + "\x00t" + open + external + open + dialback + "\x00p<message/></stream:stream>",
		open + tls + "\x00t" + open + external + "<message/>" + open + dialback + "\x00p\x00c</stream:stream>",
		open + tls + "\x00t" + open + dialback + "<db:result from='montague.example' to='capulet.example' type='valid'/>\x00p<message/>\x00x",
		"\x00c" + open + tls, open + tls + "\x00t\x00c" + open + dialback, open + tls + "\x00e",
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		setup, size, rest, ok := fuzzInput(data, serverSetups)
		if !ok {
			return
		}
		config := serversConfig(false)
		config.WithoutTLS = setup[0] == "without-tls"
		config.Bidi = setup[0] != "external"
		s := stream.NewInitiatingServer(config, capulet, montague, setup[0] != "dialback", start)
		s.Start()
		runFuzz(t, s, &script{with: []string{"without-tls"}}, size, rest, func(act byte) {
			switch act {
			case 't':
				s.TLSStarted()
			case 'p':
				s.Trust()
			}
		})
	})
}

// serverSetups are the configurations of the fuzz targets of servers' streams.
var serverSetups = [][]string{{"both"}, {"external"}, {"dialback"}, {"without-tls"}}

// addServerSeeds adds each of the seeds for each setup, whole and in single bytes.
func addServerSeeds(f *testing.F, seeds []string) {
	for _, seed := range seeds {
		for setup := range serverSetups {
			f.Add(append([]byte{byte(setup), 0}, seed...))
			f.Add(append([]byte{byte(setup), 1}, seed...))
		}
	}
}
