// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// pair is a client and a server that talk to each other, through hands that may cut
// and change what they say.
type pair struct {
	client *stream.Client
	server *stream.Server

	size     int                      // of the pieces in which bytes arrive; 0: whole
	toClient func(said string) string // may change what the server says
	toServer func(said string) string // may change what the client says
	bindings [2][]sasl.ChannelBinding // of the client, of the server

	said   [2]strings.Builder // by the client, by the server
	events [2][]string
	err    [2]error // of End
	ended  [2]bool
}

func newPair(with ...string) *pair {
	s := &script{with: with}
	return &pair{
		client: stream.NewClient(clientConfig(s), start),
		server: stream.NewServer(serverConfig(s), start),
	}
}

// run goes on until both have nothing more to say.
func (p *pair) run() {
	for {
		fromClient := p.take(0, p.client)
		fromServer := p.take(1, p.server)
		if fromClient == "" && fromServer == "" {
			return
		}
		if p.toServer != nil {
			fromClient = p.toServer(fromClient)
		}
		if p.toClient != nil {
			fromServer = p.toClient(fromServer)
		}
		for _, piece := range cut(fromClient, p.size) {
			p.server.Feed(piece)
			p.reactServer()
			copy(piece, strings.Repeat("~", len(piece)))
		}
		for _, piece := range cut(fromServer, p.size) {
			p.client.Feed(piece)
			p.reactClient()
			copy(piece, strings.Repeat("~", len(piece)))
		}
	}
}

func cut(s string, size int) (pieces [][]byte) {
	for size > 0 && len(s) > size {
		pieces = append(pieces, []byte(s[:size]))
		s = s[size:]
	}
	if s != "" {
		pieces = append(pieces, []byte(s))
	}
	return pieces
}

func (p *pair) take(side int, m machine) string {
	var all strings.Builder
	for out := m.Out(); out != nil; out = m.Out() {
		all.Write(out)
	}
	p.said[side].WriteString(all.String())
	return all.String()
}

func (p *pair) note(side int, e stream.Event) {
	p.events[side] = append(p.events[side], describe(e))
	if e.Kind == stream.End {
		p.ended[side], p.err[side] = true, e.Err
	}
}

func (p *pair) reactServer() {
	for e := p.server.Next(); e.Kind != stream.None; e = p.server.Next() {
		p.note(1, e)
		switch e.Kind {
		case stream.Lookup:
			p.server.Resolve(keysOf(e.JID.String()), nil)
		case stream.Bind:
			full, err := e.JID.WithResource("chosen")
			if err != nil {
				panic(err)
			}
			if e.JID.IsFull() {
				full = e.JID
			}
			p.server.Bind(full)
		}
	}
}

func (p *pair) reactClient() {
	for e := p.client.Next(); e.Kind != stream.None; e = p.client.Next() {
		p.note(0, e)
		switch e.Kind {
		case stream.StartTLS:
			// Both have said their last in the clear.
			p.server.TLSStarted(p.bindings[1])
			p.client.TLSStarted(p.bindings[0])
		case stream.Features:
			p.client.Bind("orchard")
		}
	}
}

func (p *pair) log() string {
	var all []string
	for side, who := range []string{"client", "server"} {
		all = append(all, who+" said\n"+p.said[side].String(), who+" knows\n"+strings.Join(p.events[side], "\n"))
	}
	return strings.Join(all, "\n\n")
}

var (
	sameChannel  = []sasl.ChannelBinding{{Type: sasl.TLSExporter, Data: []byte("exported")}, {Type: sasl.TLSServerEndPoint, Data: []byte("hashed")}}
	otherChannel = []sasl.ChannelBinding{{Type: sasl.TLSExporter, Data: []byte("elsewhere")}, {Type: sasl.TLSServerEndPoint, Data: []byte("hashed too")}}
)

// Both sides do the same whatever the pieces are in which bytes arrive.
func TestPairAtEverySize(t *testing.T) {
	login := func(size int) *pair {
		p := newPair()
		p.size = size
		p.bindings = [2][]sasl.ChannelBinding{sameChannel, sameChannel}
		p.client.Start()
		p.run()
		p.client.Close(nil, start)
		p.run()
		return p
	}
	whole := login(0)
	if whole.events[0][len(whole.events[0])-2] != "Ready romeo@example.org/orchard" ||
		!whole.ended[0] || !whole.ended[1] || whole.err[0] != nil || whole.err[1] != nil {
		t.Fatalf("no login:\n%s", whole.log())
	}
	if !strings.Contains(whole.said[0].String(), "mechanism='SCRAM-SHA-512-PLUS'") {
		t.Fatalf("not the strongest mechanism:\n%s", whole.log())
	}
	longest := 0
	for _, m := range strings.SplitAfter(whole.said[1].String(), "</stream:features>") {
		longest = max(longest, len(m))
	}
	for size := 1; size <= longest; size++ {
		if p := login(size); p.log() != whole.log() {
			t.Fatalf("in pieces of %d bytes:\n%s\n\nwhole:\n%s", size, p.log(), whole.log())
		}
	}
}

// A man in the middle edits the stream; the login must fail for the reason given.
func TestDowngrades(t *testing.T) {
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, old, with) }
	}
	plus := strings.NewReplacer("<mechanism>SCRAM-SHA-512-PLUS</mechanism>", "",
		"<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "", "<mechanism>SCRAM-SHA-1-PLUS</mechanism>", "").Replace
	types := replace("<channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/>", "<channel-binding type='tls-unique'/>")
	noTypes := func(s string) string {
		from, to := strings.Index(s, "<sasl-channel-binding"), strings.Index(s, "</sasl-channel-binding>")
		if from < 0 {
			return s
		}
		return s[:from] + s[to+len("</sasl-channel-binding>"):]
	}
	scram := strings.NewReplacer("<mechanism>SCRAM-SHA-512</mechanism>", "",
		"<mechanism>SCRAM-SHA-256</mechanism>", "", "<mechanism>SCRAM-SHA-1</mechanism>", "").Replace
	refused := func(err error) bool {
		e := (*stream.SASLError)(nil)
		return errors.As(err, &e) && e.Condition == sasl.NotAuthorized
	}
	is := func(want error) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) }
	}
	for _, test := range []struct {
		name     string
		toClient func(string) string
		server   []sasl.ChannelBinding // what the server can bind to
		ok       func(error) bool
	}{
		{"STARTTLS is taken out", replace("<starttls xmlns='"+stream.NSTLS+"'><required/></starttls>", ""), sameChannel, is(stream.ErrNoTLS)},
		{"all features are taken out", replace("<starttls xmlns='"+stream.NSTLS+"'><required/></starttls>", "<mechanisms xmlns='"+stream.NSSASL+"'><mechanism>PLAIN</mechanism></mechanisms>"), sameChannel, is(stream.ErrNoTLS)},
		{"<proceed/> becomes <failure/>", replace("<proceed ", "<failure "), sameChannel, is(stream.ErrTLS)},
		{"features follow <proceed/>", replace("<proceed xmlns='"+stream.NSTLS+"'/>", "<proceed xmlns='"+stream.NSTLS+"'/><stream:features/>"), sameChannel, is(stream.ErrInjected)},
		{"another channel", nil, otherChannel, refused},
		{"mechanisms with channel binding are taken out", plus, otherChannel, is(sasl.ErrDowngrade)},
		{"and the types of channel binding", func(s string) string { return plus(noTypes(s)) }, otherChannel, refused},
		{"types of channel binding are replaced", types, otherChannel, is(sasl.ErrDowngrade)},
		{"only PLAIN is left", func(s string) string { return plus(noTypes(scram(s))) }, otherChannel, nil},
		{"a weaker hash", replace("<mechanism>SCRAM-SHA-512-PLUS</mechanism>", ""), sameChannel, is(sasl.ErrDowngrade)},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPair("scram-only")
			p.bindings = [2][]sasl.ChannelBinding{sameChannel, test.server}
			p.toClient = test.toClient
			p.client.Start()
			p.run()
			if !p.ended[0] || p.err[0] == nil || test.ok != nil && !test.ok(p.err[0]) {
				t.Fatalf("it ended with %v\n%s", p.err[0], p.log())
			}
			for _, e := range append(p.events[0], p.events[1]...) {
				if strings.HasPrefix(e, "Login") || strings.HasPrefix(e, "Ready") {
					t.Fatalf("%s\n%s", e, p.log())
				}
			}
		})
	}
}

// What a man in the middle puts behind <starttls/> never reaches the stream over TLS.
func TestInjectionToServer(t *testing.T) {
	p := newPair()
	p.toServer = func(s string) string {
		return strings.ReplaceAll(s, "<starttls xmlns='"+stream.NSTLS+"'/>", "<starttls xmlns='"+stream.NSTLS+"'/>"+expand("{open}"))
	}
	p.client.Start()
	p.run()
	if e := (*stream.Error)(nil); !errors.As(p.err[1], &e) || e.Condition != stream.PolicyViolation || p.server.Secure() {
		t.Fatalf("the server ended with %v\n%s", p.err[1], p.log())
	}
}

// Whoever heard a whole login cannot log in by saying the same.
func TestReplay(t *testing.T) {
	s := &script{with: []string{"scram-only"}}
	config := serverConfig(s)
	config.SASL.Rand = nil
	heard := &pair{client: stream.NewClient(clientConfig(s), start), server: stream.NewServer(config, start)}
	heard.client.Start()
	heard.run()
	if heard.client.State() != stream.Bound {
		t.Fatalf("no login:\n%s", heard.log())
	}
	server := stream.NewServer(config, start)
	server.TLSStarted(nil)
	_, said, _ := strings.Cut(heard.said[0].String(), "<starttls xmlns='"+stream.NSTLS+"'/>")
	replayed := &pair{server: server}
	for _, element := range strings.SplitAfter(said, ">") {
		server.Feed([]byte(element))
		replayed.reactServer()
		replayed.take(1, server)
	}
	if !strings.Contains(replayed.said[1].String(), "<not-authorized/>") || !server.JID().IsZero() {
		t.Fatalf("it answered %s", replayed.said[1].String())
	}
}
